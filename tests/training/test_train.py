from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import fairvision
from fairvision import runs
from fairvision.datasets import load, save
from fairvision.errors import FairvisionWarning, InputError
from fairvision.methods.baseline import Baseline
from fairvision.methods.equalizer import Equalizer
from fairvision.training import stored_options

QUICK = {"size": 16, "epochs": 3, "batch_size": 8, "device": "cpu"}


def train(data, output, **settings):
    return fairvision.train(data, output=output, **{**QUICK, **settings})


def weights_of(folder: Path) -> tuple[bytes, bytes]:
    return (folder / runs.BEST).read_bytes(), (folder / runs.LAST).read_bytes()


def interrupt(monkeypatch, method, call: int, error: BaseException) -> None:
    """Let the method fail at its call number `call`, counted from 1."""
    real, calls = method.terms, [0]

    def terms(*args, **kwargs):
        calls[0] += 1
        if calls[0] == call:
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(method, "terms", terms)


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "run"


@pytest.mark.parametrize("method", ["baseline", "equalizer"])
def test_a_run_learns_and_holds_what_is_promised(folder, out, method):
    run = train(folder, out, method=method, epochs=12, lr=3e-3)
    assert {p.name for p in out.iterdir()} == {
        "config.json",
        "model.safetensors",
        "last.safetensors",
        "last.ckpt",
        "previous.ckpt",
        "history.csv",
        "tensorboard",
    }
    table = runs.history(run)
    assert table["epoch"].tolist() == list(range(1, 13))
    assert table["val/accuracy/colour"].iloc[-1] == 1
    assert table["train/loss"].iloc[-1] < table["train/loss"].iloc[0]
    terms = [c for c in table if c.startswith("train/") and c.count("/") == 2]
    terms = [c for c in terms if not c.startswith(("train/accuracy", "train/n"))]
    np.testing.assert_allclose(table[terms].sum(axis=1), table["train/loss"])
    assert run.name == "run"
    assert run.attributes == {"colour": ("r", "g", "b")}
    assert run.config["options"]["lr"] == 3e-3
    assert not {p.name for p in out.rglob("*.part")}
    for name in (runs.BEST, runs.LAST):
        assert (out / name).stat().st_mode & 0o777 == (out / "config.json").stat().st_mode & 0o777


def test_the_best_weights_are_those_of_the_smallest_validation_loss(folder, out, tmp_path):
    run = train(folder, out, epochs=6, lr=0.02, schedule="constant")
    best = runs.summary(run)["best_epoch"]
    table = runs.history(run)
    assert table["val/loss"].min() == table["val/loss"][best - 1]
    until = train(folder, tmp_path / "until", epochs=best, lr=0.02, schedule="constant")
    # Warm-up is one step in both, so the two agree up to there.
    a, b = runs.network(run), runs.network(until, which="last")
    for one, other in zip(a.state_dict().values(), b.state_dict().values()):
        assert torch.equal(one, other)


def test_tensorboard_holds_the_history(folder, out):
    run = train(folder, out)
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    values = [event.value for event in events.Scalars("val/loss")]
    np.testing.assert_allclose(values, runs.history(run)["val/loss"], rtol=1e-5)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(folder, tmp_path):
    random_state = torch.get_rng_state()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(folder, tmp_path / name, seed=seed)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b")
    assert weights_of(tmp_path / "a") != weights_of(tmp_path / "c")


@pytest.mark.parametrize("call", [2, 7, 11])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt(), {}),
        (RuntimeError("out of memory"), {}),
        (KeyboardInterrupt(), {"optimizer": "sgd", "schedule": "steps", "crop": "shift"}),
    ],
)
def test_interrupted_and_resumed_equals_uninterrupted(
    folder, tmp_path, out, monkeypatch, call, error, told
):
    settings = {"method": "equalizer", "augment": True, **told}
    whole = train(folder, tmp_path / "whole", **settings)
    with monkeypatch.context() as patch:
        interrupt(patch, Equalizer, call, error)
        with pytest.raises(type(error)):
            train(folder, out, **settings)
    with pytest.raises(InputError, match=r"is unfinished .* --resume"):
        runs.load(out)
    run = train(folder, out, **settings, resume=True)
    assert weights_of(out) == weights_of(tmp_path / "whole")
    history, expected = (runs.history(r).drop(columns="seconds") for r in (run, whole))
    pd.testing.assert_frame_equal(history, expected)


