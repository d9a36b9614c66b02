"""Values of many images as two per cell, so that sums over cells are drawn by counts alone.

A resample draws how many images fall into each cell, and which: the sum of their values has a mean
and a variance. Two values with the mean and the variance of all values of the cell give the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fairvision.metrics._engine.arrays import Array, Floats, Ints, ratio
from fairvision.metrics._engine.bootstrap import Sample

_LEVELS = 256  # of values in a cell, between which thresholds are looked for
MANY = 10_000  # images, from which on counts of cells are drawn


def can_be_merged(sample: Sample, size: int) -> bool:
    """Say whether images are many and differ, and each is drawn by itself and weighs the same."""
    alike = sample.weight is None and sample.cluster is None and not sample.drawing.joint
    return alike and int(sample.counts.sum()) >= MANY and len(sample.counts) > 2 * size


def in_two_points(
    sample: Sample, unit: Ints, cell: Ints, values: Floats, size: int
) -> tuple[Sample, Ints, Ints, Floats]:
    """Return the sample in which two units stand for the values of a cell, in each stratum.

    Parameters
    ----------
    sample : the images; see `can_be_merged`
    unit : (k,) ints, the units that take part
    cell : (k, 1) ints from 0 on, where their values are added up
    values : (k, 1)
    size : how many cells there are

    Returns
    -------
    The sample, and of it unit (m,), cell (m, 1) and values (m, 1).
    """
    stratum = np.zeros(len(sample.counts), int) if sample.stratum is None else sample.stratum
    strata = int(stratum.max(initial=0)) + 1
    place = cell[:, 0] * strata + stratum[unit]
    code, points = two_points(place, values[:, 0], sample.counts[unit], size * strata)
    of_unit = len(points) + stratum  # of those that take no part
    of_unit[unit] = code
    standing = np.arange(len(points))
    of_sample = merged(sample, of_unit, len(points) + strata)
    return of_sample, standing, standing[:, None] // (2 * strata), points[:, None]


def two_points(cell: Ints, values: Floats, counts: Ints, size: int) -> tuple[Ints, Floats]:
    """Split the values of each cell in two, those below a threshold and those above it.

    The threshold is the one that leaves least variance within the two (Fisher 1958), so that
    images that differ much, such as right and wrong answers, are told apart.

    Parameters
    ----------
    cell : (rows,) ints from 0 on
    values : (rows,)
    counts : (rows,) images of each row
    size : how many cells there are

    Returns
    -------
    (rows,) ints, 2 · cell, + 1 above the threshold; and the value of each of these numbers, which
    has the mean and the variance of the cell.
    """
    times = counts.astype(float)
    lowest, highest = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(lowest, cell, values)
    np.maximum.at(highest, cell, values)
    along = np.nan_to_num(ratio(values - lowest[cell], (highest - lowest)[cell]))
    level = np.minimum((along * _LEVELS).astype(int), _LEVELS - 1)

    def added(numbers: Floats, place: Ints, *shape: int) -> Floats:
        sums: Array = np.bincount(place, numbers, int(np.prod(shape))).reshape(shape)
        return sums

    images = added(times, cell, size)
    mean = np.nan_to_num(ratio(added(times * values, cell, size), images))
    off = values - mean[cell]
    spread = np.sqrt(np.nan_to_num(ratio(added(times * off**2, cell, size), images)))
    place = cell * _LEVELS + level
    below = added(times, place, size, _LEVELS).cumsum(axis=1)
    moved = added(times * off, place, size, _LEVELS).cumsum(axis=1)
    between = np.nan_to_num(ratio(moved**2, below * (images[:, None] - below)))
    last = between.argmax(axis=1)  # level of the lower ones
    share = 1 - np.nan_to_num(ratio(below[np.arange(size), last], images))
    low = mean - spread * np.sqrt(np.nan_to_num(ratio(share, 1 - share)))
    high = mean + spread * np.sqrt(np.nan_to_num(ratio(1 - share, share)))
    return 2 * cell + (level > last[cell]), np.stack([low, high], axis=1).ravel()


def merged(sample: Sample, code: Ints, size: int) -> Sample:
    """Return the sample in which units of the same code (units,), below `size`, are one.

    Those of different strata stay apart: their codes must differ.
    """
    counts = np.zeros(size, np.int64)
    np.add.at(counts, code, sample.counts)
    row_code = code if sample.units is None else code[sample.unit]
    stratum = None
    if sample.stratum is not None:
        stratum = np.zeros(size, int)
        stratum[code] = sample.stratum
    return replace(sample, counts=counts, units=(row_code, np.arange(size)), stratum=stratum)
