"""What the figures of captions say, in plain words; nothing that an interval does not show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from fairvision.captioning.measures import MALS
from fairvision.results.figures import Figure, Figures, read

BEFORE = "95% interval "
DIRECTIONS = ("directional T->A", "directional A->T")
COMPARED = {  # without amplification, which errors alone may bring closer to 0
    "error": "error",
    "outcome_divergence": "outcome divergence",
    "ratio_difference": "ratio difference",
    "lic": "LIC",
    "lic_model": "LIC_M",
}
ERRS = {1: ", more often ({})", -1: ", less often ({})", 0: ", not shown to differ ({})"}
LEAKS = {
    1: "; its other words tell it better ({})",
    -1: "; its other words tell it worse ({})",
    0: "; its other words are not shown to tell it better or worse ({})",
}
LOWER = ("error", "outcome_divergence", "lic", "lic_model")  # smaller is better


def decide(
    metrics: pd.DataFrame,
    models: Sequence[str],
    *,
    left_out: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Put the metrics table into words.

    Parameters
    ----------
    metrics : the metrics table
    models : names of the models, the first of which the others are compared with
    left_out : what could not be measured, and why
    warnings : what to know before trusting the figures

    Returns
    -------
    `headline` (text, a line per sentence), `answers` (each with `question`, `answer` and `status`,
    which is yes, no or unclear), `left_out` and `warnings`. Names are raw text.
    """
    figures = read(metrics, list(models))
    asked = [
        _one_group_more(figures),
        _changes(figures, "error", "Does another model name the wrong {attribute} less often?"),
        _changes(
            figures,
            "outcome_divergence",
            "Are right, wrong and other more evenly spread over the groups?",
        ),
        _tied(figures),
        _changes(
            figures, _lic(figures), "Do the words beside those for {attribute} tell it less often?"
        ),
        _agree(figures),
    ]
    return {
        "headline": "\n".join(_headline(figures)),
        "answers": [answer for answer in asked if answer is not None],
        "left_out": list(left_out),
        "warnings": list(warnings),
    }


def _get(
    figures: Figures, model: str, metric: str, group: str = "", label: str = ""
) -> Figure | None:
    """Return a figure, or None where it is absent or undefined."""
    attribute = figures.attributes[0]
    amplified = metric in (*DIRECTIONS, MALS)
    task = figures.tasks[0] if amplified and figures.tasks else ""
    found = figures.get(model, metric, attribute, task, group, label)
    return found if found is not None and found.defined else None


def _change(figures: Figures, other: str, metric: str) -> Figure | None:
    return _get(figures, f"{other} - {figures.models[0]}", metric)


def _better(figures: Figures, other: str, metric: str) -> int:
    """Return 1 where a model is shown to be nearer to the ideal than the first, −1: further."""
    change = _change(figures, other, metric)
    ours, theirs = (_get(figures, model, metric) for model in (figures.models[0], other))
    if change is None or ours is None or theirs is None or not change.shown:
        return 0
    if metric in LOWER:
        return -change.shown
    return 1 if abs(theirs.value) < abs(ours.value) else -1


def _lic(figures: Figures) -> str:
    return "lic" if _get(figures, figures.models[0], "lic") else "lic_model"


def _headline(figures: Figures) -> Iterator[str]:
    """Yield what the first model does, then what each other one changes."""
    attribute, first = figures.attributes[0], figures.models[0]
    error = _get(figures, first, "error")
    if error is not None:
        worst = _worst(figures, first)
        yield (
            f"{first} names the wrong {attribute} in {error.spoken(BEFORE)} of the captions"
            + (f", most often for {worst[0]} ({worst[1]})" if worst else "")
            + "."
        )
    for other in figures.models[1:]:
        found = _get(figures, other, "error")
        if found is None:
            continue
        lic = _lic(figures)
        told = _told(_change(figures, other, "error"), ERRS)
        told += _told(_change(figures, other, lic), LEAKS, COMPARED[lic])
        yield f"{other}: in {found.spoken()}{told}."


def _told(change: Figure | None, ways: dict[int, str], name: str = "") -> str:
    """Put a difference from the first model into words; "" where it is undefined."""
    return ways[change.shown].format(f"{name} {change}".strip()) if change else ""


def _worst(figures: Figures, model: str) -> tuple[str, Figure] | None:
    """Return the group with the largest error, where the gap to the smallest is shown."""
    gap = _get(figures, model, "error_gap")
    by_group = {
        group: figure
        for group in figures.groups(figures.attributes[0])
        if (figure := _get(figures, model, "error", group)) is not None
    }
    if gap is None or not gap.shown:
        return None
    group = max(by_group, key=lambda name: by_group[name].value)
    return group, by_group[group]


