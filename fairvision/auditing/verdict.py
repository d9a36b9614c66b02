"""What an audit's figures say, in plain words; nothing is said that its interval does not show."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from fairvision.auditing.task_verdict import task_answers, task_change, task_headline
from fairvision.metrics.causes import EVIDENCE_CELLS, REASONS
from fairvision.results.entries.amplification import A_TO_T, MALS, SPLIT, T_TO_A
from fairvision.results.figures import CONFIDENCE, Figure, Figures, difference_of, read
from fairvision.results.registry import in_section, registered
from fairvision.results.sections import CHANGES
from fairvision.results.summary import lead
from fairvision.results.verdict import (
    BEFORE,
    Answer,
    Status,
    Verdict,
    lift_sentences,
    shown_as,
    status_of,
)
from fairvision.results.words import written
from fairvision.schema import UNKNOWN

NOTHING_CLAIMED = (
    "In surroundings of other groups it names the groups no better than a guess, and neither do "
    "the surroundings decide: answers that do not depend on the picture hold everywhere, and "
    "answers by chance turn anywhere. So nothing is claimed."
)
NOT_MEASURED = (
    "How well it names the groups in surroundings of other groups was not measured. So nothing is "
    "claimed."
)
GUESSES_HOLD = (
    "On the whole pictures it names the groups no better than a guess, and guesses that hold are "
    "right for no reason. So nothing is claimed."
)
DIRECTIONAL = {
    T_TO_A: "T->A, guessing {attribute} from {task}",
    A_TO_T: "A->T, predicting {task} by {attribute}",
}


def judge(
    metrics: pd.DataFrame,
    models: Sequence[str],
    *,
    left_out: Sequence[str] = (),
    warnings: Sequence[str] = (),
    smallest_difference: float = 0.0,
) -> Verdict:
    """Put the metrics table into words.

    Parameters
    ----------
    metrics : the metrics table (columns as in docs/design.md)
    models : names of the models, the first of which the others are compared with
    left_out : what could not be measured, and why
    warnings : what to know before trusting the figures
    smallest_difference : in points, as for `fairvision.results.findings`
    """
    figures = read(metrics, models)
    answers = list[Answer | None](task_answers(figures))
    answers += [
        ask(figures, model, attribute)
        for attribute in figures.attributes
        for ask in (_right_reasons, _amplifies, _leans, _evidence)
        for model in models
    ]
    answers += [
        _changed(figures, models[0], other, attribute)
        for other in models[1:]
        for attribute in figures.attributes
    ]
    opening = " ".join(lead(metrics, models, smallest_difference).sentences)
    return Verdict(
        "\n".join(filter(None, (opening, _headline(figures, models)))),
        tuple(answer for answer in answers if answer is not None),
        tuple(left_out),
        tuple(warnings),
    )


def _amplifications(figures: Figures, model: str, attribute: str) -> list[tuple[str, str, Figure]]:
    """Return (metric, task, figure) of every defined directional amplification."""
    return [
        (metric, task, figure)
        for task in figures.tasks
        for metric in DIRECTIONAL
        if (figure := figures.defined(model, metric, attribute, task)) is not None
    ]


def _amplifies(figures: Figures, model: str, attribute: str) -> Answer | None:
    """Answer by the directional measures; MALS is told, but other proportions move it too."""
    amplifications = _amplifications(figures, model, attribute)
    sentences = []
    for metric, task, figure in amplifications:
        direction = DIRECTIONAL[metric].format(attribute=attribute, task=task)
        shown = shown_as(
            figure,
            "stronger than in the truth, so amplified",
            "weaker than in the truth, which errors at random also bring about",
        )
        sentences.append(f"{direction}: {figure.sentence()}, {shown}.")
    for task in figures.tasks:
        mals = figures.defined(model, MALS, attribute, task)
        if mals is not None:
            shown = shown_as(mals, "stronger than in training", "weaker than in training")
            sentences.append(
                f"MALS, {task} and {attribute} predicted together: {mals.sentence()}, "
                f"{shown} (other proportions in these pictures move it too)."
            )
    sentences += filter(None, (_split(figures, model, attribute, task) for task in figures.tasks))
    if len(amplifications) > 2:
        sentences.append(
            f"These are {len(amplifications)} directional intervals: {1 - CONFIDENCE:.0%} of such "
            "intervals miss zero by chance alone."
        )
    if not sentences:
        return None
    return Answer(
        f"Does {model} amplify the bias of {attribute}?",
        " ".join(sentences),
        status_of([figure.sign for *_, figure in amplifications]),
    )


def _split(figures: Figures, model: str, attribute: str, task: str) -> str | None:
    """Tell amplification by where the evidence lies, if both parts and their difference have it."""
    inside, outside, apart = (figures.defined(model, metric, attribute, task) for metric in SPLIT)
    if inside is None or outside is None or apart is None:
        return None
    shown = shown_as(
        apart,
        "more where the evidence lies outside the person",
        "less where the evidence lies outside the person",
    )
    return (
        f"Guessing {attribute} from {task} where the strongest evidence lies on the person: "
        f"{inside.sentence()}; where it lies elsewhere: {outside.sentence()}; "
        f"elsewhere minus on the person {apart.sentence()}, {shown}."
    )


def _right_reasons(figures: Figures, model: str, attribute: str) -> Answer | None:
    """Answer by cause: what happens to the answers when the surroundings are exchanged.

    Yes needs more right answers that hold than such that turn, people who are named better than by
    a guess in surroundings of other groups, and no shown background gap. No needs surroundings that
    are shown to matter, as answers by chance turn as well: by a background gap, with more right
    answers that turn or people who are named no better than by a guess; or by more right answers
    that turn and people who are named worse than by a guess. Of answers that do not turn, and name
    the groups of whole images no better than a guess, nothing is claimed.
    """
    shares = [figures.defined(model, "reasons", attribute, label=reason) for reason in REASONS]
    right_holds, right_turns = shares[:2]
    if right_holds is None or right_turns is None:
        return None
    sentences = [
        "Share of the pictures: "
        + "; ".join(
            f"{reason} {share.sentence()}" for reason, share in zip(REASONS, shares) if share
        )
        + "."
    ]
    holds = figures.defined(model, "holds", attribute)
    if holds is not None:
        sentences.append(
            f"A right answer stays in {holds.sentence()} of the surroundings of other groups."
        )
    recall = figures.defined(model, "swapped_recall", attribute)
    if recall is not None:
        sentences.append(
            f"There the groups are named right in {recall.sentence()}, each counting alike."
        )
    gap = figures.defined(model, "background_gap", attribute)
    if gap is not None:
        shown = shown_as(
            gap, "so the surroundings decide some answers", "other surroundings even help"
        )
        sentences.append(
            "Accuracy in surroundings of its own group is higher than in those of other groups by "
            f"{gap.sentence()}: {shown}."
        )
    clear = int(right_holds.low > right_turns.high) - int(right_turns.low > right_holds.high)
    named, decides = _named_elsewhere(figures, model, attribute), 0 if gap is None else gap.sign
    whole = figures.recall(model, "accuracy", attribute)
    guesses = whole is not None and whole.sign < 1 and clear != -1
    if named == decides == 0:
        sentences.append(NOT_MEASURED if recall is None else NOTHING_CLAIMED)
    elif guesses:
        sentences.append(GUESSES_HOLD)
    status: Status = "unclear"
    by_surroundings = decides == 1 and (clear == -1 or (named < 1 and not guesses))
    if by_surroundings or clear == named == -1:
        status = "no"
    elif clear == named == 1 and decides == 0 and not guesses:
        status = "yes"
    return Answer(
        f"Is {model} right about {attribute} for the right reasons?", " ".join(sentences), status
    )


def _named_elsewhere(figures: Figures, model: str, attribute: str) -> int:
    """Return whether groups are named better (1) or worse (-1) than by a guess, elsewhere.

    Elsewhere is in surroundings of other groups; a guess names one of the groups that are there.
    """
    recall = figures.defined(model, "swapped_recall", attribute)
    groups = [
        group
        for group in figures.groups(attribute)
        if group != UNKNOWN and figures.defined(model, "swapped_accuracy", attribute, group=group)
    ]
    if recall is None or len(groups) < 2:
        return 0
    return int(recall.low > 1 / len(groups)) - int(recall.high < 1 / len(groups))


def _evidence(figures: Figures, model: str, attribute: str) -> Answer | None:
    """Answer whether the evidence of a map lies on the person, more than by chance."""
    subjects = {
        "pointing_game": "The strongest evidence lies on the person in",
        "relevance_mass": "The share of evidence on the person is",
    }
    sentences, signs = lift_sentences(figures, model, attribute, subjects=subjects)
    if not signs:
        return None
    shares = [
        f"{label} {share.sentence()}"
        for label in EVIDENCE_CELLS
        if (share := figures.defined(model, "evidence_cells", attribute, label=label))
    ]
    if shares:
        sentences.append(f"Share of the pictures: {'; '.join(shares)}.")
    sentences.append("A map shows where evidence lies, not what would change the answer.")
    status: Status = "yes" if signs[0] == 1 else "no" if signs[0] == -1 else "unclear"
    return Answer(
        f"Does the evidence of {model} for {attribute} lie on the person?",
        " ".join(sentences),
        status,
    )


def _leans(figures: Figures, model: str, attribute: str) -> Answer | None:
    """Return whether a model leans on the context for an attribute; None without figures."""
    sentences, signs = [], []
    for task in figures.tasks:
        agrees, disagrees, gap = (
            figures.defined(model, metric, attribute, task)
            for metric in ("accuracy_context_agrees", "accuracy_context_disagrees", "context_gap")
        )
        if agrees is None or disagrees is None or gap is None:
            continue
        shown = shown_as(
            gap, "right more often where they agree", "right more often where they disagree"
        )
        sentences.append(
            f"Accuracy is {agrees.sentence()} where the {task} labels are typical of the person's "
            f"{attribute}, and {disagrees.sentence()} where they are typical of another group: a "
            f"difference of {gap.sentence()}, {shown}."
        )
        signs.append(gap.sign)
    hidden = figures.defined(model, "hidden_accuracy", attribute)
    if hidden is not None:
        largest = figures.majority(attribute)
        beyond = hidden.low > largest
        shown = "so it finds something in the context" if beyond else "no more than that was shown"
        sentences.append(
            f"With the person hidden it still names the annotated {attribute} in "
            f"{hidden.sentence()}; always naming the largest group gives {written(largest)}: "
            f"{shown}."
        )
        signs.append(int(beyond))
    apart = figures.defined(model, "hidden_probability_gap", attribute)
    if apart is not None:
        sentences.append(
            f"The groups' probabilities are then {apart.sentence()} apart; 0 would be no guess at "
            "all."
        )
    alone = figures.defined(model, "person_accuracy", attribute)
    if alone is not None:
        sentences.append(f"With only the person visible, accuracy is {alone.sentence()}.")
    if not signs:
        return None
    return Answer(
        f"Does {model} lean on the context for {attribute}?", " ".join(sentences), status_of(signs)
    )


def _changed(figures: Figures, first: str, other: str, attribute: str) -> Answer | None:
    """Tell every difference that both models allow; which way is better is not judged here."""
    shown, unshown = [], []
    for metric in map(registered().__getitem__, in_section(CHANGES)):
        for task in figures.tasks if "{task}" in metric.noun else [""]:
            figure = figures.defined(difference_of(first, other), metric.name, attribute, task)
            if figure is None:
                continue
            phrase = metric.phrase(attribute, task)
            if figure.sign:
                way = "higher" if figure.sign > 0 else "lower"
                shown.append(f"{phrase} is {way}, by {figure.sentence()}")
            else:
                unshown.append(f"{phrase} {figure.sentence()}")
    if not shown and not unshown:
        return None
    sentences = [f"Shown: {'; '.join(shown)}." if shown else "No change was shown."]
    if unshown:
        sentences.append(
            "For these nothing was shown: the intervals include zero or have no width: "
            f"{'; '.join(unshown)}."
        )
    return Answer(
        f"What did {other} change for {attribute}, compared with {first}?",
        " ".join(sentences),
        "yes" if shown else "unclear",
    )


def _headline(figures: Figures, models: Sequence[str]) -> str:
    """Answer both questions in a line per model, and tell what changed, for one attribute."""
    if not figures.attributes:
        return (
            "There is no attribute to audit: whether a bias is amplified, and whether the models "
            "are right for the right reasons, cannot be said."
        )
    lines = [line for model in figures.tasks_only for line in task_headline(figures, model)]
    if lines:
        lines += [task_change(figures, models[0], other) for other in models[1:]]
    for attribute in figures.attributes:
        named = [model for model in models if model not in figures.tasks_only]
        lines += [_headline_of(figures, model, attribute) for model in named]
        lines += [_headline_change(figures, models[0], other, attribute) for other in models[1:]]
    return "\n".join(filter(None, lines))


def _headline_change(figures: Figures, first: str, other: str, attribute: str) -> str:
    """Tell the differences in what the headline says, and where the context disagrees."""
    task = next(iter(figures.tasks), "")
    asked = {
        "right answers that hold elsewhere": ("holds", "", ""),
        "amplification T->A": (T_TO_A, task, ""),
        f"accuracy where the context ({task}) disagrees": ("accuracy_context_disagrees", task, ""),
    }
    changes = [
        f"{phrase} {figure.sentence()}" + ("" if figure.sign else ", not shown")
        for phrase, (metric, of, label) in asked.items()
        if (
            figure := figures.defined(
                difference_of(first, other), metric, attribute, of, label=label
            )
        )
    ]
    return f"From {first} to {other}: {'; '.join(changes)}." if changes else ""


def _headline_of(figures: Figures, model: str, attribute: str) -> str:
    """Return the headline of an attribute: right for the right reasons, and amplification."""
    amplified = _headline_amplifies(figures, model, attribute)
    second = amplified or f"whether {model} amplifies a bias of {attribute} was not measured"
    return f"{_headline_reasons(figures, model, attribute)}; {second}."


def _headline_reasons(figures: Figures, model: str, attribute: str) -> str:
    """Tell how many answers are right, and how many of these hold in other surroundings."""
    accuracy = figures.defined(model, "accuracy", attribute)
    first = (
        f"{model} is right about {attribute} in {accuracy.sentence(BEFORE)}"
        if accuracy is not None
        else f"how often {model} is right about {attribute} was not measured"
    )
    holds, answer = (
        figures.defined(model, "holds", attribute),
        _right_reasons(figures, model, attribute),
    )
    if holds is None or answer is None:
        return f"{first}; whether for the right reasons was not measured"
    if answer.answer.endswith((NOTHING_CLAIMED, NOT_MEASURED, GUESSES_HOLD)):
        return f"{first}, for reasons of which nothing can be claimed"
    but, so = {
        "no": ("but of", ": it goes by the surroundings"),
        "unclear": ("and of", ""),
        "yes": ("and of", ": it goes by the person"),
    }[answer.status]
    return (
        f"{first}, {but} these right answers {holds.sentence()} hold when the surroundings are "
        f"exchanged for those of other groups{so}"
    )


def _headline_amplifies(figures: Figures, model: str, attribute: str) -> str | None:
    """Tell the first amplification that is shown; where none is, the first of all."""
    amplifications = _amplifications(figures, model, attribute)
    if not amplifications:
        return None
    metric, task, figure = max(amplifications, key=lambda amplification: amplification[2].sign)
    sentence = {
        1: f"{model} amplifies the bias between {attribute} and {task}",
        0: f"{model}: no amplification between {attribute} and {task} was shown",
        -1: f"{model}: the bias between {attribute} and {task} is weaker than in the truth",
    }[figure.sign]
    direction = DIRECTIONAL[metric].format(attribute=attribute, task=task)
    return f"{sentence} ({direction}): {figure.sentence()}"