def test_batch_normalisation_is_resumed_too(folder, tmp_path, out, monkeypatch):
    settings = {"model": "mobilenet_v3_small", "size": 32, "epochs": 2}
    train(folder, tmp_path / "whole", **settings)
    interrupt(monkeypatch, Baseline, 6, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(folder, out, **settings)
    train(folder, out, **settings, resume=True)
    assert weights_of(out) == weights_of(tmp_path / "whole")


def test_resume_needs_no_first_weights_once_an_epoch_is_saved(folder, tmp_path, out, monkeypatch):
    first = train(folder, tmp_path / "first", epochs=1)
    interrupt(monkeypatch, Baseline, 6, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(folder, out, weights=str(first.folder))
    shutil.rmtree(first.folder)
    train(folder, out, weights=str(first.folder), resume=True)


def test_resume_wants_the_same_settings_and_data(squares, out, monkeypatch):
    folder = squares()
    with monkeypatch.context() as patch:
        interrupt(patch, Baseline, 5, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(folder, out)
    with pytest.raises(InputError, match=r"\(epochs was 3, now 4; lr was 0.001, now 0.1\)"):
        train(folder, out, resume=True, lr=0.1, epochs=4)
    with pytest.raises(InputError, match="holds an unfinished run: --resume continues it"):
        train(folder, out)
    with pytest.raises(InputError, match="choose one"):
        train(folder, out, resume=True, overwrite=True)
    Image.new("RGB", (16, 16)).save(folder / "0.png")
    with pytest.raises(InputError, match=r"is not, or no longer, what run .* was started on"):
        train(folder, out, resume=True)


def test_resume_of_a_finished_run_says_so(folder, out):
    train(folder, out)
    before = weights_of(out)
    with pytest.warns(FairvisionWarning, match="is finished already"):
        train(folder, out, resume=True)
    assert weights_of(out) == before


def test_resume_of_nothing_begins_anew(folder, out):
    assert train(folder, out, resume=True).folder == out


def test_stored_options_start_the_same_run_again(folder, tmp_path, out):
    train(folder, out, method="equalizer", beta=2.0, task=["things"], attribute=["colour"])
    options = stored_options(out)
    assert options["beta"] == 2
    assert options["task"] == ["things"]
    fairvision.train(folder, output=tmp_path / "again", **options)
    assert weights_of(out) == weights_of(tmp_path / "again")
    assert stored_options(tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", None])
def test_a_damaged_checkpoint_is_one_clear_line(folder, out, monkeypatch, content):
    interrupt(monkeypatch, Baseline, 6, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(folder, out)
    path = out / runs.CHECKPOINT
    path.write_bytes(path.read_bytes()[:-1000] if content is None else content)
    with pytest.raises(InputError, match=r"last.ckpt is damaged .* delete it") as error:
        train(folder, out, resume=True)
    assert "\n" not in str(error.value)
    path.unlink()
    train(folder, out, resume=True)


def test_a_loss_that_is_not_finite_stops_and_names_the_term(folder, out, monkeypatch):
    real, calls = Baseline.terms, [0]

    def terms(*args, **kwargs):
        calls[0] += 1
        result = real(*args, **kwargs)
        if calls[0] == 7:
            result.losses["cross_entropy/side"] = result.losses["cross_entropy/side"] * torch.nan
        return result

    monkeypatch.setattr(Baseline, "terms", terms)
    match = r"diverged in epoch 2: cross_entropy/side is not finite.*smaller --lr \(now 0.001\)"
    with pytest.raises(InputError, match=match):
        train(folder, out)
    assert len(pd.read_csv(out / runs.HISTORY)) == 1
    with pytest.raises(InputError, match="is unfinished"):
        runs.load(out)


def test_diverging_weights_are_caught(folder, out):
    with pytest.raises(InputError, match="diverged in epoch"):
        train(folder, out, lr=1e30, schedule="constant")


def test_overwrite_replaces_a_run_and_nothing_else(folder, out, tmp_path):
    train(folder, out)
    with pytest.raises(InputError, match="is not empty"):
        train(folder, out)
    (out / "old.txt").touch()
    train(folder, out, overwrite=True, seed=5)
    assert not (out / "old.txt").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(InputError, match=r"holds no config.json"):
        train(folder, tmp_path / "other", overwrite=True)
    assert (tmp_path / "other" / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"method": "magic"}, "no method 'magic'"),
        ({"model": "resnet19"}, "no network 'resnet19'"),
        ({"model": "alexnet"}, "alexnet cannot take pictures of 16"),
        ({"weights": "missing.pth"}, "missing.pth is not there"),
        ({"attribute": ["race"]}, "has no attribute 'race': it has colour"),
        ({"task": ["objects"]}, "has no task 'objects': it has side, things"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 1}, "batch size must be at least 2"),
        ({"lr": float("nan")}, "learning rate must be above 0"),
        ({"weight_decay": -1.0}, "weight decay must be 0 or above"),
        ({"schedule": "step"}, "schedule 'step' is not one of cosine, constant, steps"),
        ({"optimizer": "adam"}, "optimizer 'adam' is not one of adamw, sgd"),
        ({"momentum": 1.0}, "momentum must be 0 or above and below 1"),
        ({"crop": "cut"}, "crop 'cut' is not one of zoom, shift"),
        ({"tune": "some"}, "tune 'some' is not one of head, last, all, auto"),
        ({"select": "best"}, "select 'best' is not one of loss, accuracy, worst_group_accuracy"),
        ({"ema": 1.0}, "ema must be above 0 and below 1"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"patience": 0}, "patience must be at least 1 epoch"),
        ({"precision": "16"}, "precision 16 needs a GPU"),
        ({"device": "tpu"}, "no device 'tpu'"),
        ({"seed": -1}, "the seed must be 0 or above"),
        ({"beta": 3.0}, "--beta is not an option of method baseline"),
        ({"method": "equalizer", "beta": -3.0}, "beta must be 0 or above"),
        ({"method": "equalizer", "confident": "ratio"}, "confident 'ratio' is not one of"),
    ],
)
def test_bad_settings_leave_no_folder(folder, out, settings, match):
    with pytest.raises(InputError, match=match) as error:
        train(folder, out, **settings)
    assert "\n" not in str(error.value)
    assert not out.exists()


