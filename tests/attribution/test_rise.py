"""RISE: what is known of it in simple cases, and the published sum from the same masks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fairvision.attribution import attribute
from fairvision.attribution.rise import _draw
from fairvision.errors import InputError
from fairvision.models import build


class Spot(nn.Module):
    """The logits of two classes: the brightness of one square, and its negative."""

    def forward(self, images):
        score = images[:, :, 4:8, 16:20].mean(dim=(1, 2, 3))
        return torch.stack([score, -score], dim=1)


class Unmoved(nn.Module):
    """Always the same answer."""

    def forward(self, images):
        return torch.tensor([0.3, 1.7]).expand(len(images), 2)


def bright_spot():
    images = torch.zeros(2, 3, 28, 28)
    images[:, :, 4:8, 16:20] = 1
    return images


def test_the_evidence_lies_where_it_is():
    maps = attribute(Spot(), bright_spot(), 0, "rise", baseline=0.0, masks=800, signed=True)
    for values in maps:
        row, column = divmod(int(values.argmax()), 28)
        assert 2 <= row <= 9
        assert 14 <= column <= 21
        assert values[20:, :8].abs().max() < 0.25 * values.max()
    against = attribute(Spot(), bright_spot(), 1, "rise", baseline=0.0, masks=800, signed=True)
    torch.testing.assert_close(against, -maps)


def test_of_a_linear_score_the_rise_is_known():
    """A score that is one cell's visibility is 1/2 on average, and 1 where that cell is seen."""
    images, network = torch.zeros(1, 3, 4, 4), nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    images[0, 0, 1, 1] = 1
    with torch.no_grad():
        network[1].weight.zero_()[0, 5] = 1
        network[1].bias.zero_()
    maps = attribute(
        network, images, 0, "rise", baseline=0.0, masks=20_000, window=1, batch_size=5000
    )
    masks = _draw(4, 4, 1, 20_000, 0, 0)
    at = torch.cat([masks.mask(i) for i in range(2000)])[:, 1, 1]
    expected = at.var() / at.mean()
    assert maps[0, 1, 1] == maps.max()
    torch.testing.assert_close(maps[0, 1, 1], expected, rtol=0.08, atol=0)


def test_the_published_sum_from_the_same_masks():
    """Equation 6, with the coverage that the masks have for the one that they should have."""
    torch.manual_seed(0)
    network, images = build("small_cnn", {"hat": 2}, size=21).eval(), torch.rand(2, 3, 21, 21)
    nn.init.normal_(network.heads[0].weight)
    maps = attribute(network, images, 1, "rise", head="hat", masks=60, signed=True, seed=3)
    for i, image in enumerate(images):
        drawn = _draw(21, 21, 3, 60, 3, i)
        masks = torch.cat([drawn.mask(k) for k in range(60)])
        assert masks.min() >= 0
        assert masks.max() <= 1 + 1e-6
        plain = image.mean(dim=(1, 2))[:, None, None]
        shown = masks[:, None] * image + (1 - masks[:, None]) * plain
        with torch.no_grad():
            scores = network(shown)["hat"][:, 1]
        published = (scores[:, None, None] * masks).sum(dim=0) / masks.sum(dim=0)
        torch.testing.assert_close(maps[i], published - scores.mean(), rtol=1e-3, atol=1e-5)


def test_batches_change_nothing_and_seeds_do():
    network, images = Spot(), torch.rand(3, 3, 28, 28)
    maps = attribute(network, images, 0, "rise", masks=50)
    for size in (1, 7, 1000):
        again = attribute(network, images, 0, "rise", masks=50, batch_size=size)
        torch.testing.assert_close(again, maps)
    assert not torch.equal(attribute(network, images, 0, "rise", masks=50, seed=1), maps)
    alike = attribute(network, images[:1].expand(2, -1, -1, -1), 0, "rise", masks=50)
    assert not torch.equal(alike[0], alike[1])  # each image has masks of its own


def test_masks_let_half_of_the_image_through():
    drawn = _draw(30, 20, 3, 2000, 0, 0)
    mean = torch.cat([drawn.mask(i) for i in range(2000)]).mean(dim=0)
    assert (mean - 0.5).abs().max() < 0.05


def test_a_network_that_does_not_look_has_no_evidence():
    assert attribute(Unmoved(), torch.rand(2, 3, 16, 16), 0, "rise", masks=20).eq(0).all()


def test_masks_are_counted_from_one():
    with pytest.raises(InputError, match="masks must be at least 1"):
        attribute(Spot(), bright_spot(), 0, "rise", masks=0)
