"""What it costs to be sure and wrong: log loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.metrics._engine.arrays import Array, Bools, Floats, Ints, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.outcomes import Groups, read_grouping, warn_of_small
from fairvision.metrics._engine.result import Result, summarise
from fairvision.metrics._engine.rows import Rows
from fairvision.metrics._engine.two_points import can_be_merged, in_two_points
from fairvision.metrics.scores import Scored, check_probabilities, figures_of_labels, read_rows

_LEAST = float(np.finfo(float).eps)  # a probability, as scikit-learn clips it


def log_loss(
    truth: ArrayLike,
    scores: ArrayLike,
    groups: Groups = None,
    *,
    labels: Sequence[str] | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Mean of −ln of the probability that was given to what is true.

    Probabilities below 2⁻⁵² count as that, as in scikit-learn: the logarithm of 0 is infinite.

    Parameters
    ----------
    truth : (n,) of 0 and 1, (n,) names or codes, or (n, labels) of 0 and 1
        None, NaN or -1: unknown.
    scores : (n,) or (n, labels) probabilities
        As in `calibration_error`. Those of several classes are taken as they are: they should add
        up to 1. In a table of truth each label has its own loss, also where it does not hold.
    groups, labels
        As in `average_precision`.
    **sampling
        Rows and interval; see `Sampling`. Of 10,000 images or more, each drawn by itself, with one
        column of losses, two values per group stand for its losses, with their mean and variance:
        the interval is the same within its noise.

    Returns
    -------
    Result
        0 or more, in natural logarithms; of a table the mean over labels. `pairs` has a row per
        group, per label of a table, or per group and label. NaN with n = 0 where nothing is known.

    Raises
    ------
    InputError
        Scores are not between 0 and 1, or their columns are not those of the labels.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    I. J. Good, "Rational Decisions", Journal of the Royal Statistical Society B 14, 1952.

    Examples
    --------
    >>> from fairvision import metrics
    >>> round(float(metrics.log_loss([1, 0, 1], [0.5, 0.5, 0.25])), 4)  # 4/3 · ln 2
    0.9242
    """
    rows, read = read_rows("truth", truth, scores, groups, sampling, labels)
    check_probabilities(read.scores)
    if read.classes:
        of_truth = np.where(read.held, read.scores, 0).sum(axis=1, keepdims=True)
        read = read.one_column(np.ones_like(of_truth, bool), of_truth)
    if len(read.names) == 1 and can_be_merged(
        rows.sample, read_grouping(groups, rows, read.valid).size
    ):
        return _of_many(rows, read, groups)
    return figures_of_labels("log_loss", rows, read, groups, _mean)


def _losses(holds: Bools, scores: Floats, valid: Bools) -> Floats:
    """Return the loss of each valid image."""
    loss: Floats = -np.log(np.clip(np.where(holds, scores, 1 - scores)[valid], _LEAST, 1))
    return loss


def _mean(holds: Bools, scores: Floats, valid: Bools) -> Callable[[Array], Floats]:
    """Return the mean loss of one label as a function of weights (n, b) → (b,)."""
    loss = _losses(holds, scores, valid)

    def of_weights(weights: Array) -> Floats:
        return ratio(loss @ weights[valid], weights[valid].sum(axis=0))

    return of_weights


def _of_many(rows: Rows, read: Scored, groups: Groups) -> Result:
    """Return the mean loss of all images and of groups, of which two values each are drawn."""
    grouping = read_grouping(groups, rows, read.valid)
    unit: Ints = np.flatnonzero(read.valid)
    loss = _losses(read.held[:, 0], read.scores[:, 0], read.valid)
    sample, unit, group, values = in_two_points(
        rows.sample, unit, grouping.code[unit, None], loss[:, None], grouping.size
    )
    shape = grouping.size, len(sample.counts)
    at = group[:, 0], unit
    sums, ones = (
        sparse.csr_array((of, at), shape=shape) for of in (values[:, 0], np.ones(len(unit)))
    )

    def statistic(weights: Array) -> Floats:
        total, images = sums @ weights, ones @ weights
        of_all = ratio(total.sum(axis=0), images.sum(axis=0))
        return np.vstack([of_all, ratio(total, images)])

    keys = grouping.keys(None if grouping.attributes else read.names)
    pairs = {**(keys or {}), "n": np.rint(ones @ sample.counts).astype(int)}
    warn_of_small({"log_loss": pairs})
    return summarise(
        *(sample, statistic, rows.count(read.valid), "log_loss"),
        pairs=pairs,
        overall=lambda: _of_many(rows, read, None),
    )