def test_bad_data_leaves_no_folder(squares, out):
    def refused(data, match, **settings):
        with pytest.raises(InputError, match=match):
            train(data, out, **settings)
        assert not out.exists()

    refused(squares(attributes=False, tasks=False), "neither attributes nor tasks")
    refused(squares(splits=("test",)), "no pictures in split 'train'")
    refused(squares(unknown=36), "'colour' is unknown for every training picture")
    refused(squares(without_mask=36), "needs masks of the person", method="equalizer")
    refused(squares(attributes=False), "needs an attribute", method="equalizer")
    refused(squares(1), "a single training picture")
    broken = squares()
    (broken / "3.png").write_bytes((broken / "3.png").read_bytes()[:100])
    refused(broken, r"3\.png")


@pytest.mark.parametrize("has", ["attributes", "tasks"])
def test_attributes_alone_or_tasks_alone(squares, out, has):
    data = squares(attributes=has == "attributes", tasks=has == "tasks")
    run = train(data, out)
    assert list(run.heads) == (["colour"] if has == "attributes" else ["side", "things"])


def test_without_a_validation_split_the_last_weights_are_the_best(squares, out):
    run = train(squares(splits=("train",)), out)
    best, last = (runs.network(run, which=w).state_dict() for w in ("best", "last"))
    assert all(torch.equal(best[name], last[name]) for name in last)
    assert runs.summary(run)["best_epoch"] == 3


