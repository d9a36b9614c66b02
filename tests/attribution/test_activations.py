from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fairvision import models
from fairvision.attribution.activations import (
    MOST_STAGES,
    activations,
    first_kernels,
    kernels_for_grey,
    stages,
)


def test_every_layer_of_the_lectures_network():
    network = models.build("lecture_cnn", {"gender": 2}, size=16)
    expected = [f"backbone.{layer}" for layer in ("conv1", "relu1", "conv2", "relu2", "pool")]
    assert stages(network, torch.zeros(1, 3, 16, 16)) == expected


def test_one_layer_per_resolution_of_a_deep_network():
    network = models.build("resnet18", {"gender": 2}, size=64)
    expected = [f"backbone.{layer}" for layer in ("relu", "layer1", "layer2", "layer3", "layer4")]
    assert stages(network, torch.zeros(1, 3, 64, 64)) == expected


def test_evenly_spaced_where_there_are_many_resolutions():
    network = nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(30)), nn.Flatten())
    chosen = stages(network, torch.zeros(1, 3, 64, 64))
    assert len(chosen) == MOST_STAGES
    assert (chosen[0], chosen[-1]) == ("0", "29")


def test_activations_are_those_of_the_layer():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.Flatten())
    image = torch.rand(1, 3, 8, 8)
    linear, rectified = activations(network, image, ["0", "1"], most=6)
    expected = network[0](image)[0].detach().numpy()
    np.testing.assert_allclose(linear.maps, expected[linear.strongest], rtol=1e-5)
    np.testing.assert_allclose(rectified.maps, expected[rectified.strongest].clip(0), rtol=1e-5)
    strengths = np.abs(linear.maps).mean(axis=(1, 2))
    assert (np.diff(strengths) <= 0).all()
    assert (linear.layer, linear.kind, linear.channels) == ("0", "Conv2d", 6)


@pytest.mark.parametrize("most", [1, 4, 100])
def test_number_of_channels(most):
    found = activations(nn.Sequential(nn.Conv2d(3, 6, 1)), torch.rand(1, 3, 4, 4), ["0"], most=most)
    assert len(found[0].maps) == len(found[0].strongest) == min(most, 6)


def test_kernels_are_those_that_see_the_colours():
    network = nn.Sequential(nn.Linear(3, 3), nn.Conv2d(8, 4, 1), nn.Conv2d(3, 7, 5))
    np.testing.assert_array_equal(first_kernels(network), network[2].weight.detach())
    assert first_kernels(nn.Sequential(nn.Linear(3, 3))) is None


def test_kernels_for_grey_answer_to_a_grey_image_as_those_for_colours():
    network = models.build("lecture_cnn", {"digit": 10}, size=28)
    grey = torch.rand(1, 1, 28, 28)
    seen = []
    network.backbone.conv1.register_forward_hook(lambda _, given, out: seen.append(out))
    network(grey.expand(1, 3, 28, 28))
    network(torch.zeros(1, 3, 28, 28))
    kernels = kernels_for_grey(first_kernels(network), network.std.numpy())
    ours = nn.functional.conv2d(grey, torch.from_numpy(kernels))
    torch.testing.assert_close(ours, seen[0] - seen[1], atol=1e-4, rtol=1e-4)
    by_colour = np.ones((6, 1, 3, 3))
    assert kernels_for_grey(by_colour, np.ones((3, 1, 1))) is by_colour
