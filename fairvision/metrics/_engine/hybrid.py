"""Intervals of gaps and ratios from those of the two groups, where the bootstrap has no width.

A share of 0 or 1 is the same in every resample, however few images it is of. What it is a part of
then varies too little, or not at all. Its own interval is exact, and the two groups' intervals are
joined by the method of variance estimates recovery (Newcombe 1998, method 10; of ratios Donner and
Zou 2012, section 3), which takes the groups for independent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairvision.metrics._engine.arrays import Bools, Floats, ratio

Hybrid = Callable[[Floats, Floats], Floats]


def is_still(estimates: Floats, low: Floats, high: Floats) -> Bools:
    """Say which estimates (k, 1 + replicates) never vary, although their own interval has width."""
    moves = np.abs(estimates[:, 1:] - estimates[:, :1]) > 0  # not NaN
    return ~moves.any(axis=1) & (high > low)


def of_difference(small: Floats, large: Floats) -> Floats:
    """Return the ends (2, k) of large − small, of which value, low and high are given (3, k) each.

    >>> of_difference(np.array([[0.0], [0.0], [0.2]]), np.array([[1.0], [0.7], [1.0]])).ravel()
    array([0.63944487, 1.        ])
    """
    (value_of_small, low_of_small, high_of_small), (value, low, high) = small, large
    below = np.hypot(value - low, high_of_small - value_of_small)
    above = np.hypot(high - value, value_of_small - low_of_small)
    return np.stack([value - value_of_small - below, value - value_of_small + above])


def of_ratio(small: Floats, large: Floats) -> Floats:
    """Return the ends (2, k) of small / large, as `of_difference`; infinity: no upper end.

    There is none where `large` may be 0, by its own interval.

    >>> of_ratio(np.array([[1.0], [0.8], [1.0]]), np.array([[1.0], [0.8], [1.0]])).ravel()
    array([0.8 , 1.25])
    """
    (value_of_small, low_of_small, high_of_small), (value, low, high) = small, large
    product = value_of_small * value
    of_low = low_of_small * (2 * value_of_small - low_of_small)
    of_high = high_of_small * (2 * value_of_small - high_of_small)
    against = low * (2 * value - low)
    below = product + np.sqrt(np.maximum(product**2 - of_low * high * (2 * value - high), 0))
    above = product + np.sqrt(np.maximum(product**2 - of_high * against, 0))
    upper = np.where(low <= 0, np.inf, ratio(above, against))
    return np.stack([np.where(of_low > 0, ratio(of_low, below), 0), upper])


def where(needed: Bools, joined: Floats) -> Floats:
    """Return ends joined of two groups where they are needed; infinity where they are undefined.

    >>> where(np.array([True, True, False]), np.array([0.5, np.nan, 0.5]))
    array([0.5, inf, nan])
    """
    return np.where(needed, np.where(np.isnan(joined), np.inf, joined), np.nan)


def ends_of(drawn: Floats, joined: Floats) -> Floats:
    """Return the ends (2, …) joined of two groups, or those drawn where these are not needed.

    Both are NaN where one is infinite: then nothing is known.

    >>> ends_of(np.array([[0.1, 0.0], [0.2, 0.0]]), np.array([[np.nan, 0.0], [np.nan, np.inf]]))
    array([[0.1, nan],
           [0.2, nan]])
    """
    ends = np.where(np.isnan(joined), drawn, joined)
    return np.where(np.isinf(ends).any(axis=0), np.nan, ends)
