"""What an audit of captions says in plain words, what it cannot say, and what to know first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from fairvision.auditing.cautions import few_images
from fairvision.captioning.labels import Labels
from fairvision.captioning.measures import ModelCaptions
from fairvision.core.spellings import seem_missing
from fairvision.errors import shown
from fairvision.metrics.caption_tokens import words_and_letters
from fairvision.results.entries.amplification import A_TO_T, T_TO_A
from fairvision.results.figures import Figure, Figures, difference_of, read
from fairvision.results.registry import in_section, registered
from fairvision.results.sections import CAPTION_CHANGES
from fairvision.results.summary import lead
from fairvision.results.verdict import BEFORE, Answer, Verdict, status_of
from fairvision.results.words import listed
from fairvision.schema import UNKNOWN

MOSTLY = 0.5
"""The share of captions that name nobody, above which a headline says so also of one model."""
ERRS = {1: ", more often ({})", -1: ", less often ({})", 0: ", not shown to differ ({})"}
LEAKS = {
    1: "; its other words tell it better ({})",
    -1: "; its other words tell it worse ({})",
    0: "; its other words are not shown to tell it better or worse ({})",
}


def left_out(
    truth: Labels,
    words: Mapping[str, frozenset[str]],
    *,
    reference: Labels | None,
    human: Sequence[tuple[str, ...] | None] | None,
    rounds: int,
) -> list[str]:
    """Name every measure that is left out, with the reason."""
    lines = []
    if len(words) != 2:
        lines.append(f"the ratio: it is one of two groups, and there are {len(words)}")
    if not truth.task:
        lines.append("amplification: no objects are annotated")
    elif reference is None:
        lines.append(
            "amplification against training: there are no training labels, so the truth of the "
            "audited pictures stands for it, and MALS compares with that"
        )
    if not rounds:
        lines.append("LIC: no rounds were asked for")
    elif human is None:
        lines.append(
            "LIC itself: there are no captions by people, so what these tell (LIC_D) is not taken "
            "off; LIC_M alone compares the models"
        )
    if human is None:
        lines.append("BLEU-4, CIDEr and ROUGE-L: there are no captions by people")
    return lines


def cautions(
    models: Sequence[ModelCaptions],
    truth: Labels,
    words: Mapping[str, frozenset[str]],
    human: Sequence[tuple[str, ...] | None] | None,
) -> Iterator[str]:
    """Yield what to know before trusting figures."""
    attribute, rows = truth.attribute, truth.rows
    yield from few_images(
        attribute, {group: int((rows["group"] == group).sum()) for group in words}
    )
    unknown = int(rows["group"].isna().sum())
    if unknown:
        yield f"{attribute}: unknown for {unknown} of {len(truth)} pictures: they take no part"
    for model in models:
        never = [group for group in words if not (model.named == group).any()]
        if never:
            yield f"{model.model}: no caption names {listed(never)}"
        empty = sum(not caption.strip() for caption in model.captions)
        if empty:
            yield f"{model.model}: {empty} of {len(truth)} captions are empty: they name nobody"
        if nothing := sorted({*filter(str.strip, seem_missing(model.captions))}):
            n = sum(caption in nothing for caption in model.captions)
            texts = listed([*map(shown, nothing)])
            yield (
                f"{model.model}: {n} of {len(truth)} captions are {texts}: they name nobody; leave "
                "them out if there are none"
            )
    if truth.task:
        unknown = int(rows["objects"].isna().sum())
        if unknown:
            yield (
                f"{truth.task}: unknown for {unknown} of {len(truth)} pictures: they take no part "
                "in amplification"
            )
        foreign = [label for label in truth.vocabulary if not words_and_letters(label)]
        if foreign:
            yield (
                f"{truth.task}: {listed(foreign)} cannot be found in captions: there is neither "
                "a letter nor a digit in them"
            )
    if human is not None:
        lacking = sum(not texts for texts in human)
        if lacking:
            yield (
                f"people wrote nothing of {lacking} of {len(truth)} pictures: not in LIC, nor in "
                "BLEU-4, CIDEr and ROUGE-L"
            )


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
    metrics : the metrics table
    models : names of the models, the first of which the others are compared with
    left_out : what could not be measured, and why
    warnings : what to know before trusting the figures
    smallest_difference : in points, as for `fairvision.results.findings`
    """
    figures = read(metrics, models)
    answers = [
        _unequal(figures, "error", "Is the {attribute} of one group named wrongly more often?"),
        _changes(figures, "error", "Does another model name the wrong {attribute} less often?"),
        _changes(
            figures,
            "outcome_divergence",
            "Are right, wrong and other more evenly spread over the groups?",
        ),
        _tied(figures),
        _changes(
            figures,
            _lic_metric(figures),
            "Do the words beside those for {attribute} tell it less often?",
        ),
        _changes(figures, "cider", "Are the captions of another model nearer to people’s?"),
        _unequal(figures, "cider", "Are the pictures of one group described worse?"),
        _agree(figures),
    ]
    opening = " ".join(lead(metrics, models, smallest_difference).sentences)
    return Verdict(
        "\n".join(filter(None, (opening, *_headline(figures)))),
        tuple(answer for answer in answers if answer is not None),
        tuple(left_out),
        tuple(warnings),
    )


