"""What a reader sees first: a sentence without jargon, and a card for each question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from fairvision.results.figures import Figures, difference_of, read
from fairvision.results.findings import QUESTIONS, Finding, Status, findings
from fairvision.results.phrases import group_word, pair_of, percent, points, sentence_of
from fairvision.results.silence import smaller_errors_by_silence

MOST_NAMED = 2
"""Other models that the opening names."""


@dataclass(frozen=True)
class Entry:
    """What a card says of one model.

    Attributes
    ----------
    model, status : of which model, and whether to worry
    pair : one or two figures in large type, such as ("89%", "31%")
    words : what they are
    small : difference, interval and n
    filter : which images of a gallery show it: `group`, `right`, `label`
    """

    model: str
    status: Status
    pair: tuple[str, ...] = ()
    words: str = ""
    small: str = ""
    filter: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """A question with what is shown of each model; its status is the first model's."""

    question: str
    entries: tuple[Entry, ...]

    @property
    def status(self) -> Status:
        """Whether to worry about the first model."""
        return self.entries[0].status


@dataclass(frozen=True)
class Lead:
    """What a report opens with.

    Attributes
    ----------
    sentences : the first is its title; none where nothing can be said
    concern : the finding that the first is built from; None where no concern is shown
    best : of an unequal error, the group that is served best
    """

    sentences: tuple[str, ...] = ()
    concern: Finding | None = None
    best: str = ""


def cards(
    metrics: pd.DataFrame, models: Sequence[str], smallest_difference: float = 0.0
) -> list[Card]:
    """Return a card for each question that a report opens with.

    Parameters
    ----------
    metrics : the metrics table (columns as in docs/design.md)
    models : names of the models, the first of which comes first
    smallest_difference : as for `findings`

    Examples
    --------
    >>> row = {"model": "m", "metric": "accuracy", "attribute": "gender", "task": "",
    ...        "label": "", "value": 0.9, "low": 0.8, "high": 1.0, "n": 50, "unit": "fraction"}
    >>> rows = [{**row, "group": "female"}, {**row, "group": "male", "value": 0.3}]
    >>> gap = {"metric": "accuracy_gap", "group": "", "value": 0.6, "low": 0.5, "high": 0.7}
    >>> card = cards(pd.DataFrame([*rows, {**row, **gap, "n": 100}]), ["m"])[0]
    >>> card.question, card.status
    ('Are all groups served alike?', 'concern')
    >>> card.entries[0].pair, card.entries[0].small
    (('90%', '30%'), '60 points apart (50 to 70), n = 100')
    """
    figures = read(metrics, models)
    listed = findings(metrics, models, smallest_difference)
    return [
        Card(question, tuple(_entry(figures, _strongest(listed, question, m)) for m in models))
        for question in QUESTIONS
    ]


def lead(metrics: pd.DataFrame, models: Sequence[str], smallest_difference: float = 0.0) -> Lead:
    """Return the sentence that a report opens with, and a few that go with it.

    The first is built from the concern that is shown most strongly: by the end of its interval
    that is nearest to zero. It says what was measured and for whom, without a name of a measure.
    Of captioners, one whose smaller error comes with naming nobody more often stands before that.

    Parameters
    ----------
    metrics, models, smallest_difference : as for `cards`

    Examples
    --------
    >>> row = {"model": "m", "metric": "accuracy", "attribute": "gender", "task": "",
    ...        "label": "", "value": 0.9, "low": 0.8, "high": 1.0, "n": 50, "unit": "fraction"}
    >>> rows = [{**row, "group": "female"}, {**row, "group": "male", "value": 0.3}]
    >>> gap = {"metric": "accuracy_gap", "group": "", "value": 0.6, "low": 0.5, "high": 0.7}
    >>> lead(pd.DataFrame([*rows, {**row, **gap, "n": 100}]), ["m"]).sentences[0]
    'It gets 9 of 10 annotated “female” right, and 3 of 10 annotated “male”.'
    """
    figures = read(metrics, models)
    listed = findings(metrics, models, smallest_difference)
    sentences = smaller_errors_by_silence(figures)
    concerns = [of for of in listed if of.status == "concern" and sentence_of(figures, of)]
    if not concerns:
        calm = (_calm(figures, listed, model) for model in models)
        return Lead(tuple(filter(None, (*sentences, *calm))))
    first = max(concerns, key=_strength)
    sentences.append(sentence_of(figures, first))
    sentences += _elsewhere(figures, listed, first)
    others = [of for of in concerns if of.model == first.model and of.question != first.question]
    if others:
        sentences.append(sentence_of(figures, max(others, key=_strength)))
    best = first.extremes.best.group if first.extremes is not None else ""
    return Lead(tuple(filter(None, sentences)), first, best)


