"""A table of rates by group, all of them from one pass over the counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import as_objects, mean_of_defined
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.extreme_groups import GroupResult
from fairvision.metrics._engine.outcomes import RATES, Decisions, Groups, Outcomes, read_outcomes
from fairvision.metrics._engine.result import Result
from fairvision.metrics.contrasts import gap, group_ratio, worst_group

_OVERALL = "overall"
_COLUMNS = ("measure", "label", "value", "low", "high", "n")
_TABLES = (Mapping, pd.DataFrame)
MEASURES = (
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "precision",
    "accuracy",
)


class GroupMetrics(Mapping[str, Result]):
    """Rates by group: of each measure a `Result`, and tables of them all.

    `group_metrics` makes it. `table["accuracy"]` is the measure of all images, with its figures by
    group in `pairs`.

    Attributes
    ----------
    by_group : DataFrame
        A row per group, a column per measure; of several labels the mean over labels. With several
        attributes the rows are named by each.
    overall : Series
        Each measure of all images, those of unknown group included.
    table : DataFrame
        A row per measure and group, and label where there are several, with `value`, `low`, `high`
        and `n`; the figures of all images are the group "overall".
    difference, ratio : DataFrame
        A row per measure: largest minus smallest group, smallest divided by largest, with interval,
        n and the two groups; see `gap` and `group_ratio`.
    to_overall : DataFrame
        A row per measure: how far the group furthest from all images is from them; see `gap`.
    worst : DataFrame
        A row per measure: the group with its worst figure; see `worst_group`.
    """

    def __init__(self, outcomes: Outcomes, measures: Sequence[str]) -> None:
        self._outcomes = outcomes
        self._estimates = dict(zip(measures, outcomes.estimates(measures)))
        self._results: dict[str, Result] = {}

    def __getitem__(self, measure: str) -> Result:
        if measure not in self._results:
            estimates = self._estimates[measure]
            self._results[measure] = self._outcomes.result(measure, estimates)
        return self._results[measure]

    def __iter__(self) -> Iterator[str]:
        return iter(self._estimates)

    def __len__(self) -> int:
        return len(self._estimates)

    def __repr__(self) -> str:
        return repr(self.by_group)

    def _repr_html_(self) -> str:
        """Return the table by group as HTML, for notebooks."""
        return self.by_group.to_html()

    @cached_property
    def by_group(self) -> pd.DataFrame:
        """A row per group, a column per measure."""
        grouping = self._outcomes.grouping
        of_groups = [
            mean_of_defined(estimates[1:, 0].reshape(grouping.size, -1).T)
            if grouping.names
            else np.empty(0)
            for estimates in self._estimates.values()
        ]
        columns = self._attributes(grouping.names)
        names = [str(attribute) for attribute in grouping.attributes]
        index: pd.Index = pd.Index(columns[0], name=names[0])
        if len(names) > 1:
            index = pd.MultiIndex.from_arrays(columns, names=names)
        return pd.DataFrame(np.transpose(of_groups), index=index, columns=list(self))

    @cached_property
    def overall(self) -> pd.Series:
        """Each measure of all images."""
        return pd.Series({measure: of[0, 0] for measure, of in self._estimates.items()})

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row per measure and group, and label where there are several."""
        parts: dict[str, list[Any]] = {"measure": [], "group": [], "label": []}
        figures: dict[str, list[Any]] = {"value": [], "low": [], "high": [], "n": []}
        for measure, result in self.items():
            pairs = result.pairs
            assert pairs is not None
            parts["measure"] += [measure] * (len(pairs) + 1)
            parts["group"] += [*pairs["group"], _OVERALL]
            parts["label"] += [*(pairs["label"] if "label" in pairs else [None] * len(pairs)), None]
            for column, values in figures.items():
                values.extend([*pairs[column], getattr(result, column)])
        columns = {"measure": parts["measure"]}
        names = map(str, self._outcomes.grouping.attributes)
        columns |= dict(zip(names, self._attributes(parts["group"])))
        if self._outcomes.labels is not None:
            columns["label"] = parts["label"]
        return pd.DataFrame(columns | figures)

    @cached_property
    def difference(self) -> pd.DataFrame:
        """Largest minus smallest group, a row per measure."""
        return self._contrasts({measure: gap(result) for measure, result in self.items()})

    @cached_property
    def ratio(self) -> pd.DataFrame:
        """Smallest group divided by the largest, a row per measure."""
        return self._contrasts({measure: group_ratio(result) for measure, result in self.items()})

    @cached_property
    def to_overall(self) -> pd.DataFrame:
        """How far the group furthest from all images is from them, a row per measure."""
        results = {measure: gap(result, method="to_overall") for measure, result in self.items()}
        return self._contrasts(results, ["group"])

    def against(self, reference: Any) -> pd.DataFrame:
        """Return the difference of each other group from one of them, with its sign.

        Parameters
        ----------
        reference : group; of several attributes a tuple

        Returns
        -------
        DataFrame
            A row per measure and group, and label where there are several, with `value`, `low`,
            `high` and `n`, the images of both groups; see `gap`.

        Raises
        ------
        InputError
            The reference is none of the groups.
        """
        parts: list[pd.DataFrame] = []
        for measure, result in self.items():
            pairs = gap(result, reference=reference).pairs
            assert pairs is not None
            parts.append(pairs.assign(measure=measure))
        table = pd.concat(parts, ignore_index=True)
        return table[["measure", *(column for column in table if column != "measure")]]

    @cached_property
    def worst(self) -> pd.DataFrame:
        """Figure of the worst group, a row per measure."""
        worst = {measure: worst_group(result) for measure, result in self.items()}
        return self._contrasts(worst, ["group"])

    def _contrasts(
        self, results: Mapping[str, Result], ends: Sequence[str] = ("smallest", "largest")
    ) -> pd.DataFrame:
        """Return a row per measure: figure, interval, n and the groups at the ends."""
        table = pd.DataFrame(
            [(result.value, result.low, result.high, result.n) for result in results.values()],
            index=pd.Index(list(results), name="measure"),
            columns=["value", "low", "high", "n"],
        )
        groups = [result.groups for result in results.values() if isinstance(result, GroupResult)]
        for end, name in enumerate(ends):
            table[name] = as_objects([of[end] if of else None for of in groups])
        return table

    def _attributes(self, groups: Iterable[Any]) -> list[list[Any]]:
        """Return the value of each attribute in groups; unknown and overall are so in each."""
        groups, number = list(groups), len(self._outcomes.grouping.attributes)
        if number == 1:
            return [groups]
        parts = [group if isinstance(group, tuple) else (group,) * number for group in groups]
        return [[part[i] for part in parts] for i in range(number)]


