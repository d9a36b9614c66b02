"""Heads that are changed when training has ended: in the run folder, and resumed."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

import fairvision
from fairvision import runs
from fairvision.datasets import scenes
from fairvision.errors import InputError
from fairvision.training import output

QUICK = {"size": 16, "epochs": 2, "batch_size": 32, "device": "cpu", "model": "small_cnn"}
METHODS = ["dfr", "leace"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "data"
    scenes(folder, count=160, bias=0.7, groups=2, size=16, val_fraction=0.4, test_fraction=0.1)
    return folder


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return {
        method: fairvision.train(data, output=root / method, method=method, **QUICK)
        for method in ("baseline", *METHODS)
    }


@pytest.mark.parametrize("method", METHODS)
def test_only_the_heads_of_the_best_weights_differ_from_the_baselines(made, method):
    plain, run = made["baseline"], made[method]
    before, after = (load_file(r.folder / runs.BEST) for r in (plain, run))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"heads.{i}.{part}" for i in range(2) for part in ("weight", "bias")}
    assert (plain.folder / runs.LAST).read_bytes() == (run.folder / runs.LAST).read_bytes()
    assert (
        runs.history(plain)
        .drop(columns="seconds")
        .equals(runs.history(run).drop(columns="seconds"))
    )
    network = runs.network(run)
    probabilities = network.probabilities(torch.rand(2, 3, 16, 16))["shirt"]
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("method", METHODS)
def test_a_run_killed_after_that_is_resumed_to_the_same(data, made, tmp_path, monkeypatch, method):
    def finish(*args):
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(output, "finish", finish)
        with pytest.raises(KeyboardInterrupt):
            fairvision.train(data, output=run, method=method, **QUICK)
    assert not (run / runs.BEST).exists()
    fairvision.train(data, output=run, method=method, **QUICK, resume=True)
    for name in (runs.BEST, runs.LAST):
        assert (run / name).read_bytes() == (made[method].folder / name).read_bytes()


def test_the_averaged_weights_are_changed(data, tmp_path):
    both = [
        fairvision.train(data, output=tmp_path / name, method=name, ema=0.9, **QUICK)
        for name in ("baseline", "leace")
    ]
    before, after = (load_file(run.folder / runs.BEST) for run in both)
    for name in before:
        assert torch.equal(before[name], after[name]) is not name.startswith("heads.")


def test_what_they_need_is_told_before_anything_is_written(squares, tmp_path):
    for options, match in (
        ({"method": "dfr"}, "dfr needs 2 validation pictures of each combination, and .*side left"),
        ({"method": "leace"}, "leace is about one context: say --context side or things"),
    ):
        with pytest.raises(InputError, match=match):
            fairvision.train(squares(), output=tmp_path / "run", **QUICK, **options)
    with pytest.raises(InputError, match="learns from the validation split"):
        fairvision.train(squares(splits=("train",)), output=tmp_path / "run", **QUICK, method="dfr")
    assert not (tmp_path / "run").exists()
