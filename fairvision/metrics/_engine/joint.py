"""Intervals of several figures that hold together."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

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
