"""Dividing images at random into train, val and test."""

from __future__ import annotations

import numpy as np

from fairvision.datasets.folder import SPLITS
from fairvision.errors import InputError


def random_splits(
    n: int, val_fraction: float, test_fraction: float, random: np.random.Generator
) -> np.ndarray:
    """Return a split for each of `n` images, in random order.

    The shares are exact up to rounding; a split with a share above 0 gets at least one image
    where there are three or more.

    >>> random_splits(10, 0.1, 0.2, np.random.default_rng(0)).tolist().count("train")
    7
    """
    if min(val_fraction, test_fraction) < 0 or not val_fraction + test_fraction < 1:
        raise InputError(
            f"validation share {val_fraction} and test share {test_fraction} must not be negative "
            "and must leave something to train on: their sum must be below 1"
        )
    val, test = (
        max(round(share * n), int(share > 0 and n >= 3)) for share in (val_fraction, test_fraction)
    )
    splits = np.repeat(np.array(SPLITS, object), [n - val - test, val, test])
    return random.permutation(splits)
