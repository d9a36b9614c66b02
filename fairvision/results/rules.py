"""Rules that figures must not break: how they are written, and which of them could never decide."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isfinite
from operator import ge, gt, le, lt
from pathlib import Path

from fairvision.core import shapes
from fairvision.core.suggestions import did_you_mean
from fairvision.errors import InputError, check_file, reading, shown
from fairvision.results.registry import registered

NAMES = ("model", "attribute", "task", "group", "label")
ANY = "*"
OPERATORS: dict[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}
EXAMPLE = "accuracy_gap.low > 0.05 [attribute=gender]"

_BRACKETS = r"(?:\[(?P<{}>[^\[\]]*(?:\"[^\"]*\"[^\[\]]*|'[^']*'[^\[\]]*)*)\]\s*)?"
_RULE = re.compile(
    rf"\s*(?P<metric>[^=]+?)\s*{_BRACKETS.format('first')}(?:\.(?P<number>value|low|high))?\s*"
    rf"{_BRACKETS.format('middle')}(?P<operator>>=|<=|>|<)\s*"
    r"(?P<limit>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
    rf"{_BRACKETS.format('last')}",
    re.DOTALL,
)
_NAME = re.compile(
    r"\s*(?P<name>[^=,\"']*?)\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<plain>[^,]*?))\s*(?:,|$)"
)


@dataclass(frozen=True)
class Rule:
    """What must not be true of any figure of a metric.

    Attributes
    ----------
    text : as it was written
    metric, number : which figure, and which of "value", "low" and "high" of it
    operator, limit : it fails where the number is on this side of the limit
    names : which of the keys `model`, `attribute`, `task`, `group` and `label` a figure must have;
        "*" is any but the unknown group
    """

    text: str
    metric: str
    number: str
    operator: str
    limit: float
    names: tuple[tuple[str, str], ...] = ()

    def breaks(self, number: float) -> bool:
        """Return whether a number is on the side of the limit on which the rule is broken."""
        return OPERATORS[self.operator](number, self.limit)


def parse_rule(text: str, *, of_differences: bool = False) -> Rule:
    """Return a rule from how it is written: `METRIC[.low|.high] OP NUMBER [name=…, …]`.

    The names may also stand after METRIC. Values with commas or brackets are quoted.

    Parameters
    ----------
    text : of the rule
    of_differences : whether it is about differences between two figures of the metric

    Raises
    ------
    InputError
        If it is written otherwise, there is no such metric, or it could never decide.

    Examples
    --------
    >>> rule = parse_rule("accuracy_gap.low > 0.05 [attribute=gender]")
    >>> rule.metric, rule.number, rule.operator, rule.limit, rule.names
    ('accuracy_gap', 'low', '>', 0.05, (('attribute', 'gender'),))
    >>> parse_rule('accuracy[group="a, b"] < 0.5').names
    (('group', 'a, b'),)
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise InputError(f"the rule {shown(text)} cannot be read: {_problem(text)}")
    metric = match["metric"]
    if metric not in registered():
        name, _, end = metric.rpartition(".")
        hint = did_you_mean(metric, registered(), most=3) or ": docs/design.md lists them"
        if name in registered():
            hint = f": instead of .{end} there are .value, .low and .high"
        raise InputError(
            f"the rule {shown(text)} is about {shown(metric)}, which is no metric{hint}"
        )
    names = _names(text, [match[place] for place in ("first", "middle", "last") if match[place]])
    number, limit = match["number"] or "value", float(match["limit"])
    rule = Rule(text.strip(), metric, number, match["operator"], limit, names)
    _check_decides(rule, of_differences)
    return rule


def _problem(text: str) -> str:
    """Return why a text is no rule."""
    if text.strip() and Path(text).is_file():
        return "rules in a file have a name that ends in .toml"
    other = re.search(r"==|!=|≥|≤|=>|=<|(?<![<>])=(?=\s*[-+.\d])", text)
    if other and not re.search(r"[<>]", text.replace(other[0], "")):
        return f"{other[0]} is none of {', '.join(OPERATORS)}"
    if re.search(r"[<>]=?\s*[-+.\d][\d.eE]*\s*%", text):
        return "5% is written 0.05"
    return f'write METRIC.low > NUMBER, such as "{EXAMPLE}"'


def _names(text: str, brackets: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the names of a rule, each once."""
    names: dict[str, str] = {}
    for content in brackets:
        place = 0
        while content[place:].strip(" ,"):
            match = _NAME.match(content, place)
            if match is None or match["name"] not in NAMES:
                part = content[place:].partition(",")[0].strip()
                hint = did_you_mean(part.partition("=")[0].strip(), NAMES)
                raise InputError(
                    f"the rule {shown(text)}: {shown(part)} is none of "
                    f"{', '.join(f'{name}=…' for name in NAMES)}{hint}"
                )
            if match["name"] in names:
                raise InputError(f"the rule {shown(text)} names its {match['name']} twice")
            quoted = match["double"] if match["double"] is not None else match["single"]
            names[match["name"]] = match["plain"].strip() if quoted is None else quoted
            place = match.end()
    return tuple(names.items())


def _check_decides(rule: Rule, of_differences: bool) -> None:
    """Raise `InputError` where a rule is broken by no number, or by every one."""
    low, high = _range(rule, of_differences or " - " in dict(rule.names).get("model", ""))
    ends = (low, high) if isfinite(low) and isfinite(high) else (-1e300, 1e300)
    if isfinite(rule.limit) and len({rule.breaks(end) for end in ends}) > 1:
        return
    reason = f"{rule.limit} is beyond all numbers"
    if isfinite(low):
        reason = f"{rule.metric} lies within {low:g} to {high:g}".replace("-", "−")
        reason += ", so that 5% is 0.05" if abs(rule.limit) > 1 else ""
    raise InputError(f"the rule {shown(rule.text)} could never decide: {reason}")


def _range(rule: Rule, is_difference: bool) -> tuple[float, float]:
    """Return the least and the most that the number of a rule can be."""
    if registered()[rule.metric].unit in ("fraction", "probability"):
        return (-1 if is_difference else 0), 1
    if rule.metric.endswith(("_gap", "_lift")) and not is_difference:
        return -1, 1
    return -inf, inf


def read_rules(given: Iterable[str | Path], *, of_differences: bool = False) -> list[Rule]:
    """Return rules that are written out, or listed in TOML files as `rules = ["…", "…"]`.

    Parameters
    ----------
    given : rules, and files that end in .toml
    of_differences : as of `parse_rule`

    Raises
    ------
    InputError
        If there are none, or one cannot be read.
    """
    rules = []
    for rule in given:
        text = str(rule)
        if is_file(rule):
            rules += _of_file(Path(rule), of_differences)
        else:
            rules.append(parse_rule(text, of_differences=of_differences))
    if not rules:
        raise InputError('there are no rules: write some, such as "accuracy_gap.low > 0.05"')
    return rules


def is_file(given: str | Path) -> bool:
    """Return whether what is given is a file of rules, and not a rule.

    >>> is_file("rules.toml"), is_file("error > 0.5 [model=a.toml]")
    (True, False)
    """
    return isinstance(given, Path) or given.lower().endswith(".toml")


def _of_file(path: Path, of_differences: bool) -> list[Rule]:
    """Return the rules of a TOML file."""
    if not path.exists():
        raise InputError(f"{path} is missing: rules are in a TOML file, or written out")
    check_file(path, "a TOML file")
    with reading(path, "TOML"):
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    try:
        shapes.only({"rules": shapes.each(shapes.text)})(content, "")
        return [parse_rule(text, of_differences=of_differences) for text in content["rules"]]
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
