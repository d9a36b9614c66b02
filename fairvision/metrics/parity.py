"""Parity of groups: how far apart the rates of decisions lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import ratio
from fairvision.metrics._engine.base_groups import DIFFERENCE, RATIO, Method, against, has_base
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.extreme_groups import Contrast, GroupResult, contrast, difference
from fairvision.metrics._engine.outcomes import Decisions, Groups, read_outcomes

_ODDS = ("true_positive_rate", "false_positive_rate")


class ParityFunction(Protocol):
    """A difference or ratio of groups; see `demographic_parity_difference`."""

    __name__: str
    __qualname__: str

    def __call__(
        self,
        truth: ArrayLike | None,
        predicted: ArrayLike,
        groups: Groups,
        *,
        reference: Any = None,
        method: Method = "between_groups",
        positive: Any = None,
        where: ArrayLike | None = None,
        **sampling: Unpack[Sampling],
    ) -> GroupResult:
        """Measure."""
        ...


def _parity(of: Contrast, measure: str) -> Callable[[Callable[[], None]], ParityFunction]:
    """Make the function of a contrast of a rate's groups, of which name and description follow."""

    def make(described: Callable[[], None]) -> ParityFunction:
        name = described.__name__

        def parity(
            truth: ArrayLike | None,
            predicted: ArrayLike,
            groups: Groups,
            *,
            reference: Any = None,
            method: Method = "between_groups",
            positive: Any = None,
            where: ArrayLike | None = None,
            **sampling: Unpack[Sampling],
        ) -> GroupResult:
            decisions = Decisions(truth, predicted, groups, positive, where, sampling)
            return _compare(name, of, [measure], decisions, (reference, method))

        parity.__name__ = parity.__qualname__ = name
        parity.__doc__ = described.__doc__
        return parity

    return make


def _compare(
    name: str,
    of: Contrast,
    measures: Sequence[str],
    decisions: Decisions,
    base: tuple[Any, str],
    agg: str = "worst_case",
) -> GroupResult:
    """Return the contrast of the extreme groups of rates; of several, the worst or the mean.

    `base` holds a reference group that groups are compared with instead, and the method.
    """
    if agg not in ("worst_case", "mean"):
        raise InputError(f"agg must be 'worst_case' or 'mean', not {agg!r}")
    if decisions.groups is None:
        raise InputError(f"{name} needs groups")
    has_reference = has_base(*base)
    outcomes = read_outcomes(measures, decisions)
    estimates = outcomes.estimates(measures)
    rates = [outcomes.result(*of_rate) for of_rate in zip(measures, estimates)]
    if has_reference:
        comparison = DIFFERENCE if of is difference else RATIO
        return against(rates, comparison, name, base[0], mean=agg == "mean")
    worst = np.argmax if of is difference else np.argmin
    return contrast(rates, of, name, choose=worst, mean=agg == "mean")


@_parity(difference, "selection_rate")
def demographic_parity_difference() -> None:
    """Largest minus smallest selection rate of groups.

    0 where the prediction does not depend on the group, whatever the truth: a model that is always
    right has the difference that the data have.

    Parameters
    ----------
    truth, predicted, groups, positive, where, **sampling
        As in `selection_rate`: all images with a known prediction take part, and truth may be None.
        Images of unknown group are left out.
    reference, method
        As in `gap`: the group, or with "to_overall" all images, that groups are compared with.

    Returns
    -------
    GroupResult
        In [0, 1]; of several labels the mean, with a row in `pairs` for each. NaN where fewer than
        two groups have a rate. n: the images in the denominators of the two groups; of several
        labels the most. The two groups are chosen on the data and held fixed in the replicates, so
        the interval can include 0; with many groups the value is too large on average. With a
        reference, or "to_overall", as from `gap`.

    Warns
    -----
    FairvisionWarning
        A group has fewer than 10 images in the denominator.

    References
    ----------
    A. Agarwal et al., "A Reductions Approach to Fair Classification", ICML 2018, definition 1;
    fairlearn 0.12 `demographic_parity_difference`, with both methods.

    Examples
    --------
    >>> from fairvision import metrics
    >>> predicted, groups = [1] * 5 + [0] * 5 + [1] * 8 + [0] * 2, ["f"] * 10 + ["m"] * 10
    >>> result = metrics.demographic_parity_difference(None, predicted, groups)
    >>> round(float(result), 3), result.groups, result.n, result.low < 0 < result.high
    (0.3, ('f', 'm'), 20, True)
    """


@_parity(ratio, "selection_rate")
def demographic_parity_ratio() -> None:
    """Smallest divided by largest selection rate of groups ("four fifths": below 0.8).

    Parameters are those of `demographic_parity_difference`; the result is that of `group_ratio`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> predicted, groups = [1] * 4 + [0] * 6 + [1] * 8 + [0] * 2, ["f"] * 10 + ["m"] * 10
    >>> float(metrics.demographic_parity_ratio(None, predicted, groups))
    0.5
    """


def equalized_odds_difference(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups,
    *,
    agg: Literal["worst_case", "mean"] = "worst_case",
    reference: Any = None,
    method: Method = "between_groups",
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
    reference, method
        As in `gap`. Each group has the difference of the rate in which it is further away.

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
    decisions = Decisions(truth, predicted, groups, positive, where, sampling)
    return _compare(
        "equalized_odds_difference", difference, _ODDS, decisions, (reference, method), agg
    )


def equalized_odds_ratio(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups,
    *,
    agg: Literal["worst_case", "mean"] = "worst_case",
    reference: Any = None,
    method: Method = "between_groups",
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
    decisions = Decisions(truth, predicted, groups, positive, where, sampling)
    return _compare("equalized_odds_ratio", ratio, _ODDS, decisions, (reference, method), agg)


@_parity(difference, "true_positive_rate")
def equal_opportunity_difference() -> None:
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


@_parity(ratio, "true_positive_rate")
def equal_opportunity_ratio() -> None:
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


@_parity(difference, "accuracy")
def accuracy_difference() -> None:
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