def test_it_is_counted_how_many_images_take_part(squares, out):
    run = train(squares(unknown=2, without_mask=3, splits=("train",)), out, method="equalizer")
    summary = runs.summary(run)
    assert summary["training_pictures"] == 36
    assert summary["pictures"] == {
        "cross_entropy/colour": 34,
        "cross_entropy/side": 36,
        "cross_entropy/things": 36,
        "appearance_confusion/colour": 33,
        "confident/colour": 34,
    }


def test_small_and_absent_groups_warn(squares, out):
    data = squares(counts=(15, 1, 0), splits=("train",))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(data, out)
    texts = [str(w.message) for w in caught if w.category is FairvisionWarning]
    assert any("'g' of 'colour' has a single training picture" in text for text in texts)
    assert any("'b' of 'colour' has no training pictures" in text for text in texts)


def test_a_last_batch_of_one_is_no_obstacle(squares, out):
    data = squares(17, splits=("train",))
    run = train(data, out, model="mobilenet_v3_small", size=32, epochs=1)
    assert runs.summary(run)["training_pictures"] == 17


def test_heads_alone_on_the_weights_of_another_run(folder, tmp_path):
    first = train(folder, tmp_path / "first", attribute=["colour"])
    second = train(folder, tmp_path / "second", weights=str(first.folder), tune="head")
    before, after = (runs.network(run, which="last") for run in (first, second))
    for name, value in before.backbone.state_dict().items():
        assert torch.equal(value, after.backbone.state_dict()[name])
    assert list(second.heads) == ["colour", "side", "things"]
    assert second.config["options"]["lr"] == 1e-3


def test_the_weights_of_another_run_give_heads_that_agree(folder, tmp_path, squares):
    first = train(folder, tmp_path / "first")
    kept = train(folder, tmp_path / "second", weights=str(first.folder), lr=1e-30, epochs=1)
    for a, b in zip(runs.network(first).parameters(), runs.network(kept).parameters()):
        torch.testing.assert_close(a, b)
    with pytest.raises(InputError, match="is a lecture_cnn, not a mobilenet_v2"):
        train(folder, tmp_path / "third", weights=str(first.folder), model="mobilenet_v2", size=32)
    with pytest.raises(InputError, match=r"of run .*first do not fit the network: size mismatch"):
        train(folder, tmp_path / "third", weights=str(first.folder), size=20)


def test_frozen_random_backbones_are_warned_of(folder, out):
    with pytest.warns(FairvisionWarning, match="the frozen backbone is random"):
        train(folder, out, tune="head")


def test_half_precision_on_the_cpu(folder, out):
    run = train(folder, out, precision="bf16", method="equalizer")
    assert all(p.dtype == torch.float32 for p in runs.network(run).parameters())


def test_real_photographs_and_weights(shared, tmp_path, out, monkeypatch):
    """A frozen ImageNet backbone learns something of perceived gender from a few photographs."""
    monkeypatch.setenv("TORCH_HOME", str(shared / "weights" / "torch-home"))
    everything = load(shared / "data" / "coco-gender")
    some = everything.samples[everything.samples["split"] == "train"].head(128)
    for path in [*some["image"], *some["mask"].dropna()]:
        (tmp_path / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(everything.root / path, tmp_path / "photos" / path)
    save(replace(everything, samples=some), tmp_path / "photos")
    run = fairvision.train(
        tmp_path / "photos",
        output=out,
        model="mobilenet_v2",
        weights="IMAGENET1K_V1",
        size=64,
        tune="head",
        attribute=["gender"],
        epochs=6,
        lr=3e-3,
        device="cpu",
    )
    assert runs.history(run)["train/accuracy/gender"].iloc[-1] > 0.65
