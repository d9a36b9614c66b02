"""Inequality of benefits: how unevenly a model treats single images, within and between groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Floats, mean_of_defined, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.outcomes import (
    Decisions,
    Grouping,
    Groups,
    Outcomes,
    outcomes_of,
    warn_of_small,
)
from fairvision.metrics._engine.result import Result, summarise
from fairvision.metrics.scores import centre_replicates
from fairvision.schema import UNKNOWN

_BENEFITS = np.array([0.0, 1.0, 2.0])  # of a false negative, a right answer, a false positive


@dataclass(frozen=True, eq=False, repr=False)
class EntropyResult(Result):
    """A `Result` of inequality, with its parts.

    Attributes
    ----------
    between, within : Result or None
        The part that lies between groups, and that within them, of the images of known group: they
        add up to the index of these. Of several labels the means, with a row in `pairs` for each.
        None without groups.
    """

    between: Result | None = None
    within: Result | None = None


def generalized_entropy_index(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    alpha: float = 2,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> EntropyResult:
    """Generalised entropy index: how unevenly images benefit from decisions.

    An image that is predicted as it is has the benefit 1, one that is wrongly predicted positive 2,
    one that is missed 0. With μ the mean of the benefits b,

        GE(α) = Σ [(b / μ)^α − 1] / (n α (α − 1))

    and of α = 1 Theil's index Σ (b / μ) ln(b / μ) / n, of α = 0 the mean of ln(μ / b). It is 0
    where all benefit alike: also where every image is wrongly positive. The part between groups is
    the index of the groups' mean benefits, each counting for its images; the rest lies within them.
    Where that is large, groups may be alike on average and images still treated unevenly.

    Parameters
    ----------
    truth, predicted, groups, positive, where
        As in `selection_rate`, with truth.
    alpha : number
        How much large benefits count beside small ones; 2 is half the squared coefficient of
        variation.
    **sampling
        Rows and interval; see `Sampling`. Replicates of both parts are shifted so that their mean
        is the value.

    Returns
    -------
    EntropyResult
        0 or more; of several labels the mean. `pairs` as those of `selection_rate`: the index of
        each group, and label. NaN where no image benefits, and with α of 0 or less where an image
        has the benefit 0. n counts the images.

    Raises
    ------
    InputError
        As `selection_rate`; truth is missing, or alpha is no number.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    T. Speicher et al., "A Unified Approach to Quantifying Algorithmic Unfairness: Measuring
    Individual & Group Unfairness via Inequality Indices", KDD 2018, sections 3 and 4
    (arXiv:1807.00787).

    Examples
    --------
    >>> from fairvision import metrics
    >>> truth, groups = [1] * 20 + [0] * 20, (["f"] * 10 + ["m"] * 10) * 2
    >>> predicted = [0] * 10 + [1] * 30  # all of f that are positive are missed
    >>> result = metrics.generalized_entropy_index(truth, predicted, groups)
    >>> round(float(result), 3), round(float(result.between), 3), round(float(result.within), 3)
    (0.22, 0.02, 0.2)
    """
    decisions = Decisions(truth, predicted, groups, positive, where, sampling)
    return _index("generalized_entropy_index", decisions, alpha)


def theil_index(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> EntropyResult:
    """Theil's index: the generalised entropy index with α = 1.

    Parameters and result are those of `generalized_entropy_index`.

    References
    ----------
    T. Speicher et al., KDD 2018, section 3 (arXiv:1807.00787).

    Examples
    --------
    >>> from fairvision import metrics
    >>> round(float(metrics.theil_index([1, 0], [0, 0])), 4)  # one of two has all benefit: ln 2
    0.6931
    """
    decisions = Decisions(truth, predicted, groups, positive, where, sampling)
    return _index("theil_index", decisions, 1)


def _index(name: str, decisions: Decisions, alpha: float) -> EntropyResult:
    """Return the index with its parts."""
    is_number = isinstance(alpha, (int, float, np.number)) and not isinstance(alpha, bool)
    if not is_number or not np.isfinite(alpha):
        raise InputError(f"alpha must be a number, not {shown(alpha)}")
    outcomes = outcomes_of(decisions, name)
    whole = _inequality(name, outcomes, alpha)
    if not outcomes.grouping.attributes:
        return whole
    assert whole.pairs is not None
    warn_of_small({name: {str(column): of.to_numpy() for column, of in whole.pairs.items()}})
    between = _part(outcomes, f"{name} between groups", alpha, within=False)
    within = _part(outcomes, f"{name} within groups", alpha, within=True)
    return replace(whole, between=between, within=within)


def _entropy(values: Floats, times: Floats, alpha: float) -> Floats:
    """Return the index of values (k, …), each there so many times (k, …)."""
    n = times.sum(axis=0)
    mean = ratio((values * times).sum(axis=0), n)
    share = ratio(np.broadcast_to(values, times.shape), mean)
    present = times > 0
    if alpha <= 0:
        share = np.where(present & (share <= 0), np.nan, share)
    share = np.where(present, share, 1)
    if alpha == 1:
        each = xlogy(share, share)
    elif alpha == 0:
        each = -np.log(share)
    else:
        each = (share**alpha - 1) / (alpha * (alpha - 1))
    return np.where(mean > 0, ratio((each * times).sum(axis=0), n), np.nan)


def _times(counts: Floats) -> Floats:
    """Return how often each benefit is there, (3, …), of outcomes (4, …)."""
    right, positive, missed, neither = counts
    return np.stack([missed, right + neither, positive])


def _of_benefits(counts: Floats, alpha: float) -> Floats:
    """Return the index of outcomes (4, …)."""
    benefits = _BENEFITS.reshape(3, *[1] * (counts.ndim - 1))
    return _entropy(benefits, _times(counts), alpha)


def _inequality(name: str, outcomes: Outcomes, alpha: float) -> EntropyResult:
    """Return the index of all images, with that of each group and label."""
    grouping = outcomes.grouping

    def statistic(weights: Array) -> Floats:
        counts = outcomes.count(weights)  # (4, groups, labels, b)
        of_all = _of_benefits(counts.sum(axis=1), alpha)
        pairs = _of_benefits(counts, alpha) if grouping.attributes else of_all[None]
        rows = pairs.reshape(-1, weights.shape[1])
        return np.vstack([mean_of_defined(of_all), rows if keys else rows[:0]])

    keys = grouping.keys(outcomes.labels)
    images = outcomes.count(outcomes.sample.counts[:, None].astype(float)).sum(axis=0)[..., 0]
    whole = replace(outcomes, grouping=Grouping((), np.zeros_like(grouping.code)))
    return summarise(
        outcomes.sample,
        statistic,
        int(outcomes.sample.counts[outcomes.keep].sum()),
        name,
        pairs=None if keys is None else {**keys, "n": np.rint(images).astype(int).ravel()},
        overall=lambda: _inequality(name, whole, alpha),
        kind=EntropyResult,
    )


def _part(outcomes: Outcomes, name: str, alpha: float, *, within: bool) -> Result:
    """Return the part between groups, or within them, of all images of known group."""
    named = [i for i, group in enumerate(outcomes.grouping.names) if group != UNKNOWN]
    sizes = outcomes.count(outcomes.sample.counts[:, None].astype(float))[..., 0]

    def parts(weights: Array) -> Floats:
        counts = outcomes.count(weights)[:, named]
        times = _times(counts)
        n = times.sum(axis=0)
        means = np.nan_to_num(ratio(np.tensordot(_BENEFITS, times, 1), n))
        between = _entropy(means, n, alpha)
        return _of_benefits(counts.sum(axis=1), alpha) - between if within else between

    labels = outcomes.labels
    images = np.rint(sizes[:, named].sum(axis=(0, 1))).astype(int)

    def statistic(weights: Array) -> Floats:
        each = parts(weights)
        return np.vstack([mean_of_defined(each), *([] if labels is None else [each])])

    pairs = None if labels is None else {"label": np.array(labels, object), "n": images}
    adjust = partial(centre_replicates, ends=(0, np.inf))  # resamples are further apart
    return summarise(
        outcomes.sample, statistic, int(images.max(initial=0)), name, pairs=pairs, adjust=adjust
    )
