"""All chance of a training follows from its seed and from where it stands.

No generator's state has to be kept: a step that is repeated after an interruption draws the same.
"""

from __future__ import annotations

import numpy as np
import torch


def of_epoch(seed: int, epoch: int) -> np.random.Generator:
    """Return the generator that shuffles an epoch."""
    return np.random.default_rng([seed, epoch])


def of_step(seed: int, epoch: int, step: int) -> None:
    """Seed torch's generators, which draw dropout and augmentation, for a step of an epoch.

    Examples
    --------
    >>> of_step(0, 1, 7)
    >>> first = torch.rand(1)
    >>> of_step(0, 1, 7)
    >>> bool(first == torch.rand(1))
    True
    """
    torch.manual_seed(_number(seed, epoch, step))


def _number(*place: int) -> int:
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])
