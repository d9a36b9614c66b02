"""All chance of a training follows from its seed and from where it stands.

No generator's state has to be kept: a step that is repeated after an interruption draws the same.
Dropout draws in bulk, one mask for the batch of all processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fairvision.core.processes import Share
from fairvision.datasets import Batch
from fairvision.training.processes import Place

_BITS = 16
_AREA = (0.5, 1.0)
_ASPECT = (3 / 4, 4 / 3)
_SHIFT = 1 / 8


def generator_of_epoch(seed: int, epoch: int) -> np.random.Generator:
    """Return the generator that shuffles an epoch."""
    return np.random.default_rng([seed, epoch])


def seed_step(seed: int, epoch: int, step: int, place: Place | None = None) -> None:
    """Seed torch's generators, which draw dropout and augmentation, for a step of an epoch.

    With several processes each has its own chance, and that of `place` is common to them.

    Examples
    --------
    >>> seed_step(0, 1, 7)
    >>> first = torch.rand(1)
    >>> seed_step(0, 1, 7)
    >>> bool(first == torch.rand(1))
    True
    """
    common = _mixed_seed(seed, epoch, step, 0)
    if place is None:
        torch.manual_seed(common)
    else:
        torch.manual_seed(_mixed_seed(seed, epoch, step, place.rank))
        place.generator.manual_seed(common)


def _mixed_seed(*numbers: int) -> int:
    """Return one 64-bit seed mixed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


@contextmanager
def dropout_in_bulk(network: nn.Module, place: Place | None = None) -> Iterator[None]:
    """Let the dropout of a network draw its masks in bulk, and over all processes.

    On a CPU torch draws each value of a mask by itself, which is up to a third of the time of a
    small network. The modules stay who they are, as others may know them, and are torch's again
    afterwards. Those of other classes than torch's own (timm has some) stay as they are.

    Parameters
    ----------
    place : where the images of this process are; None if there is no other process
    """
    changed = [module for module in network.modules() if type(module) is nn.Dropout]
    for module in changed:
        module.__class__ = Dropout
        module.place = place  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in changed:
            module.__class__ = nn.Dropout
            del module.place


def dropout_mask(like: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Return 0 with probability p, else 1 / (1 - p), in the shape and layout of `like`.

    On a CPU p is rounded to a multiple of 1/65536, so that a random number serves four values.
    Chance comes from the generator, else from torch's own of the device.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> mask = dropout_mask(torch.empty(1000, 10), 0.2)
    >>> mask.unique().tolist(), round((mask > 0).float().mean().item(), 2)
    ([0.0, 1.25], 0.8)
    """
    mask = torch.empty_like(like)
    if mask.device.type != "cpu":
        return mask.bernoulli_(1 - p, generator=generator).div_(1 - p)
    draws = torch.empty(-(-mask.numel() * _BITS // 64), dtype=torch.int64)
    bits = draws.random_(-(2**63), None, generator=generator).view(torch.int16)[: mask.numel()]
    lowest = round(p * 2**_BITS) - 2 ** (_BITS - 1)
    mask.copy_((bits >= lowest).as_strided(mask.shape, mask.stride()))
    return mask.div_(1 - p)


class Dropout(nn.Dropout):
    """torch's dropout, but for how and for which batch the mask is drawn.

    Attributes
    ----------
    place : where the images of this process are; None if there is no other process
    """

    place: Place | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Return the values with a share of them set to 0 and the others scaled."""
        if not self.training or self.p in (0, 1):
            return F.dropout(values, self.p, self.training)
        n = len(values)
        share, generator = Share(0, n, n), None
        if self.place is not None:
            share, generator = self.place.share, self.place.generator
            if n != share.size:
                # Not a row per image: a method made further ones, and each process draws its own.
                share = Share(self.place.rank * n, n, self.place.world * n)
        last = values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last)
        batch = torch.empty(
            (share.total, *values.shape[1:]),
            dtype=values.dtype,
            device=values.device,
            memory_format=torch.channels_last if last else torch.contiguous_format,
        )
        return values * dropout_mask(batch, self.p, generator)[share.rows]


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
