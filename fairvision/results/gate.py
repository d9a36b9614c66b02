"""Rules that an audit must not break: what stops a model before it is released."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from operator import ge, gt, le, lt
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from fairvision.core import shapes
from fairvision.errors import InputError, check_file, one_line, reading, shown
from fairvision.results.figures import Figure, Figures, Key, read
from fairvision.results.registry import registered, unit_of

_OPERATORS: dict[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}
_NUMBERS = ("value", "low", "high")
_NAMES = ("model", "attribute", "task", "group", "label")
_RULE = re.compile(
    r"\s*(?P<metric>.+?)(?:\.(?P<number>value|low|high))?\s*(?P<operator>>=|<=|>|<)\s*"
    r"(?P<limit>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?:\[(?P<names>.*)\])?\s*",
    re.DOTALL,
)


@dataclass(frozen=True)
class Rule:
    """What must not be true of any figure of a metric.

    Attributes
    ----------
    text : as it was written
    metric, number : which figure, and which of "value", "low" and "high" of it
    operator, limit : it fails where the number is on this side of the limit
    names : which of the keys `model`, `attribute`, `task`, `group` and `label` a figure must have
    """

    text: str
    metric: str
    number: str
    operator: str
    limit: float
    names: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a rule.

    Attributes
    ----------
    rule : it
    broken : the figures that break it, as model, key and figure
    kept : how many figures keep it
    problem : why it cannot be judged; a rule that cannot be judged fails
    """

    rule: Rule
    broken: tuple[tuple[str, Key, Figure], ...]
    kept: int
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
        return [f"{_about(model, key)}: {figure.sentence()}" for model, key, figure in self.broken]


