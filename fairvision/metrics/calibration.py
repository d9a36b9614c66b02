"""How far scores are from the frequency of what they promise."""

from __future__ import annotations

from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import (
    Array,
    Bools,
    Floats,
    Ints,
    mean_of_defined,
    ratio,
    tally,
)
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.outcomes import Groups, group_columns, read_grouping, warn_of_small
from fairvision.metrics._engine.result import Result, summarise
from fairvision.metrics._engine.rows import Rows
from fairvision.metrics._engine.two_points import can_be_merged, in_two_points
from fairvision.metrics.scores import centre_replicates, check_probabilities, read_scored


def calibration_error(
    truth: ArrayLike,
    scores: ArrayLike,
    groups: Groups = None,
    *,
    bins: int = 15,
    norm: Literal["l1", "l2", "max"] = "l1",
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Expected calibration error, ECE: how far scores are from the frequency of being right.

    The scores are put into bins of equal width, ((m − 1) / M, m / M], the first with 0. With n_m
    images in bin m, of n in all,

        ECE = Σ_m (n_m / n) |frequency of truth in m − mean score in m|

    It depends on the bins, and it is never negative: chance alone makes it up to about 0.4/√n_m in
    each bin, so that small groups look worse calibrated than large ones. Compare groups of equal
    size, or with fewer bins.

    Parameters
    ----------
    truth : (n,) of 0 and 1, (n,) names or codes, or (n, labels) of 0 and 1
        None, NaN or -1: unknown.
    scores : (n,) or (n, labels) probabilities
        One column: that of the label 1. With a code per image, a column per class, in their order
        (of a DataFrame, by name): the highest score of an image is set against being right, the
        first of equal ones. With a table of truth, each label has its own error. NaN: unknown.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns, optional
        As in `selection_rate`.
    bins : int
        M, 15 as in Guo et al.
    norm : {"l1", "l2", "max"}
        "l1" for ECE; "l2" for its root mean square, √(Σ_m (n_m / n) (…)²); "max" for the largest of
        all bins (MCE), which one image in a bin can decide.
    where : (n,) bool, optional
        The images that take part.
    **sampling
        Rows and interval; see `Sampling`. Replicates are shifted so that their mean is the value:
        resamples are further from calibration than the images that they are drawn from. Of 10,000
        images or more, each drawn by itself, with one column of figures, resamples draw how many
        images of a bin are right and wrong, and two values per bin stand for its scores, with their
        mean and variance: the interval is the same within its noise.

    Returns
    -------
    Result
        In [0, 1], of all images; in a table the mean over labels. `pairs` has a row per group, per
        label of a table, or per group and label. NaN with n = 0 where nothing is known.

    Raises
    ------
    InputError
        Scores are not between 0 and 1, or their columns are not those of the labels, in number or
        in name.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.

    Examples
    --------
    >>> from fairvision import metrics
    >>> result = metrics.calibration_error([1, 1, 1, 0], [0.9, 0.9, 0.2, 0.2], bins=10)
    >>> round(float(result), 3), result.n
    (0.2, 4)
    """
    if not isinstance(bins, (int, np.integer)) or bins < 1:
        raise InputError(f"bins must be a whole number, 1 or more, not {bins!r}")
    if not isinstance(norm, str) or norm not in ("l1", "l2", "max"):
        raise InputError(f"norm must be 'l1', 'l2' or 'max', not {shown(norm)}")
    columns = {"truth": truth, "scores": scores, "where": where, **group_columns(groups)}
    rows = Rows(columns, sampling)
    right, score, valid, labels = _read(rows["truth"], rows["scores"])
    keep = valid & rows.mask
    grouping = read_grouping(groups, rows, keep)
    edges = np.arange(1, bins) / bins
    unit: Ints = np.flatnonzero(keep)
    size = grouping.size, right.shape[1], bins
    label = np.arange(size[1])
    cell = (grouping.code[unit, None] * size[1] + label) * bins
    cell = cell + np.searchsorted(edges, score[unit], side="left")
    excess = right[unit] - score[unit]
    sample, errors = rows.sample, int(np.prod(size))
    if size[1] == 1 and can_be_merged(sample, errors):
        sample, unit, cell, excess = in_two_points(sample, unit, cell, excess, errors)
    shape = errors, len(sample.counts)
    places = cell.ravel(), np.repeat(unit, size[1])
    sums = sparse.csr_array((excess.ravel(), places), shape=shape)
    ones = sparse.csr_array((np.ones(excess.size), places), shape=shape)
    group = cell[:, 0] // (size[1] * bins)
    members = sparse.csr_array((np.ones(len(unit)), (group, unit)), shape=(size[0], shape[1]))

    def error(off: Floats, inside: Floats | None, images: Floats) -> Floats:
        if inside is None:
            return ratio(np.abs(off).sum(axis=-2), images)
        if norm == "l2":
            return np.sqrt(ratio(np.nan_to_num(ratio(off**2, inside)).sum(axis=-2), images))
        largest = np.nan_to_num(ratio(np.abs(off), inside)).max(axis=-2)
        return np.where(images > 0, largest, np.nan)

    def statistic(weights: Array) -> Floats:
        off = tally(sums, weights, size)
        inside = None if norm == "l1" else tally(ones, weights, size)
        images = np.asarray(members @ weights)
        of_all = None if inside is None else inside.sum(axis=0)
        overall = error(off.sum(axis=0), of_all, images.sum(axis=0))
        if grouping.attributes:
            each = error(off, inside, images[:, None]).reshape(-1, weights.shape[1])
        else:
            each = overall[: 0 if labels is None else None]
        return np.vstack([mean_of_defined(overall), each])

    keys = grouping.keys(labels)
    n = np.rint(members @ sample.counts).astype(int)
    pairs = None if keys is None else {**keys, "n": np.repeat(n, size[1])}
    warn_of_small({"calibration_error": pairs})
    return summarise(
        sample,
        statistic,
        rows.count(keep),
        "calibration_error",
        pairs=pairs,
        adjust=centre_replicates,
    )


def _read(truth: Any, scores: Any) -> tuple[Array, Floats, Bools, list[Any] | None]:
    """Return right and score (units, labels), which units are valid, and the labels if many."""
    read = read_scored("truth", truth, scores)
    table, valid = read.scores, read.valid
    check_probabilities(table)
    if not read.classes:
        return read.held, table, valid, read.names if len(read.names) > 1 else None
    rows = np.arange(len(table))
    surest = np.where(valid[:, None], table, 0).argmax(axis=1)
    return read.held[rows, surest][:, None], table[rows, surest][:, None], valid, None
