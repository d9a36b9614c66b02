"""Classifiers in weights files: kept where the order of labels is known, else said to be left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import squeezenet1_0

import fairvision
from fairvision import datasets, runs
from fairvision.errors import FairvisionWarning, InputError
from fairvision.models.backbones import backbone
from fairvision.training.preparation import first_network

SIZE = 32


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> datasets.Dataset:
    place = tmp_path_factory.mktemp("heads") / "scenes"
    return datasets.scenes(place, count=12, bias=0.5, size=SIZE)


@pytest.fixture
def save(tmp_path):
    """Write the weights of a resnet18 with a classifier of its own; return file and weight."""

    def write(outputs: int = 2, labels: object = None, suffix: str = "safetensors", **more):
        torch.manual_seed(0)
        base = backbone("resnet18", SIZE)
        weight, bias = torch.randn(outputs, base.width), torch.randn(outputs)
        state = {**base.module.state_dict(), "fc.weight": weight, "fc.bias": bias, **more}
        path = tmp_path / f"mine.{suffix}"
        if suffix == "safetensors":
            save_file(state, path, {} if labels is None else {"labels": json.dumps(labels)})
        else:
            torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
        return str(path), weight, bias

    return write


def network(drawn, weights, heads=("shirt",), **how):
    some = {name: drawn.attributes[name] for name in heads if name in drawn.attributes}
    tasks = {name: drawn.tasks[name] for name in heads if name in drawn.tasks}
    learnt = datasets.Dataset(drawn.root, "d", some, tasks, drawn.samples)
    return first_network("resnet18", learnt, SIZE, weights, **how)


@pytest.mark.parametrize("labels", [["striped", "dotted"], ["dotted", "striped"]])
def test_kept_where_the_file_names_its_labels(labels, drawn, save):
    path, weight, bias = save(labels=labels)
    (head,) = network(drawn, path).heads
    order = [labels.index(group) for group in drawn.attributes["shirt"]]
    assert torch.equal(head.weight, weight[order])
    assert torch.equal(head.bias, bias[order])


@pytest.mark.parametrize(
    ("file", "heads", "why"),
    [
        ({}, ["shirt"], r"the file does not say the order of its labels \(--keep-head if it is"),
        ({"suffix": "pth"}, ["shirt"], "does not say the order"),
        ({"labels": ["a", "b"]}, ["shirt"], "its labels are a, b, those of shirt striped, dotted"),
        ({"labels": "striped"}, ["shirt"], "does not say the order"),
        ({"labels": ["striped", "striped"]}, ["shirt"], "does not say the order"),
        ({"outputs": 1000}, ["shirt"], r"fc \(1000 outputs\) .* shirt has 2 labels"),
        ({}, ["shirt", "context"], r"2 heads are trained \(shirt, context\), not one"),
    ],
)
def test_left_out_is_one_line(file, heads, why, drawn, save):
    path, *_ = save(**file)
    with pytest.warns(FairvisionWarning, match=why) as caught:
        made = network(drawn, path, heads)
    assert [str(w.message) for w in caught if "is left out" in str(w.message)] == [
        str(caught[0].message)
    ]
    assert "\n" not in str(caught[0].message)
    assert not any(head.weight.any() for head in made.heads)


def test_kept_because_it_was_said(drawn, save):
    for suffix in ("pth", "safetensors"):
        path, weight, _ = save(suffix=suffix)
        (head,) = network(drawn, path, keep_head=True).heads
        assert torch.equal(head.weight, weight)
    path, *_ = save(outputs=3)
    with pytest.raises(InputError, match=r"--keep-head: .* \(3 outputs\), but shirt has 2 labels"):
        network(drawn, path, keep_head=True)
    with pytest.raises(InputError, match="--keep-head is about a file of weights"):
        network(drawn, None, keep_head=True)


def test_a_file_without_classifier_is_no_news(drawn, tmp_path):
    base = backbone("resnet18", SIZE)
    save_file(base.module.state_dict(), tmp_path / "plain.safetensors")
    network(drawn, str(tmp_path / "plain.safetensors"))
    with pytest.raises(InputError, match="holds no classifier of a resnet18"):
        network(drawn, str(tmp_path / "plain.safetensors"), keep_head=True)


def test_a_convolution_that_classifies_is_kept(drawn, tmp_path):
    torch.manual_seed(0)
    whole = squeezenet1_0(num_classes=2)
    save_file(whole.state_dict(), tmp_path / "s.safetensors", {"labels": '["striped", "dotted"]'})
    learnt = datasets.Dataset(drawn.root, "d", drawn.attributes, {}, drawn.samples)
    made = first_network("squeezenet1_0", learnt, 64, str(tmp_path / "s.safetensors"))
    (head,) = made.heads
    assert torch.equal(head.weight, whole.classifier[1].weight.flatten(1))


def test_runs(drawn, save, tmp_path):
    """The option is noted and taken up again; a run's file instead of its folder is told."""
    path, *_ = save()
    how = {"model": "resnet18", "size": SIZE, "epochs": 1, "device": "cpu", "attribute": ["shirt"]}
    how |= {"tune": "head", "lr": 1e-30, "augment": False}
    run = fairvision.train(drawn.root, output=tmp_path / "run", weights=path, keep_head=True, **how)
    assert run.config["keep_head"] is True
    again = fairvision.training.stored_options(run.folder)
    assert again["keep_head"] is True
    with pytest.warns(FairvisionWarning, match="give the run .* to keep those of the same labels"):
        made = network(drawn, str(Path(run.folder) / runs.BEST))
    assert not made.heads[0].weight.any()