def _change(figures: Figures, other: str, metric: str) -> Figure | None:
    """Return the difference of another model to the first in a metric; None if undefined."""
    first = figures.models[0]
    return figures.defined(difference_of(first, other), metric, figures.attributes[0])


def _better(figures: Figures, other: str, metric: str) -> int:
    """Return 1 where a model is shown to be nearer to the ideal than the first, −1: further."""
    change = _change(figures, other, metric)
    attribute = figures.attributes[0]
    ours, theirs = (
        figures.defined(model, metric, attribute) for model in (figures.models[0], other)
    )
    if change is None or ours is None or theirs is None or not change.sign:
        return 0
    better = registered()[metric].better
    if better != "zero":
        return change.sign if better == "higher" else -change.sign
    return 1 if abs(theirs.value) < abs(ours.value) else -1


def _lic_metric(figures: Figures) -> str:
    """Return the name of the metric of leakage: "lic", or "lic_model" if lic is undefined."""
    first, attribute = figures.models[0], figures.attributes[0]
    return "lic" if figures.defined(first, "lic", attribute) else "lic_model"


def _headline(figures: Figures) -> Iterator[str]:
    """Yield what the first model does, then what each other one changes."""
    attribute, first = figures.attributes[0], figures.models[0]
    error = figures.defined(first, "error", attribute)
    if error is not None:
        worst = _worst(figures, first, "error")
        yield (
            f"{first} names the wrong {attribute} in {error.sentence(BEFORE)} of the captions"
            + (f", most often for {worst[0]} ({worst[1]})" if worst else "")
            + "."
        )
        silent = figures.defined(first, "unnamed", attribute)
        if silent is not None and silent.value > MOSTLY:
            yield f"It names nobody, or several groups, in {silent.sentence()}."
    for other in figures.models[1:]:
        error = figures.defined(other, "error", attribute)
        if error is None:
            continue
        lic = _lic_metric(figures)
        changes = _described(_change(figures, other, "error"), ERRS)
        changes += _described(_change(figures, other, lic), LEAKS, registered()[lic].phrase())
        yield f"{other}: in {error.sentence()}{changes}."


def _described(change: Figure | None, ways: dict[int, str], name: str = "") -> str:
    """Put a difference from the first model into words; "" where it is undefined."""
    return ways[change.sign].format(f"{name} {change}".strip()) if change else ""


def _worst(figures: Figures, model: str, metric: str) -> tuple[str, Figure] | None:
    """Return the group that fares worst by a metric, where the gap to the best is shown."""
    attribute = figures.attributes[0]
    gap = figures.defined(model, f"{metric}_gap", attribute)
    if gap is None or not gap.sign:
        return None
    by_group = _by_group(figures, model, metric)
    worst = min if registered()[metric].better == "higher" else max
    group = worst(by_group, key=lambda name: by_group[name].value)
    return group, by_group[group]


def _by_group(figures: Figures, model: str, metric: str) -> dict[str, Figure]:
    """Return a metric of each known group."""
    attribute = figures.attributes[0]
    return {
        group: figure
        for group in figures.groups(attribute)
        if group != UNKNOWN
        and (figure := figures.defined(model, metric, attribute, group=group)) is not None
    }


