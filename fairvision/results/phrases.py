"""Findings in plain words: shares, differences, and sentences without a name of a measure."""

from __future__ import annotations

from fairvision.results.entries.amplification import A_TO_T, T_TO_A
from fairvision.results.figures import Figures
from fairvision.results.findings import Finding

CLEAR_TENTHS = 0.15
"""Of shares that are nearer, "3 of 10" and "4 of 10" would say more than there is."""


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
    """Return the large figures of a finding, what they are, and which images show it."""
    model, attribute, task = finding.model, finding.attribute, finding.task
    match finding.metric:
        case "accuracy_gap":
            if finding.extremes is None:
                return (), "", {}
            best, worst = finding.extremes.best, finding.extremes.worst
            about = f" about {task}" if task else ""
            return (
                (percent(best.figure.value), percent(worst.figure.value)),
                f"right{about} for those annotated “{best.group}” / “{worst.group}”",
                {"group": worst.group, "right": "no"},
            )
        case "error_gap":
            if finding.extremes is None:
                return (), "", {}
            best, worst = finding.extremes.best, finding.extremes.worst
            groups = f"“{best.group}” / “{worst.group}”"
            return (
                (percent(best.figure.value), percent(worst.figure.value)),
                f"captions that name another group, of those annotated {groups}",
                {},
            )
        case "background_gap":
            names = ("same_swapped_accuracy", "swapped_accuracy")
            words = "right with surroundings of the own group / of other groups"
            chosen = {"reason": "right, turns with the surroundings"}
        case "context_gap":
            names = ("accuracy_context_agrees", "accuracy_context_disagrees")
            words = f"right where labels of {task} are typical of the group / of another group"
            chosen = {"right": "no"}
        case "pointing_game_lift":
            names = ("pointing_game", "chance_level")
            place = f"the objects of {task}" if task else "the person"
            words = f"strongest evidence on {place} / what chance would give"
            chosen = {}
        case _:
            words = {
                T_TO_A: f"how much more it ties {attribute} to {task} than the truth does",
                A_TO_T: f"how much more it ties {task} to {attribute} than the truth does",
                "lic": f"how much more its other words tell the {attribute} than people’s do",
            }.get(finding.metric, finding.metric)
            return (f"{points(finding.value, sign=True)} points",), words, {}
    both = [figures.defined(model, name, attribute, task) for name in names]
    shown = tuple(percent(figure.value) for figure in both if figure is not None)
    return (shown if len(shown) == 2 else ()), words, chosen


def sentence_of(figures: Figures, finding: Finding) -> str:
    """Return a concern as a sentence; "" where its parts are not there."""
    model, attribute, task = finding.model, finding.attribute, finding.task
    name = "It" if len(figures.models) == 1 else f"“{model}”"
    if finding.metric == "accuracy_gap":
        if finding.extremes is None:
            return ""
        best, worst = finding.extremes.best, finding.extremes.worst
        about = f" about {task}" if task else ""
        more, less = _shares(best.figure.value, worst.figure.value)
        those = "" if " of " in more else " of those"
        return (
            f"{name} gets {more}{those} annotated “{best.group}” right{about}, and {less}{those} "
            f"annotated “{worst.group}”."
        )
    if finding.metric == "error_gap":
        if finding.extremes is None:
            return ""
        best, worst = finding.extremes.best, finding.extremes.worst
        return (
            f"{name} names another group for {percent(worst.figure.value)} of those annotated "
            f"“{worst.group}”, and for {percent(best.figure.value)} of those annotated "
            f"“{best.group}”."
        )
    if finding.metric == "lic":
        return (
            f"The other words of {_lower(name)} tell the {attribute} more than those of people do, "
            f"by {points(finding.value)} points."
        )
    if finding.metric == "background_gap":
        same, others = (
            figures.defined(model, name, attribute, task)
            for name in ("same_swapped_accuracy", "swapped_accuracy")
        )
        if same is None or others is None:
            return ""
        more, less = _shares(same.value, others.value)
        of = "" if " of " in more else " of"
        return (
            f"With surroundings of their own group {_lower(name)} names {more}{of} people right, "
            f"with those of other groups {less}."
        )
    if finding.metric == "context_gap":
        agrees, disagrees = (
            figures.defined(model, name, attribute, task)
            for name in ("accuracy_context_agrees", "accuracy_context_disagrees")
        )
        if agrees is None or disagrees is None:
            return ""
        more, less = _shares(agrees.value, disagrees.value)
        return (
            f"Where labels of {task} are typical of the person’s {attribute}, {_lower(name)} is "
            f"right in {more}; where they are typical of another, in {less}."
        )
    if finding.metric == "pointing_game_lift":
        hits, chance = (
            figures.defined(model, name, attribute, task)
            for name in ("pointing_game", "chance_level")
        )
        if hits is None or chance is None:
            return ""
        place = f"the objects of {task}" if task else "the person"
        return (
            f"The strongest evidence of {_lower(name)} lies on {place} in {percent(hits.value)}, "
            f"less than the {percent(chance.value)} that chance would give."
        )
    tied = f"{attribute} to {task}" if finding.metric == T_TO_A else f"{task} to {attribute}"
    amount = points(finding.value)
    return f"{name} ties {tied} more than the truth does, by {amount} points."


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
