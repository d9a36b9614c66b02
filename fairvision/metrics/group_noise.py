"""Means by group where groups are predicted, or annotated with errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats, Ints
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import read_groups, read_values
from fairvision.metrics._engine.misclassified import (
    Validation,
    dependence,
    read_confusion,
    tally_pairs,
)
from fairvision.metrics._engine.result import Result, compare, summarise
from fairvision.metrics._engine.rows import Rows
from fairvision.metrics.contrasts import gap, means_of_units
from fairvision.schema import UNKNOWN


@dataclass(frozen=True, eq=False)
class NoisyGroups:
    """Means of groups that were observed with errors.

    Attributes
    ----------
    by_group : dict of group to Result
        Of the true groups, with intervals that carry the errors; images whose group is not known
        under "unknown". `n` counts the images that were taken for the group.
    observed : dict of group to Result
        Of the groups as they were observed: what is seen without any correction.
    gap : Result
        Largest minus smallest true group, as `fairvision.metrics.gap`.
    bounds : dict of group to (Result, Result)
        The least and the most that the mean of the true group can be, whatever errors have to do
        with the values.
    gap_bounds : (Result, Result)
        The least and the most that the difference of the two groups of `gap` can be.
    confusion : DataFrame
        Numbers of validated images, of true groups (rows) and observed ones (columns).
    dependence : float
        A p-value that the errors of the validated images have nothing to do with the values, which
        `by_group` assumes; NaN where that cannot be tested.
    """

    by_group: dict[Any, Result]
    observed: dict[Any, Result]
    gap: Result
    bounds: dict[Any, tuple[Result, Result]]
    gap_bounds: tuple[Result, Result]
    confusion: pd.DataFrame
    dependence: float

    @property
    def shown(self) -> bool:
        """Whether the interval of the gap, with the errors carried, lies above 0."""
        return bool(self.gap.low > 0)

    @property
    def shown_anyway(self) -> bool:
        """Whether a gap is shown whatever the errors have to do with the values."""
        return bool(self.gap_bounds[0].low > 0)


def noisy_groups(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    confusion: Any = None,
    validated: ArrayLike | None = None,
    differential: bool = False,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> NoisyGroups:
    """Means by true group, where groups are predicted or annotators err.

    With P(observed | true) from validated images, the numbers of images by observed group are those
    by true group times a matrix, and so are the sums of values. Both are solved for, and their
    quotient is the mean of a true group. That assumes that **the errors have nothing to do with the
    values, given the true group** (non-differential misclassification). Errors blur: without the
    correction a gap looks smaller than it is.

    Intervals draw the images again, and the errors from a Dirichlet distribution by the validated
    images, so that they are wider where few were validated. Where the errors do have to do with the
    values, `bounds` still hold, and with a validated part `differential=True` needs no assumption.

    Parameters
    ----------
    values : (n,) numbers or booleans
        Whether the image is answered right, say. NaN: undefined, takes no part.
    groups : (n,) names or codes
        As they were observed.
    confusion : table, dict of dicts or (K, K) array, optional
        Numbers of images of another, validated sample: rows are true groups, columns observed ones;
        an array in the order of the names. Of each true group the validated images have to be like
        those of `groups`; how frequent the groups are may differ.
    validated : (n,) names or codes, optional
        The true groups of some of the images, unknown for the rest; instead of `confusion`. Which
        images are validated may depend on the observed group and on nothing else.
    differential : bool
        Take the errors of images with value 1 from those of validated images with value 1, and of
        0 from those with 0. Needs `validated` and values of 0 and 1.
    where : (n,) bool, optional
        The images that take part. The errors must have nothing to do with that either. All
        validated images say how groups are observed.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    NoisyGroups
        Means within the range of the values. NaN where a group is estimated to have no images, and
        where groups are observed by chance alone. All results are paired, also with those of other
        values of the same images.

    Raises
    ------
    InputError
        Neither or both of `confusion` and `validated` are given; they are not about the groups; of
        one there is no validated image.

    References
    ----------
    B. A. Barron, "The Effects of Misclassification on the Estimation of Relative Risk", Biometrics
    33, 1977; of a validated part R. J. Marshall, "Validation Study Methods for Estimating Exposure
    Proportions and Odds Ratios with Misclassified Data", Journal of Clinical Epidemiology 43, 1990.
    Draws: M. P. Fox, T. L. Lash and S. Greenland, "A Method to Automate Probabilistic Sensitivity
    Analyses of Misclassified Binary Variables", International Journal of Epidemiology 34, 2005.
    Bounds: N. Kallus, X. Mao and A. Zhou, "Assessing Algorithmic Fairness with Unobserved Protected
    Class Using Data Combination", Management Science 68, 2022, section 4.
    What happens without: J. Chen, N. Kallus, X. Mao, G. Svacha and M. Udell, "Fairness Under
    Unawareness", FAT* 2019.

    Examples
    --------
    Of the women one in ten was taken for a man, and the other way round. What looks like a gap of
    16 points is one of 20:

    >>> from fairvision import metrics
    >>> right = [1] * 736 + [0] * 264 + [1] * 896 + [0] * 104
    >>> seen = ["women"] * 1000 + ["men"] * 1000
    >>> truly = {"women": {"women": 900, "men": 100}, "men": {"women": 100, "men": 900}}
    >>> noisy = metrics.noisy_groups(right, seen, confusion=truly)
    >>> round(metrics.gap(noisy.observed), 3), round(noisy.gap, 3), noisy.shown
    (0.16, 0.2, True)
    """
    rows = Rows(
        {"values": values, "groups": groups, "validated": validated, "where": where}, sampling
    )
    numbers = read_values("values", rows["values"])
    names, codes, true, validation, p = _validation(rows, numbers, confusion, differential)
    used = rows.mask & ~np.isnan(numbers)
    taken_for = np.where(true >= 0, true, codes)
    ends = _ends(numbers[used])
    strata = numbers.astype(int) if validation.strata > 1 else np.zeros(len(numbers), int)
    sums = partial(_sums, _members(codes, true, strata, used, validation), numbers)
    sample, drawing = rows.sample, rows.sample.drawing
    drawn = sample.estimate(sums)
    shares = validation.shares, validation.draws(drawing.replicates, drawing.seed)
    figures = _with_errors(validation, shares, ends, drawn)
    k = len(names)
    counts = [rows.count(used & (taken_for == group)) for group in range(k)]

    def result(row: int) -> Result:
        def statistic(weights: Array) -> Floats:
            of = sums(weights)
            return np.vstack([validation.figures(of, shares[0], ends)[row], of])

        def adjust(estimates: Floats) -> Floats:
            of = estimates[1:]
            return np.vstack([_with_errors(validation, shares, ends, of)[row], of])

        of_group: Result = summarise(
            *(sample, statistic, counts[row % k], "mean"),
            estimates=np.vstack([figures[row], drawn]),
            family=figures[:k],
            adjust=adjust,
        )
        return _at_the_edge(of_group, ends, (1 - drawing.confidence) / 2)

    results = [result(row) for row in range(3 * k)]
    by_group = dict(zip(names, results))
    bounds = {
        name: (results[k + group], results[2 * k + group]) for group, name in enumerate(names)
    }
    observed = dict(
        zip(names, means_of_units(rows, numbers, codes == np.arange(k)[:, None], "mean"))
    )
    if (taken_for < 0).any():
        by_group[UNKNOWN] = means_of_units(rows, numbers, (taken_for < 0)[None], "mean")[0]
    return NoisyGroups(
        by_group=by_group,
        observed=observed,
        gap=gap(by_group),
        bounds=bounds,
        gap_bounds=gap_bounds(by_group, bounds),
        confusion=pd.DataFrame(validation.counts.sum(axis=0), index=names, columns=names).astype(
            int
        ),
        dependence=p,
    )


def _validation(
    rows: Rows, values: Floats, confusion: Any, differential: bool
) -> tuple[list[Any], Ints, Ints, Validation, float]:
    """Return groups, codes of observed and of true ones (units,), what was validated, and p."""
    if (confusion is None) == ("validated" not in rows):
        raise InputError("give either confusion or validated: where true groups are known from")
    names, read = read_groups(
        **{name: rows[name] for name in ("groups", "validated") if name in rows}
    )
    codes = read["groups"]
    true = read.get("validated", np.full(len(codes), -1))
    there = np.union1d(codes[codes >= 0], true[true >= 0])
    names = [names[code] for code in there]
    if confusion is not None:
        if differential:
            raise InputError("differential needs validated: a confusion says nothing of values")
        occurring = names
        names, counts = read_confusion(confusion, names)
        order = [names.index(name) for name in occurring]
        codes = np.array([*order, -1])[_renumbered(codes, there)]
        return names, codes, true, Validation(counts[None], counts[None], False), float("nan")
    codes, true = _renumbered(codes, there), _renumbered(true, there)
    both = (codes >= 0) & (true >= 0)
    shape = (2, len(names), len(names))
    images = rows.sample.counts
    defined = both & ~np.isnan(values)
    low, high = _ends(values[defined])
    upper = (values[defined] > (low + high) / 2).astype(int)
    by_value = tally_pairs((upper, true[defined], codes[defined]), shape, images[defined])
    strata, used = np.zeros(both.sum(), int), both
    if differential:
        if not np.isin(values[~np.isnan(values)], (0, 1)).all():
            raise InputError("differential needs values of 0 and 1")
        strata, used = values[defined].astype(int), defined
    shape = (1 + differential, *shape[1:])
    counts = tally_pairs((strata, true[used], codes[used]), shape, images[used])
    for group, number in zip(names, counts.sum(axis=(0, 1))):
        if not number and counts.any():
            raise InputError(
                f"no image that was observed as {shown(group)} is validated: validate some of each"
            )
    evidence = counts * _independent(rows, used)
    return names, codes, true, Validation(counts, evidence, True), dependence(by_value)


def _renumbered(codes: Ints, there: Ints) -> Ints:
    """Return the places of codes among those that are there, -1 where unknown."""
    return np.where(codes >= 0, np.searchsorted(there, codes), -1)


def _independent(rows: Rows, used: Bools) -> float:
    """Return how many of validated images (units,) are of different clusters, as a share."""
    cluster = rows.sample.cluster
    if cluster is None or not used.any():
        return 1.0
    return len(np.unique(cluster[used[rows.sample.unit]])) / rows.count(used)


def _ends(values: Floats) -> tuple[float, float]:
    """Return between which ends values lie: 0 and 1, if these are the values."""
    if not len(values) or (values.min() >= 0 and values.max() <= 1):
        return 0.0, 1.0
    return float(values.min()), float(values.max())


def _members(
    codes: Ints, true: Ints, strata: Ints, used: Bools, validation: Validation
) -> tuple[Floats, ...]:
    """Return which units are of each stratum and group, (strata * groups, units) three times."""
    place = np.arange(validation.strata * validation.groups)[:, None]
    sure = used & (true >= 0)
    if validation.strata > 1:  # errors of all images vary as those of the validated ones do
        sure &= codes < 0
    unsure = used & (codes >= 0) & ~sure
    of_stratum = strata * validation.groups
    kinds = ((codes, unsure), (true, sure), (codes, used & (codes >= 0)))
    return tuple(((of_stratum + of == place) & kept).astype(float) for of, kept in kinds)


def _sums(members: tuple[Floats, ...], values: Floats, weights: Array) -> Floats:
    """Return numbers of images and sums of values by each of the members; see `Validation`."""
    of_values = np.nan_to_num(values)[:, None] * weights
    return np.concatenate([of @ by for of in members for by in (weights, of_values)])


def _with_errors(
    validation: Validation,
    shares: tuple[Floats, Floats],
    ends: tuple[float, float],
    sums: Floats,
) -> Floats:
    """Return figures (3 * groups, 1 + replicates): the value, and with errors that are drawn."""
    best, drawn = shares
    value = validation.figures(sums[:, :1], best, ends)
    if sums.shape[1] < 2:
        return value
    return np.concatenate([value, validation.figures(sums[:, 1:], drawn, ends)], axis=1)


def _at_the_edge(result: Result, ends: tuple[float, float], tail: float) -> Result:
    """Return a mean with an interval at least as wide as the exact one, where it is 0 or 1."""
    if ends != (0, 1) or not np.isfinite(result.low) or result.value not in ends:
        return result
    reach = tail ** (1 / max(result.n, 1))
    if result.value:
        return replace(result, low=min(result.low, reach))
    return replace(result, high=max(result.high, 1 - reach))


def gap_bounds(
    means: Mapping[Any, Result], bounds: Mapping[Any, tuple[Result, Result]]
) -> tuple[Result, Result]:
    """Return the least and the most of the difference of the groups with extreme means."""
    defined = [group for group in bounds if not np.isnan(means[group].value)]
    if len(defined) < 2:
        nothing = replace(gap(means), name="bound of the gap")
        return nothing, nothing
    smallest = min(reversed(defined), key=means.__getitem__)
    largest = max(defined, key=means.__getitem__)
    least = compare(bounds[smallest][1], bounds[largest][0])
    most = compare(bounds[smallest][0], bounds[largest][1])
    least, most = (replace(of, name="bound of the gap") for of in (least, most))
    return least, most
