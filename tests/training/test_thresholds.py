"""Thresholds per group from training to the audit: what is stored, applied, said and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import fairvision
from fairvision import inference, runs
from fairvision.datasets import Dataset, Task, load, save
from fairvision.errors import FairvisionWarning
from fairvision.runs import thresholds
from fairvision.training import output

QUICK = {
    **{"size": 16, "epochs": 4, "batch_size": 16, "device": "cpu", "lr": 3e-3},
    **{"model": "small_cnn", "task": ["light", "place", "things"]},
}
PARITY = {"method": "threshold_optimizer", "constraint": "true_positive_rate_parity"}
COUNTS = {"train": 240, "val": 240, "test": 160}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A light or a dark square on a ground whose colour is the group, which has more or fewer."""
    root = tmp_path_factory.mktemp("shades")
    rng, rows = np.random.default_rng(0), []
    for split, n in COUNTS.items():
        for i in range(n):
            group, place = i % 3, int(rng.integers(3))
            light = int(rng.random() < (0.2, 0.5, 0.8)[group])
            image = rng.integers(0, 60, (16, 16, 3))
            image[..., group] += 60
            left = 5 * place
            image[4:12, left : left + 6] += int(rng.normal(50 + 50 * light, 30))
            name = f"{split}{i}.png"
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(root / name)
            rows.append(
                {"id": name, "image": name, "mask": None, "split": split}
                | {"colour": None if i % 16 == 15 else "rgb"[group]}
                | {"light": ("no", "yes")[light], "place": ("left", "mid", "right")[place]}
                | {"things": tuple(["lamp"] * light + ["cup"] * (place == 1))}
            )
    tasks = {
        "light": Task(("no", "yes")),
        "place": Task(("left", "mid", "right")),
        "things": Task(("lamp", "cup"), many=True),
    }
    table = pd.DataFrame(rows, dtype=object)
    save(Dataset(root, "shades", {"colour": ("r", "g", "b")}, tasks, table), root)
    return root


@pytest.fixture(scope="module")
def both(data, tmp_path_factory) -> dict[str, runs.Run]:
    """The baseline, and thresholds on the same network."""
    root = tmp_path_factory.mktemp("runs")
    made = {"baseline": {}, "thresholds": PARITY}
    return {k: fairvision.train(data, output=root / k, **QUICK, **own) for k, own in made.items()}


@pytest.fixture(scope="module")
def audited(data, both, tmp_path_factory) -> dict[str, tuple[Path, dict[str, pd.DataFrame]]]:
    """The audit of each split, and its samples tables."""
    found = {}
    for split in ("val", "test"):
        place = tmp_path_factory.mktemp("audits") / split
        folders = [run.folder for run in both.values()]
        with pytest.warns(FairvisionWarning, match="10 of 160 have|15 of 240 have"):
            fairvision.audit(folders, output=place, split=split, replicates=5, device="cpu")
        found[split] = (
            place,
            {name: pd.read_parquet(place / name / "samples.parquet") for name in both},
        )
    return found


def gap(samples: pd.DataFrame, label: str, truth: pd.Series) -> float:
    """Return how far the groups' true positive rates are apart."""
    rates = (samples[f"score/{label}"] > 0.5)[truth].groupby(samples["colour"][truth]).mean()
    assert len(rates) == 3
    return rates.max() - rates.min()


def test_the_network_is_the_baselines_and_the_rule_lies_beside_it(both):
    one, two = both.values()
    assert (one.folder / runs.BEST).read_bytes() == (two.folder / runs.BEST).read_bytes()
    assert not (one.folder / thresholds.FILE).exists()
    rule = thresholds.read(two)
    assert {task: list(own) for task, own in rule.tasks.items()} == {
        "light": ["yes"],
        "place": ["left", "mid", "right"],
        "things": ["lamp", "cup"],
    }
    assert (rule.with_group, rule.images) == (225, 240)
    assert two.config["postprocessing"] == "colour"


@pytest.mark.parametrize("split", sorted(COUNTS.keys() - {"train"}))
def test_true_positive_rates_are_nearer_than_the_baselines(audited, split):
    before, after = audited[split][1].values()
    for label, truth in (
        ("light/yes", before["light"] == "yes"),
        ("things/lamp", before["things"].map(lambda some: "lamp" in some)),
    ):
        assert gap(before, label, truth) > 0.3
        assert gap(after, label, truth) < 0.5 * gap(before, label, truth)


def test_only_scores_of_tasks_of_known_groups_change(audited):
    before, after = audited["test"][1].values()
    scores = before.filter(like="score/").columns
    unknown = before["colour"].isna()
    assert unknown.sum() == 10
    assert list(before) == list(after)
    pd.testing.assert_frame_equal(before.drop(columns=scores), after.drop(columns=scores))
    pd.testing.assert_frame_equal(before[unknown], after[unknown])
    assert not np.allclose(before.loc[~unknown, scores], after.loc[~unknown, scores])
    for task in ("light", "place"):
        np.testing.assert_allclose(after.filter(like=f"score/{task}/").sum(axis=1), 1)
    assert after[scores].ge(0).all(axis=None)
    assert after[scores].le(1).all(axis=None)


def test_the_report_says_how_many_are_as_they_were(audited):
    place, _ = audited["test"]
    said = json.loads((place / "audit.json").read_text("utf-8"))["verdict"]["warnings"]
    assert "10 of 160 have no known one, and keep their scores" in " ".join(said)


