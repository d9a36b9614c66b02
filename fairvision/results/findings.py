"""What an audit found, for programs: questions, the figures that answer them, whether to worry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fairvision.results.entries.amplification import A_TO_T, T_TO_A
from fairvision.results.figures import Figure, Figures, read
from fairvision.schema import UNKNOWN

Status = Literal["concern", "none shown", "cannot say"]

SERVED = "Are all groups served alike?"
SURROUNDINGS = "Does it lean on the surroundings?"
EVIDENCE = "Does it look at the person or the object?"
EXAGGERATES = "Does it exaggerate its training data?"
QUESTIONS = (SERVED, SURROUNDINGS, EVIDENCE, EXAGGERATES)

FEWEST = 10
"""Of fewer images in a group nothing is said."""


@dataclass(frozen=True)
class Finding:
    """A figure that answers a question about a model.

    Attributes
    ----------
    id : what it is about, the same in every audit of the same names
    question : one of `QUESTIONS`
    model, attribute, task, group : whom it is about; of a gap, `group` is the one that fares worst
    metric : its name in the metrics table
    value, low, high, n : with its 95% interval; NaN where it is undefined
    threshold : what the interval is held against
    status : "concern" where the interval lies on the side of `threshold` that is a reason to worry,
        "none shown" where it does not, "cannot say" where nothing is defined or too few images are
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
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class _Rule:
    """A metric that answers a question.

    Attributes
    ----------
    question, metric : which
    scope : the keys that are filled
    worry : whether the interval is a reason to worry above ("above") or below ("below") 0
    by_group : the metric whose lowest group is named
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
    _Rule(SURROUNDINGS, "background_gap", _ATTRIBUTE),
    _Rule(SURROUNDINGS, "context_gap", _BOTH),
    _Rule(EVIDENCE, "pointing_game_lift", _ATTRIBUTE, "below"),
    _Rule(EVIDENCE, "pointing_game_lift", _TASK, "below"),
    _Rule(EXAGGERATES, T_TO_A, _BOTH),
    _Rule(EXAGGERATES, A_TO_T, _BOTH),
)


def findings(metrics: Any, models: Sequence[str]) -> list[Finding]:
    """Return what the figures of an audit say, by question, unequal errors first.

    Each question has at least one finding for each model: one that "cannot say" where none of its
    figures is there.

    Parameters
    ----------
    metrics : the metrics table (columns as in docs/design.md)
    models : names of the models

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
    """
    figures = read(metrics, models)
    listed = []
    for question in QUESTIONS:
        for model in models:
            answers = list(_answers(figures, question, model))
            listed += answers or [_unanswered(question, model)]
    return listed


def _answers(figures: Figures, question: str, model: str) -> Iterator[Finding]:
    """Yield what answers a question about a model."""
    for rule in _RULES:
        if rule.question != question:
            continue
        for attribute in figures.attributes if rule.scope[0] else [""]:
            for task in figures.tasks if rule.scope[1] else [""]:
                figure = figures.get(model, rule.metric, attribute, task)
                if figure is not None:
                    yield _finding(figures, rule, model, attribute, task, figure)


def _finding(
    figures: Figures, rule: _Rule, model: str, attribute: str, task: str, figure: Figure
) -> Finding:
    """Return what a figure says."""
    by_group = {
        group: of_group
        for group in figures.groups(attribute)
        if group != UNKNOWN
        and (of_group := figures.defined(model, rule.by_group, attribute, task, group)) is not None
    }
    few = any(of_group.n < FEWEST for of_group in by_group.values()) or figure.n < FEWEST
    worst = min(by_group, key=lambda group: by_group[group].value, default="")
    sign = 1 if rule.worry == "above" else -1
    status: Status = "none shown"
    if not figure.defined or few:
        status = "cannot say"
    elif figure.sign == sign:
        status = "concern"
    elif rule.worry == "below" and figure.sign == 0:
        status = "cannot say"  # that it looks at the person has to be shown
    return Finding(
        id="/".join(filter(None, (model, rule.metric, attribute, task))),
        question=rule.question,
        model=model,
        attribute=attribute,
        task=task,
        group=worst,
        metric=rule.metric,
        **{name: getattr(figure, name) for name in ("value", "low", "high", "n")},
        threshold=0.0,
        status=status,
    )


def _unanswered(question: str, model: str) -> Finding:
    """Return that nothing answers a question about a model."""
    metric = next(rule.metric for rule in _RULES if rule.question == question)
    return Finding(
        id=f"{model}/{metric}",
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
