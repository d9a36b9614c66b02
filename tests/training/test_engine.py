"""Accumulation, averaged weights, the choice of the best epoch, early stopping, compilation."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import fairvision
from fairvision import runs
from fairvision.datasets import batches, load, open_pixels
from fairvision.errors import InputError
from fairvision.training import chance, fit
from fairvision.training.steps import AveragedNetwork

QUICK = {"size": 16, "epochs": 3, "batch_size": 8, "device": "cpu"}


def train(data, output, **settings):
    return fairvision.train(data, output=output, **{**QUICK, **settings})


def answers(run, data, split):
    dataset = load(data).split(split)
    (batch,) = batches(dataset, open_pixels(dataset, run.size), len(dataset))
    with torch.no_grad():
        return dataset, runs.network(run, which="last").probabilities(batch.images)


def test_small_batches_accumulated_are_the_large_one(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(chance.Dropout, "forward", lambda self, values: values)
    large = train(folder, tmp_path / "large")
    small = train(folder, tmp_path / "small", batch_size=4, accumulate=2)
    assert small.config["options"]["accumulate"] == 2
    a, b = (runs.history(run).drop(columns="seconds") for run in (large, small))
    np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-5)


def test_sgd_takes_the_steps_of_its_definition(folder, tmp_path, monkeypatch):
    optimizers = []
    real = fit.make_optimizer

    def made(*given, **told):
        optimizers.append(real(*given, **told))
        return optimizers[-1]

    monkeypatch.setattr(fit, "make_optimizer", made)
    run = train(folder, tmp_path / "run", optimizer="sgd", momentum=0.8, schedule="steps", epochs=8)
    ((optimizer, _),) = optimizers
    assert isinstance(optimizer, torch.optim.SGD)
    assert {group["momentum"] for group in optimizer.param_groups} == {0.8}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {5e-4, 0.0}
    options = run.config["options"]
    assert (options["optimizer"], options["momentum"], options["lr"]) == ("sgd", 0.8, 0.1)
    rates = runs.history(run)["lr"]
    np.testing.assert_allclose(rates[1:], [0.1, 0.01, 0.01, 1e-3, 1e-3, 1e-4, 1e-4])


def test_averaged_weights_are_validated_and_stored(folder, tmp_path, monkeypatch):
    seen = []
    real = AveragedNetwork.update

    def update(self, network, step):
        seen.append((step, network.heads[0].weight.detach().clone()))
        real(self, network, step)

    monkeypatch.setattr(AveragedNetwork, "update", update)
    run = train(folder, tmp_path / "run", ema=0.5)
    assert [step for step, _ in seen] == list(range(1, 10))
    mean = torch.zeros_like(seen[0][1])
    for step, weight in seen:
        keep = min(0.5, (1 + step) / (10 + step))
        mean = keep * mean + (1 - keep) * weight
    last = runs.network(run, which="last")
    torch.testing.assert_close(last.heads[0].weight.detach(), mean)
    validation, found = answers(run, folder, "val")
    right = found["colour"].argmax(1).numpy() == validation.codes("colour")
    assert right.mean() == pytest.approx(runs.history(run)["val/accuracy/colour"].iloc[-1])


def test_worst_group_accuracy_is_that_of_its_definition(squares, tmp_path):
    data = squares(72, unknown=10)
    run = train(data, tmp_path / "run", epochs=2)
    validation, found = answers(run, data, "val")
    group, side = validation.codes("colour"), validation.targets("side")
    cells = pd.DataFrame({"group": group, "side": side})
    cells["right"] = found["side"].argmax(1).numpy() == side
    own = pd.DataFrame({"group": group, "right": found["colour"].argmax(1).numpy() == group})
    things = ((found["things"].numpy() > 0.5) == validation.targets("things")).mean(axis=1)
    many = pd.DataFrame({"group": group, "right": things})
    tables = [
        cells.query("group >= 0").groupby(["group", "side"])["right"].agg(["mean", "size"]),
        own.query("group >= 0").groupby("group")["right"].agg(["mean", "size"]),
        many.query("group >= 0").groupby("group")["right"].agg(["mean", "size"]),
    ]
    row = runs.history(run).iloc[-1]
    worst = min(table["mean"].min() for table in tables)
    assert row["val/worst_group_accuracy"] == pytest.approx(worst)
    sizes = {n for t in tables for n in t["size"][np.isclose(t["mean"], worst)]}
    assert row["val/n/worst_group_accuracy"] in sizes


def test_without_attributes_it_is_not_there_and_cannot_choose(squares, tmp_path):
    data = squares(attributes=False)
    with pytest.raises(InputError, match="needs an attribute, and none is learnt"):
        train(data, tmp_path / "run", select="worst_group_accuracy")
    assert "val/worst_group_accuracy" not in runs.history(train(data, tmp_path / "run"))
    with pytest.raises(InputError, match="need a validation split"):
        train(squares(splits=("train",)), tmp_path / "other", patience=2)


@pytest.mark.parametrize(
    ("select", "column", "sign"),
    [
        ("loss", "val/loss", -1),
        ("accuracy", None, 1),
        ("worst_group_accuracy", "val/worst_group_accuracy", 1),
    ],
)
def test_the_best_epoch_is_that_of_the_criterion(folder, tmp_path, select, column, sign):
    run = train(folder, tmp_path / "run", select=select, epochs=5, lr=0.01)
    table = runs.history(run)
    heads = [f"val/accuracy/{head}" for head in run.heads]
    scores = sign * (table[column] if column else table[heads].mean(axis=1))
    assert runs.summary(run)["best_epoch"] == int(scores.argmax()) + 1


def test_training_stops_when_nothing_gets_better(folder, tmp_path, monkeypatch):
    for module in (runs, runs.folder):
        monkeypatch.setattr(
            module, "score", lambda table, select: pd.Series(-(abs(table["epoch"] - 2.0)))
        )
    run = train(folder, tmp_path / "run", epochs=9, patience=2)
    assert len(runs.history(run)) == 4
    assert runs.summary(run)["best_epoch"] == 2
    assert run.config["options"]["patience"] == 2


def test_compiled_it_learns_the_same(folder, tmp_path, monkeypatch):
    real, compiled = nn.Module.compile, []

    def compile(self):
        compiled.append(self)
        real(self, backend="eager")

    # A network without dropout, of which a compiled network draws its own masks.
    plain = train(folder, tmp_path / "plain", epochs=1, model="small_cnn")
    monkeypatch.setattr(nn.Module, "compile", compile)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    run = train(folder, tmp_path / "run", epochs=1, model="small_cnn", compile=True)
    assert len(compiled) == 1
    a, b = (runs.history(run).drop(columns="seconds") for run in (plain, run))
    np.testing.assert_allclose(b, a, rtol=1e-4)
    with pytest.raises(InputError, match="gradients of gradients"):
        train(folder, tmp_path / "other", compile=True, method="attribution_penalty")


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # of torch 2.11
def test_a_network_that_does_not_compile_is_one_clear_line(folder, tmp_path, monkeypatch):
    def fails(graph, inputs):
        raise RuntimeError("an operation without a kernel\n\nset this and that")

    real = nn.Module.compile
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    monkeypatch.setattr(nn.Module, "compile", lambda self: real(self, backend=fails))
    with pytest.raises(InputError, match="--compile does not work for this network: ") as error:
        train(folder, tmp_path / "run", compile=True)
    assert "an operation without a kernel" in str(error.value)
    assert "\n" not in str(error.value)


def test_without_a_compiler_it_is_one_clear_line(folder, tmp_path, monkeypatch):
    def fails(graph, inputs):
        raise RuntimeError("no C++ compiler found\n\nset this and that")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=fails))
    with pytest.raises(InputError, match=r"--compile does not work here: .*") as error:
        train(folder, tmp_path / "run", compile=True)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
