"""Random mirroring and cropping, of the picture and its mask together."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch.nn import functional as F

from fairvision.datasets import Batch
from fairvision.training.global_layers import Place

_AREA = (0.5, 1.0)
_ASPECT = (3 / 4, 4 / 3)


def augment(batch: Batch, place: Place | None = None) -> Batch:
    """Mirror every second picture and crop each at random, resized to the size it had.

    Picture and mask are channels of one tensor that is resampled once, so they cannot part. Chance
    comes from torch's generator of the device. A crop keeps 50 to 100% of the picture's area, with
    an aspect ratio of 3/4 to 4/3; a mask that it leaves empty counts as none. With several
    processes `place` says which share of a batch this is, and they draw as one would.
    """
    n, _, height, width = batch.images.shape
    device = batch.images.device

    def uniform(low: float, high: float) -> torch.Tensor:
        if place is None:
            return torch.empty(n, device=device).uniform_(low, high)
        drawn = torch.empty(place.share.total, device=device)
        return drawn.uniform_(low, high, generator=place.generator)[place.share.rows]

    area = uniform(*_AREA)
    stretch = uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1])).exp().sqrt()
    wide = (area.sqrt() * stretch).clamp(max=1)
    high = (area.sqrt() / stretch).clamp(max=1)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)

    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0] = wide * mirror
    theta[:, 1, 1] = high
    theta[:, 0, 2] = uniform(-1, 1) * (1 - wide)
    theta[:, 1, 2] = uniform(-1, 1) * (1 - high)
    grid = F.affine_grid(theta, [n, 4, height, width], align_corners=False)
    stack = torch.cat([batch.images, batch.masks], dim=1)
    moved = F.grid_sample(stack, grid, padding_mode="border", align_corners=False)

    masks = (moved[:, 3:] > 0.5).float()
    images = moved[:, :3].clamp(0, 1).contiguous(memory_format=torch.channels_last)
    return replace(batch, images=images, masks=masks, has_mask=masks.flatten(1).any(dim=1))
