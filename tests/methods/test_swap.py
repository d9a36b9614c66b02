"""Swapped surroundings: which pixels, whose labels, whose chance."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairvision.datasets import FILLS
from fairvision.datasets.swapping import fill
from fairvision.errors import InputError
from fairvision.methods.baseline import Baseline
from fairvision.methods.swap import Swap, jensen_shannon
from tests.methods.test_methods import make_batch, make_dataset, make_network


def swapped(batch, **options):
    return Swap(**{"probability": 1.0, **options})._swapped(batch)


@pytest.mark.parametrize("name", FILLS)
def test_the_person_is_kept_and_all_else_is_another_images(name):
    batch = make_batch()
    rows, images = swapped(batch, fill=name)
    assert rows.tolist() == list(range(6))
    surroundings = fill(batch.images, batch.masks, name)
    person = batch.masks[0, 0] > 0
    for row, image in enumerate(images):
        assert torch.equal(image[:, person], batch.images[row][:, person])
        others = [i for i in range(6) if i != row]
        assert any(torch.equal(image[:, ~person], surroundings[i][:, ~person]) for i in others)


def test_images_without_a_mask_neither_change_nor_give():
    batch = make_batch()
    batch.has_mask[:4] = False
    rows, images = swapped(batch)
    assert rows.tolist() == [4, 5]
    surroundings = fill(batch.images, batch.masks)
    outside = batch.masks[0, 0] == 0
    assert torch.equal(images[0][:, outside], surroundings[5][:, outside])
    batch.has_mask[4] = False
    assert len(swapped(batch)[0]) == 0
    one = make_batch(1)
    assert len(swapped(one)[0]) == 0
    assert Swap(consistency=1.0).terms(make_network(), one).losses["consistency/gender"] == 0


def test_no_group_need_be_known_to_be_swapped():
    batch = make_batch()
    batch.attributes["gender"][:] = -1
    assert len(swapped(batch)[0]) == 6


def test_never_swapped_it_is_the_baseline():
    network, batch = make_network(), make_batch()
    plain = Baseline().terms(network, batch)
    result = Swap(probability=0.0).terms(network, batch)
    assert result.losses.keys() == plain.losses.keys()
    for name, loss in plain.losses.items():
        torch.testing.assert_close(result.losses[name], loss)


def test_attributes_are_learnt_from_swapped_images_and_tasks_from_whole_ones():
    network, batch = make_network(), make_batch()
    torch.nn.init.normal_(network.head("scene").weight)
    batch.has_mask[0] = False
    method = Swap(probability=1.0, consistency=3.0)
    with torch.no_grad():  # draws alike each time
        rows, images = method._swapped(batch)
        result = method.terms(network, batch)
        plain = Baseline().terms(network, batch)
        whole, other = network(batch.images)["gender"], network(images)["gender"]
    mixed = batch.images.clone()
    mixed[rows] = images
    seen = Baseline().terms(network, replace(batch, images=mixed))
    name = "cross_entropy/gender"
    torch.testing.assert_close(result.losses[name], seen.losses[name])
    for name in ("cross_entropy/scene", "cross_entropy/objects"):
        torch.testing.assert_close(result.losses[name], plain.losses[name])
    torch.testing.assert_close(result.logits["gender"], whole)
    expected = 3 * jensen_shannon(whole[1:], other).mean()
    torch.testing.assert_close(result.losses["consistency/gender"], expected)
    assert int(result.counts["consistency/gender"]) == 5


def test_consistency_has_a_gradient_of_both_answers():
    network, batch = make_network(), make_batch()
    result = Swap(probability=1.0, consistency=1.0).terms(network, batch)
    result.losses["consistency/gender"].backward()
    assert network.backbone.conv1.weight.grad.abs().sum() > 0


def test_chance_is_that_of_the_step_and_of_nothing_in_validation():
    batch, method = make_batch(), Swap()
    drawn = []
    for seed in (1, 1, 2, 3):
        torch.manual_seed(seed)
        drawn.append(method._swapped(batch)[0].tolist())
    assert drawn[0] == drawn[1]
    assert len({tuple(rows) for rows in drawn}) > 1
    before = torch.get_rng_state()
    with torch.no_grad():
        first, again = (method._swapped(batch) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first, again))


def test_so_many_are_swapped_as_is_likely():
    batch = make_batch(400)
    torch.manual_seed(0)
    assert len(Swap(probability=0.25)._swapped(batch)[0]) == pytest.approx(100, abs=30)


@given(st.lists(st.floats(-30, 30), min_size=4, max_size=4))
def test_the_divergence_is_symmetric_and_bounded(logits):
    first, second = torch.tensor(logits).reshape(2, 1, 2)
    one, other = jensen_shannon(first, second), jensen_shannon(second, first)
    torch.testing.assert_close(one, other)
    assert -1e-6 <= one.item() <= math.log(2) + 1e-6
    torch.testing.assert_close(jensen_shannon(first, first), torch.zeros(1))


def test_it_says_what_it_needs():
    Swap().check(make_dataset())
    with pytest.raises(InputError, match="needs an attribute"):
        Swap().check(make_dataset(attributes={}))
    with pytest.raises(InputError, match="the swap of surroundings needs masks"):
        Swap().check(make_dataset(samples=pd.DataFrame({"mask": [None]})))
    with pytest.raises(InputError, match="probability must be between 0 and 1, not 2"):
        Swap(probability=2.0).check(make_dataset())
    with pytest.raises(InputError, match="fill 'paint' is not one of rows, "):
        Swap(fill="paint").check(make_dataset())
