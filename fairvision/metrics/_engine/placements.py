"""Areas under ROC curves of many images: means of how each is placed among those of the other kind.

The placement of an image with a label is the share of those without it that it stands above, ties
half; of an image without it, the share of those with it that it stands below. The area A is the
mean of either, and in a resample, with the placements as they were,

    1 − A* ≈ (1 − mean of placements with the label)(1 − mean of those without it) / (1 − A)

What that leaves out are interactions of single pairs, of the order of 1 / (images with · images
without) in the variance (Hoeffding 1948). Of the two ways to write it, by pairs in the right and in
the wrong order, it is that of the fewer, so that areas near 0 and 1 stay between these. Means need
sums of blocks only.

E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the Areas under Two or More
Correlated Receiver Operating Characteristic Curves: A Nonparametric Approach", Biometrics 44, 1988;
of clusters N. A. Obuchowski, "Nonparametric Analysis of Clustered ROC Curve Data", Biometrics 53,
1997.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairvision.metrics._engine.arrays import Array, Bools, Floats, Ints, ratio
from fairvision.metrics._engine.blocks import Blocks


def ranks(scores: Floats) -> Ints:
    """Return the rank of each score (n,) from 0 on, the same of equal ones.

    >>> ranks(np.array([0.5, 0.1, 0.5])).tolist()
    [1, 0, 1]
    """
    order = np.argsort(scores)
    rank = np.empty(len(scores), np.intp)
    rank[order] = np.cumsum(np.diff(scores[order], prepend=scores[order[:1]]) != 0)
    return rank


def area_by_placements(
    blocks: Blocks, holds: Bools, rank: Ints, valid: Bools
) -> Callable[[Array], Floats]:
    """Return the area of one label as a function of weights (blocks, b) → (b,).

    Parameters
    ----------
    blocks : of the images
    holds, rank, valid : (units,) where the label holds, the rank of its score, and which take part
    """
    place = np.where(valid, holds, -1)
    weight, size = blocks.images.base[:, 0], int(rank.max(initial=-1)) + 1
    counted = np.stack(
        [np.bincount(rank[place == kind], weight[place == kind], size) for kind in (0, 1)]
    )
    below = ratio(counted.cumsum(axis=1) - counted / 2, counted.sum(axis=1, keepdims=True))
    placement = np.where(holds, below[0, rank], 1 - below[1, rank])
    of_each = weight * np.where(valid & holds, placement, 0)
    area = float(ratio(of_each.sum(), weight[valid & holds].sum()))
    most_are_right = area >= 0.5
    share = 1 - area if most_are_right else area
    values = 1 - placement if most_are_right else placement
    sums, images = (blocks.sums(place, of, 2) for of in (values, np.ones_like(values)))

    def of_weights(weights: Array) -> Floats:
        means = ratio(sums @ weights, images @ weights)
        product: Floats = means.prod(axis=0) / share if share else 0 * means.sum(axis=0)
        return np.clip(1 - product if most_are_right else product, 0, 1)

    return of_weights
