"""Parity of groups: how far their rates lie apart, and which group has the worst."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.bootstrap import Sampling, ratio
from fairvision.metrics._engine.grouping import Groups, warn_of_small
from fairvision.metrics._engine.outcomes import read_outcomes
from fairvision.metrics._engine.result import Result
from fairvision.metrics.contrasts import GroupResult, contrast, difference, figures_by_group

_ODDS = ("true_positive_rate", "false_positive_rate")
_WORST_IS_LARGEST = (
    "calibration_error",
    "error_rate",
    "false_negative_rate",
    "false_positive_rate",
)


def group_ratio(result: Result) -> GroupResult:
    """Smallest group divided by the largest: 1 where all are equal.

    As with `gap`, which groups these are is decided on the data; the replicates are the ratio of
    the same two groups, so that the interval can include 1.

    Parameters
    ----------
    result : Result
        A measure with `groups`. Its unknown group and groups that are NaN are left out.

    Returns
    -------
    GroupResult
        In [0, 1]. NaN with fewer than two defined groups, and where all are 0. With several labels
        the mean over labels. n: the images of the two groups; of several labels the most.

    Raises
    ------
    InputError
        The result has no figures by group.

    Examples
    --------
    >>> from fairvision import metrics
    >>> rate = metrics.selection_rate(
    ...     None, [1] * 8 + [0] * 12 + [1] * 10 + [0] * 10, ["f"] * 20 + ["m"] * 20
    ... )
    >>> result = metrics.group_ratio(rate)
    >>> float(result), result.groups
    (0.8, ('f', 'm'))
    """
    figures_by_group(result)
    return contrast([result], ratio, f"{result.name} ratio")


def worst_group(result: Result, *, largest: bool | None = None) -> GroupResult:
    """Figure of the worst group.

    Which group is the worst is decided on the data, and held fixed in the replicates. Of many
    groups the worst looks worse than it is: it was chosen by looking, and small groups vary most.

    Parameters
    ----------
    result : Result
        A measure with `groups`. Its unknown group and groups that are NaN are left out.
    largest : bool, optional
        Whether the largest value is the worst. By default it is for error rates (false positives,
        false negatives, `error_rate`, `calibration_error`), and the smallest for all else.

    Returns
    -------
    GroupResult
        Value, interval and n of the group that `groups` names; NaN where none is defined. With
        several labels the mean over the labels, each with its own worst group.

    Raises
    ------
    InputError
        The result has no figures by group.

    Examples
    --------
    >>> from fairvision import metrics
    >>> truth, predicted = [1] * 40, [1] * 10 + [0] * 10 + [1] * 15 + [0] * 5
    >>> rate = metrics.true_positive_rate(truth, predicted, ["f"] * 20 + ["m"] * 20)
    >>> result = metrics.worst_group(rate)
    >>> float(result), result.n, result.groups
    (0.5, 20, ('f',))
    """
    figures = figures_by_group(result)
    if largest is None:
        largest = result.name in _WORST_IS_LARGEST
    end = "largest" if largest else "smallest"
    found = contrast([result], lambda worst: worst, f"worst {result.name}", ends=[end])
    if not found.groups:
        return found
    row = list(figures["group"]).index(found.groups[0])
    low, high = (float(figures[column].iloc[row]) for column in ("low", "high"))
    return replace(found, low=low, high=high)


def demographic_parity_difference(
    truth: ArrayLike | None,
    predicted: ArrayLike,
    groups: Groups,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> GroupResult:
    """Largest minus smallest selection rate of groups.

    0 where the prediction does not depend on the group, whatever the truth: a model that is always
    right has the difference that the data have.

    Parameters
    ----------
    truth, predicted, groups, positive, where, **sampling
        As in `selection_rate`: all images with a known prediction take part, and truth may be None.
        Images of unknown group are left out.

    Returns
    -------
    GroupResult
        In [0, 1]; of several labels the mean, with a row in `pairs` for each. NaN where fewer than
        two groups have a rate. n: the images in the denominators of the two groups; of several
        labels the most. The two groups are chosen on the data and held fixed in the replicates, so
        the interval can include 0; with many groups the value is too large on average.

    Warns
    -----
    FairvisionWarning
        A group has fewer than 10 images in the denominator.

    References
    ----------
    A. Agarwal et al., "A Reductions Approach to Fair Classification", ICML 2018, definition 1;
    fairlearn 0.12 `demographic_parity_difference`, method between groups.

    Examples
    --------
    >>> from fairvision import metrics
    >>> predicted, groups = [1] * 5 + [0] * 5 + [1] * 8 + [0] * 2, ["f"] * 10 + ["m"] * 10
    >>> result = metrics.demographic_parity_difference(None, predicted, groups)
    >>> round(float(result), 3), result.groups, result.n, result.low < 0 < result.high
    (0.3, ('f', 'm'), 20, True)
    """
    return _parity(
        "demographic_parity_difference",
        difference,
        ["selection_rate"],
        truth,
        predicted,
        groups,
        positive,
        where,
        sampling,
    )


def demographic_parity_ratio(
    truth: ArrayLike | None,
    predicted: ArrayLike,
    groups: Groups,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> GroupResult:
    """Smallest divided by largest selection rate of groups ("four fifths": below 0.8).

    Parameters are those of `demographic_parity_difference`; the result is that of `group_ratio`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> predicted, groups = [1] * 4 + [0] * 6 + [1] * 8 + [0] * 2, ["f"] * 10 + ["m"] * 10
    >>> float(metrics.demographic_parity_ratio(None, predicted, groups))
    0.5
    """
    return _parity(
        "demographic_parity_ratio",
        ratio,
        ["selection_rate"],
        truth,
        predicted,
        groups,
        positive,
        where,
        sampling,
    )


def equalized_odds_difference(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups,
    *,
    agg: Literal["worst_case", "mean"] = "worst_case",
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> GroupResult:
    """Largest difference between groups in true or in false positive rate.

    Parameters
    ----------
    truth, predicted, groups, positive, where, **sampling
        As in `selection_rate`. Images of unknown group are left out.
    agg : {"worst_case", "mean"}
        The larger of the two differences, or their mean.

    Returns
    -------
    GroupResult
        As from `demographic_parity_difference`; `measure` names the rate that decided, which is
        held fixed in the replicates like the groups. NaN where either rate is defined in fewer than
        two groups. n of "mean" is that of the rate with fewer images.

    Raises
    ------
    InputError
        `agg` is neither of the two.

    Warns
    -----
    FairvisionWarning
        A group has fewer than 10 images in a denominator.

    References
    ----------
    M. Hardt, E. Price, N. Srebro, "Equality of Opportunity in Supervised Learning", NeurIPS 2016,
    definition 2.1; fairlearn 0.12 `equalized_odds_difference`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> truth = ([1] * 10 + [0] * 10) * 2
    >>> predicted = [1] * 10 + [0] * 10 + [1] * 6 + [0] * 4 + [1] * 3 + [0] * 7
    >>> groups = ["f"] * 20 + ["m"] * 20
    >>> result = metrics.equalized_odds_difference(truth, predicted, groups)
    >>> round(float(result), 3), result.measure, result.groups
    (0.4, 'true_positive_rate', ('m', 'f'))
    >>> round(float(metrics.equalized_odds_difference(truth, predicted, groups, agg="mean")), 3)
    0.35
    """
    name = "equalized_odds_difference"
    return _parity(
        name, difference, _ODDS, truth, predicted, groups, positive, where, sampling, agg
    )


def equalized_odds_ratio(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups,
    *,
    agg: Literal["worst_case", "mean"] = "worst_case",
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> GroupResult:
    """Smallest ratio between groups of true or of false positive rates.

    Parameters are those of `equalized_odds_difference`; the result is as from `group_ratio`. The
    ratio of false positive rates is NaN where no group has a false positive, and then so is this.

    Examples
    --------
    >>> from fairvision import metrics
    >>> truth = ([1] * 10 + [0] * 10) * 2
    >>> predicted = [1] * 10 + [1] * 2 + [0] * 8 + [1] * 6 + [0] * 4 + [1] * 4 + [0] * 6
    >>> result = metrics.equalized_odds_ratio(truth, predicted, ["f"] * 20 + ["m"] * 20)
    >>> float(result), result.measure
    (0.5, 'false_positive_rate')
    """
    name = "equalized_odds_ratio"
    return _parity(name, ratio, _ODDS, truth, predicted, groups, positive, where, sampling, agg)


def equal_opportunity_difference(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> GroupResult:
    """Largest minus smallest true positive rate of groups.

    Parameters and result are those of `demographic_parity_difference`, with truth.

    Examples
    --------
    >>> from fairvision import metrics
    >>> truth, groups = [1] * 20, ["f"] * 10 + ["m"] * 10
    >>> predicted = [1] * 10 + [1] * 6 + [0] * 4
    >>> round(float(metrics.equal_opportunity_difference(truth, predicted, groups)), 3)
    0.4
    """
    return _parity(
        "equal_opportunity_difference",
        difference,
        ["true_positive_rate"],
        truth,
        predicted,
        groups,
        positive,
        where,
        sampling,
    )


def equal_opportunity_ratio(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> GroupResult:
    """Smallest divided by largest true positive rate of groups.

    Parameters are those of `demographic_parity_difference`, with truth; the result is that of
    `group_ratio`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> truth, groups = [1] * 20, ["f"] * 10 + ["m"] * 10
    >>> predicted = [1] * 10 + [1] * 5 + [0] * 5
    >>> float(metrics.equal_opportunity_ratio(truth, predicted, groups))
    0.5
    """
    return _parity(
        "equal_opportunity_ratio",
        ratio,
        ["true_positive_rate"],
        truth,
        predicted,
        groups,
        positive,
        where,
        sampling,
    )


def accuracy_difference(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> GroupResult:
    """Largest minus smallest accuracy of groups.

    Parameters and result are those of `demographic_parity_difference`, with truth. Of several
    classes it is the share of images that are right; in a table of many labels each label has an
    accuracy.

    Examples
    --------
    >>> from fairvision import metrics
    >>> truth = ["cat"] * 10 + ["dog"] * 10
    >>> predicted = ["cat"] * 15 + ["dog"] * 5
    >>> result = metrics.accuracy_difference(truth, predicted, ["f"] * 10 + ["m"] * 10)
    >>> float(result), result.groups
    (0.5, ('m', 'f'))
    """
    return _parity(
        "accuracy_difference",
        difference,
        ["accuracy"],
        truth,
        predicted,
        groups,
        positive,
        where,
        sampling,
    )


def _parity(
    name: str,
    of: Callable[..., np.ndarray],
    measures: Sequence[str],
    truth: ArrayLike | None,
    predicted: ArrayLike,
    groups: Groups,
    positive: Any,
    where: ArrayLike | None,
    sampling: Sampling,
    agg: str = "worst_case",
) -> GroupResult:
    if agg not in ("worst_case", "mean"):
        raise InputError(f"agg must be 'worst_case' or 'mean', not {agg!r}")
    if groups is None:
        raise InputError(f"{name} needs groups")
    outcomes = read_outcomes(measures, truth, predicted, groups, positive, where, sampling)
    warn_of_small({measure: outcomes.pairs(measure) for measure in measures})
    rates = [
        outcomes.result(measure, estimates)
        for measure, estimates in zip(measures, outcomes.estimates(measures))
    ]
    worst = np.argmax if of is difference else np.argmin
    return contrast(rates, of, name, choose=worst, mean=agg == "mean")