def group_metrics(
    truth: ArrayLike | None,
    predicted: ArrayLike,
    groups: Groups,
    measures: Sequence[str] = MEASURES,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> GroupMetrics:
    """Rates by group in one table, from one pass over the rows.

    Parameters
    ----------
    truth, predicted, groups, positive, where, **sampling
        As in `selection_rate`. Several attributes make intersections.
    measures : names
        Of "selection_rate", "true_positive_rate", "false_positive_rate", "true_negative_rate",
        "false_negative_rate", "precision", "accuracy", "error_rate", "balanced_accuracy",
        "f1_score"; by default the first three, precision and accuracy.

    Returns
    -------
    GroupMetrics
        All figures are drawn in the same resamples, so any two can be compared.

    Raises
    ------
    InputError
        A measure is none of these, an attribute is called as a column of `table`, and as in
        `selection_rate`.

    Warns
    -----
    FairvisionWarning
        Known groups have fewer than 10 images in a denominator.

    References
    ----------
    fairlearn 0.12, `MetricFrame`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> truth = ([1] * 10 + [0] * 10) * 2
    >>> predicted = [1] * 10 + [0] * 10 + [1] * 6 + [0] * 4 + [1] * 2 + [0] * 8
    >>> groups = ["f"] * 20 + ["m"] * 20
    >>> rates = metrics.group_metrics(
    ...     truth, predicted, groups, ["true_positive_rate", "accuracy"], replicates=0
    ... )
    >>> rates.by_group
           true_positive_rate  accuracy
    group
    f                     1.0       1.0
    m                     0.6       0.7
    >>> rates.difference[["value", "n", "smallest", "largest"]]
                        value   n smallest largest
    measure
    true_positive_rate    0.4  20        m       f
    accuracy              0.3  40        m       f
    >>> rates["accuracy"]
    accuracy = 0.85 [nan, nan] (n = 40)
    """
    several = isinstance(measures, Iterable) and not isinstance(measures, str)
    chosen = list(measures) if several else []
    wrong = [m for m in chosen if not isinstance(m, str) or m not in RATES]
    if wrong or not chosen:
        given = wrong[0] if wrong else measures
        raise InputError(f"measures must be a list of {', '.join(RATES)}, not {given!r}")
    if groups is None:
        raise InputError("group_metrics needs groups")
    taken = set(_COLUMNS).intersection(groups) if isinstance(groups, _TABLES) else ()
    if taken:
        raise InputError(
            f"an attribute is called {min(taken)!r}, as a column of the table: rename it"
        )
    decisions = Decisions(truth, predicted, groups, positive, where, sampling)
    return GroupMetrics(read_outcomes(chosen, decisions), chosen)
