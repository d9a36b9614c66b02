"""Captioners that err less while they name nobody more often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fairvision.results.extremes import FEWEST
from fairvision.results.figures import Figure, Figures, difference_of
from fairvision.results.phrases import percent
from fairvision.results.words import listed


class _Pair(NamedTuple):
    """Two captioners, of which one errs less and names nobody more often, as intervals show.

    Attributes
    ----------
    attribute : what they name
    quiet, other : the captioners
    right_more : whether the quiet one is shown to be right more often where it names one group
    """

    attribute: str
    quiet: str
    other: str
    right_more: bool


def smaller_errors_by_silence(figures: Figures) -> list[str]:
    """Return sentences on captioners whose smaller error comes with naming nobody more often.

    The first has the figures of the captioner with the smallest error, the second says how often it
    is right where it does name one group, the next which others it holds for. Nothing where the
    intervals of the differences do not show it.

    Examples
    --------
    >>> from fairvision.results.figures import Key
    >>> key, unnamed = Key("error", "gender"), Key("unnamed", "gender")
    >>> table = {
    ...     ("a", key): Figure(0.19, 0.17, 0.21, 900), ("a", unnamed): Figure(0.12, 0.1, 0.14, 900),
    ...     ("b", key): Figure(0.08, 0.06, 0.1, 900), ("b", unnamed): Figure(0.3, 0.27, 0.33, 900),
    ...     ("b - a", key): Figure(-0.11, -0.13, -0.09, 900),
    ...     ("b - a", unnamed): Figure(0.18, 0.15, 0.21, 900),
    ... }
    >>> print(*smaller_errors_by_silence(Figures(["a", "b"], table, ["gender"], [])))
    “b” names the wrong gender in 8% of the captions (“a” in 19%), and names nobody, or several
    groups, in 30% (“a” in 12%).
    """
    pairs = [
        pair
        for attribute in figures.attributes
        for other in figures.models[1:]
        if (pair := _pair(figures, attribute, figures.models[0], other)) is not None
    ]
    if not pairs:
        return []
    pairs.sort(key=lambda pair: _value(figures, pair.quiet, "error", pair.attribute))
    first, *rest = pairs
    sentences = [
        f"“{first.quiet}” names the wrong {first.attribute} in "
        f"{_both(figures, first, 'error', 'of the captions ')}, and names nobody, or several "
        f"groups, in {_both(figures, first, 'unnamed')}."
    ]
    if all(figures.defined(model, _RIGHT, first.attribute) for model in (first.quiet, first.other)):
        right = _both(figures, first, _RIGHT)
        sentences.append(
            f"Where it names one group, it is right in {right}."
            if first.right_more
            else f"Where it names one group, it is not shown to be right more often: in {right}."
        )
    if alike := [pair for pair in rest if pair.other == first.other]:
        models = _listed(figures, [(pair.quiet, pair.attribute) for pair in alike])
        sentences.append(f"The same holds of {models}.")
    if against := [pair for pair in rest if pair.other != first.other]:
        models = _listed(figures, [(pair.other, pair.attribute) for pair in against])
        sentences.append(f"“{against[0].quiet}” does so beside {models}.")
    return sentences


_METRICS = ("error", "unnamed")
_RIGHT = "accuracy_when_named"
_MOST_NAMED = 3


def _pair(figures: Figures, attribute: str, first: str, other: str) -> _Pair | None:
    """Return which of two captioners errs less and names nobody more often; None for neither."""
    error, unnamed, right = (
        _sign(figures.defined(difference_of(first, other), metric, attribute))
        for metric in (*_METRICS, _RIGHT)
    )
    if not error or error != -unnamed:
        return None
    if error < 0:
        return _Pair(attribute, other, first, right > 0)
    return _Pair(attribute, first, other, right < 0)


def _sign(change: Figure | None) -> int:
    """Return the sign that is shown of a difference.

    Where every resample gave the same, the value decides: as with a captioner that never names
    anybody beside one that always does.
    """
    if change is None:
        return 0
    if change.low == change.high and change.n >= FEWEST:
        return (change.value > 0) - (change.value < 0)
    return change.sign


def _listed(figures: Figures, models: Sequence[tuple[str, str]]) -> str:
    """Return captioners, each with its error and how often it names nobody."""
    return listed(
        [
            f"“{model}” ({', '.join(_percent(figures, model, m, attribute) for m in _METRICS)})"
            for model, attribute in models
        ],
        _MOST_NAMED,
    )


def _both(figures: Figures, pair: _Pair, metric: str, words: str = "") -> str:
    """Write the figure of the quiet captioner, and that of the other in brackets."""
    quiet, other = (
        _percent(figures, model, metric, pair.attribute) for model in (pair.quiet, pair.other)
    )
    return f"{quiet} {words}(“{pair.other}” in {other})"


def _percent(figures: Figures, model: str, metric: str, attribute: str) -> str:
    """Write a share."""
    return percent(_value(figures, model, metric, attribute))


def _value(figures: Figures, model: str, metric: str, attribute: str) -> float:
    """Return a share that is defined."""
    figure = figures.get(model, metric, attribute)
    return float("nan") if figure is None else figure.value
