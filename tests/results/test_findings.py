"""What an audit found, for programs: questions in order, statuses by interval and number."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from fairvision.results.figures import COLUMNS
from fairvision.results.findings import QUESTIONS, findings

NAN = math.nan


def table(*rows: dict[str, object]) -> pd.DataFrame:
    blank = {"model": "m", "attribute": "gender", "task": "", "group": "", "label": "", "n": 90}
    blank |= {"value": 0.2, "low": 0.1, "high": 0.3, "unit": "difference"}
    return pd.DataFrame([{**blank, **row} for row in rows], columns=list(COLUMNS))


def only(metrics: pd.DataFrame, metric: str) -> list:
    return [finding for finding in findings(metrics, ["m"]) if finding.metric == metric]


@pytest.mark.parametrize(
    ("numbers", "status"),
    [
        ({"value": 0.2, "low": 0.1, "high": 0.3}, "concern"),
        ({"value": 0.2, "low": -0.1, "high": 0.3}, "none shown"),
        ({"value": 0.0, "low": 0.0, "high": 0.0}, "none shown"),
        ({"value": NAN, "low": NAN, "high": NAN}, "cannot say"),
        ({"n": 9}, "cannot say"),
    ],
)
def test_the_interval_decides(numbers, status):
    (found,) = only(table({"metric": "accuracy_gap", **numbers}), "accuracy_gap")
    assert found.status == status
    assert found.id == "m/accuracy_gap/gender"


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(0.1, 0.3, "none shown"), (-0.3, -0.1, "concern"), (-0.1, 0.1, "cannot say")],
)
def test_that_it_looks_at_the_person_has_to_be_shown(low, high, status):
    row = {"metric": "pointing_game_lift", "value": (low + high) / 2, "low": low, "high": high}
    (found,) = only(table(row), "pointing_game_lift")
    assert found.status == status


def test_the_worst_group_is_named_and_small_ones_say_nothing():
    groups = [
        {"metric": "accuracy", "group": name, "value": value, "n": n, "unit": "fraction"}
        for name, value, n in [("female", 0.3, 40), ("male", 0.9, 50), ("unknown", 0.1, 3)]
    ]
    metrics = table({"metric": "accuracy_gap"}, *groups)
    (found,) = only(metrics, "accuracy_gap")
    assert (found.group, found.status) == ("female", "concern")
    metrics.loc[1, "n"] = 9
    assert only(metrics, "accuracy_gap")[0].status == "cannot say"


def test_every_question_is_answered_for_every_model_unequal_errors_first():
    rows = [
        {"metric": "directional T->A", "task": "sport"},
        {"metric": "directional A->T", "task": "sport", "model": "other", "low": -0.2},
        {"metric": "context_gap", "task": "sport"},
        {"metric": "accuracy_gap", "attribute": "gender"},
    ]
    listed = findings(table(*rows), ["m", "other"])
    assert [found.question for found in listed] == sorted(
        [found.question for found in listed], key=QUESTIONS.index
    )
    assert listed[0].metric == "accuracy_gap"
    for question in QUESTIONS:
        assert {f.model for f in listed if f.question == question} == {"m", "other"}
    ids = [found.id for found in listed]
    assert len(set(ids)) == len(ids)
    text = json.dumps([found.as_json() for found in listed], allow_nan=False)
    assert '"value": null' in text
    assert np.isnan(next(f for f in listed if f.status == "cannot say").value)
