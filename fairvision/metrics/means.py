"""Means of per-image values, overall and by group."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.metrics._engine.arrays import Array, Bools, Floats, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.grouping import SMALL
from fairvision.metrics._engine.inputs import read_groups, read_values
from fairvision.metrics._engine.result import Result, summarise
from fairvision.metrics._engine.rows import Rows
from fairvision.schema import UNKNOWN


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
    return dict(zip(names, _means(rows, numbers, members, "mean")))


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
    return _means(rows, values, np.ones((1, len(values)), dtype=bool), name)[0]


def _means(rows: Rows, values: Floats, members: Bools, name: str) -> list[Result]:
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
        )
        for i in range(len(members))
    ]


def _mean(sums: Floats, ones: Floats, weights: Array) -> Floats:
    """Return means over sets of units (sets, b), of the sums and numbers of their values."""
    return ratio(sums @ weights, ones @ weights)
