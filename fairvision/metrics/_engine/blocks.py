"""Many images are drawn in blocks: each is a part of them taken at random, and drawn as a whole.

A figure that follows from sums over images (numbers of images, sums of losses or of placements)
needs of each block these sums alone, and of a resample how often it draws each block. Images of a
block have nothing in common, so sums vary as if images were drawn one by one. How much they vary is
estimated from as many blocks: the width of an interval is off by 1 / √(2 · blocks), 1.6%, where
1000 replicates leave 3%.

Measures of the same rows have the same blocks, whatever their columns, so models are paired in
every resample. To draw pairs of alike images instead, as measures of few different rows do, is no
way for scores: pairs are as many as images, and scores cut into few levels would make models that
score alike look less alike than they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from fairvision.metrics._engine.arrays import Floats, Ints
from fairvision.metrics._engine.bootstrap import Sample

BLOCKS = 2000
MANY = 10_000  # images times figures of each, above which images are drawn in blocks


def are_many(sample: Sample, figures: int = 1) -> bool:
    """Say whether images, with so many figures of each, are too many to be ordered again and again.

    >>> from fairvision.metrics._engine.rows import Rows
    >>> sample = Rows({"scores": range(5000)}).sample
    >>> are_many(sample), are_many(sample, figures=3)
    (False, True)
    """
    return int(sample.counts.sum()) * figures > MANY


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of images, or of clusters of images, and sums over these.

    Attributes
    ----------
    images : Sample
        As they were given.
    sample : Sample
        Of which blocks are the units; that of the images where these are drawn by themselves.
    """

    images: Sample
    sample: Sample

    @classmethod
    def of(cls, images: Sample, figures: int = 1) -> Blocks:
        """Return blocks of images, with so many figures of each.

        Few images, and those of strata, rows that stand for several images, and images that are
        drawn jointly for several measures, are drawn by themselves.
        """
        apart = images.drawing.joint or not images.rows_are_images or not are_many(images, figures)
        if apart:
            return cls(images, images)
        block: Ints = np.arange(images.rows) if images.cluster is None else images.cluster
        wholes = int(block.max(initial=-1)) + 1
        if wholes >= 2 * BLOCKS:
            random = np.random.default_rng([images.drawing.seed, BLOCKS])
            block = (random.permutation(wholes) % BLOCKS)[block]
        counts = np.bincount(block)
        units = block, np.arange(len(counts))
        how: Any = {"cluster": images.cluster, "block": block}
        return cls(images, Sample(counts, images.drawing, units, images.row_counts, **how))

    def sums(self, place: Ints, values: Floats, size: int) -> Any:
        """Return what adds up values over images, by their place.

        Parameters
        ----------
        place : (units,) ints below `size`, −1 for those that take no part
        values : (units,)
        size : number of places

        Returns
        -------
        (size, units of `sample`), an array or sparse; times weights of these (units, b) it is the
        sum at each place, (size, b).
        """
        shape = size, len(self.sample.counts)
        if self.sample is self.images:
            (there,) = np.nonzero(place >= 0)
            return sparse.csr_array((values[there], (place[there], there)), shape=shape)
        if self.images.weight is not None:
            values = values * self.images.weight
        if self.images.units is not None:
            unit = self.images.unit
            place, values = place[unit], values[unit]
        assert self.sample.block is not None
        (row,) = np.nonzero(place >= 0)
        at = place[row] * shape[1] + self.sample.block[row]
        total = np.bincount(at, values[row], size * shape[1]).reshape(shape)
        return total / self.sample.counts
