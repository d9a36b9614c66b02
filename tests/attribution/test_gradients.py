"""Integrated gradients: completeness, and steps that follow from it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fairvision.attribution import METHODS, WITHOUT_GRADIENTS, attribute, convergence_delta
from fairvision.errors import FairvisionWarning, InputError


class Power(nn.Module):
    """The sum of a power of every pixel: exact with half as many nodes, and in closed form."""

    def __init__(self, power):
        super().__init__()
        self.power, self.seen = power, []

    def forward(self, images):
        self.seen.append(len(images))
        return (images**self.power).sum(dim=(1, 2, 3))[:, None]


class Steep(nn.Module):
    """Smooth, but with a sudden rise: few steps miss it."""

    def __init__(self, sharpness):
        super().__init__()
        self.sharpness, self.seen = sharpness, []

    def forward(self, images):
        self.seen.append(len(images))
        rise = torch.sigmoid(self.sharpness * (images.mean(dim=(1, 2, 3)) - 0.3))
        return torch.stack([rise, -rise], dim=1)


@pytest.mark.parametrize("power", [1, 2, 3, 5])
@pytest.mark.parametrize("baseline", [None, 0.0, 0.25])
def test_closed_form(power, baseline):
    images = torch.rand(3, 3, 4, 5)
    plain = images.mean(dim=(2, 3), keepdim=True) if baseline is None else torch.tensor(baseline)
    maps = attribute(
        Power(power), images, 0, "integrated_gradients", steps=3, baseline=baseline, signed=True
    )
    torch.testing.assert_close(maps, (images**power - plain**power).sum(dim=1))
    delta = convergence_delta(Power(power), images, 0, maps, baseline=baseline)
    torch.testing.assert_close(delta, torch.zeros(3), rtol=0, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_images_and_steps_are_one_list(batch_size):
    network = Power(2)
    attribute(
        network, torch.rand(5, 3, 4, 4), 0, "integrated_gradients", steps=9, batch_size=batch_size
    )
    images = min(batch_size, 5)
    full, rest = divmod(images * 9, batch_size)
    expected = ([batch_size] * full + [rest] * (rest > 0)) * (5 // images)
    last = 5 % images * 9
    expected += [batch_size] * (last // batch_size) + [last % batch_size] * (last % batch_size > 0)
    assert network.seen == expected


def test_steps_follow_the_tolerance():
    torch.manual_seed(0)
    images = torch.rand(4, 3, 4, 4)
    how = {"baseline": 0.0, "signed": True, "steps": 4}
    network = Steep(60)
    few = attribute(network, images, 0, "integrated_gradients", **how)
    assert convergence_delta(network, images, 0, few, baseline=0.0).abs().max() > 0.05
    enough = attribute(network, images, 0, "integrated_gradients", tolerance=1e-3, **how)
    assert convergence_delta(network, images, 0, enough, baseline=0.0).abs().max() <= 1.01e-3


def test_only_images_that_do_not_add_up_take_more_steps():
    flat, sudden = torch.full((1, 3, 4, 4), 0.01), torch.full((1, 3, 4, 4), 0.9)
    how = {"baseline": 0.0, "tolerance": 1e-3, "steps": 4, "batch_size": 1000}
    network = Steep(60)
    attribute(network, torch.cat([flat, flat, sudden]), 0, "integrated_gradients", **how)
    first, _, _, *more = network.seen
    assert first == 12
    assert more == [4 * 2**k for k in range(1, len(more) + 1)]


def test_images_that_never_add_up_are_told_of():
    with pytest.warns(FairvisionWarning, match="2 of 3 pictures do not add up .* 1024 steps"):
        attribute(
            Steep(1e5),
            torch.tensor([0.2, 0.9, 0.8]).view(3, 1, 1, 1).expand(3, 3, 2, 2),
            0,
            "integrated_gradients",
            baseline=0.0,
            steps=4,
            tolerance=1e-6,
        )


def test_unknown_targets_have_no_delta():
    images = torch.rand(3, 3, 4, 4)
    maps = attribute(Power(2), images, torch.tensor([0, -1, 0]), "integrated_gradients")
    delta = convergence_delta(Power(2), images, torch.tensor([0, -1, 0]), maps)
    assert delta.isnan().tolist() == [False, True, False]


def test_memory_is_bounded_by_the_batch_size():
    """What the network holds at one time does not depend on images, steps or samples."""
    for method in ("integrated_gradients", "gradient_shap"):
        network = Power(2)
        attribute(network, torch.rand(40, 3, 4, 4), 0, method, steps=30, batch_size=8)
        assert max(network.seen) == 8


def test_a_network_without_gradient_says_nothing():
    class Constant(nn.Module):
        def forward(self, images):
            return torch.ones(len(images), 2)

    images = torch.rand(2, 3, 4, 4)
    for method in set(METHODS) - set(WITHOUT_GRADIENTS):
        with pytest.raises(InputError, match="gradients do not reach the picture"):
            attribute(Constant(), images, 1, method)
    for method in WITHOUT_GRADIENTS:
        assert (attribute(Constant(), images, 1, method) == 0).all()
