"""What an audit found, for programs: questions, the figures that answer them, whether to worry."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from fairvision.errors import InputError, shown
from fairvision.results.entries.amplification import A_TO_T, T_TO_A
from fairvision.results.extremes import FEWEST, Extremes, extremes, widening
from fairvision.results.figures import Figure, Figures, read
from fairvision.results.registry import registered
from fairvision.schema import UNKNOWN

Status = Literal["concern", "shown small", "none shown", "cannot say"]

SERVED = "Are all groups served alike?"
SURROUNDINGS = "Does it lean on the surroundings?"
EVIDENCE = "Does it look at the person or the object?"
EXAGGERATES = "Does it exaggerate its training data?"
QUESTIONS = (SERVED, SURROUNDINGS, EVIDENCE, EXAGGERATES)

KEYS = (
    *("id", "question", "model", "attribute", "task", "group", "metric"),
    *("value", "low", "high", "n", "threshold", "status"),
)
"""Of a finding in JSON, as the schema has them."""


@dataclass(frozen=True)
class Finding:
    """A figure that answers a question about a model.

    Attributes
    ----------
    id : what it is about, the same in every audit of the same names
    question : one of `QUESTIONS`
    model, attribute, task, group : whom it is about; of a gap, `group` is the one that fares worst
        among those of `FEWEST` images or more
    metric : its name in the metrics table
    value, low, high, n : with its 95% interval; NaN where it is undefined
    threshold : what the interval is held against
    status : "concern" where the interval lies on the side of `threshold` that is a reason to worry,
        "shown small" where it lies between minus and plus a smallest difference that was stated,
        "none shown" where it does neither, "cannot say" where nothing is defined or too few images
        are
    extremes : of a gap, the groups that fare worst and best, with their figures; else None
    """

    id: str
    question: str
    model: str
    attribute: str
    task: str
    group: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    threshold: float
    status: Status
    extremes: Extremes | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the form in which `audit.json` and `--json` hold it; undefined numbers are null.

        Examples
        --------
        >>> numbers = {"value": 0.1, "low": -0.1, "high": math.nan, "n": 50, "threshold": 0.0}
        >>> found = Finding("a", SERVED, "m", "gender", "", "", "accuracy_gap", **numbers,
        ...                 status="cannot say")
        >>> found.as_json()["low"], found.as_json()["high"]
        (-0.1, None)
        """
        values = {name: getattr(self, name) for name in KEYS}
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }


@dataclass(frozen=True)
class _Rule:
    """A metric that answers a question.

    Attributes
    ----------
    question, metric : which
    scope : the keys that are filled
    worry : whether the interval is a reason to worry above ("above") or below ("below") 0
    by_group : the metric whose worst group is named
    """

    question: str
    metric: str
    scope: tuple[bool, bool]  # attribute, task
    worry: Literal["above", "below"] = "above"
    by_group: str = ""


_ATTRIBUTE, _TASK, _BOTH = (True, False), (False, True), (True, True)
_RULES = (
    _Rule(SERVED, "accuracy_gap", _ATTRIBUTE, by_group="accuracy"),
    _Rule(SERVED, "accuracy_gap", _BOTH, by_group="accuracy"),
    _Rule(SERVED, "error_gap", _ATTRIBUTE, by_group="error"),
    _Rule(SURROUNDINGS, "background_gap", _ATTRIBUTE),
    _Rule(SURROUNDINGS, "context_gap", _BOTH),
    _Rule(EVIDENCE, "pointing_game_lift", _ATTRIBUTE, "below"),
    _Rule(EVIDENCE, "pointing_game_lift", _TASK, "below"),
    _Rule(EXAGGERATES, T_TO_A, _BOTH),
    _Rule(EXAGGERATES, A_TO_T, _BOTH),
    _Rule(EXAGGERATES, "lic", _ATTRIBUTE),
)


def check_smallest(points: float) -> None:
    """Raise `InputError` unless a smallest difference is 0 or a number of points, 0.1 to 100.

    Smaller ones are taken for fractions: 0.02 for two points.
    """
    is_number = isinstance(points, (int, float)) and not isinstance(points, bool)
    if not is_number or not (points == 0 or 0.1 <= points <= 100):
        raise InputError(
            "smallest_difference must be 0, or from 0.1 to 100 points (hundredths), not "
            f"{shown(points)}: two points are 2, not 0.02"
        )


ANSWERING = frozenset(rule.metric for rule in _RULES)
"""The metrics whose figures answer a question."""


def id_of(model: str, metric: str, attribute: str = "", task: str = "") -> str:
    """Return the id of a finding.

    >>> id_of("m", "accuracy_gap", "gender")
    'm/accuracy_gap/gender'
    """
    return "/".join(filter(None, (model, metric, attribute, task)))


