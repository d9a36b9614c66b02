"""What a reader sees first: a sentence without jargon, and a card for each question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from fairvision.results.figures import Figure, Figures, difference_of, read
from fairvision.results.findings import QUESTIONS, Finding, Status, findings
from fairvision.results.phrases import ends_of, pair_of, percent, points, sentence_of

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


def cards(metrics: pd.DataFrame, models: Sequence[str]) -> list[Card]:
    """Return a card for each question that a report opens with.

    Parameters
    ----------
    metrics : the metrics table (columns as in docs/design.md)
    models : names of the models, the first of which comes first

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
    listed = findings(metrics, models)
    return [
        Card(question, tuple(_entry(figures, _strongest(listed, question, m)) for m in models))
        for question in QUESTIONS
    ]


def lead(metrics: pd.DataFrame, models: Sequence[str]) -> Lead:
    """Return the sentence that a report opens with, and a few that go with it.

    The first is built from the concern that is shown most strongly: by the end of its interval
    that is nearest to zero. It says what was measured and for whom, without a name of a measure.

    Parameters
    ----------
    metrics, models : as for `cards`

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
    listed = findings(metrics, models)
    concerns = [of for of in listed if of.status == "concern" and sentence_of(figures, of)]
    if not concerns:
        return Lead(tuple(filter(None, (_calm(figures, listed, model) for model in models))))
    first = max(concerns, key=_strength)
    sentences = [sentence_of(figures, first)]
    sentences += _elsewhere(figures, first)
    others = [of for of in concerns if of.model == first.model and of.question != first.question]
    if others:
        sentences.append(sentence_of(figures, max(others, key=_strength)))
    ends = ends_of(figures, first.model, first.attribute, first.task)
    best = ends[0][0] if ends is not None and first.metric == "accuracy_gap" else ""
    return Lead(tuple(filter(None, sentences)), first, best)


def _strength(finding: Finding) -> float:
    """Return how far from zero a finding is at least."""
    return min(abs(finding.low), abs(finding.high))


def _strongest(listed: Sequence[Finding], question: str, model: str) -> Finding:
    """Return the finding that a card shows.

    The strongest concern; where there is none, the first that shows none, then the first defined.
    """
    order = ("concern", "none shown", "cannot say")
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
    if len(pair) < 2:
        pair, small = (amount,), f"interval {interval}, n = {figure.n}"
    return Entry(finding.model, finding.status, pair, words, small, filter_)


def _elsewhere(figures: Figures, first: Finding) -> list[str]:
    """Say of other models whether they are shown to change a concern of the first one.

    Of more than two others only the one is named in which it is smallest.
    """
    others = figures.models[1:]
    if first.model != figures.models[0]:
        return []
    if len(others) <= MOST_NAMED:
        return [sentence for model in others if (sentence := _change(figures, first, model))]
    keys = (first.metric, first.attribute, first.task)
    of_others = {m: figure for m in others if (figure := figures.defined(m, *keys)) is not None}
    if not of_others:
        return []
    least = min(of_others, key=lambda model: abs(of_others[model].value))
    pair, _, _ = pair_of(figures, _of_model(first, least, of_others[least]))
    numbers = f" ({' / '.join(pair)})" if pair else ""
    return [f"Of the {len(others)} other models it is smallest in “{least}”{numbers}."]


def _change(figures: Figures, first: Finding, model: str) -> str:
    """Say whether another model is shown to change a concern."""
    keys = (first.metric, first.attribute, first.task)
    figure = figures.defined(model, *keys)
    change = figures.defined(difference_of(figures.models[0], model), *keys)
    if figure is None or change is None:
        return ""
    pair, _, _ = pair_of(figures, _of_model(first, model, figure))
    numbers = f" ({' / '.join(pair)})" if pair else ""
    if not change.sign:
        return f"“{model}” does not clearly change that{numbers}."
    less = abs(figure.value) < abs(first.value)
    return f"“{model}” makes that {'smaller' if less else 'larger'}{numbers}."


def _of_model(finding: Finding, model: str, figure: Figure) -> Finding:
    """Return a finding's question about another model."""
    numbers = {name: getattr(figure, name) for name in ("value", "low", "high", "n")}
    return replace(finding, model=model, **numbers)


def _calm(figures: Figures, listed: Sequence[Finding], model: str) -> str:
    """Return how often a model is right, by group, and that no concern was shown."""
    name = "It" if len(figures.models) == 1 else f"“{model}”"
    of_model = [of for of in listed if of.model == model]
    silent = all(of.status == "cannot say" for of in of_model)
    end = "whether that is a reason for concern cannot be said" if silent else "no concern is shown"
    for attribute, task in _scopes(figures):
        ends = ends_of(figures, model, attribute, task)
        if ends is not None:
            (best, high), (worst, low) = ends
            about = f" about {task}" if task else ""
            return (
                f"{name} is right{about} for {percent(high.value)} of those annotated “{best}” and "
                f"{percent(low.value)} of those annotated “{worst}”: {end}."
            )
    return ""


def _scopes(figures: Figures) -> Iterator[tuple[str, str]]:
    """Yield attributes, then attributes with tasks."""
    for task in ("", *figures.tasks):
        for attribute in figures.attributes:
            yield attribute, task
