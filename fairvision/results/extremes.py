"""Which groups a model serves worst and best, and whether they are shown to differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from fairvision.results.figures import CONFIDENCE, Figure

FEWEST = 10
"""Groups of fewer images are not compared."""


class GroupFigure(NamedTuple):
    """What a metric is for one group."""

    group: str
    figure: Figure

    def as_json(self) -> dict[str, Any]:
        """Return the form in which `audit.json` holds it; undefined numbers are null.

        Examples
        --------
        >>> GroupFigure("female", Figure(0.3, 0.2, math.nan, 50)).as_json()
        {'group': 'female', 'value': 0.3, 'low': 0.2, 'high': None, 'n': 50}
        """
        numbers = {name: getattr(self.figure, name) for name in ("value", "low", "high", "n")}
        return {"group": self.group} | {
            name: number if math.isfinite(number) else None for name, number in numbers.items()
        }


class Extremes(NamedTuple):
    """The groups that are served worst and best, among those of `FEWEST` images or more.

    Attributes
    ----------
    worst, best : the groups
    groups : how many are compared
    all_compared : whether none was left out for having too few images
    """

    worst: GroupFigure
    best: GroupFigure
    groups: int
    all_compared: bool

    @property
    def gap(self) -> tuple[float, float]:
        """The difference between both, and its low end by the intervals of both.

        The low end is that of Newcombe's hybrid interval: the differences of the two intervals'
        inner ends from their values are added as squares.

        Examples
        --------
        >>> few, many = Figure(0.3, 0.2, 0.4, 50), Figure(0.9, 0.8, 0.95, 50)
        >>> Extremes(GroupFigure("a", few), GroupFigure("b", many), 2, True).gap
        (0.6..., 0.45...)
        """
        (_, one), (_, other) = sorted((self.worst, self.best), key=lambda entry: entry[1].value)
        gap = other.value - one.value
        return gap, gap - math.hypot(one.high - one.value, other.value - other.low)


def extremes(by_group: Mapping[str, Figure], *, better: str = "higher") -> Extremes | None:
    """Return the groups that a metric is worst and best for; None where not two can be compared.

    Parameters
    ----------
    by_group : the defined figures of a metric, by group
    better : which way is better: "higher" or "lower"

    Examples
    --------
    >>> figures = {"a": Figure(0.9, 0.8, 1, 50), "b": Figure(0.3, 0.2, 0.4, 50)}
    >>> between = extremes(figures | {"few": Figure(0.0, 0.0, 0.6, 3)})
    >>> between.worst.group, between.best.group, between.groups, between.all_compared
    ('b', 'a', 2, False)
    """
    compared = {group: figure for group, figure in by_group.items() if figure.n >= FEWEST}
    if len(compared) < 2:
        return None
    ordered = sorted(compared, key=lambda group: compared[group].value, reverse=better == "lower")
    worst, best = (GroupFigure(group, compared[group]) for group in (ordered[0], ordered[-1]))
    return Extremes(worst, best, len(compared), len(compared) == len(by_group))


@cache
def widening(groups: int) -> float:
    """Return by how much an interval of the largest difference between groups has to be wider.

    The largest of many differences is large by chance. The quantile of the studentised range says
    how large (Tukey and Kramer); of two groups there is one difference, which needs nothing.

    Examples
    --------
    >>> widening(2), round(widening(3), 2), round(widening(40), 2)
    (1.0, 1.2, 1.98)
    """
    if groups <= 2:
        return 1.0
    from scipy.stats import norm, studentized_range

    of_one = float(norm.ppf((1 + CONFIDENCE) / 2)) * math.sqrt(2)
    return float(studentized_range.ppf(CONFIDENCE, groups, math.inf)) / of_one