def findings(
    metrics: Any, models: Sequence[str], smallest_difference: float = 0.0
) -> list[Finding]:
    """Return what the figures of an audit say, by question, unequal errors first.

    Each question has at least one finding for each model: one that "cannot say" where none of its
    figures is there.

    Parameters
    ----------
    metrics : the metrics table (columns as in docs/design.md)
    models : names of the models
    smallest_difference : in points (hundredths), below which a difference does not matter; 0 where
        none was stated. A figure whose interval lies within it is shown to be small (an equivalence
        test, by two one-sided tests at half of what the interval leaves out), whatever its sign.

    Raises
    ------
    InputError
        `smallest_difference` is neither 0 nor from 0.1 to 100.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"model": "m", "metric": "accuracy_gap", "attribute": "gender", "task": "",
    ...        "group": "", "label": "", "value": 0.2, "low": 0.1, "high": 0.3, "n": 90,
    ...        "unit": "difference"}
    >>> for found in findings(pd.DataFrame([row]), ["m"])[:2]:
    ...     print(found.id, "|", found.status)
    m/accuracy_gap/gender | concern
    m/background_gap | cannot say
    >>> findings(pd.DataFrame([row]), ["m"], smallest_difference=31)[0].status
    'shown small'
    """
    check_smallest(smallest_difference)
    figures = read(metrics, models)
    smallest = smallest_difference / 100
    listed = []
    for question in QUESTIONS:
        for model in models:
            answers = list(_answers(figures, question, model, smallest))
            listed += answers or [_unanswered(question, model)]
    return listed


def _answers(figures: Figures, question: str, model: str, smallest: float) -> Iterator[Finding]:
    """Yield what answers a question about a model."""
    for rule in _RULES:
        if rule.question != question:
            continue
        for attribute in figures.attributes if rule.scope[0] else [""]:
            for task in figures.tasks if rule.scope[1] else [""]:
                figure = figures.get(model, rule.metric, attribute, task)
                if figure is not None:
                    yield _finding(figures, rule, model, attribute, task, figure, smallest)


def _finding(
    figures: Figures,
    rule: _Rule,
    model: str,
    attribute: str,
    task: str,
    figure: Figure,
    smallest: float,
) -> Finding:
    """Return what a figure says."""
    by_group = {
        group: of_group
        for group in figures.groups(attribute)
        if group != UNKNOWN
        and (of_group := figures.defined(model, rule.by_group, attribute, task, group)) is not None
    }
    between = None
    if rule.by_group:
        between = extremes(by_group, better=registered()[rule.by_group].better)
    status = _status_of_gap(figure, between) if by_group else _status(figure, rule.worry)
    is_small = status != "cannot say" and rule.worry == "above"
    is_small = is_small and _is_small(figure, between, smallest)
    return Finding(
        id=id_of(model, rule.metric, attribute, task),
        question=rule.question,
        model=model,
        attribute=attribute,
        task=task,
        group="" if between is None else between.worst.group,
        metric=rule.metric,
        **{name: getattr(figure, name) for name in ("value", "low", "high", "n")},
        threshold=smallest if is_small else 0.0,
        status="shown small" if is_small else status,
        extremes=between,
    )


def _status(figure: Figure, worry: str) -> Status:
    """Return whether an interval is a reason to worry above or below 0.

    Where every resample gave the same, the value decides: with `FEWEST` images it is no accident
    that all of them say so.
    """
    if not figure.defined or not math.isfinite(figure.low) or figure.n < FEWEST:
        return "cannot say"
    is_above, is_below = figure.low > 0, figure.high < 0
    if is_above if worry == "above" else is_below:
        return "concern"
    if worry == "below" and not is_above:
        return "cannot say"  # that it looks at the person has to be shown
    return "none shown"


def _status_of_gap(figure: Figure, between: Extremes | None) -> Status:
    """Return whether a gap between groups is a reason to worry.

    The interval is widened by the number of groups that are compared. It is that of the figure;
    where every resample gave the same, or groups too small to be compared are in the figure, that
    of the two groups.
    """
    if between is None or not figure.defined:
        return "cannot say"
    gap, low = between.gap
    if between.all_compared and figure.high > figure.low:
        gap, low = figure.value, figure.low
    if gap > 0 and gap - widening(between.groups) * (gap - low) > 0:
        return "concern"
    return "none shown" if between.all_compared else "cannot say"


def _is_small(figure: Figure, between: Extremes | None, smallest: float) -> bool:
    """Return whether an interval, widened by the number of groups, lies within ± `smallest`.

    An interval without width shows nothing, and neither does one without the groups of few.
    """
    if between is not None and not between.all_compared:
        return False
    wider = widening(between.groups) if between is not None else 1.0
    low = figure.value - wider * (figure.value - figure.low)
    high = figure.value + wider * (figure.high - figure.value)
    return -smallest < low < high < smallest


def _unanswered(question: str, model: str) -> Finding:
    """Return that nothing answers a question about a model."""
    metric = next(rule.metric for rule in _RULES if rule.question == question)
    return Finding(
        id=id_of(model, metric),
        question=question,
        model=model,
        attribute="",
        task="",
        group="",
        metric=metric,
        value=math.nan,
        low=math.nan,
        high=math.nan,
        n=0,
        threshold=0.0,
        status="cannot say",
    )


def extremes_as_json(listed: Sequence[Finding]) -> dict[str, dict[str, Any]]:
    """Return the worst and the best group of each finding that has them, by its id.

    Parameters
    ----------
    listed : as `findings` returns them
    """
    return {
        finding.id: {name: getattr(finding.extremes, name).as_json() for name in ("worst", "best")}
        for finding in listed
        if finding.extremes is not None
    }


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `audit.json`, `captions.json` and what `--json` prints.

    Examples
    --------
    >>> tuple(schema()["$defs"]["finding"]["properties"]) == KEYS
    True
    """
    text = files("fairvision.results").joinpath("audit.schema.json").read_text(encoding="utf-8")
    read_back: dict[str, Any] = json.loads(text)
    return read_back
