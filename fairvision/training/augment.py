"""Random mirroring and cropping, of the image and its mask together."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch.nn import functional as F

from fairvision.datasets import Batch
from fairvision.training.processes import Place

_AREA = (0.5, 1.0)
_ASPECT = (3 / 4, 4 / 3)
_SHIFT = 1 / 8


def augment(batch: Batch, place: Place | None = None, *, crop: str = "zoom") -> Batch:
    """Mirror every second image and crop each at random, at the size it had.

    Image and mask are channels of one tensor that is resampled once, so they cannot part. Chance
    comes from torch's generator of the device. A mask that is left empty counts as none. With
    several processes `place` says which share of a batch this is, and they draw as one would.

    Parameters
    ----------
    crop : "zoom" keeps 50 to 100% of the image's area, with an aspect ratio of 3/4 to 4/3;
        "shift" moves the image by whole pixels, up to an eighth of its side each way, and what
        comes in is black: a crop from the image padded all around, as is usual with CIFAR (He et
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

    right = uniform(-1, 1) * (1 - wide) if crop == "zoom" else shifted(width)
    down = uniform(-1, 1) * (1 - high) if crop == "zoom" else shifted(height)
    x = _sampled(width, wide * mirror, right)[:, None, :].expand(n, height, width)
    y = _sampled(height, high, down)[:, :, None].expand(n, height, width)
    grid = torch.stack([x, y], dim=3)
    masked = bool(batch.has_mask.any())
    stack = torch.cat([batch.images, batch.masks], dim=1) if masked else batch.images
    padding = "border" if crop == "zoom" else "zeros"
    moved = F.grid_sample(stack, grid, padding_mode=padding, align_corners=False)

    images = moved[:, :3].contiguous(memory_format=torch.channels_last).clamp_(0, 1)
    if not masked:
        return replace(batch, images=images)
    masks = (moved[:, 3:] > 0.5).float()
    return replace(batch, images=images, masks=masks, has_mask=masks.flatten(1).any(dim=1))


def _sampled(side: int, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Return where each image is sampled along a side, (n, side); its edges are at -1 and 1."""
    centres = torch.linspace(-1, 1, side, device=scale.device) * (side - 1) / side
    return scale[:, None] * centres + shift[:, None]
