"""From scores to decisions, and how far a model prefers one group."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Bools, Floats, Ints
from fairvision.metrics._engine.inputs import read_scores, read_table
from fairvision.metrics.scores import read_scored

_ROUNDING = 1e-3  # of probabilities in half precision


def decide(
    scores: ArrayLike,
    many: bool,
    threshold: ArrayLike = 0.5,
    *,
    abstain_below: float | None = None,
) -> Ints:
    """Decisions of a model from its scores.

    Parameters
    ----------
    scores : (n, labels) numbers
        Probabilities, or any scores of which the largest wins. NaN: unknown.
    many : bool
        Whether many labels may hold at once.
    threshold : number, or (labels,) numbers
        With many: labels that score above it, or above their own, hold. See
        `calibrate_thresholds`.
    abstain_below : number, optional
        Without many: where the largest score is below it the decision is "other", whose code is the
        number of labels; as `outcome_divergence` takes it.

    Returns
    -------
    (n,) int64 or (n, labels) int8 ndarray
        The position of the largest score, the first of equal ones; with many, 1 where the label
        holds and else 0. Rows with NaN are unknown: -1.

    Raises
    ------
    InputError
        Thresholds are NaN, or not as many as labels; or `abstain_below` is given with many.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.decide([[0.2, 0.8], [0.6, 0.4], [float("nan"), 0.5]], many=False)
    array([ 1,  0, -1])
    >>> metrics.decide([[0.2, 0.8], [0.6, 0.4]], many=False, abstain_below=0.7)
    array([1, 2])
    >>> metrics.decide([[0.7, 0.8], [0.5, 0.4]], many=True)
    array([[1, 1], [0, 0]], dtype=int8)
    >>> metrics.decide([[0.7, 0.8], [0.5, 0.4]], many=True, threshold=[0.4, 0.8])
    array([[1, 0], [1, 0]], dtype=int8)
    """
    table, labels = read_scores("scores", scores)
    unknown = np.asarray(np.isnan(table).any(axis=1))
    if not many:
        if abstain_below is None:
            return np.where(unknown, -1, table.argmax(axis=1))
        if np.isnan(abstain_below):
            raise InputError("abstain_below is NaN: give a number")
        unsure = ~(table.max(axis=1) >= abstain_below)
        return np.where(unknown, -1, np.where(unsure, len(labels), table.argmax(axis=1)))
    if abstain_below is not None:
        raise InputError("abstain_below is for one label per row; with many, none may hold")
    return np.where(unknown[:, None], -1, table > _thresholds(threshold, labels)).astype(np.int8)


def calibrate_thresholds(targets: ArrayLike, scores: ArrayLike) -> Floats:
    """Thresholds at which a model says each label as often as it holds in truth.

    Amplification of labels says nothing where a model says all of them too often or too rarely. So
    the threshold of each label is chosen on *validation* images, such that as many score above it
    as have the label; it is then used on the test images, `decide(..., threshold=...)`.

    Parameters
    ----------
    targets : (n, labels) of 0 and 1, (n,) of 0 and 1 for one label, or (n,) names or codes
        As in `average_precision`. A row with NaN, None or -1 is unknown.
    scores : (n, labels) numbers, or (n,)
        A row with NaN is unknown. Unknown rows take no part.

    Returns
    -------
    (labels,) ndarray
        With k images of the label, the (k + 1)-th largest score. Where equal scores make k
        impossible, it is the threshold with the nearest number, the smaller of two equally near.
        With k = 0 the largest score, so that none is above it; with k = n just below the smallest.
        NaN without known rows: there is nothing to calibrate on, and `decide` says so.

    Raises
    ------
    InputError
        The shapes differ, or targets are not 0 and 1.

    References
    ----------
    A. Wang and O. Russakovsky, "Directional Bias Amplification", ICML 2021, section 5, and the
    authors' program.

    Examples
    --------
    Two of four images have the label; two score above 0.3.

    >>> from fairvision import metrics
    >>> metrics.calibrate_thresholds([1, 1, 0, 0], [0.4, 0.2, 0.6, 0.3])
    array([0.3])
    """
    read = read_scored("targets", targets, scores)
    if not read.valid.any():
        return np.full(len(read.names), np.nan)
    columns = zip(read.held[read.valid].T, read.scores[read.valid].T)
    return np.array([_calibrated(*column) for column in columns])


def _calibrated(held: Bools, scores: Floats) -> float:
    """Return the threshold above which as many scores lie as labels hold."""
    different, times = np.unique(scores, return_counts=True)
    candidates = np.concatenate([different[::-1], np.nextafter(different[:1], -np.inf)])
    above = np.concatenate([[0], times[::-1].cumsum()])  # that score above each candidate
    return float(candidates[np.abs(above - held.sum()).argmin()])


def _thresholds(threshold: ArrayLike, labels: list[Any]) -> Floats:
    """Return one threshold or one per label, none of them NaN."""
    values = np.asarray(threshold, dtype=float)
    if values.ndim and values.shape != (len(labels),):
        raise InputError(f"threshold must be one number or {len(labels)}, one per label")
    if np.isnan(values).any():
        which = "" if values.ndim == 0 else f" for label {labels[int(np.isnan(values).argmax())]!r}"
        raise InputError(f"threshold is NaN{which}: give a number")
    return values


def probability_gap(probabilities: ArrayLike) -> Floats:
    """How unequal the groups' probabilities are in each image.

    Parameters
    ----------
    probabilities : (n, groups) numbers
        NaN: unknown.

    Returns
    -------
    (n,) ndarray
        The mean over pairs of groups of |p_i − p_j|: 0 where all are equal; for two groups at most
        1, for K at most 2/K. NaN for rows with NaN, and with fewer than two groups.

    References
    ----------
    L. A. Hendricks et al., "Women Also Snowboard", ECCV 2018: the appearance confusion term.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.probability_gap([[0.9, 0.1], [0.5, 0.5]])
    array([0.8, 0. ])
    """
    table, _ = read_table("probabilities", probabilities)
    if ((table < -_ROUNDING) | (table > 1 + _ROUNDING)).any():
        raise InputError("probabilities must be between 0 and 1")
    groups = table.shape[1]
    if groups < 2:
        return np.full(len(table), np.nan)
    times_larger = 2 * np.arange(groups) - groups + 1  # in pairs, less the times it is the smaller
    mean: Floats = np.sort(table, axis=1) @ times_larger / (groups * (groups - 1) / 2)
    return mean
