"""Calibration: does a score of 0.8 mean right in 8 of 10?"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.errors import InputError
from fairvision.metrics._average_precision import centred
from fairvision.metrics._bootstrap import mean_of_defined, ratio
from fairvision.metrics._grouping import Groups, columns_of, read_grouping, warn_of_small
from fairvision.metrics._inputs import read_where
from fairvision.metrics._result import Result, summarise
from fairvision.metrics._rows import Rows
from fairvision.metrics._sampling import Sampling
from fairvision.metrics._scored import read_scored

_ROUNDING = 1e-6  # of scores that came from float32


def calibration_error(
    truth: ArrayLike,
    scores: ArrayLike,
    groups: Groups = None,
    *,
    bins: int = 15,
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
    where : (n,) bool, optional
        The images that take part.
    **sampling
        Rows and interval; see `Sampling`. Replicates are shifted so that their mean is the value:
        resamples are further from calibration than the images that they are drawn from.

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
    columns = {"truth": truth, "scores": scores, "where": where, **columns_of(groups)}
    rows = Rows(columns, sampling)
    right, score, known, labels = _read(rows["truth"], rows["scores"])
    keep = known & read_where(rows.get("where"), len(known))
    grouping = read_grouping(groups, rows, keep)
    edges = np.arange(1, bins) / bins
    (unit,) = np.nonzero(keep)
    size = grouping.size, right.shape[1], bins
    label = np.arange(size[1])
    cell = (grouping.code[unit, None] * size[1] + label) * bins
    cell = cell + np.searchsorted(edges, score[unit], side="left")
    excess = right[unit] - score[unit]
    shape = int(np.prod(size)), len(keep)
    sums = sparse.csr_array((excess.ravel(), (cell.ravel(), np.repeat(unit, size[1]))), shape=shape)
    members = sparse.csr_array(
        (np.ones(len(unit)), (grouping.code[unit], unit)), shape=(size[0], len(keep))
    )

    def statistic(weights: np.ndarray) -> np.ndarray:
        off = (sums @ weights).reshape(*size, weights.shape[1])
        images = np.asarray(members @ weights)
        overall = ratio(np.abs(off.sum(axis=0)).sum(axis=1), images.sum(axis=0))
        if grouping.attributes:
            each = ratio(np.abs(off).sum(axis=2), images[:, None]).reshape(-1, weights.shape[1])
        else:
            each = overall[: 0 if labels is None else None]
        return np.vstack([mean_of_defined(overall), each])

    keys = grouping.keys(labels)
    n = np.rint(members @ rows.sample.counts).astype(int)
    pairs = None if keys is None else {**keys, "n": np.repeat(n, size[1])}
    warn_of_small({"calibration_error": pairs}, depth=3)
    return summarise(
        rows.sample, statistic, rows.count(keep), "calibration_error", pairs=pairs, adjust=centred
    )


def _read(truth: Any, scores: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Any] | None]:
    """Return what is right and how surely, (units, labels), what is known, and labels if many."""
    read = read_scored("truth", truth, scores)
    table, known = read.scores, read.known
    if (np.abs(table[~np.isnan(table).any(axis=1)] - 0.5) > 0.5 + _ROUNDING).any():
        raise InputError("scores must be probabilities, between 0 and 1")
    if not read.classes:
        return read.held, table, known, read.names if len(read.names) > 1 else None
    rows = np.arange(len(table))
    surest = np.where(known[:, None], table, 0).argmax(axis=1)
    return read.held[rows, surest][:, None], table[rows, surest][:, None], known, None