def _one_group_more(figures: Figures) -> dict[str, str] | None:
    sentences, shown = [], []
    for model in figures.models:
        gap = _get(figures, model, "error_gap")
        if gap is None:
            continue
        worst = _worst(figures, model)
        shown.append(bool(worst))
        said = f"most for {worst[0]}" if worst else "not shown"
        groups = ", ".join(
            f"{group} {figure}"
            for group in figures.groups(figures.attributes[0])
            if (figure := _get(figures, model, "error", group)) is not None
        )
        sentences.append(f"{model}: {groups}; gap {gap.spoken()}, {said}.")
    if not sentences:
        return None
    return {
        "question": f"Is the {figures.attributes[0]} of one group named wrongly more often?",
        "status": "yes" if any(shown) else "unclear",
        "answer": " ".join(sentences),
    }


def _changes(figures: Figures, metric: str, question: str) -> dict[str, str] | None:
    """Sort the other models by whether they are shown to be nearer to the ideal than the first."""
    sorted_ones: dict[int, list[str]] = {1: [], -1: [], 0: []}
    for other in figures.models[1:]:
        change = _change(figures, other, metric)
        if change is not None:
            own = _better(figures, other, metric)
            sorted_ones[own].append(f"{other} {change} ({change.interval})")
    if not any(sorted_ones.values()):
        return None
    said = {1: "Lower", -1: "Higher", 0: "Not shown, the interval includes zero"}
    first = _get(figures, figures.models[0], metric)
    sentences = [f"{figures.models[0]}: {first.spoken(BEFORE)}." if first else ""]
    sentences += [f"{said[sign]}: {'; '.join(some)}." for sign, some in sorted_ones.items() if some]
    only_worse = sorted_ones[-1] and not sorted_ones[1] and not sorted_ones[0]
    return {
        "question": question.format(attribute=figures.attributes[0]),
        "status": "yes" if sorted_ones[1] else "no" if only_worse else "unclear",
        "answer": " ".join(sentences).strip(),
    }


def _tied(figures: Figures) -> dict[str, str] | None:
    """Answer by the directional measures, for every model."""
    if not figures.tasks:
        return None
    attribute, task = figures.attributes[0], figures.tasks[0]
    ways = {
        "directional T->A": f"T->A, naming {attribute} by {task}",
        "directional A->T": f"A->T, naming {task} by {attribute}",
    }
    sentences, signs = [], []
    for metric, words in ways.items():
        found = [(model, _get(figures, model, metric)) for model in figures.models]
        said = []
        for model, figure in found:
            if figure is not None:
                signs.append(figure.shown)
                than = {1: "stronger", -1: "weaker", 0: "not shown"}[figure.shown]
                said.append(f"{model} {figure} ({figure.interval}), {than}")
        if said:
            sentences.append(f"{words}: {'; '.join(said)}.")
    if not sentences:
        return None
    if -1 in signs:
        sentences.append(
            "Captions name few of the objects in a picture, which alone weakens A->T: compare "
            "models by it, and do not read a negative one as a merit."
        )
    return {
        "question": f"Do the captions tie {task} and {attribute} more closely than the truth does?",
        "status": "yes" if 1 in signs else "no" if set(signs) == {-1} else "unclear",
        "answer": " ".join(sentences),
    }


def _agree(figures: Figures) -> dict[str, str] | None:
    """Say which measures show that another model is better, and which that it is worse."""
    metrics = [m for m in COMPARED if m != "lic_model" or _lic(figures) == "lic_model"]
    sentences, split, any_shown = [], False, False
    for other in figures.models[1:]:
        by_sign: dict[int, list[str]] = {1: [], -1: []}
        for metric in metrics:
            sign = _better(figures, other, metric)
            if sign:
                by_sign[sign].append(COMPARED[metric])
        any_shown |= bool(by_sign[1] or by_sign[-1])
        split |= bool(by_sign[1] and by_sign[-1])
        parts = [
            f"{word} by {', '.join(by_sign[sign])}"
            for sign, word in ((1, "better"), (-1, "worse"))
            if by_sign[sign]
        ]
        sentences.append(f"{other}: {'; '.join(parts) or 'nothing was shown'}.")
    if not sentences:
        return None
    return {
        "question": f"Do the measures agree on who improves on {figures.models[0]}?",
        "status": "no" if split else "yes" if any_shown else "unclear",
        "answer": " ".join(sentences),
    }
