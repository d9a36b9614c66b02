"""Intervals of several figures that hold together, and their p-values."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from fairvision.metrics._engine.arrays import Floats


def normal(confidence: float) -> float:
    """Return how many standard deviations an interval of one figure reaches to either side."""
    return float(ndtri((1 + confidence) / 2))


def widening(estimates: Floats, confidence: float) -> float:
    """Return by what intervals of figures, (k, 1 + replicates), are stretched to hold together.

    At least 1, and 1 where not two of them vary.
    """
    value, replicates = estimates[:, :1], estimates[:, 1:]
    defined = np.isfinite(replicates) & np.isfinite(value)
    times = defined.sum(axis=1)
    off = np.where(defined, replicates - np.where(np.isfinite(value), value, 0), 0)
    mean = off.sum(axis=1) / np.maximum(times, 1)
    square = (off**2).sum(axis=1) / np.maximum(times, 1)
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    varying = (spread > 1e-12) & (2 * times >= replicates.shape[1])
    if varying.sum() < 2:
        return 1.0
    largest = (np.abs(off[varying]) / spread[varying, None]).max(axis=0)
    return max(1.0, float(np.quantile(largest, confidence)) / normal(confidence))


def stretched(value: Floats, low: Floats, high: Floats, factor: float) -> tuple[Floats, Floats]:
    """Return both ends, so many times as far from the value."""
    return value - factor * (value - low), value + factor * (high - value)


def p_values(
    value: Floats, low: Floats, high: Floats, *, confidence: float, against: float = 0.0
) -> Floats:
    """Return the two-sided p-values that intervals say; NaN where they are undefined.

    That of a normal distribution whose interval reaches as far towards `against`; 1 where it has no
    width, which shows nothing.
    """
    beyond = value - against
    reach = np.where(beyond > 0, value - low, high - value)
    defined = np.isfinite(beyond) & np.isfinite(reach)
    has_width = defined & (reach > 0)
    z = np.divide(
        -normal(confidence) * np.abs(beyond), reach, where=has_width, out=np.zeros_like(reach)
    )
    return np.where(defined, 2 * ndtr(z), np.nan)


def corrected(p: Floats) -> Floats:
    """Return p-values (k,), corrected for their number by Holm; NaN ones do not count."""
    (place,) = np.nonzero(~np.isnan(p))
    place = place[np.argsort(p[place], kind="stable")]
    steps = np.minimum(np.arange(len(place), 0, -1) * p[place], 1)
    result = np.full(len(p), np.nan)
    result[place] = np.maximum.accumulate(steps) if len(place) else steps
    return result