def _strength(finding: Finding) -> float:
    """Return how far from zero a finding is at least."""
    return min(abs(finding.low), abs(finding.high))


def _strongest(listed: Sequence[Finding], question: str, model: str) -> Finding:
    """Return the finding that a card shows.

    The strongest concern; where there is none, the first that shows none, then the first defined.
    """
    order = ("concern", "none shown", "shown small", "cannot say")
    return min(
        (of for of in listed if of.question == question and of.model == model),
        key=lambda of: (
            order.index(of.status),
            of.n == 0,
            -_strength(of) if of.status == "concern" else 0,
        ),
    )


def _entry(figures: Figures, finding: Finding) -> Entry:
    """Return what a card says of a finding."""
    pair, words, filter_ = pair_of(figures, finding)
    figure = figures.defined(finding.model, finding.metric, finding.attribute, finding.task)
    if figure is None:
        n = f", n = {finding.n}" if finding.n else ""
        return Entry(finding.model, finding.status, (), f"Not measured{n}.")
    apart = "apart" if finding.metric in ("accuracy_gap", "error_gap") else "difference"
    signed = apart == "difference"
    interval = f"{points(figure.low, sign=signed)} to {points(figure.high, sign=signed)}"
    amount = f"{points(figure.value, sign=signed)} points"
    small = f"{amount} {apart} ({interval}), n = {figure.n}"
    if finding.extremes is not None and not finding.extremes.all_compared:
        gap, low = finding.extremes.gap
        small = f"{points(gap)} points apart (at least {points(low)}), without groups of few"
    if len(pair) < 2:
        pair, small = (amount,), f"interval {interval}, n = {figure.n}"
    return Entry(finding.model, finding.status, pair, words, small, filter_)


def _elsewhere(figures: Figures, listed: Sequence[Finding], first: Finding) -> list[str]:
    """Say of other models whether they are shown to change a concern of the first one.

    Of more than two others only the one is named in which it is smallest.
    """
    if first.model != figures.models[0]:
        return []
    about = (first.metric, first.attribute, first.task)
    others = [
        of
        for of in listed
        if (of.metric, of.attribute, of.task) == about and of.model != first.model and of.n
    ]
    if len(others) <= MOST_NAMED:
        return [sentence for other in others if (sentence := _change(figures, first, other))]
    least = min(others, key=lambda of: abs(of.value))
    numbers = _numbers(figures, least)
    return [f"Of the {len(others)} other models it is smallest in “{least.model}”{numbers}."]


def _change(figures: Figures, first: Finding, other: Finding) -> str:
    """Say whether another model is shown to change a concern."""
    difference = difference_of(first.model, other.model)
    change = figures.defined(difference, first.metric, first.attribute, first.task)
    if change is None:
        return ""
    if not change.sign:
        return f"“{other.model}” does not clearly change that{_numbers(figures, other)}."
    way = "smaller" if abs(other.value) < abs(first.value) else "larger"
    return f"“{other.model}” makes that {way}{_numbers(figures, other)}."


def _numbers(figures: Figures, finding: Finding) -> str:
    """Return the large figures of a finding in brackets."""
    pair, _, _ = pair_of(figures, finding)
    return f" ({' / '.join(pair)})" if pair else ""


def _calm(figures: Figures, listed: Sequence[Finding], model: str) -> str:
    """Return how often a model is right, by group, where that is not shown to be a concern."""
    name = "It" if len(figures.models) == 1 else f"“{model}”"
    of_model = [of for of in listed if of.model == model]
    silent = all(of.status == "cannot say" for of in of_model)
    end = "whether that is a reason for concern cannot be said" if silent else "no concern is shown"
    for of in of_model:
        if of.metric == "accuracy_gap" and of.extremes is not None:
            best, worst = of.extremes.best, of.extremes.worst
            about, word = f" about {of.task}" if of.task else "", group_word(figures, of)
            if of.status == "shown small":
                end = f"shown to be less than {points(of.threshold)} points apart"
            return (
                f"{name} is right{about} for {percent(best.figure.value)} of those {word} "
                f"“{best.group}” and {percent(worst.figure.value)} of those {word} "
                f"“{worst.group}”: {end}."
            )
    if any(of.metric == "accuracy_gap" and of.n for of in of_model):
        whose = "it" if name == "It" else name
        return f"There are too few pictures of some groups to say whether {whose} serves all alike."
    return ""
