"""Means of values by group, and what lies between groups: the extreme ones, compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine import hybrid
from fairvision.metrics._engine.arrays import (
    Array,
    Bools,
    Floats,
    ratio,
)
from fairvision.metrics._engine.base_groups import (
    DIFFERENCE,
    RATIO,
    Method,
    against,
    has_base,
    joined_groups,
)
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.extreme_groups import (
    GroupResult,
    contrast,
    difference,
    figures_by_group,
)
from fairvision.metrics._engine.inputs import read_groups, read_values
from fairvision.metrics._engine.outcomes import SMALL
from fairvision.metrics._engine.result import Result, compare, recipe_of, summarise
from fairvision.metrics._engine.rows import Rows
from fairvision.schema import UNKNOWN

_WORST_IS_LARGEST = (
    "calibration_error",
    "error_rate",
    "false_discovery_rate",
    "false_negative_rate",
    "false_omission_rate",
    "false_positive_rate",
    "log_loss",
)


def mean(
    values: ArrayLike,
    *,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Mean of per-image values.

    Parameters
    ----------
    values : (n,) numbers or booleans
        NaN: undefined, takes no part.
    where : (n,) bool, optional
        The images that take part. Leaving images out this way, instead of passing fewer, keeps the
        result paired with those of other images' means.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        NaN where no value is defined; n counts the defined values.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.mean([0.25, 0.75, float("nan")], replicates=0)
    mean = 0.5 [nan, nan] (n = 2)
    """
    rows = Rows({"values": values, "where": where}, sampling)
    return mean_of_units(rows, read_values("values", rows["values"]), "mean")


