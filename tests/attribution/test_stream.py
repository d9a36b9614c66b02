from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fairvision.attribution import METHODS, attribute, attribute_stream
from fairvision.errors import InputError


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )


HOW = {"steps": 3, "samples": 2, "signed": True}


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(0, 5), max_size=5), batch_size=st.integers(1, 8))
def test_batches_change_nothing(method, sizes, batch_size):
    model, images = network(), torch.rand(sum(sizes), 3, 6, 6)
    targets = torch.arange(len(images)) % 4 - 1
    together = attribute(model, images, targets, method, **HOW)
    batches = list(zip(images.split(sizes), targets.split(sizes))) if sizes else []
    parts = list(attribute_stream(model, batches, method, batch_size=batch_size, **HOW))
    assert [len(part) for part in parts] == sizes
    if parts:
        torch.testing.assert_close(torch.cat(parts), together, equal_nan=True)


@pytest.mark.parametrize("method", METHODS)
def test_chance_is_that_of_the_image(method):
    model, images = network(), torch.rand(6, 3, 6, 6)
    how = HOW | {"noise_tunnel": "smoothgrad"}
    together = attribute(model, images, 1, method, **how)
    loader = DataLoader(TensorDataset(images, torch.ones(6, dtype=torch.int64)), 4)
    parts = list(attribute_stream(model, loader, method, batch_size=2, **how))
    torch.testing.assert_close(torch.cat(parts), together)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_never_more_in_the_network_than_the_batch_size(batch_size):
    model, seen = network(), []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    batches = ((torch.rand(3, 3, 6, 6), 0) for _ in range(30))
    for _ in attribute_stream(model, batches, batch_size=batch_size):
        pass
    assert max(seen) <= batch_size
    assert len(seen) <= -(-90 // batch_size) + 30


def test_images_come_as_they_are_needed():
    taken = []

    def batches():
        for i in range(100):
            taken.append(i)
            yield torch.rand(2, 3, 6, 6), 0

    stream = attribute_stream(network(), batches(), batch_size=4)
    next(stream)
    assert len(taken) <= 3
    stream.close()


def test_images_of_several_sizes():
    batches = [(torch.rand(2, 3, side, side), 0) for side in (6, 6, 9, 6)]
    sizes = [maps.shape[1] for maps in attribute_stream(network(), batches)]
    assert sizes == [6, 6, 9, 6]


def test_the_network_is_undisturbed_between_batches():
    model = network().train()
    for _ in attribute_stream(model, [(torch.rand(1, 3, 6, 6), 0)] * 3, batch_size=1):
        assert model.training
        assert all(parameter.requires_grad for parameter in model.parameters())


def test_progress_is_shown_on_the_terminal_only(capsys):
    list(attribute_stream(network(), [(torch.rand(1, 3, 6, 6), 0)], quiet=False))
    assert capsys.readouterr().out == ""


def test_unknown_options():
    with pytest.raises(TypeError, match="stepps"):
        list(attribute_stream(network(), [], stepps=3))
    with pytest.raises(InputError, match="steps"):
        list(attribute_stream(network(), [], steps=0))
