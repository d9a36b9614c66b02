"""How figures are put into words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairvision.results import words


@pytest.mark.parametrize(
    ("metric", "first", "other", "low", "high", "said"),
    [
        ("accuracy", 0.8, 0.9, 0.05, 0.15, "better"),
        ("accuracy", 0.9, 0.8, -0.15, -0.05, "worse"),
        ("hidden_accuracy", 0.8, 0.6, -0.3, -0.1, "better"),
        ("context_gap", 0.4, 0.1, -0.4, -0.2, "closer to 0"),
        ("context_gap", 0.1, -0.4, -0.6, -0.4, "further from 0"),
        ("chance_level", 0.2, 0.3, 0.05, 0.15, "differs"),
        ("somebody's own", 0.2, 0.3, 0.05, 0.15, "differs"),
        ("accuracy", 0.8, 0.9, 0.0, 0.2, "not shown"),
        ("accuracy", 0.8, 0.9, math.nan, math.nan, "not shown"),
    ],
)
def test_change(metric, first, other, low, high, said):
    assert words.change(metric, first, other, low, high) == said


@given(st.floats(-1, 1))
def test_written_figures_never_show_a_signed_zero(value):
    for unit in ("fraction", "probability", "difference"):
        text = words.written(value, unit)
        number = float(text.replace("−", "-").removesuffix("%"))
        assert number == pytest.approx(value * (100 if unit == "fraction" else 1), abs=0.051)
        assert number or text[0] == "0"


def test_unknown_metrics_keep_their_name():
    assert words.words_of("leakage").title == "leakage"


def test_names_may_hold_braces():
    assert words.words_of("directional A->T", "{0}", "{task}").title == (
        "Amplification, {0} → {task} (A→T)"
    )


@given(st.text())
def test_short_is_short_and_on_one_line(name):
    text = words.short(name, 10)
    assert len(text) <= 10
    assert not set(text) & set("\n\r\x00\u202e\u2067")