def test_the_rule_is_that_of_the_validation_scores(data, both, audited):
    """What the audit says of the validation split is what the rule says of the plain scores."""
    before, after = audited["val"][1].values()
    rule = thresholds.read(both["thresholds"])
    plain = before.filter(like="score/")
    expected = rule.applied(plain, load(data).split("val"), both["thresholds"].config["seed"])
    pd.testing.assert_frame_equal(after.filter(like="score/"), expected)


def test_an_audit_refuses_a_run_that_lost_its_rule(run_cli, data, tmp_path):
    options = ["--epochs", 1, "--size", 16, "--model", "small_cnn", "--device", "cpu"]
    run = tmp_path / "run"
    told = run_cli("train", data, "--method", "threshold_optimizer", *options, "-o", run)
    assert (told.code, told.err) == (0, "")
    assert "thresholds per colour: learnt from 225 of 240 validation pictures\n" in told.out
    (run / thresholds.FILE).unlink()
    told = run_cli("audit", run, "-o", tmp_path / "audit")
    assert told.code == 2
    assert "lacks its postprocessing.json: train it again with --overwrite" in told.err
    assert not (tmp_path / "audit").exists()


def test_loose_images_have_plain_scores_and_that_is_said(run_cli, data, both):
    image = data / "test0.png"
    told = {k: run_cli("predict", run.folder, image, "--json") for k, run in both.items()}
    assert json.loads(told["baseline"].out) == json.loads(told["thresholds"].out)
    assert told["baseline"].err == ""
    (line,) = told["thresholds"].err.splitlines()
    assert line.startswith("note: run ")
    assert "thresholds per colour, which is not known of these pictures" in line
    one, two = (inference.predict(run, image, device="cpu") for run in both.values())
    pd.testing.assert_frame_equal(one, two)


def test_a_run_killed_after_the_rule_is_resumed_to_the_same(data, both, tmp_path, monkeypatch):
    def finish(*args):
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(output, "finish", finish)
        with pytest.raises(KeyboardInterrupt):
            fairvision.train(data, output=run, **QUICK, **PARITY)
    assert not (run / runs.BEST).exists()
    fairvision.train(data, output=run, **QUICK, **PARITY, resume=True)
    for name in (runs.BEST, runs.LAST, thresholds.FILE):
        assert (run / name).read_bytes() == (both["thresholds"].folder / name).read_bytes()


def test_the_averaged_weights_of_the_best_epoch_are_asked(data, tmp_path):
    options = {**QUICK, **PARITY, "ema": 0.9, "select": "accuracy", "epochs": 3}
    run = fairvision.train(data, output=tmp_path / "run", **options)
    fairvision.audit(
        run.folder, output=tmp_path / "a", split="val", replicates=5, device="cpu", names=["m"]
    )
    after = pd.read_parquet(tmp_path / "a" / "m" / "samples.parquet")
    files = [data / name for name in load(data).split("val").samples["image"]]
    plain = inference.predict(run, files, device="cpu")
    expected = thresholds.read(run).applied(
        plain.filter(like="score/").astype(float), load(data).split("val"), run.config["seed"]
    )
    np.testing.assert_allclose(after.filter(like="score/"), expected, atol=1e-4)
    assert gap(after, "light/yes", after["light"] == "yes") < 0.25


def test_a_config_file_holds_its_options(run_cli, data, tmp_path):
    (tmp_path / "options.toml").write_text(
        'method = "threshold_optimizer"\nepochs = 1\nsize = 16\ntask = "light"\n'
        'objective = "balanced_accuracy_score"\nconstraint = "demographic_parity"\n'
    )
    first, again = tmp_path / "first", tmp_path / "again"
    assert run_cli("train", data, "--config", tmp_path / "options.toml", "-o", first).code == 0
    options = runs.load(first).config["options"]
    assert (options["constraint"], options["domain"]) == ("demographic_parity", "")
    assert run_cli("train", data, "--config", first / runs.CONFIG, "-o", again).code == 0
    assert (first / thresholds.FILE).read_bytes() == (again / thresholds.FILE).read_bytes()


def test_a_sweep_has_it_beside_the_others(data, tmp_path):
    done = fairvision.sweep(
        data,
        output=tmp_path / "sweep",
        methods=["baseline", "threshold_optimizer"],
        seeds=[0],
        replicates=5,
        constraint="true_positive_rate_parity",
        **QUICK,
    )
    assert list(done.table["method"]) == ["baseline", "threshold_optimizer"]
    audit = tmp_path / "sweep" / "audits" / "seed-0"
    before, after = (
        pd.read_parquet(audit / name / "samples.parquet") for name in done.table["method"]
    )
    truth = before["light"] == "yes"
    assert gap(after, "light/yes", truth) < gap(before, "light/yes", truth)


@pytest.mark.parametrize(
    ("changes", "options", "match"),
    [
        ({"split": "train"}, [], "learnt on the validation split"),
        ({"colour": None}, [], "'colour' is unknown for every validation picture"),
        ({}, ["--attribute", "colour"], "thresholds are for the labels of tasks"),
        ({}, ["--constraint", "calibration"], "constraint 'calibration' is not one of"),
        ({}, ["--domain", "age"], "has no attribute 'age'"),
    ],
)
def test_what_is_missing_is_one_line_before_anything_is_written(
    run_cli, data, tmp_path, changes, options, match
):
    whole = load(data)
    copy = tmp_path / "data"
    copy.mkdir()
    for name in whole.samples["image"]:
        (copy / name).hardlink_to(data / name)
    save(replace(whole, samples=whole.samples.assign(**changes)), copy)
    told = run_cli(
        "train", copy, "--method", "threshold_optimizer", *options, "-o", tmp_path / "run"
    )
    assert told.code == 2
    assert match in told.err.splitlines()[-1]
    assert not (tmp_path / "run").exists()
