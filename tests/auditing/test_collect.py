from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from fairvision import datasets, metrics, runs
from fairvision.attribution import DEFAULT, attribute
from fairvision.auditing.collect import check_agrees, collect, true_class
from fairvision.datasets import hide_person, only_person
from fairvision.errors import InputError
from fairvision.runs.model import RunModel, as_model


@pytest.fixture(scope="module")
def tested(world):
    return datasets.load(world).split("test")


@pytest.fixture(scope="module")
def run(two_runs):
    return runs.load(two_runs[0])


@pytest.fixture(scope="module")
def collected(run, tested):
    return collect(as_model(run), tested, batch_size=7)


@pytest.fixture(scope="module")
def seen(run, tested):
    """Images and masks as the network gets them."""
    pixels = datasets.open_pixels(tested, run.size)
    (batch,) = datasets.batches(tested, pixels, len(tested))
    return batch


def test_columns_hold_what_the_network_says(run, tested, collected, seen):
    network = runs.network(run)
    for kind, images in (
        ("score", seen.images),
        ("hidden", hide_person(seen.images, seen.masks)),
        ("person", only_person(seen.images, seen.masks)),
    ):
        with torch.inference_mode():
            expected = network.probabilities(images)
        for head in ("shirt", "context"):
            there = collected.probabilities(kind, head)
            assert there == pytest.approx(expected[head].numpy(), abs=1e-5)
    assert collected.probabilities("score", "context").sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert collected.truth is tested


def test_evidence_is_that_for_the_true_group(run, collected, seen):
    network, targets = runs.network(run), seen.attributes["shirt"]
    maps = attribute(network, seen.images, targets, DEFAULT, head="shirt").numpy()
    masks = seen.masks[:, 0].numpy()
    assert collected.evidence("pointing_game", "shirt") == pytest.approx(
        metrics.pointing_game(maps, masks), nan_ok=True
    )
    assert collected.evidence("relevance_mass", "shirt") == pytest.approx(
        metrics.relevance_mass(maps, masks), nan_ok=True, abs=1e-5
    )
    assert collected.scores["evidence/chance"].to_numpy() == pytest.approx(masks.mean(axis=(1, 2)))


def test_batches_change_nothing(run, tested, collected):
    whole = collect(as_model(run), tested, batch_size=1000)
    np.testing.assert_allclose(whole.scores, collected.scores[list(whole.scores)], atol=1e-5)


def test_each_image_is_in_the_network_three_times(run, tested):
    """Whole, without and with only the person: the evidence takes no run of its own."""
    model, seen = as_model(run), []
    collect(model, tested, batch_size=7)  # the layer is looked for once
    model.module.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    collect(model, tested, batch_size=7)
    assert sum(seen) == 3 * len(tested)


@pytest.mark.parametrize("method", ["gradcam", "saliency"])
def test_evidence_of_several_attributes_is_that_of_each_alone(
    world, draw_run, seen, method, tmp_path
):
    """Each has its own truth, its own maps and its own columns."""
    whole = datasets.load(world)
    groups = tuple(sorted(set(whole.samples["context"])))
    samples = whole.samples.assign(scene=whole.samples["context"])
    two = datasets.Dataset(world, "two", {**whole.attributes, "scene": groups}, {}, samples)
    shutil.copytree(world, tmp_path / "two")
    datasets.save(two, tmp_path / "two")
    loaded = datasets.load(tmp_path / "two").split("test")
    drawn = runs.load(draw_run(tmp_path / "run", tmp_path / "two"))
    model = as_model(drawn)
    found = collect(model, loaded, attribution=method, batch_size=7)
    masks = seen.masks[:, 0].numpy()
    for head in ("shirt", "scene"):
        target = torch.from_numpy(loaded.codes(head))
        maps = attribute(model.module, seen.images, target, method, head=head).numpy()
        np.testing.assert_allclose(
            found.evidence("relevance_mass", head), metrics.relevance_mass(maps, masks), atol=1e-5
        )


def test_groups_in_another_order_are_aligned(run, tested, collected, tmp_path, world):
    """The same network under names in another order says other things about each group."""
    turned = [run.attributes["shirt"][i] for i in (2, 0, 1)]
    config = {**run.config, "attributes": {"shirt": turned}}
    renamed = runs.Run(run.folder, config)
    other = RunModel(renamed, "B", runs.network(run), torch.device("cpu"))
    check_agrees(other, tested)
    said = collect(other, tested)
    assert said.model == "B"
    first = collected.probabilities("score", "shirt")
    assert said.probabilities("score", "shirt") == pytest.approx(first[:, [1, 2, 0]], abs=1e-5)


def test_true_class_follows_the_order_of_the_head():
    codes = torch.tensor([0, 1, 2, -1])
    assert true_class(codes, [2, 0, 1]).tolist() == [2, 0, 1, -1]


def test_without_mask_or_group_evidence_is_undefined(run, tested):
    samples = tested.samples.copy()
    samples.loc[0, "mask"] = None
    samples.loc[1, "shirt"] = None
    some = datasets.Dataset(tested.root, "some", tested.attributes, tested.tasks, samples)
    found = collect(as_model(run), some)
    assert np.isnan(found.probabilities("hidden", "shirt")[0]).all()
    assert not np.isnan(found.probabilities("hidden", "shirt")[1]).any()
    assert np.isnan(found.evidence("pointing_game", "shirt")[:2]).all()
    assert np.isnan(found.scores["evidence/chance"][0])
    assert not np.isnan(found.probabilities("score", "shirt")).any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attributes": {"shirt": ["red", "blue"]}}, "knows shirt as red, blue, but dataset"),
        ({"attributes": {"context": ["a", "b"]}, "tasks": {}}, "is an attribute in only one"),
        (
            {"tasks": {"context": {"labels": None, "many": True}}},
            "several labels of 'context' may hold at once in only one",
        ),
    ],
)
def test_runs_that_know_other_groups_are_refused(run, tested, changes, words):
    config = json.loads(json.dumps({**run.config, **changes}))
    for task in config["tasks"].values():
        task["labels"] = task["labels"] or list(tested.tasks["context"].labels)
    other = RunModel(runs.Run(run.folder, config), "B", runs.network(run), torch.device("cpu"))
    with pytest.raises(InputError, match=words):
        check_agrees(other, tested)
