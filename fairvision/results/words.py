"""How figures and names are written for people."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from fairvision.results.metric import Words
from fairvision.results.registry import find

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def words_of(metric: str, attribute: str = "", task: str = "") -> Words:
    """Return the words of a metric with the names filled in; unknown metrics keep their name.

    >>> words_of("directional T->A", "gender", "objects").title
    'Amplification, objects → gender (T→A)'
    """
    registered = find(metric)
    return Words(metric, "") if registered is None else registered.words(attribute, task)


def written(value: float, unit: str = "fraction", *, tick: bool = False) -> str:
    """Write a figure: fractions as percentages, differences with their sign, NaN as a dash.

    Parameters
    ----------
    value : the figure
    unit : `fraction`, `probability` or `difference`, as in the metrics table
    tick : without trailing zeros, as beside an axis

    >>> written(0.8731), written(-0.0312, "difference"), written(0.25, "probability")
    ('87.3%', '−0.031', '0.25')
    >>> written(float("nan")), written(0.25, tick=True), written(-0.0001, "difference")
    ('–', '25%', '0.000')
    """
    if math.isnan(value):
        return "–"
    scale, digits, after = (100, 1, "%") if unit == "fraction" else (1, 3, "")
    digits = 2 if unit == "probability" else digits
    text = f"{round(abs(value) * scale, 6):g}" if tick else f"{abs(value) * scale:.{digits}f}"
    sign = "" if not float(text) else "−" if value < 0 else "+" if unit == "difference" else ""
    return f"{sign}{text}{after}"


def change(metric: str, first: float, other: float, low: float, high: float) -> str:
    """Say what a difference between two models shows, given its interval.

    Parameters
    ----------
    metric : name of the metric
    first, other : the two models' values
    low, high : interval of `other - first`

    Returns
    -------
    `not shown` where the interval includes zero, is undefined or has no width; else `better` or
    `worse`, or `closer to 0` and `further from 0`, or `differs` where neither way is better.

    >>> change("accuracy", 0.8, 0.9, 0.05, 0.15), change("accuracy", 0.8, 0.9, -0.05, 0.25)
    ('better', 'not shown')
    """
    if not (low > 0 or high < 0) or low == high:
        return "not shown"
    better = words_of(metric).better
    if better == "zero":
        return "closer to 0" if abs(other) < abs(first) else "further from 0"
    if not better:
        return "differs"
    return "better" if (low > 0) == (better == "higher") else "worse"


def plain(text: str) -> str:
    r"""Return text without characters that control the terminal or the writing direction.

    >>> plain("left\u202eright\x07")
    'left right '
    """
    return _CONTROLS.sub(" ", text)


def short(name: str, length: int = 40) -> str:
    """Cut a name to `length` characters on one line, for places without room.

    >>> short("a very long name", 8)
    'a very …'
    """
    text = " ".join(plain(name).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names for a message, the first of many.

    >>> listed(["a", "b", "c", "d"], most=3)
    'a, b, c and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def shares(parts: Mapping[str, tuple[int, int]], most: int = 6) -> str:
    """Return how many of each group, the largest share first; empty groups are left out.

    >>> shares({"male": (0, 46), "female": (18, 34), "unknown": (0, 0)})
    'female 18 of 34, male 0 of 46'
    """
    groups = [(count / n, group, count, n) for group, (count, n) in parts.items() if n]
    groups.sort(key=lambda part: -part[0])
    first = ", ".join(f"{group} {count} of {n}" for _, group, count, n in groups[:most])
    return first + (f", … ({len(groups) - most} more)" if len(groups) > most else "")
