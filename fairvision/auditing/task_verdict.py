"""What figures say of a task: who is served worse, where its evidence lies, what people do to it.

A model that nobody trained on an attribute is still right more often for one group than for
another, and may answer by the person. These answers are about such models, which name tasks only,
and about those that stand beside one.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import comb
from statistics import NormalDist

from fairvision.results.entries.amplification import A_TO_T
from fairvision.results.figures import CONFIDENCE, Figure, Figures, difference_of
from fairvision.results.verdict import BEFORE, Answer, Status, lift_sentences, why_not_shown
from fairvision.results.words import listed
from fairvision.schema import UNKNOWN

LISTED = 3  # tasks in the headline, and labels in an answer


def task_answers(figures: Figures) -> Iterator[Answer]:
    """Yield the answers about each task of each model; none where all models name groups."""
    if not figures.tasks_only:
        return
    for task in figures.tasks:
        for model in figures.models:
            answers = [_served_alike(figures, model, task, a) for a in figures.attributes]
            answers.append(_on_objects(figures, model, task))
            answers += [_by_person(figures, model, task, a) for a in figures.attributes]
            yield from filter(None, answers)


def task_headline(figures: Figures, model: str) -> list[str]:
    """Return the headline of a model that names no group: a line for each of its first tasks."""
    tasks = [task for task in figures.tasks if figures.get(model, "accuracy", "", task)]
    lines = [_headline_of(figures, model, task) for task in tasks[:LISTED]]
    if len(tasks) > LISTED:
        lines.append(f"{model} predicts {len(tasks) - LISTED} more: see the figures of each task.")
    return lines


def task_change(figures: Figures, first: str, other: str) -> str:
    """Tell how much more often another model is right about each of the first tasks."""
    change = difference_of(first, other)
    parts = [
        f"accuracy on {task} {figure.sentence()}" + ("" if figure.sign else ", not shown")
        for task in figures.tasks[:LISTED]
        if (figure := figures.defined(change, "accuracy", "", task))
    ]
    return f"From {first} to {other}: {'; '.join(parts)}." if parts else ""


def _not_shown(gap: Figure, attribute: str) -> str:
    """Tell that a gap is not shown, also where its interval by itself lies above zero."""
    many = ", as chance puts some of so many as far apart" if gap.sign > 0 else ""
    return f"no difference between the groups of {attribute} was shown{many} ({gap.sentence()})"


def _headline_of(figures: Figures, model: str, task: str) -> str:
    """Tell how often a task is right, for whom less often, and whether a bias is amplified."""
    accuracy = figures.defined(model, "accuracy", "", task)
    parts = [f"{model} is right about {task} in {_share(figures, model, task, accuracy)}"]
    for attribute in figures.attributes:
        gap = figures.defined(model, "accuracy_gap", attribute, task)
        if gap is not None:
            parts.append(
                f"{_apart(figures, model, task, attribute)}: {gap.sentence()} apart"
                if _is_shown(gap, _pairs(figures, attribute))
                else _not_shown(gap, attribute)
            )
        amplified = figures.defined(model, A_TO_T, attribute, task)
        if amplified is not None:
            says = {
                1: f"it says {task} by {attribute}, more than the truth does (A->T)",
                0: f"that it amplifies the bias between {attribute} and {task} was not shown",
                -1: f"it ties {task} to {attribute} less than the truth does (A->T)",
            }[amplified.sign]
            parts.append(f"{says}: {amplified.sentence()}")
    return "; ".join(parts) + "."


def _pairs(figures: Figures, attribute: str) -> int:
    """Return how many pairs of known groups there are, of which a gap is the widest."""
    return comb(len([group for group in figures.groups(attribute) if group != UNKNOWN]), 2)


def _is_shown(gap: Figure, among: int) -> bool:
    """Return whether a gap is shown though it was looked for among so many.

    Its interval, widened as by Bonferroni, must lie above zero.
    """
    widened, usual = (
        NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * count)) for count in (max(among, 1), 1)
    )
    return gap.sign > 0 and gap.value - (gap.value - gap.low) * widened / usual > 0


def _why_not(gap: Figure) -> str:
    """Return why a gap is not shown."""
    return why_not_shown(gap) if gap.sign < 1 else "as far apart as chance puts some of so many"


def _share(figures: Figures, model: str, task: str, accuracy: Figure | None) -> str:
    """Return how often a task is right, in words; of many labels it is a share of decisions."""
    if accuracy is None:
        return "a share of the pictures that was not measured"
    many = figures.get(model, "average_precision", "", task) is not None
    return accuracy.sentence(BEFORE) + (" of the decisions on its labels" if many else "")


def _by_group(
    figures: Figures, model: str, metric: str, task: str, attribute: str
) -> dict[str, Figure]:
    """Return the figure of each known group, the largest first."""
    of_groups = {
        group: figure
        for group in figures.groups(attribute)
        if group != UNKNOWN
        and (figure := figures.defined(model, metric, attribute, task, group)) is not None
    }
    return dict(sorted(of_groups.items(), key=lambda item: -item[1].value))


def _apart(figures: Figures, model: str, task: str, attribute: str) -> str:
    """Return which group is served best, and which worst."""
    groups = list(_by_group(figures, model, "accuracy", task, attribute).items())
    (best, high), (worst, low) = groups[0], groups[-1]
    return f"for {best} ({high}) more often than for {worst} ({low})"


def _served_alike(figures: Figures, model: str, task: str, attribute: str) -> Answer | None:
    """Answer whether errors are alike; no where the gap is shown, and yes never: it is no proof."""
    gap = figures.defined(model, "accuracy_gap", attribute, task)
    if gap is None:
        return None
    groups = _by_group(figures, model, "accuracy", task, attribute)
    shown = _is_shown(gap, _pairs(figures, attribute))
    sentences = [
        "Right for "
        + "; ".join(f"{group} in {figure.sentence()}" for group, figure in groups.items())
        + ".",
        f"The best and the worst served lie {gap.sentence()} apart: "
        + ("so the errors are not alike." if shown else f"{_why_not(gap)}."),
    ]
    odds = figures.defined(model, "equalized_odds_difference", attribute, task)
    if odds is not None:
        sentences.append(
            "How often a label is named where it holds, and where it does not, differs between "
            f"them by {odds.sentence()}, as a mean over labels."
        )
    return Answer(
        f"Is {model} right about {task} as often for every group of {attribute}?",
        " ".join(sentences),
        "no" if shown else "unclear",
    )


def _on_objects(figures: Figures, model: str, task: str) -> Answer | None:
    """Answer whether the evidence for the true label lies on its objects, more than by chance."""
    subjects = {
        "pointing_game": "The strongest evidence for the true label lies on its objects in",
        "relevance_mass": "The share of the evidence on them is",
    }
    sentences, signs = lift_sentences(figures, model, "", task, subjects=subjects)
    if not signs:
        return None
    for attribute in figures.attributes:
        lifts = _by_group(figures, model, "pointing_game_lift", task, attribute)
        gap = figures.defined(model, "pointing_game_lift_gap", attribute, task)
        if gap is not None and len(lifts) > 1:
            parts = ", ".join(f"{group} {lift}" for group, lift in lifts.items())
            sentences.append(
                f"Above chance, by {attribute}: {parts}; {gap.sentence()} apart, "
                + ("so not alike." if _is_shown(gap, comb(len(lifts), 2)) else f"{_why_not(gap)}.")
            )
    sentences.append("A map shows where evidence lies, not what would change the answer.")
    status: Status = "yes" if signs[0] == 1 else "no" if signs[0] == -1 else "unclear"
    return Answer(
        f"Does the evidence of {model} for {task} lie on its objects?", " ".join(sentences), status
    )


def _by_person(figures: Figures, model: str, task: str, attribute: str) -> Answer | None:
    """Answer whether people of one group move the answers to a task otherwise than of another.

    Yes where a gap is shown, of the true label, or of a label beyond what chance does to so many.
    """
    effect = figures.defined(model, "person_effect", "", task)
    if effect is None:
        return None
    hidden = figures.defined(model, "hidden_task_accuracy", "", task)
    alone = figures.defined(model, "person_task_accuracy", "", task)
    sentences = [
        f"{subject} {figure.sentence()} of the answers are right."
        for subject, figure in (
            ("With the person hidden", hidden),
            ("With only the person visible", alone),
        )
        if figure is not None
    ]
    sentences.append(
        f"Seeing the person adds {effect.sentence()} to the probability of the true label."
    )
    pairs = _pairs(figures, attribute)
    whole = figures.defined(model, "person_effect_gap", attribute, task)
    differs = whole is not None and _is_shown(whole, pairs)
    gaps = _label_gaps(figures, model, task, attribute)
    if whole is not None:
        apart = "so which person it sees matters" if differs else _why_not(whole)
        sentences.append(
            f"Between the groups of {attribute}, among pictures that show the same, that differs "
            f"by {whole.sentence()}: {apart}."
        )
    shown = [pair for pair in gaps if _is_shown(pair[1], pairs * len(gaps))]
    if shown:
        named = [_moved(figures, model, task, attribute, *pair) for pair in shown]
        sentences.append(
            f"By label it is shown for {len(shown)} of {len(gaps)}: {listed(named, LISTED)}."
        )
    elif gaps:
        sentences.append(f"By label it is shown for none of {len(gaps)}.")
    elif whole is None:
        return None
    return Answer(
        f"Does what {model} says of {task} turn with whom it sees, by {attribute}?",
        " ".join(sentences),
        "yes" if differs or shown else "unclear",
    )


def _label_gaps(
    figures: Figures, model: str, task: str, attribute: str
) -> list[tuple[str, Figure]]:
    """Return the gap of each label between groups, the widest first."""
    metric = "person_effect_gap"
    gaps = [
        (label, figure)
        for _, label in figures.labels(metric, attribute, task)
        if (figure := figures.defined(model, metric, attribute, task, label=label)) is not None
    ]
    return sorted(gaps, key=lambda pair: -pair[1].value)


def _moved(figures: Figures, model: str, task: str, attribute: str, label: str, gap: Figure) -> str:
    """Return by how much people of each group move a label, and how far these lie apart."""
    effects = ", ".join(
        f"{group} {figure}"
        for group in figures.groups(attribute)
        if group != UNKNOWN
        and (figure := figures.defined(model, "person_effect", attribute, task, group, label))
    )
    return f"{label} (seeing {effects}; alike pictures {gap.sentence()} apart)"
