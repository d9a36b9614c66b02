"""Every method trains, by the shell's names, and continues exactly where it was interrupted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import fairvision
from fairvision import inference, methods, runs
from fairvision.datasets import Dataset, Task, save
from fairvision.errors import InputError
from fairvision.methods.method import Objective
from fairvision.training import fit

QUICK = {"size": 16, "epochs": 2, "batch_size": 8, "device": "cpu"}
OPTIONS = {"jtt": {"upweight": 3}, "adversarial": {"ramp": 5}, "leace": {"context": "side"}}


def train(data, output, **settings):
    return fairvision.train(data, output=output, **{**QUICK, **settings})


@pytest.fixture(scope="module")
def plain(squares) -> Path:
    """Squares with unknown groups and images without a mask."""
    return squares(60, unknown=4, without_mask=3, splits=("train", "train", "val", "test", "val"))


@pytest.mark.parametrize("method", methods.METHODS)
def test_an_interrupted_training_ends_with_the_same_weights(plain, tmp_path, monkeypatch, method):
    options = {"method": method, **OPTIONS.get(method, {})}
    whole = train(plain, tmp_path / "whole", **options)
    real, calls = torch.optim.AdamW.step, [0]

    def step(self, *args, **kwargs):
        calls[0] += 1
        if calls[0] == 5:
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        with pytest.raises(KeyboardInterrupt):
            train(plain, tmp_path / "parts", **options)
    parts = train(plain, tmp_path / "parts", resume=True, **options)
    for name in (runs.BEST, runs.LAST):
        assert (whole.folder / name).read_bytes() == (parts.folder / name).read_bytes()
    found = inference.predict(parts, plain / "0.png", device="cpu")
    for head, labels in parts.heads.items():
        scores = found[[f"score/{head}/{label}" for label in labels]].to_numpy()
        assert ((scores > 0) & (scores < 1)).all()
        if head != "things":
            assert scores.sum() == pytest.approx(1)
    assert np.isfinite(runs.history(parts)["val/loss"]).all()


@pytest.mark.parametrize("method", methods.METHODS)
def test_learning_a_task_alone_may_use_groups_that_are_not_learnt(plain, tmp_path, method):
    about_attributes = ("equalizer", "attribution_penalty", "swap")
    options = {"method": method, "task": ["side"], **OPTIONS.get(method, {})}
    if method in about_attributes:
        with pytest.raises(InputError, match="needs an attribute"):
            train(plain, tmp_path / "run", **options)
        assert not (tmp_path / "run").exists()
        return
    run = train(plain, tmp_path / "run", **options)
    assert list(run.heads) == ["side"]


@pytest.fixture(scope="module")
def skewed(tmp_path_factory) -> Path:
    """The label is a dark or a light square; in training its colour tells it nearly always."""
    root = tmp_path_factory.mktemp("skewed")
    rng, rows = np.random.default_rng(0), []
    for split, skew, n in (("train", 0.95, 600), ("val", 0.5, 80), ("test", 0.5, 200)):
        for i in range(n):
            label = i % 2
            colour = label if rng.random() < skew else 1 - label
            image = rng.integers(0, 60, (16, 16, 3))
            image[..., 2 * colour] += 90
            top, left = rng.integers(0, 8, 2)
            image[top : top + 8, left : left + 8] += 40 + rng.integers(0, 50) + 22 * label
            name = f"{split}{i}.png"
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(root / name)
            rows.append(
                {"id": name, "image": name, "mask": None, "split": split}
                | {"colour": "rb"[colour], "light": ("no", "yes")[label]}
            )
    tasks = {"light": Task(("no", "yes"))}
    save(Dataset(root, "s", {"colour": ("r", "b")}, tasks, pd.DataFrame(rows, dtype=object)), root)
    return root


def gap_of(run: runs.Run, data: Path) -> float:
    """How much more often the answer is "yes" where the colour went with it in training."""
    table = fairvision.datasets.load(data).split("test").samples
    predicted = inference.predict(run, [data / name for name in table["image"]], device="cpu")
    said = predicted["answer/light"]
    yes = (said == "yes").to_numpy()
    blue = (table["colour"] == "b").to_numpy()
    return yes[blue].mean() - yes[~blue].mean()


def test_methods_for_subgroups_answer_less_by_the_colour(skewed, tmp_path):
    gaps = {}
    for method in ("baseline", "resampling", "reweighting", "group_dro"):
        run = train(
            skewed,
            tmp_path / method,
            method=method,
            task=["light"],
            model="small_cnn",
            epochs=6,
            lr=3e-3,
            batch_size=32,
            **({"step": 0.1} if method == "group_dro" else {}),
        )
        gaps[method] = gap_of(run, skewed)
    assert gaps["baseline"] > 0.5
    for method, gap in gaps.items():
        if method != "baseline":
            assert abs(gap) < 0.5 * gaps["baseline"], gaps


def test_jtt_repeats_the_errors_of_a_first_run(skewed, tmp_path, monkeypatch):
    seen: list[Objective] = []

    class Training(fit.Training):
        def run(self):
            seen.append(self.objective)
            super().run()

    monkeypatch.setattr("fairvision.training.fit.Training", Training)
    run = train(skewed, tmp_path / "jtt", method="jtt", first_epochs=1, upweight=5, epochs=1)
    first = runs.load(run.folder / runs.FIRST)
    assert (first.config["method"], len(runs.history(first))) == ("baseline", 1)
    data = fairvision.datasets.load(skewed).split("train")
    files = [skewed / name for name in data.samples["image"]]
    wrong = inference.predict(first, files, device="cpu")["answer/light"].ne(data.samples["light"])
    times = np.bincount(seen[1].order(len(data), np.random.default_rng(0)))
    assert times.tolist() == np.where(wrong, 5, 1).tolist()
    assert runs.history(run)["train/n"].iloc[0] == pytest.approx(times.sum(), abs=1)


def test_the_errors_are_those_after_all_first_epochs(skewed, tmp_path, monkeypatch):
    """Not of the epoch that the validation split likes best."""
    asked = []
    network = runs.network
    monkeypatch.setattr(runs, "network", lambda *args: asked.append(args[-1]) or network(*args))
    train(skewed, tmp_path / "jtt", method="jtt", first_epochs=2, epochs=1)
    assert asked == ["last"]


@pytest.mark.parametrize("method", ["adversarial", "confusion"])
def test_no_epoch_is_best_because_the_features_tell_the_group(plain, tmp_path, method):
    run = train(plain, tmp_path / "run", method=method, **OPTIONS.get(method, {}))
    table = runs.history(run)
    counted = ["cross_entropy/side", "cross_entropy/things"]
    counted += ["confusion/colour"] if method == "confusion" else []
    for split in ("train", "val"):
        expected = table[[f"{split}/{name}" for name in counted]].sum(axis=1)
        np.testing.assert_allclose(table[f"{split}/loss"], expected)
        assert table[f"{split}/adversary/colour"].gt(0).all()
        assert table[f"{split}/cross_entropy/colour"].gt(0).all()


@pytest.mark.parametrize(
    ("changes", "options", "match"),
    [
        ({"attributes": False}, {"method": "adversarial"}, "needs an attribute"),
        ({"attributes": False}, {"method": "domain_independent"}, "needs an attribute"),
        ({"tasks": False}, {"method": "domain_independent"}, "is for tasks, and none is learnt"),
        ({"tasks": False}, {"method": "confusion"}, "nothing else is learnt"),
        ({}, {"method": "confusion", "domain": "age"}, "has no attribute 'age': it has colour"),
        ({}, {"method": "reweighting", "by": "sex"}, "by 'sex' is not one of"),
        ({"attributes": False}, {"method": "resampling", "by": "group"}, "has no attribute"),
        ({"tasks": False}, {"method": "group_dro", "by": "label"}, "one label holds"),
        ({}, {"method": "jtt", "head": "things"}, "--head 'things'"),
        ({}, {"method": "jtt", "first_epochs": 0}, "must be at least 1"),
        ({}, {"method": "jtt", "first_epochs": 1.5}, "must be a whole number"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_is_written(
    squares, tmp_path, changes, options, match
):
    with pytest.raises(InputError, match=match):
        train(squares(**changes), tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
