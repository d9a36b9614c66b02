"""What an audit's figures say, in plain words; nothing is said that its interval does not show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from fairvision.auditing.measures import CONFIDENCE
from fairvision.results.figures import Figure, Figures, read
from fairvision.results.words import REASONS, SPLIT_ROWS, written

NOT_SHOWN = "nothing was shown: the interval includes zero"
NO_WIDTH = "nothing was shown: every resample gave the same"
BUT_LEANS = (
    "Its answers lean on the context too (see below), so evidence on the person is not the whole "
    "reason."
)
DIRECTIONAL = {
    "directional T->A": "T->A, guessing {attribute} from {task}",
    "directional A->T": "A->T, predicting {task} by {attribute}",
}
MALS = "bias_amplification_mals"
CHANGES = {
    "accuracy": "accuracy on {attribute}",
    "directional T->A": "amplification T->A ({task})",
    "directional A->T": "amplification A->T ({task})",
    MALS: "amplification by MALS ({task})",
    "pointing_game": "how often the strongest evidence lies on the person",
    "relevance_mass": "the share of evidence on the person",
    "accuracy_context_disagrees": "accuracy where {task} disagrees",
    "context_gap": "accuracy lost where {task} disagrees",
    "hidden_accuracy": "accuracy with the person hidden",
    "hidden_probability_gap": "the gap between probabilities with the person hidden",
    "person_accuracy": "accuracy with only the person visible",
}


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
    metrics : the metrics table (columns as in docs/design.md)
    models : names of the models, the first of which the others are compared with
    left_out : what could not be measured, and why
    warnings : what to know before trusting the figures

    Returns
    -------
    `headline` (text), `answers` (each with `question`, `answer` and `status`, which is yes, no or
    unclear), `left_out` and `warnings`. Names are raw text.
    """
    figures = read(metrics, list(models))
    answers = [
        ask(figures, model, attribute)
        for attribute in figures.attributes
        for ask in (_amplifies, _right_reasons, _leans)
        for model in models
    ]
    answers += [
        _changed(figures, models[0], other, attribute)
        for other in models[1:]
        for attribute in figures.attributes
    ]
    return {
        "headline": _headline(figures, models),
        "answers": [answer for answer in answers if answer is not None],
        "left_out": list(left_out),
        "warnings": list(warnings),
    }


def _get(
    figures: Figures, model: str, metric: str, attribute: str, task: str = "", label: str = ""
) -> Figure | None:
    """Return a figure of all groups, or None where it is absent or undefined."""
    figure = figures.get(model, metric, attribute, task, label=label)
    return figure if figure is not None and figure.defined else None


def _shown(figure: Figure) -> int:
    """Return the sign of a figure whose interval excludes zero, otherwise 0.

    An interval without width shows nothing: every resample gave the same, as with few images.
    """
    return (int(figure.low > 0) - int(figure.high < 0)) * (figure.high > figure.low)


def _unshown(figure: Figure) -> str:
    """Say why a figure shows nothing."""
    return NO_WIDTH if figure.low == figure.high != 0 else NOT_SHOWN


def _spoken(figure: Figure, unit: str = "fraction", before: str = "") -> str:
    """Write a figure with its interval and n."""
    value, low, high = (written(v, unit) for v in (figure.value, figure.low, figure.high))
    return f"{value} ({before}{low} to {high}, n = {figure.n})"


def _spelled_out(figure: Figure, unit: str = "fraction") -> str:
    """Write a figure for a place where nothing yet has said what the range is."""
    return _spoken(figure, unit, f"{CONFIDENCE:.0%} interval ")


def _status(signs: Sequence[int]) -> str:
    """Yes where any sign is up; no only where all are down."""
    return "yes" if 1 in signs else "no" if signs and set(signs) == {-1} else "unclear"


def _amplifications(figures: Figures, model: str, attribute: str) -> list[tuple[str, str, Figure]]:
    """Return (metric, task, figure) of every defined directional amplification."""
    return [
        (metric, task, figure)
        for task in figures.tasks
        for metric in DIRECTIONAL
        if (figure := _get(figures, model, metric, attribute, task)) is not None
    ]


