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
_SHIFT = 1 / 8


def augment(batch: Batch, place: Place | None = None, *, crop: str = "zoom") -> Batch:
    """Mirror every second picture and crop each at random, at the size it had.

    Picture and mask are channels of one tensor that is resampled once, so they cannot part. Chance
    comes from torch's generator of the device. A mask that is left empty counts as none. With
    several processes `place` says which share of a batch this is, and they draw as one would.

    Parameters
    ----------
    crop : "zoom" keeps 50 to 100% of the picture's area, with an aspect ratio of 3/4 to 4/3;
        "shift" moves the picture by whole pixels, up to an eighth of its side each way, and what
        comes in is black: a crop from the picture padded all around, as is usual with CIFAR (He et
        al., CVPR 2016, section 4.2)
    """
    n, _, height, width = batch.images.shape
    device = batch.images.device

    def uniform(low: float, high: float) -> torch.Tensor:
        if place is None:
            return torch.empty(n, device=device).uniform_(low, high)
        drawn = torch.empty(place.share.total, device=device)
        return drawn.uniform_(low, high, generator=place.generator)[place.share.rows]

    def shifted(side: int) -> torch.Tensor:
        most = int(_SHIFT * side)
        pixels = uniform(-most - 0.5, most + 0.5).round().clamp(-most, most)
        return 2 * pixels / side

    wide = high = torch.ones(n, device=device)
    if crop == "zoom":
        area = uniform(*_AREA)
        stretch = uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1])).exp().sqrt()
        wide = (area.sqrt() * stretch).clamp(max=1)
        high = (area.sqrt() / stretch).clamp(max=1)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)

    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0] = wide * mirror
    theta[:, 1, 1] = high
    theta[:, 0, 2] = uniform(-1, 1) * (1 - wide) if crop == "zoom" else shifted(width)
    theta[:, 1, 2] = uniform(-1, 1) * (1 - high) if crop == "zoom" else shifted(height)
    grid = F.affine_grid(theta, [n, 4, height, width], align_corners=False)
    stack = torch.cat([batch.images, batch.masks], dim=1)
    padding = "border" if crop == "zoom" else "zeros"
    moved = F.grid_sample(stack, grid, padding_mode=padding, align_corners=False)

    masks = (moved[:, 3:] > 0.5).float()
    images = moved[:, :3].clamp(0, 1).contiguous(memory_format=torch.channels_last)
    return replace(batch, images=images, masks=masks, has_mask=masks.flatten(1).any(dim=1))