def parse_rule(text: str) -> Rule:
    """Return a rule from how it is written: `METRIC[.low|.high] OP NUMBER [name=…, …]`.

    Raises
    ------
    InputError
        If it is written otherwise, or there is no such metric.

    Examples
    --------
    >>> rule = parse_rule("accuracy_gap.low > 0.05 [attribute=gender]")
    >>> rule.metric, rule.number, rule.operator, rule.limit, rule.names
    ('accuracy_gap', 'low', '>', 0.05, (('attribute', 'gender'),))
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise InputError(
            f"the rule {shown(text)} cannot be read: write METRIC.low > NUMBER, such as "
            '"accuracy_gap.low > 0.05 [attribute=gender]"'
        )
    metric = match["metric"]
    if metric not in registered():
        near = [name for name in registered() if name.startswith(metric[:6])]
        raise InputError(
            f"the rule {shown(text)} is about {shown(metric)}, which is no metric"
            + (f": is it {' or '.join(near[:3])}?" if near else ": docs/design.md lists them")
        )
    names = []
    for part in filter(str.strip, (match["names"] or "").split(",")):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in _NAMES:
            raise InputError(
                f"the rule {shown(text)}: {shown(part.strip())} is none of "
                f"{', '.join(f'{name}=…' for name in _NAMES)}"
            )
        names.append((name, value))
    limit = float(match["limit"])
    is_share = unit_of(metric) in ("fraction", "probability") or metric.endswith("_gap")
    if abs(limit) > 1 and (is_share or not isfinite(limit)):
        raise InputError(
            f"the rule {shown(text)} could never decide: {metric} lies within 0 to 1, or −1 to 1 "
            "where it is a difference, so that 5% is 0.05"
        )
    number = match["number"] or "value"
    return Rule(text.strip(), metric, number, match["operator"], limit, tuple(names))


def read_rules(given: Iterable[str | Path]) -> list[Rule]:
    """Return rules that are written out, or listed in TOML files as `rules = ["…", "…"]`.

    Raises
    ------
    InputError
        If there are none, or one cannot be read.
    """
    rules = []
    for rule in given:
        text = str(rule)
        if isinstance(rule, Path) or text.endswith(".toml"):
            rules += _of_file(Path(rule))
        else:
            rules.append(parse_rule(text))
    if not rules:
        raise InputError('there are no rules: write some, such as "accuracy_gap.low > 0.05"')
    return rules


def _of_file(path: Path) -> list[Rule]:
    """Return the rules of a TOML file."""
    if not path.exists():
        raise InputError(f"{path} is missing: rules are in a TOML file, or written out")
    check_file(path, "a TOML file")
    with reading(path, "TOML"):
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    try:
        shapes.only({"rules": shapes.each(shapes.text)})(content, "")
        return [parse_rule(text) for text in content["rules"]]
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def judge(metrics: pd.DataFrame, models: Sequence[str], rules: Sequence[Rule]) -> list[Outcome]:
    """Return what becomes of rules on the figures of an audit.

    A rule is about the figures of its metric that have the names that it states. Without names of
    groups or labels it is about those of the whole, if there are such; without a model about every
    model, but not about differences between models, which are named as "B - A". Undefined figures
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
    >>> (outcome,) = judge(pd.DataFrame([row]), ["m"], [parse_rule("accuracy_gap.low > 0.05")])
    >>> outcome.passed, outcome.reasons
    (False, ['m, gender: +0.200 (+0.100 to +0.300, n = 90)'])
    """
    figures = read(metrics, models)
    return [_outcome(figures, rule) for rule in rules]


def _outcome(figures: Figures, rule: Rule) -> Outcome:
    """Return what becomes of a rule."""
    named = dict(rule.names)
    about = [
        (model, key, figure)
        for (model, key), figure in figures.table.items()
        if key.metric == rule.metric
        and (model == named["model"] if "model" in named else model in figures.models)
        and all(getattr(key, name) == value for name, value in rule.names if name != "model")
    ]
    for name in ("group", "label", "task"):
        plain = [entry for entry in about if not getattr(entry[1], name)]
        if name not in named and plain and name != "task":
            about = plain
    defined = [entry for entry in about if entry[2].defined]
    is_broken = _OPERATORS[rule.operator]
    broken = tuple(e for e in defined if is_broken(getattr(e[2], rule.number), rule.limit))
    problem = ""
    if not defined:
        reason = "is undefined" if about else "was not measured"
        problem = f"{rule.metric} {reason}, so the rule cannot be kept"
        if named.get("model") and not about:
            problem += f"; the models are {', '.join(figures.models)}"
    return Outcome(rule, broken, len(defined) - len(broken), problem)


def _about(model: str, key: Key) -> str:
    """Return whom a figure is about."""
    return ", ".join(filter(None, (model, key.attribute, key.task, key.group, key.label)))


def as_junit(outcomes: Sequence[Outcome], audit: str) -> str:
    """Return outcomes as JUnit's XML, a test case for each rule.

    Parameters
    ----------
    outcomes : as `judge` returns them
    audit : what was judged
    """
    failures = sum(not outcome.passed for outcome in outcomes)
    suite = ElementTree.Element(
        "testsuite",
        {"name": _plain(audit), "tests": str(len(outcomes)), "failures": str(failures)},
    )
    for outcome in outcomes:
        attributes = {"name": _plain(outcome.rule.text), "classname": "fairvision.gate"}
        case = ElementTree.SubElement(suite, "testcase", attributes)
        if not outcome.passed:
            text = _plain("\n".join(outcome.reasons))
            failure = ElementTree.SubElement(case, "failure", {"message": text.splitlines()[0]})
            failure.text = text
    ElementTree.indent(suite)
    text = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def as_markdown(outcomes: Sequence[Outcome], audit: str) -> str:
    """Return outcomes as a table in Markdown, for the summary of a pull request."""
    failures = sum(not outcome.passed for outcome in outcomes)
    verdict = f"{failures} of {len(outcomes)} rules broken" if failures else "all rules kept"
    lines = [
        f"**fairvision**, {_cell(audit)}: {verdict}",
        "",
        "| rule | | figures |",
        "|---|---|---|",
    ]
    for outcome in outcomes:
        words = "kept" if outcome.passed else "**broken**"
        reasons = outcome.reasons or [f"{outcome.kept} figures keep it"]
        lines.append(
            f"| fails if {_cell(outcome.rule.text)} | {words} | "
            f"{'<br>'.join(map(_cell, reasons))} |"
        )
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Return text without what XML cannot hold."""
    return "".join(c if c in "\n\t" or c.isprintable() else "�" for c in text)


def _cell(text: str) -> str:
    """Return text as a cell of a table in Markdown, which is neither markup nor HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|#&~])", r"\\\1", one_line(text, 400)).replace("\\<", "&lt;")
