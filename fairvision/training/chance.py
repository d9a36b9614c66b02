"""All chance of a training follows from its seed and from where it stands.

No generator's state has to be kept: a step that is repeated after an interruption draws the same.
Dropout draws in bulk, one mask for the batch of all processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fairvision.core.processes import Share
from fairvision.training.processes import Place

_BITS = 16


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
