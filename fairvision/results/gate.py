"""Whether an audit keeps rules: what stops a model before it is released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import pandas as pd

from fairvision.core.suggestions import did_you_mean
from fairvision.errors import shown
from fairvision.results.figures import Figure, Figures, Key, read
from fairvision.results.rules import ANY, Rule
from fairvision.schema import UNKNOWN

Entry = tuple[str, Key, Figure]
"""Model, key and figure."""


@dataclass(frozen=True)
class Outcome:
    """What became of a rule.

    Attributes
    ----------
    rule : it
    broken : the figures that break it
    kept : how many figures keep it
    notes : of each figure that breaks it, between which groups a gap is, or nothing
    problem : why it cannot be judged; a rule that cannot be judged fails
    """

    rule: Rule
    broken: tuple[Entry, ...]
    kept: int
    notes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether figures are there, and all keep the rule."""
        return not self.broken and not self.problem

    @property
    def reasons(self) -> list[str]:
        """Return a line for each figure that breaks it, or why it cannot be judged."""
        if self.problem:
            return [self.problem]
        return [
            f"{_about(model, key)}: {figure.sentence()}{note}"
            for (model, key, figure), note in zip(self.broken, self.notes, strict=True)
        ]

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints of it."""
        return {
            "rule": self.rule.text,
            "passed": self.passed,
            "kept": self.kept,
            "reasons": self.reasons,
        }


def judge(metrics: pd.DataFrame, models: Sequence[str], rules: Sequence[Rule]) -> list[Outcome]:
    """Return what becomes of rules on the figures of an audit.

    A rule is about the figures of its metric that have the names that it states. Without names of
    groups or labels it is about those of the whole, if there are such; without a model about every
    model, but not about differences between models, which are named as "B - A". Undefined numbers
    neither keep nor break it; a rule that nothing is there to judge by fails.

    Parameters
    ----------
    metrics : the metrics table
    models : names of the models
    rules : as `parse_rule` returns them

    Examples
    --------
    >>> row = {"model": "m", "metric": "accuracy_gap", "attribute": "gender", "task": "",
    ...        "group": "", "label": "", "value": 0.2, "low": 0.1, "high": 0.3, "n": 90,
    ...        "unit": "difference"}
    >>> from fairvision.results.rules import parse_rule
    >>> (outcome,) = judge(pd.DataFrame([row]), ["m"], [parse_rule("accuracy_gap.low > 0.05")])
    >>> outcome.passed, outcome.reasons
    (False, ['m, gender: +0.200 (+0.100 to +0.300, n = 90)'])
    """
    figures = read(metrics, models)
    return [_outcome(figures, rule) for rule in rules]


def _outcome(figures: Figures, rule: Rule) -> Outcome:
    """Return what becomes of a rule."""
    names = dict(rule.names)
    about = _about_rule(_of_model(figures, names.get("model", ANY)), rule.metric, names)
    defined = [entry for entry in about if isfinite(getattr(entry[2], rule.number))]
    broken = tuple(entry for entry in defined if rule.breaks(getattr(entry[2], rule.number)))
    problem = "" if defined else _problem(figures, rule, names, is_there=bool(about))
    notes = tuple(_between(figures, model, key) for model, key, _ in broken)
    return Outcome(rule, broken, len(defined) - len(broken), notes, problem)


def _between(figures: Figures, model: str, key: Key) -> str:
    """Return between which groups a gap is, and of how many images; nothing of other figures."""
    of_groups = key.metric.removesuffix("_gap")
    by_group = {
        group: figure
        for group in figures.groups(key.attribute)
        if of_groups != key.metric and group != UNKNOWN
        if (figure := figures.defined(model, of_groups, *key[1:3], group, key.label)) is not None
    }
    if len(by_group) < 2:
        return ""
    worst, *_, best = sorted(by_group, key=lambda group: by_group[group].value)
    ends = (f"{group} {by_group[group]} of {by_group[group].n}" for group in (worst, best))
    return f"; {', '.join(ends)}"


def _of_model(figures: Figures, model: str) -> list[Entry]:
    """Return the figures of a model, of any, or of a difference, which may stand either way."""
    if model == ANY:
        return [(of, key, f) for (of, key), f in figures.table.items() if of in figures.models]
    listed = [(of, key, figure) for (of, key), figure in figures.table.items() if of == model]
    first, minus, other = model.partition(" - ")
    if listed or not minus:
        return listed
    return [
        (model, key, Figure(-f.value, -f.high, -f.low, f.n, f.unit))
        for (of, key), f in figures.table.items()
        if of == f"{other} - {first}"
    ]


def _about_rule(entries: Sequence[Entry], metric: str, names: Mapping[str, str]) -> list[Entry]:
    """Return the figures of a metric that have the names of a rule."""
    about = [
        entry
        for entry in entries
        if entry[1].metric == metric
        and all(
            _is_named(getattr(entry[1], name), value)
            for name, value in names.items()
            if name != "model"
        )
    ]
    for name in ("group", "label"):
        whole = [entry for entry in about if not getattr(entry[1], name)]
        if name not in names and whole:
            about = whole
    return about


def _is_named(name: str, value: str) -> bool:
    """Return whether a name is the one that a rule states."""
    return name not in ("", UNKNOWN) if value == ANY else name == value


def _problem(figures: Figures, rule: Rule, names: Mapping[str, str], *, is_there: bool) -> str:
    """Return why a rule cannot be judged."""
    if is_there:
        number = "" if rule.number == "value" else f"the {rule.number} end of "
        return f"{number}{rule.metric} is undefined, so the rule cannot be kept"
    for name, value in names.items():
        there = [text for text in _names(figures, name) if text]
        is_reversed = " - ".join(reversed(value.split(" - "))) in there
        if value not in ("", ANY, *there) and not (name == "model" and is_reversed):
            listed = f"there are {', '.join(there[:6])}" if there else f"the audit has no {name}"
            hint = did_you_mean(value, there) or f": {listed}"
            return f"there is no {name} {shown(value)}{hint}"
    return f"{rule.metric} was not measured, so the rule cannot be kept"


def _names(figures: Figures, name: str) -> list[str]:
    """Return the models, attributes, tasks, groups or labels of an audit."""
    if name == "model":
        return list(dict.fromkeys([*figures.models, *(model for model, _ in figures.table)]))
    return list(dict.fromkeys(getattr(key, name) for _, key in figures.table))


def _about(model: str, key: Key) -> str:
    """Return whom a figure is about."""
    return ", ".join(filter(None, (model, key.attribute, key.task, key.group, key.label)))
