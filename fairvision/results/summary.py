"""What a reader sees first: a sentence without jargon, and a card for each question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from fairvision.results.entries.amplification import A_TO_T, T_TO_A
from fairvision.results.figures import Figure, Figures, difference_of, read
from fairvision.results.findings import QUESTIONS, Finding, Status, findings
from fairvision.schema import UNKNOWN

CLEAR_TENTHS = 0.15
"""Of shares that are nearer, "3 of 10" and "4 of 10" would say more than there is."""
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
    concerns = [of for of in listed if of.status == "concern" and _sentence(figures, of)]
    if not concerns:
        return Lead(tuple(filter(None, (_calm(figures, listed, model) for model in models))))
    first = max(concerns, key=_strength)
    sentences = [_sentence(figures, first)]
    sentences += _elsewhere(figures, first)
    others = [of for of in concerns if of.model == first.model and of.question != first.question]
    if others:
        sentences.append(_sentence(figures, max(others, key=_strength)))
    ends = _ends(figures, first.model, first.attribute, first.task)
    best = ends[0][0] if ends is not None and first.metric == "accuracy_gap" else ""
    return Lead(tuple(filter(None, sentences)), first, best)


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
    pair, words, filter_ = _pair(figures, finding)
    figure = figures.defined(finding.model, finding.metric, finding.attribute, finding.task)
    if figure is None:
        n = f", n = {finding.n}" if finding.n else ""
        return Entry(finding.model, finding.status, (), f"Not measured{n}.")
    apart = "apart" if finding.metric == "accuracy_gap" else "difference"
    signed = apart == "difference"
    interval = f"{points(figure.low, sign=signed)} to {points(figure.high, sign=signed)}"
    amount = f"{points(figure.value, sign=signed)} points"
    small = f"{amount} {apart} ({interval}), n = {figure.n}"
    if len(pair) < 2:
        pair, small = (amount,), f"interval {interval}, n = {figure.n}"
    return Entry(finding.model, finding.status, pair, words, small, filter_)


def _pair(figures: Figures, finding: Finding) -> tuple[tuple[str, ...], str, dict[str, str]]:
    """Return the large figures of a finding, what they are, and which images show it."""
    model, attribute, task = finding.model, finding.attribute, finding.task
    match finding.metric:
        case "accuracy_gap":
            ends = _ends(figures, model, attribute, task)
            if ends is None:
                return (), "", {}
            (best, high), (worst, low) = ends
            about = f" about {task}" if task else ""
            return (
                (percent(high.value), percent(low.value)),
                f"right{about} for those annotated “{best}” / “{worst}”",
                {"group": worst, "right": "no"},
            )
        case "background_gap":
            names = ("same_swapped_accuracy", "swapped_accuracy")
            words = "right with surroundings of the own group / of other groups"
            chosen = {"reason": "right, turns with the surroundings"}
        case "context_gap":
            names = ("accuracy_context_agrees", "accuracy_context_disagrees")
            words = f"right where the {task} are typical of the group / of another group"
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
            }.get(finding.metric, finding.metric)
            return (f"{points(finding.value, sign=True)} points",), words, {}
    both = [figures.defined(model, name, attribute, task) for name in names]
    shown = tuple(percent(figure.value) for figure in both if figure is not None)
    return (shown if len(shown) == 2 else ()), words, chosen


def _sentence(figures: Figures, finding: Finding) -> str:
    """Return a concern as a sentence; "" where its parts are not there."""
    model, attribute, task = finding.model, finding.attribute, finding.task
    name = "It" if len(figures.models) == 1 else f"“{model}”"
    if finding.metric == "accuracy_gap":
        ends = _ends(figures, model, attribute, task)
        if ends is None:
            return ""
        (best, high), (worst, low) = ends
        about = f" about {task}" if task else ""
        more, less = _shares(high.value, low.value)
        return (
            f"{name} gets {more} annotated “{best}” right{about}, and {less} annotated “{worst}”."
        )
    if finding.metric == "background_gap":
        same, others = (
            figures.defined(model, name, attribute, task)
            for name in ("same_swapped_accuracy", "swapped_accuracy")
        )
        if same is None or others is None:
            return ""
        more, less = _shares(same.value, others.value)
        return (
            f"With surroundings of their own group {_lower(name)} names {more} people right, with "
            f"those of other groups {less}."
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
            f"Where the {task} are typical of the person’s {attribute}, {_lower(name)} is right in "
            f"{more}; where they are typical of another, in {less}."
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
    pair, _, _ = _pair(figures, _of_model(first, least, of_others[least]))
    numbers = f" ({' / '.join(pair)})" if pair else ""
    return [f"Of the {len(others)} other models it is smallest in “{least}”{numbers}."]


def _change(figures: Figures, first: Finding, model: str) -> str:
    """Say whether another model is shown to change a concern."""
    keys = (first.metric, first.attribute, first.task)
    figure = figures.defined(model, *keys)
    change = figures.defined(difference_of(figures.models[0], model), *keys)
    if figure is None or change is None:
        return ""
    pair, _, _ = _pair(figures, _of_model(first, model, figure))
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
        ends = _ends(figures, model, attribute, task)
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


def _ends(
    figures: Figures, model: str, attribute: str, task: str
) -> tuple[tuple[str, Figure], tuple[str, Figure]] | None:
    """Return the groups that are served best and worst, with their accuracies."""
    of_groups = [
        (group, figure)
        for group in figures.groups(attribute)
        if group != UNKNOWN
        and (figure := figures.defined(model, "accuracy", attribute, task, group)) is not None
    ]
    if len(of_groups) < 2:
        return None
    ordered = sorted(of_groups, key=lambda of: of[1].value)
    return ordered[-1], ordered[0]


def _shares(high: float, low: float) -> tuple[str, str]:
    """Write two shares as so many of ten where these are clearly apart, else in percent.

    >>> _shares(0.89, 0.31), _shares(0.74, 0.66)
    (('9 of 10', '3 of 10'), ('74% of those', '66% of those'))
    """
    tenths = [round(10 * value) for value in (high, low)]
    exact = all(
        abs(10 * value - ten) < 0.4 if 0 < ten < 10 else ten == 10 * value
        for ten, value in zip(tenths, (high, low))
    )
    if high - low >= CLEAR_TENTHS and exact:
        return f"{tenths[0]} of 10", f"{tenths[1]} of 10"
    return f"{percent(high)} of those", f"{percent(low)} of those"


def _lower(name: str) -> str:
    """Return the name within a sentence."""
    return "it" if name == "It" else name
