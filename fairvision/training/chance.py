"""All chance of a training follows from its seed and from where it stands.

No generator's state has to be kept: a step that is repeated after an interruption draws the same.
"""

from __future__ import annotations

import numpy as np
import torch

from fairvision.training.place import Place


def of_epoch(seed: int, epoch: int) -> np.random.Generator:
    """Return the generator that shuffles an epoch."""
    return np.random.default_rng([seed, epoch])


def of_step(seed: int, epoch: int, step: int, place: Place | None = None) -> None:
    """Seed torch's generators, which draw dropout and augmentation, for a step of an epoch.

    With several processes each has its own chance, and that of `place` is common to them.

    Examples
    --------
    >>> of_step(0, 1, 7)
    >>> first = torch.rand(1)
    >>> of_step(0, 1, 7)
    >>> bool(first == torch.rand(1))
    True
    """
    common = _number(seed, epoch, step, 0)
    if place is None:
        torch.manual_seed(common)
    else:
        torch.manual_seed(_number(seed, epoch, step, place.rank))
        place.generator.manual_seed(common)


def _number(*place: int) -> int:
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])