def _amplifies(figures: Figures, model: str, attribute: str) -> dict[str, str] | None:
    """Answer by the directional measures; MALS is told, but other proportions move it too."""
    said = {
        1: "stronger than in the truth, so amplified",
        -1: "weaker than in the truth, which errors at random also bring about",
    }
    found = _amplifications(figures, model, attribute)
    sentences = []
    for metric, task, figure in found:
        words = DIRECTIONAL[metric].format(attribute=attribute, task=task)
        spoken = _spoken(figure, "difference")
        sentences.append(f"{words}: {spoken}, {said.get(_shown(figure), _unshown(figure))}.")
    for task in figures.tasks:
        mals = _get(figures, model, MALS, attribute, task)
        if mals is not None:
            than = {1: "stronger than in training", -1: "weaker than in training"}
            said_of = than.get(_shown(mals), _unshown(mals))
            sentences.append(
                f"MALS, {task} and {attribute} predicted together: {_spoken(mals, 'difference')}, "
                f"{said_of} (other proportions in these pictures move it too)."
            )
    sentences += filter(None, (_split(figures, model, attribute, task) for task in figures.tasks))
    if len(found) > 2:
        sentences.append(
            f"These are {len(found)} directional intervals: {1 - CONFIDENCE:.0%} of such intervals "
            "miss zero by chance alone."
        )
    if not sentences:
        return None
    return {
        "question": f"Does {model} amplify the bias of {attribute}?",
        "status": _status([_shown(figure) for *_, figure in found]),
        "answer": " ".join(sentences),
    }


def _split(figures: Figures, model: str, attribute: str, task: str) -> str | None:
    """Tell amplification by where the evidence lies, if both parts and their difference have it."""
    parts = [_get(figures, model, metric, attribute, task) for metric in SPLIT_ROWS]
    inside, outside, apart = parts
    if inside is None or outside is None or apart is None:
        return None
    said = {
        1: "more where the evidence lies outside the person",
        -1: "less where the evidence lies outside the person",
        0: _unshown(apart),
    }[_shown(apart)]
    return (
        f"Guessing {attribute} from {task} where the strongest evidence lies on the person: "
        f"{_spoken(inside, 'difference')}; where it lies elsewhere: "
        f"{_spoken(outside, 'difference')}; elsewhere minus on the person "
        f"{_spoken(apart, 'difference')}, {said}."
    )


def _right_reasons(figures: Figures, model: str, attribute: str) -> dict[str, str] | None:
    """Yes needs evidence beyond chance, clearly more right reasons, and no lean on the context."""
    cells = [_get(figures, model, "reasons", attribute, label=cell) for cell in REASONS]
    right, wrong = cells[:2]
    if right is None or wrong is None:
        return None
    sentences = [
        "Share of the pictures: "
        + "; ".join(f"{name} {_spoken(cell)}" for name, cell in zip(REASONS, cells) if cell)
        + "."
    ]
    chance = _get(figures, model, "chance_level", attribute)
    beyond = 0
    for metric, words in (
        ("pointing_game", "The strongest evidence lies on the person in"),
        ("relevance_mass", "The share of evidence on the person is"),
    ):
        hit = _get(figures, model, metric, attribute)
        lift = _get(figures, model, f"{metric}_lift", attribute)
        if hit is None or lift is None or chance is None:
            continue
        if metric == "pointing_game":
            beyond = _shown(lift)
        said = {1: "more than chance", -1: "less than chance", 0: _unshown(lift)}[_shown(lift)]
        sentences.append(
            f"{words} {_spoken(hit)}; by chance it would be {written(chance.value)}: a difference "
            f"of {_spoken(lift, 'difference')}, {said}."
        )
    clear = int(right.low > wrong.high) - int(wrong.low > right.high)
    leans = _leans(figures, model, attribute)
    if beyond == clear == 1 and leans is not None and leans["status"] == "yes":
        clear = 0
        sentences.append(BUT_LEANS)
    return {
        "question": f"Is {model} right about {attribute} for the right reasons?",
        "status": "yes" if beyond == clear == 1 else "no" if -1 in (beyond, clear) else "unclear",
        "answer": " ".join(sentences),
    }


def _leans(figures: Figures, model: str, attribute: str) -> dict[str, str] | None:
    sentences, signs = [], []
    for task in figures.tasks:
        agrees, disagrees, gap = (
            _get(figures, model, metric, attribute, task)
            for metric in ("accuracy_context_agrees", "accuracy_context_disagrees", "context_gap")
        )
        if agrees is None or disagrees is None or gap is None:
            continue
        said = {
            1: "right more often where they agree",
            -1: "right more often where they disagree",
            0: _unshown(gap),
        }[_shown(gap)]
        sentences.append(
            f"Accuracy is {_spoken(agrees)} where the {task} labels are typical of the person's "
            f"{attribute}, and {_spoken(disagrees)} where they are typical of another group: a "
            f"difference of {_spoken(gap, 'difference')}, {said}."
        )
        signs.append(_shown(gap))
    hidden = _get(figures, model, "hidden_accuracy", attribute)
    if hidden is not None:
        largest = figures.majority(attribute)
        beyond = hidden.low > largest
        said = "so it finds something in the context" if beyond else "no more than that was shown"
        sentences.append(
            f"With the person hidden it still names the annotated {attribute} in "
            f"{_spoken(hidden)}; always naming the largest group gives {written(largest)}: {said}."
        )
        signs.append(int(beyond))
    apart = _get(figures, model, "hidden_probability_gap", attribute)
    if apart is not None:
        sentences.append(
            f"The groups' probabilities are then {_spoken(apart, 'probability')} apart; 0 would be "
            "no guess at all."
        )
    alone = _get(figures, model, "person_accuracy", attribute)
    if alone is not None:
        sentences.append(f"With only the person visible, accuracy is {_spoken(alone)}.")
    if not signs:
        return None
    return {
        "question": f"Does {model} lean on the context for {attribute}?",
        "status": _status(signs),
        "answer": " ".join(sentences),
    }


