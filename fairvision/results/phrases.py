"""Findings in plain words: shares, differences, and sentences without a name of a measure."""

from __future__ import annotations

from fairvision.results.entries.amplification import A_TO_T, T_TO_A
from fairvision.results.extremes import Extremes
from fairvision.results.figures import Figure, Figures
from fairvision.results.findings import Finding

CLEAR_TENTHS = 0.15
"""Of shares that are nearer, "3 of 10" and "4 of 10" would say more than there is."""

_COMPARED = {
    "background_gap": ("same_swapped_accuracy", "swapped_accuracy"),
    "context_gap": ("accuracy_context_agrees", "accuracy_context_disagrees"),
    "pointing_game_lift": ("pointing_game", "chance_level"),
}
"""The figures of a model that a finding is the difference of."""


def percent(value: float) -> str:
    """Write a share in whole percent; what is not quite none or all is not written as it.

    >>> percent(0.894), percent(0.998), percent(1.0), percent(0.001)
    ('89%', '>99%', '100%', '<1%')
    """
    if 0 < value < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= value < 1 else f"{100 * value:.0f}%"


def points(value: float, *, sign: bool = False) -> str:
    """Write a difference of shares in percentage points; one decimal below ten.

    >>> points(0.583), points(0.027, sign=True), points(-0.027)
    ('58', '+2.7', '−2.7')
    """
    number = abs(100 * value)
    text = f"{number:.0f}" if number >= 9.95 else f"{number:.1f}"
    if not float(text):
        return "0"
    return ("−" if value < 0 else "+" if sign else "") + text.removesuffix(".0")


def pair_of(figures: Figures, finding: Finding) -> tuple[tuple[str, ...], str, dict[str, str]]:
    """Return the large figures of a finding, what they are, and which images of a page show it."""
    attribute, task = finding.attribute, finding.task
    chosen: dict[str, str] = {}
    if finding.extremes is not None:
        best, worst = finding.extremes.best, finding.extremes.worst
        groups = f"“{best.group}” / “{worst.group}”"
        words = f"captions that name another group, of those annotated {groups}"
        if finding.metric == "accuracy_gap":
            words = f"right{_about(task)} for those {group_word(figures, finding)} {groups}"
        chosen = {"group": worst.group, "right": "no"}
        return (percent(best.figure.value), percent(worst.figure.value)), words, chosen
    if finding.metric in _COMPARED:
        both = _compared(figures, finding)
        place = f"the objects of {task}" if task else "the person"
        words = {
            "background_gap": "right in front of the own group’s surroundings / another group’s",
            "context_gap": f"right with {task} typical of the person’s group / of another",
            "pointing_game_lift": f"strongest evidence on {place} / what chance would give",
        }[finding.metric]
        chosen = {
            "background_gap": {"reason": "right, turns with the surroundings"},
            "context_gap": {"right": "no"},
        }.get(finding.metric, {})
        return tuple(percent(figure.value) for figure in both), words, chosen
    words = {
        T_TO_A: f"how much more it ties {attribute} to {task} than the truth does",
        A_TO_T: f"how much more it ties {task} to {attribute} than the truth does",
        "lic": f"how much more its other words tell the {attribute} than people’s do",
    }.get(finding.metric, "")
    return (f"{points(finding.value, sign=True)} points",) if words else (), words, chosen


def sentence_of(figures: Figures, finding: Finding) -> str:
    """Return a concern as a sentence; "" where its parts are not there."""
    name = "It" if len(figures.models) == 1 else f"“{finding.model}”"
    if finding.extremes is not None:
        return _of_groups(name, finding, finding.extremes, group_word(figures, finding))
    if finding.metric in _COMPARED:
        both = _compared(figures, finding)
        return _of_pair(name, finding, *both) if both else ""
    amount, attribute, task = points(finding.value), finding.attribute, finding.task
    if finding.metric == "lic":
        return (
            f"The other words of {_lower(name)} tell the {attribute} more than those of people do, "
            f"by {amount} points."
        )
    if finding.metric not in (T_TO_A, A_TO_T):
        return ""
    tied = f"{attribute} to {task}" if finding.metric == T_TO_A else f"{task} to {attribute}"
    return f"{name} ties {tied} more than the truth does, by {amount} points."


def group_word(figures: Figures, finding: Finding) -> str:
    """Return how the groups of a gap are known: annotated, or the true ones behind annotations.

    Where annotations err, and it is known how much, figures of groups are of the true ones.
    """
    attribute, task = finding.attribute, finding.task
    observed = figures.get(finding.model, f"observed_{finding.metric}", attribute, task)
    return "annotated" if observed is None else "truly"


def _of_groups(name: str, finding: Finding, extremes: Extremes, word: str) -> str:
    """Return a gap between groups as a sentence."""
    best, worst = extremes.best, extremes.worst
    if finding.metric != "accuracy_gap":
        return (
            f"{name} names another group for {percent(worst.figure.value)} of those annotated "
            f"“{worst.group}”, and for {percent(best.figure.value)} of those annotated "
            f"“{best.group}”."
        )
    more, less = _shares(best.figure.value, worst.figure.value)
    those = "" if " of " in more else " of those"
    return (
        f"{name} gets {more}{those} {word} “{best.group}” right{_about(finding.task)}, and "
        f"{less}{those} {word} “{worst.group}”."
    )


def _of_pair(name: str, finding: Finding, first: Figure, other: Figure) -> str:
    """Return a difference between two figures of a model as a sentence."""
    more, less = _shares(first.value, other.value)
    if finding.metric == "background_gap":
        of = "" if " of " in more else " of"
        return (
            f"{name} gets {more}{of} people right in front of their own group’s surroundings, and "
            f"{less} in front of another group’s."
        )
    if finding.metric == "context_gap":
        return (
            f"With {finding.task} typical of the person’s {finding.attribute} {_lower(name)} is "
            f"right in {more}; with {finding.task} typical of another, in {less}."
        )
    place = f"the objects of {finding.task}" if finding.task else "the person"
    return (
        f"The strongest evidence of {_lower(name)} lies on {place} in {percent(first.value)}, "
        f"less than the {percent(other.value)} that chance would give."
    )


def _compared(figures: Figures, finding: Finding) -> tuple[Figure, Figure] | tuple[()]:
    """Return the two figures that a finding compares; nothing where one is undefined."""
    first, other = (
        figures.defined(finding.model, metric, finding.attribute, finding.task)
        for metric in _COMPARED[finding.metric]
    )
    return () if first is None or other is None else (first, other)


def _about(task: str) -> str:
    """Return what an answer is about, where it is about a task."""
    return f" about {task}" if task else ""


def _shares(high: float, low: float) -> tuple[str, str]:
    """Write two shares as so many of ten where these are clearly apart, else in percent.

    >>> _shares(0.89, 0.31), _shares(0.74, 0.66)
    (('9 of 10', '3 of 10'), ('74%', '66%'))
    """
    tenths = [round(10 * value) for value in (high, low)]
    exact = all(
        abs(10 * value - ten) < 0.4 if 0 < ten < 10 else ten == 10 * value
        for ten, value in zip(tenths, (high, low))
    )
    if high - low >= CLEAR_TENTHS and exact:
        return f"{tenths[0]} of 10", f"{tenths[1]} of 10"
    return percent(high), percent(low)


def _lower(name: str) -> str:
    """Return the name within a sentence."""
    return "it" if name == "It" else name
