"""The parts of a verdict, and the dictionaries that they have taken the place of."""

from __future__ import annotations

import pytest

from fairvision.results.figures import Figure
from fairvision.results.verdict import NO_WIDTH, NOT_SHOWN, Answer, Verdict, shown_as

VERDICT = Verdict("One.", (Answer("Why?", "Because.", "unclear"),), ("a",), ("b", "c"))


def test_a_verdict_is_the_same_from_its_json():
    assert Verdict.of(VERDICT.as_json()) == VERDICT == Verdict.of(VERDICT)
    assert list(VERDICT.as_json()) == ["headline", "answers", "left_out", "warnings"]
    assert list(VERDICT.as_json()["answers"][0]) == ["question", "status", "answer"]


def test_it_is_read_by_keys_with_a_warning():
    with pytest.warns(FutureWarning, match=r"Verdict\['headline'\] is called \.headline now"):
        assert VERDICT["headline"] == "One."
    with pytest.warns(FutureWarning, match="Answer"):
        assert VERDICT.answers[0]["status"] == "unclear"
    with pytest.raises(KeyError):
        VERDICT["nothing"]


@pytest.mark.parametrize(
    ("low", "high", "sign", "words"),
    [
        (0.1, 0.3, 1, "up"),
        (-0.3, -0.1, -1, "down"),
        (-0.1, 0.3, 0, NOT_SHOWN),
        (0.2, 0.2, 0, NO_WIDTH),
        (0.0, 0.0, 0, NOT_SHOWN),
    ],
)
def test_what_an_interval_shows(low, high, sign, words):
    figure = Figure(0.2, low, high, 10, "difference")
    assert figure.sign == sign
    assert shown_as(figure, "up", "down") == words