def _changed(figures: Figures, first: str, other: str, attribute: str) -> dict[str, str] | None:
    """Tell every difference that both models allow; which way is better is not judged here."""
    shown, unshown = [], []
    for metric, words in CHANGES.items():
        for task in figures.tasks if "{task}" in words else [""]:
            figure = _get(figures, f"{other} - {first}", metric, attribute, task)
            if figure is None:
                continue
            name = words.format(attribute=attribute, task=task)
            spoken = _spoken(figure, "difference")
            if _shown(figure):
                way = "higher" if _shown(figure) > 0 else "lower"
                shown.append(f"{name} is {way}, by {spoken}")
            else:
                unshown.append(f"{name} {spoken}")
    if not shown and not unshown:
        return None
    sentences = [f"Shown: {'; '.join(shown)}." if shown else "No change was shown."]
    if unshown:
        sentences.append(
            "For these nothing was shown: the intervals include zero or have no width: "
            f"{'; '.join(unshown)}."
        )
    return {
        "question": f"What did {other} change for {attribute}, compared with {first}?",
        "status": "yes" if shown else "unclear",
        "answer": " ".join(sentences),
    }


def _headline(figures: Figures, models: Sequence[str]) -> str:
    """Answer both questions in a line per model, and tell what changed, for one attribute."""
    if not figures.attributes:
        return (
            "There is no attribute to audit: whether a bias is amplified, and whether the models "
            "are right for the right reasons, cannot be said."
        )
    lines = []
    for attribute in figures.attributes:
        lines += [_headline_of(figures, model, attribute) for model in models]
        lines += [_headline_change(figures, models[0], other, attribute) for other in models[1:]]
    return "\n".join(filter(None, lines))


def _headline_change(figures: Figures, first: str, other: str, attribute: str) -> str:
    """Tell the differences in what the headline says, and where the context disagrees."""
    difference = f"{other} - {first}"
    task = next(iter(figures.tasks), "")
    asked = {
        "amplification T->A": ("directional T->A", task, ""),
        REASONS[0]: ("reasons", "", REASONS[0]),
        f"accuracy where {task} disagrees": ("accuracy_context_disagrees", task, ""),
    }
    said = [
        f"{words} {_spoken(figure, 'difference')}" + ("" if _shown(figure) else ", not shown")
        for words, (metric, of, label) in asked.items()
        if (figure := _get(figures, difference, metric, attribute, of, label)) is not None
    ]
    return f"From {first} to {other}: {'; '.join(said)}." if said else ""


def _headline_of(figures: Figures, model: str, attribute: str) -> str:
    amplified = _headline_amplifies(figures, model, attribute)
    reasons = _get(figures, model, "reasons", attribute, label=REASONS[0])
    first = amplified or f"whether {model} amplifies a bias of {attribute} was not measured"
    second = (
        f"right about {attribute} for the right reasons in {_spelled_out(reasons)}"
        if reasons is not None
        else "whether it is right for the right reasons was not measured"
    )
    return f"{first}; {second}."


def _headline_amplifies(figures: Figures, model: str, attribute: str) -> str | None:
    """Tell the first amplification that is shown; where none is, the first of all."""
    found = _amplifications(figures, model, attribute)
    if not found:
        return None
    metric, task, figure = max(found, key=lambda some: _shown(some[2]))
    words = {
        1: f"{model} amplifies the bias between {attribute} and {task}",
        0: f"{model}: no amplification between {attribute} and {task} was shown",
        -1: f"{model}: the bias between {attribute} and {task} is weaker than in the truth",
    }[_shown(figure)]
    direction = DIRECTIONAL[metric].format(attribute=attribute, task=task)
    return f"{words} ({direction}): {_spoken(figure, 'difference')}"
