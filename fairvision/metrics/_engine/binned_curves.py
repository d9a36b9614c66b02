"""Areas between ROC curves of many images: curves through as many points as bins of scores have.

The bins of a group are bounded by quantiles of its scores, those of images with and without the
label alike, so that its curve has points where either rate changes. Between them it is straight,
which takes little off the area, and hardly anything off how much it varies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fairvision.metrics._engine.arrays import Array, Bools, Floats, ratio
from fairvision.metrics._engine.blocks import Blocks

_QUANTILES = 32  # of either kind of images
_BINS = 2 * _QUANTILES + 1


def areas_between(
    blocks: Blocks,
    holds: Bools,
    scores: Floats,
    members: Sequence[Bools],
    both: Sequence[tuple[int, int]],
) -> Callable[[Array], Floats]:
    """Return the areas between curves of two groups each as a function of weights (blocks, b).

    Parameters
    ----------
    blocks : of the images
    holds, scores : (units,) where the label holds, and its score
    members : of each group, (units,)
    both : the two groups of each area

    Returns
    -------
    Its values are (areas, b).
    """
    levels = np.arange(1, _QUANTILES + 1) / (_QUANTILES + 1)
    place = np.full(len(scores), -1)
    for group, images in enumerate(members):
        kinds = [scores[images & kind] for kind in (~holds, holds)]
        edges = [np.quantile(of, levels, method="lower") for of in kinds if len(of)]
        fall = _BINS - 1 - np.searchsorted(np.unique(edges), scores[images], side="right")
        place[images] = (2 * group + holds[images]) * _BINS + fall
    size = 2 * len(members) * _BINS
    sums = blocks.sums(place, np.ones(len(scores)), size)

    def curves(weights: Array) -> Floats:
        """Return false and true positive rates, (groups, 2, 1 + bins, b)."""
        shape = len(members), 2, _BINS, weights.shape[1]
        reached = (sums @ weights).reshape(shape).cumsum(axis=2)
        rates: Floats = np.pad(ratio(reached, reached[:, :, -1:]), ((0, 0), (0, 0), (1, 0), (0, 0)))
        return rates

    at = np.unique(np.append(np.nan_to_num(curves(blocks.sample.base)[:, 0]), [0, 1]))
    middle, width = (at[1:] + at[:-1]) / 2, np.diff(at)

    def areas(weights: Array) -> Floats:
        rates = curves(weights)
        heights = np.empty((len(members), len(middle), weights.shape[1]))
        for group, (false, true) in enumerate(rates):
            for replicate, (x, y) in enumerate(zip(false.T, true.T)):
                heights[group, :, replicate] = np.interp(middle, x, y)
        heights += 0 * rates[:, :, -1].sum(axis=1)[:, None]  # NaN where there is no curve
        apart = [np.abs(heights[a] - heights[b]) for a, b in both]
        return np.reshape([width @ each for each in apart], (len(both), weights.shape[1]))

    return areas
