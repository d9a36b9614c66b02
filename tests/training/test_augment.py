from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fairvision.datasets import Batch
from fairvision.training.chance import augment


def make_batch(n: int, size: int = 32) -> Batch:
    """Images whose red is the mask, green the column and blue the row."""
    masks = torch.zeros(n, 1, size, size)
    masks[:, :, 8:24, 4:20] = 1
    ramp = torch.linspace(0, 1, size).expand(size, size)
    green, blue = (r.expand(n, 1, size, size) for r in (ramp, ramp.T))
    return Batch(
        rows=np.arange(n),
        images=torch.cat([masks, green, blue], dim=1),
        masks=masks,
        has_mask=torch.ones(n, dtype=torch.bool),
        attributes={"a": torch.arange(n)},
        tasks={},
    )


@pytest.fixture
def moved() -> Batch:
    torch.manual_seed(0)
    return augment(make_batch(64))


def test_image_and_mask_move_together(moved):
    torch.testing.assert_close((moved.images[:, :1] > 0.5).float(), moved.masks)


def test_images_move_each_in_its_own_way(moved):
    assert len({image.sum().item() for image in moved.images}) == 64
    assert moved.images.shape == (64, 3, 32, 32)
    assert moved.images.min() >= 0
    assert moved.images.max() <= 1


def test_half_are_mirrored_and_crops_keep_half_of_the_area(moved):
    across = moved.images[:, 1, 0, -1] - moved.images[:, 1, 0, 0]
    down = moved.images[:, 2, -1, 0] - moved.images[:, 2, 0, 0]
    assert 16 < (across < 0).sum() < 48
    assert (down > 0).all()
    area = across.abs() * down
    assert area.min() > 0.4
    assert area.max() > 0.85


def test_shifts_are_whole_pixels_and_black_comes_in():
    torch.manual_seed(0)
    batch = make_batch(64)
    moved = augment(batch, crop="shift")
    padded = torch.nn.functional.pad(batch.images, (4, 4, 4, 4))
    ways = [padded[..., y : y + 32, x : x + 32] for y in range(9) for x in range(9)]
    ways += [way.flip(3) for way in ways]
    found = [
        [k for k, way in enumerate(ways) if torch.allclose(way[i], image, atol=1e-4)]
        for i, image in enumerate(moved.images)
    ]
    assert all(len(own) == 1 for own in found)
    assert len({own[0] for own in found}) > 30
    torch.testing.assert_close((moved.images[:, :1] > 0.5).float(), moved.masks)


def test_the_same_seed_moves_alike_and_truth_stays(moved):
    torch.manual_seed(0)
    again = augment(make_batch(64))
    assert torch.equal(again.images, moved.images)
    assert torch.equal(moved.attributes["a"], torch.arange(64))


def test_a_mask_outside_the_crop_counts_as_none():
    torch.manual_seed(0)
    batch = make_batch(64)
    batch.masks.zero_()
    batch.masks[:, :, 0, 0] = 1
    moved = augment(replace(batch, masks=batch.masks))
    assert torch.equal(moved.has_mask, moved.masks.flatten(1).any(dim=1))
    assert not moved.has_mask.all()
