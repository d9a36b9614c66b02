"""Which groups make up more of those that are left out than of those that are picked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import (
    Array,
    Columns,
    Floats,
    Ints,
    as_objects,
    mean_of_defined,
    ratio,
)
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.extreme_groups import GroupResult
from fairvision.metrics._engine.outcomes import (
    Decisions,
    Groups,
    Outcomes,
    by_attribute,
    outcomes_of,
    warn_of_small,
)
from fairvision.metrics._engine.result import pair_keys, summarise
from fairvision.schema import UNKNOWN


def conditional_demographic_disparity(
    predicted: ArrayLike,
    groups: Groups,
    given: Groups = None,
    *,
    toward: Any = None,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> GroupResult:
    """Conditional demographic disparity, CDD: who is left out more than picked, within strata.

    Within a stratum, the demographic disparity of a group is its share of the images that are
    predicted negative less its share of those predicted positive. CDD is the mean over strata, each
    counting for its images: what differs between strata is not counted as disparity. Whether it
    should be depends on what they are by.

    Parameters
    ----------
    predicted : (n,) names or codes, or (n, labels) of 0 and 1
        As in `selection_rate`; truth plays no part.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns
        As in `selection_rate`.
    given : (n,) names or codes, or a DataFrame or dict of several such columns, optional
        The strata. By default all images are one: demographic disparity. (`strata` is another
        thing: within what images are drawn again.)
    toward : group, optional
        Whose disparity the value is. By default, that of the group with the largest.
    positive, where
        As in `selection_rate`.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    GroupResult
        In [−1, 1]; above 0 where the group is left out more. `pairs` has a row per group, and
        label; of several labels the value is the mean. Without `toward` the group is chosen on the
        data and held fixed in the replicates. A stratum in which all images are predicted alike is
        undefined and left out; NaN where none is left. n counts the images in the others, of known
        group and stratum, in `pairs` those of the group.

    Raises
    ------
    InputError
        As `selection_rate`; `toward` is no group.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    S. Wachter, B. Mittelstadt and C. Russell, "Why Fairness Cannot Be Automated: Bridging the Gap
    Between EU Non-discrimination Law and AI", Computer Law & Security Review 41, 2021, section 5;
    Amazon SageMaker Clarify, "Conditional Demographic Disparity".

    Examples
    --------
    More men are picked, because more of them are in the department that picks many.

    >>> from fairvision import metrics
    >>> department = ["a"] * 40 + ["b"] * 40
    >>> groups = ["m"] * 30 + ["f"] * 10 + ["m"] * 10 + ["f"] * 30
    >>> picked = ([1, 1, 1, 1, 0] * 8) + ([1, 0, 0, 0, 0] * 8)
    >>> result = metrics.conditional_demographic_disparity(picked, groups, toward="f")
    >>> round(float(result), 3)
    0.3
    >>> float(metrics.conditional_demographic_disparity(picked, groups, department, toward="f"))
    0.0
    """
    if groups is None:
        raise InputError("conditional_demographic_disparity needs groups")
    strata, columns = _named(given, "given"), _named(groups, "groups")
    decisions = Decisions(None, predicted, {**strata, **columns}, positive, where, sampling)
    table = _Strata.of(outcomes_of(decisions, None), len(strata))
    if toward is not None and table.groups and toward not in table.groups:
        raise InputError(
            f"toward is {shown(toward)}, but the groups are {', '.join(map(repr, table.groups))}"
        )
    return _summarised(table, toward)


def _named(columns: Groups, kind: str) -> Columns:
    """Return the columns of groups or strata by names of their own."""
    columns = by_attribute(columns)
    if columns is None:
        return {}
    if isinstance(columns, (dict, pd.DataFrame)):
        return {f"{kind}, {attribute}": column for attribute, column in columns.items()}
    return {kind: columns}


@dataclass(frozen=True, eq=False)
class _Strata:
    """Images by stratum and group.

    Attributes
    ----------
    outcomes : with intersections of stratum and group as groups
    groups : names
    size : how many strata there are
    at : (intersections,) which of the outcomes' groups are known
    stratum, group : (intersections,)
    """

    outcomes: Outcomes
    groups: list[Any]
    size: int
    at: Ints
    stratum: Ints
    group: Ints

    @classmethod
    def of(cls, outcomes: Outcomes, conditions: int) -> _Strata:
        """Take intersections apart, of which the first attributes are the conditions."""
        names = outcomes.grouping.names
        at = np.array([i for i, name in enumerate(names) if name != UNKNOWN], int)
        parts = [name if isinstance(name, tuple) else (name,) for name in names]
        one = len(outcomes.grouping.attributes) - conditions == 1
        of_group = [parts[i][conditions] if one else parts[i][conditions:] for i in at]
        strata, groups = (
            dict(zip(dict.fromkeys(of), range(len(at))))
            for of in ([parts[i][:conditions] for i in at], sorted(of_group, key=str))
        )
        stratum = np.array([strata[parts[i][:conditions]] for i in at], int)
        group = np.array([groups[name] for name in of_group], int)
        return cls(outcomes, list(groups), len(strata), at, stratum, group)

    def counts(self, weights: Array) -> Floats:
        """Return those predicted positive and negative, (2, strata, groups, labels, b)."""
        picked, _, _, left = self.outcomes.count(weights)
        shape = 2, self.size, len(self.groups), *picked.shape[1:]
        counts = np.zeros(shape)
        counts[:, self.stratum, self.group] = np.stack([picked, left])[:, self.at]
        return counts

    def disparity(self, weights: Array) -> Floats:
        """Return the disparity of groups, (groups, labels, b); NaN of a group without images."""
        counts = self.counts(weights)
        of_kind = counts.sum(axis=2, keepdims=True)
        picked, left = ratio(counts, of_kind)
        apart = left - picked
        defined = ~np.isnan(apart)
        images = np.where(defined, of_kind.sum(axis=0), 0)
        mean = ratio((np.nan_to_num(apart) * images).sum(axis=0), images.sum(axis=0))
        of_group = np.where(defined, counts.sum(axis=0), 0).sum(axis=0)
        return np.where(of_group > 0, mean, np.nan)


def _summarised(table: _Strata, toward: Any) -> GroupResult:
    """Return the mean over labels of the disparity of one group, with those of all groups."""
    outcomes, groups = table.outcomes, table.groups
    counts = table.counts(outcomes.sample.counts[:, None].astype(float))[..., 0]
    both = (counts.sum(axis=2, keepdims=True) > 0).all(axis=0, keepdims=True)
    n = np.rint((counts * both).sum(axis=(0, 1))).astype(int)  # (groups, labels)
    values = table.disparity(outcomes.sample.base)[..., 0]
    if toward in groups:
        chosen = np.full(values.shape[1], groups.index(toward))
    elif groups:
        chosen = np.where(np.isnan(values), -np.inf, values).argmax(axis=0)
    else:
        chosen = np.zeros(values.shape[1], int)
    label = np.arange(len(chosen))

    def statistic(weights: Array) -> Floats:
        each = table.disparity(weights)
        if not groups:
            return np.full((1, weights.shape[1]), np.nan)
        value = mean_of_defined(each[chosen, label])[None]
        return np.concatenate([value, each.reshape(-1, weights.shape[1])])

    keys = {"group": as_objects(groups)}
    if outcomes.labels is not None:
        keys = pair_keys(groups, outcomes.labels)
    pairs = {**keys, "n": n.ravel()}
    warn_of_small({"conditional_demographic_disparity": pairs})
    one = bool(groups) and outcomes.labels is None and not np.isnan(values[chosen[0], 0])
    return summarise(
        outcomes.sample,
        statistic,
        int(n.sum(axis=0).max(initial=0)),
        "conditional_demographic_disparity",
        pairs=pairs,
        kind=GroupResult,
        groups=(groups[chosen[0]],) if one or (toward in groups and len(chosen)) else (),
    )