def _unequal(figures: Figures, metric: str, question: str) -> Answer | None:
    """Return whether one group fares worse by a metric; None without figures."""
    sentences, shown = [], []
    end = "lowest" if registered()[metric].better == "higher" else "most"
    for model in figures.models:
        gap = figures.defined(model, f"{metric}_gap", figures.attributes[0])
        if gap is None:
            continue
        worst = _worst(figures, model, metric)
        shown.append(bool(worst))
        most = f"{end} for {worst[0]}" if worst else "not shown"
        by_group = _by_group(figures, model, metric)
        groups = ", ".join(f"{group} {figure}" for group, figure in by_group.items())
        sentences.append(f"{model}: {groups}; gap {gap.sentence()}, {most}.")
    if not sentences:
        return None
    return Answer(
        question.format(attribute=figures.attributes[0]),
        " ".join(sentences),
        "yes" if any(shown) else "unclear",
    )


def _changes(figures: Figures, metric: str, question: str) -> Answer | None:
    """Sort the other models by whether they are shown to be nearer to the ideal than the first."""
    by_sign: dict[int, list[str]] = {1: [], -1: [], 0: []}
    for other in figures.models[1:]:
        change = _change(figures, other, metric)
        if change is not None:
            sign = _better(figures, other, metric)
            by_sign[sign].append(f"{other} {change} ({change.interval})")
    if not any(by_sign.values()):
        return None
    better, worse = "Lower", "Higher"
    if registered()[metric].better == "higher":
        better, worse = worse, better
    ways = {1: better, -1: worse, 0: "Not shown, the interval includes zero"}
    attribute = figures.attributes[0]
    first = figures.defined(figures.models[0], metric, attribute)
    sentences = [f"{figures.models[0]}: {first.sentence(BEFORE)}." if first else ""]
    sentences += [f"{ways[sign]}: {'; '.join(of)}." for sign, of in by_sign.items() if of]
    only_worse = by_sign[-1] and not by_sign[1] and not by_sign[0]
    return Answer(
        question.format(attribute=attribute),
        " ".join(sentences).strip(),
        "yes" if by_sign[1] else "no" if only_worse else "unclear",
    )


def _tied(figures: Figures) -> Answer | None:
    """Answer by the directional measures, for every model."""
    if not figures.tasks:
        return None
    attribute, task = figures.attributes[0], figures.tasks[0]
    directions = {
        T_TO_A: f"T->A, naming {attribute} by {task}",
        A_TO_T: f"A->T, naming {task} by {attribute}",
    }
    sentences, signs = [], []
    for metric, direction in directions.items():
        of_models = []
        for model in figures.models:
            figure = figures.defined(model, metric, attribute, task)
            if figure is not None:
                signs.append(figure.sign)
                than = {1: "stronger", -1: "weaker", 0: "not shown"}[figure.sign]
                of_models.append(f"{model} {figure} ({figure.interval}), {than}")
        if of_models:
            sentences.append(f"{direction}: {'; '.join(of_models)}.")
    if not sentences:
        return None
    if -1 in signs:
        sentences.append(
            "Captions name few of the objects in a picture, which alone weakens A->T: compare "
            "models by it, and do not read a negative one as a merit."
        )
    return Answer(
        f"Do the captions tie {task} and {attribute} more closely than the truth does?",
        " ".join(sentences),
        status_of(signs),
    )


def _agree(figures: Figures) -> Answer | None:
    """Say which measures show that another model is better, and which that it is worse."""
    metrics = [
        registered()[name]
        for name in in_section(CAPTION_CHANGES)  # without amplification: errors lower it too
        if name != "lic_model" or _lic_metric(figures) == "lic_model"
    ]
    sentences, split, any_shown = [], False, False
    for other in figures.models[1:]:
        by_sign: dict[int, list[str]] = {1: [], -1: [], 0: []}
        for metric in metrics:
            by_sign[_better(figures, other, metric.name)].append(metric.phrase())
        any_shown |= bool(by_sign[1] or by_sign[-1])
        split |= bool(by_sign[1] and by_sign[-1])
        parts = [
            f"{way} by {', '.join(by_sign[sign])}"
            for sign, way in ((1, "better"), (-1, "worse"))
            if by_sign[sign]
        ]
        sentences.append(f"{other}: {'; '.join(parts) or 'nothing was shown'}.")
    if not sentences:
        return None
    return Answer(
        f"Do the measures agree on who improves on {figures.models[0]}?",
        " ".join(sentences),
        "no" if split else "yes" if any_shown else "unclear",
    )
