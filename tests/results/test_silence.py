"""A smaller error that comes with naming nobody is told first, where the intervals show it."""

from __future__ import annotations

import math

import pytest

from fairvision.results.figures import Figure, Figures, Key, difference_of
from fairvision.results.silence import smaller_errors_by_silence

Shares = tuple[float, float, float]  # error, unnamed, accuracy_when_named
METRICS = ("error", "unnamed", "accuracy_when_named")


def figures(models: dict[str, Shares], margin: float = 0.02, n: int = 500) -> Figures:
    """Figures of captioners, whose differences have intervals of so much to both sides."""
    table = {}
    first = next(iter(models))
    for model, shares in models.items():
        for metric, value, of_first in zip(METRICS, shares, models[first]):
            ends = (value - 0.02, value + 0.02) if not math.isnan(value) else (value, value)
            table[model, Key(metric, "gender")] = Figure(value, *ends, n)
            if model != first:
                change = value - of_first
                between = difference_of(first, model), Key(metric, "gender")
                table[between] = Figure(change, change - margin, change + margin, n)
    return Figures(list(models), table, ["gender"], [])


A = (0.2, 0.1, 0.7)


def test_who_errs_less_and_says_less() -> None:
    assert smaller_errors_by_silence(figures({"A": A, "B": (0.1, 0.3, 0.85)})) == [
        "“B” names the wrong gender in 10% of the captions (“A” in 20%), and names nobody, or "
        "several groups, in 30% (“A” in 10%).",
        "Where it names one group, it is right in 85% (“A” in 70%).",
    ]


def test_who_only_says_less() -> None:
    (_, second) = smaller_errors_by_silence(figures({"A": A, "B": (0.1, 0.4, 0.71)}))
    assert second == (
        "Where it names one group, it is not shown to be right more often: in 71% (“A” in 70%)."
    )


@pytest.mark.parametrize(
    "other", [(0.1, 0.11, 0.8), (0.19, 0.4, 0.7), (0.1, 0.02, 0.9), (0.3, 0.3, 0.5), A]
)
def test_neither_alone_is_told(other: Shares) -> None:
    assert smaller_errors_by_silence(figures({"A": A, "B": other})) == []


def test_the_first_may_be_the_silent_one() -> None:
    (sentence, right) = smaller_errors_by_silence(figures({"B": (0.1, 0.3, 0.85), "A": A}))
    assert sentence.startswith("“B” names the wrong gender in 10% of the captions (“A” in 20%)")
    assert right == "Where it names one group, it is right in 85% (“A” in 70%)."


def test_the_smallest_error_is_told_and_others_are_listed() -> None:
    many = {"A": A, "B": (0.15, 0.2, 0.8), "C": (0.05, 0.5, 0.9), "D": (0.3, 0.0, 0.6)}
    sentences = smaller_errors_by_silence(figures(many))
    assert sentences[0].startswith("“C” names the wrong gender in 5% of the captions (“A” in 20%)")
    assert sentences[2:] == [
        "The same holds of “B” (15%, 20%).",
        "“A” does so beside “D” (30%, 0%).",
    ]


def test_who_never_names_anybody() -> None:
    """Every resample gives the same difference; few images show nothing."""
    models = {"A": (0.5, 0.0, 0.5), "B": (0.0, 1.0, math.nan)}
    assert smaller_errors_by_silence(figures(models, margin=0)) == [
        "“B” names the wrong gender in 0% of the captions (“A” in 50%), and names nobody, or "
        "several groups, in 100% (“A” in 0%)."
    ]
    assert smaller_errors_by_silence(figures(models, margin=0, n=9)) == []


def test_one_captioner_and_classifiers_have_nothing_to_tell() -> None:
    assert smaller_errors_by_silence(figures({"A": A})) == []
    assert smaller_errors_by_silence(Figures(["A", "B"], {}, ["gender"], [])) == []