def mean_by_group(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> dict[Any, Result]:
    """Mean of per-image values in each group.

    Parameters
    ----------
    values : (n,) numbers or booleans
        NaN: undefined, takes no part.
    groups : (n,) names or codes
        None, NaN, -1 or "unknown": the group is not known. The categories of a pandas Categorical
        are all listed, in their order; other groups in the order of their names.
    where : (n,) bool, optional
        The images that take part.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    dict of group to Result
        The images of unknown group, where there are any, under "unknown". A group without defined
        values is NaN with n = 0. All results are paired.

    Examples
    --------
    >>> from fairvision import metrics
    >>> by_group = metrics.mean_by_group([1, 1, 0, 1], ["b", "a", "a", None])
    >>> {group: float(result) for group, result in by_group.items()}
    {'a': 0.5, 'b': 1.0, 'unknown': 1.0}
    """
    rows = Rows({"values": values, "groups": groups, "where": where}, sampling)
    numbers = read_values("values", rows["values"])
    names, read = read_groups(groups=rows["groups"])
    codes = read["groups"]
    members = codes == np.arange(len(names))[:, None]
    if (codes < 0).any():
        names, members = [*names, UNKNOWN], np.vstack([members, codes < 0])
    return dict(zip(names, means_of_units(rows, numbers, members, "mean")))


def small_groups(by_group: Mapping[Any, Result]) -> dict[Any, int]:
    """Return the groups with fewer than 10 images, and how many these have.

    An interval from so few images says little: the bootstrap cannot draw what it has not seen.

    Parameters
    ----------
    by_group : dict of group to Result
        As from `mean_by_group`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.small_groups(metrics.mean_by_group([1] * 13, ["a"] * 10 + ["b"] * 3))
    {'b': 3}
    """
    return {group: result.n for group, result in by_group.items() if result.n < SMALL}


def mean_of_units(rows: Rows, values: Floats, name: str) -> Result:
    """Return the mean of a value of each unit, (units,), over the images of `where`."""
    return means_of_units(rows, values, np.ones((1, len(values)), dtype=bool), name)[0]


def means_of_units(rows: Rows, values: Floats, members: Bools, name: str) -> list[Result]:
    """Return the mean over each row of members (sets, units)."""
    members = members & rows.mask & ~np.isnan(values)
    sums, ones = np.where(members, values, 0.0), members.astype(float)
    shares = bool(np.isin(values, (0, 1))[members.any(axis=0)].all())
    images = rows.sample.effective(lambda weights: ones @ weights) if shares else None
    estimates = rows.sample.estimate(partial(_mean, sums, ones))
    return [
        summarise(
            rows.sample,
            partial(_mean, sums[i : i + 1], ones[i : i + 1]),
            rows.count(members[i]),
            name,
            shares=None if images is None else images[i : i + 1],
            estimates=estimates[i],
            family=estimates,
        )
        for i in range(len(members))
    ]


def _mean(sums: Floats, ones: Floats, weights: Array) -> Floats:
    """Return means over sets of units (sets, b), of the sums and numbers of their values."""
    return ratio(sums @ weights, ones @ weights)


def mean_of_groups(by_group: Mapping[Any, Result]) -> Result:
    """Mean over groups, each of which counts alike, however many images it has.

    Of accuracies it is the balanced accuracy: answers that do not depend on the image reach
    1 / groups, whatever they are and however large the groups.

    Parameters
    ----------
    by_group : dict of group to Result
        As from `mean_by_group`. The unknown group and groups that are NaN are left out.

    Returns
    -------
    Result
        NaN without a defined group; n is the number of images of the groups.

    Raises
    ------
    InputError
        There are no groups at all.

    References
    ----------
    K. H. Brodersen, C. S. Ong, K. E. Stephan and J. M. Buhmann, "The Balanced Accuracy and Its
    Posterior Distribution", ICPR 2010.

    Examples
    --------
    >>> from fairvision import metrics
    >>> right, groups = [1, 1, 1, 1, 0, 0], ["a", "a", "a", "a", "b", None]
    >>> float(metrics.mean_of_groups(metrics.mean_by_group(right, groups)))
    0.5
    """
    if not by_group:
        raise InputError("there is no group to take the mean of")
    defined = [r for group, r in by_group.items() if group != UNKNOWN and not np.isnan(r.value)]
    recipes = [recipe_of(result) for result in defined or by_group.values()]

    def statistic(weights: Array) -> Floats:
        if not defined:
            return np.full(weights.shape[1], np.nan)
        means: Floats = np.stack([recipe.statistic(weights)[0] for recipe in recipes]).mean(axis=0)
        return means

    name = f"mean of groups of {next(iter(by_group.values())).name}"
    result: Result = summarise(recipes[0].sample, statistic, sum(r.n for r in defined), name)
    if result.low != result.high or len({r.value for r in defined}) != 1:
        return result  # a constant answer has 1 / groups, in whatever images
    low, high = (float(np.mean([getattr(r, end) for r in defined])) for end in ("low", "high"))
    return replace(result, low=low, high=high)


def gap(
    by_group: Mapping[Any, Result] | Result,
    *,
    reference: Any = None,
    method: Method = "between_groups",
) -> Result:
    """Difference between the largest and the smallest group, or of groups from a reference.

    Which groups these are is decided once, on the data; the replicates are the difference of the
    same two groups. So the interval can include zero, which says that their order may be chance;
    the largest minus the smallest *of each resample* never could. With many groups the value is
    still too large on average, because the extremes were chosen by looking. Where the share of one
    of the two is 0 or 1 it never varies in resamples, and the interval is made of those of the two
    groups (Newcombe 1998, method 10).

    Parameters
    ----------
    by_group : dict of group to Result, or Result
        As from `mean_by_group`, or from a measure with `groups`. The unknown group and groups that
        are NaN are left out.
    reference : group, optional
        The one that all others are compared with.
    method : {"between_groups", "to_overall"}
        "to_overall": each group is compared with the figure of all images, of known and of unknown
        group, of a measure with `groups`.

    Returns
    -------
    Result
        NaN with fewer than two defined groups; n is the number of images in the groups compared. Of
        a measure with `groups` a `GroupResult`, which names the two groups; of several labels the
        mean of their gaps.

        With a reference a `GroupResult` whose `pairs` have a row per other group, the unknown one
        among them, and label: its figure less that of the reference, with its sign, and the images
        of both. The value is that of the group furthest away, of several labels by its mean over
        them; `groups` names the reference and that group. NaN where the reference or all others are
        undefined.

        "to_overall": `pairs` have each group less all images, with its sign, and the images of the
        group. The value is the largest of these without a sign, of several labels the mean of the
        largest; n is that of all images. A large group is always near to the figure of all, of
        which it is a part.

    Raises
    ------
    InputError
        There are no groups at all, the reference is none of them, or the results are not paired.

    References
    ----------
    fairlearn 0.12, `MetricFrame.difference`, for both methods.

    Examples
    --------
    >>> from fairvision import metrics
    >>> float(metrics.gap(metrics.mean_by_group([1, 1, 0, 1], ["b", "a", "a", None])))
    0.5
    >>> right, groups = [1] * 27 + [0] * 3, ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    >>> result = metrics.gap(metrics.mean_by_group(right, groups), reference="a")
    >>> round(float(result), 3), result.groups
    (-0.3, ('a', 'c'))
    >>> result.pairs[["group", "value", "n"]].round(3)
      group  value   n
    0     b    0.0  20
    1     c   -0.3  20
    """
    has_reference = has_base(reference, method)
    if isinstance(by_group, Result):
        name = f"{by_group.name} gap"
        if has_reference:
            return against([by_group], DIFFERENCE, name, reference)
        return contrast([by_group], difference, name)
    if not by_group:
        raise InputError("there is no group to compare")
    if has_reference:
        return against([joined_groups(by_group)], DIFFERENCE, "gap", reference)
    defined = [r for group, r in by_group.items() if group != UNKNOWN and not np.isnan(r.value)]
    if len(defined) < 2:
        sample = recipe_of(next(iter(by_group.values()))).sample
        return summarise(
            sample,
            lambda weights: np.full(weights.shape[1], np.nan),
            sum(r.n for r in defined),
            "gap",
        )
    largest = max(defined, key=float)
    smallest = min(reversed(defined), key=float)  # not the same one where all are equal
    apart = compare(smallest, largest)
    of_each = [np.array([[r.value], [r.low], [r.high]]) for r in (smallest, largest)]
    still = [
        hybrid.is_still(recipe_of(r).estimates[:1], *ends[1:])
        for r, ends in zip((smallest, largest), of_each)
    ]
    low, high = apart.low, apart.high
    if np.any(still):
        low, high = map(float, hybrid.of_difference(*of_each)[:, 0])
    n = largest.n + smallest.n
    return replace(apart, name="gap", n=n, low=low, high=high, pairs=None)


def group_ratio(
    result: Result, *, reference: Any = None, method: Method = "between_groups"
) -> GroupResult:
    """Smallest group divided by the largest, or groups by a reference: 1 where all are equal.

    As with `gap`, which groups these are is decided on the data; the replicates are the ratio of
    the same two groups, so that the interval can include 1.

    Parameters
    ----------
    result : Result
        A measure with `groups`. Its unknown group and groups that are NaN are left out.
    reference, method
        As in `gap`.

    Returns
    -------
    GroupResult
        In [0, 1]. NaN with fewer than two defined groups, and where all are 0. With several labels
        the mean over labels. n: the images of the two groups; of several labels the most. The
        interval is NaN where it has no upper end: where the share of one group is 0 or 1 and that
        of the other, which is divided by, may be 0 by its own interval.

        With a reference, and `pairs` of "to_overall": each group divided by the base, 0 or more,
        NaN where the base is 0. The value is that of the group furthest from 1, by the logarithm;
        "to_overall" it is at most 1, the smaller divided by the larger of the two.

    Raises
    ------
    InputError
        The result has no figures by group, or the reference is none of them.

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
    if has_base(reference, method):
        return against([result], RATIO, f"{result.name} ratio", reference)
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
        false negatives, false discoveries and omissions, `error_rate`, `calibration_error`,
        `log_loss`), and the smallest for all else.

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
    worst = contrast([result], lambda figure: figure, f"worst {result.name}", ends=[end])
    if not worst.groups:
        return worst
    row = list(figures["group"]).index(worst.groups[0])
    low, high = (float(figures[column].iloc[row]) for column in ("low", "high"))
    return replace(worst, low=low, high=high)
