"""What an audit found, for programs: questions in order, statuses by interval and number."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from fairvision.results.figures import COLUMNS
from fairvision.results.findings import KEYS, QUESTIONS, Finding, Status, findings, schema

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
    assert found.extremes.best.group == "male"
    metrics.loc[1, "n"] = 9
    found = only(metrics, "accuracy_gap")[0]
    assert (found.status, found.group, found.extremes) == ("cannot say", "", None)


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


def test_the_schema_names_exactly_the_keys():
    described = schema()["$defs"]["finding"]
    assert tuple(described["properties"]) == tuple(described["required"]) == KEYS
    kept = {field.name for field in fields(Finding)} - {"extremes"}
    assert kept == set(KEYS)
    assert tuple(described["properties"]["question"]["enum"]) == QUESTIONS
    assert set(described["properties"]["status"]["enum"]) == set(get_args(Status))
    Draft202012Validator.check_schema(schema())


def gap(numbers: dict[str, object], groups: dict[str, tuple[float, float, float, int]]) -> Finding:
    rows = [
        {"metric": "accuracy", "group": name, "value": v, "low": low, "high": high, "n": n}
        for name, (v, low, high, n) in groups.items()
    ]
    (listed,) = only(table({"metric": "accuracy_gap", **numbers}, *rows), "accuracy_gap")
    return listed


def test_a_gap_in_which_every_resample_agrees_is_a_concern():
    whole = {"value": 1.0, "low": 1.0, "high": 1.0}
    listed = gap(whole, {"a": (0.0, 0.0, 0.07, 50), "b": (1.0, 0.93, 1.0, 50)})
    assert (listed.status, listed.group) == ("concern", "a")
    alike = gap(dict.fromkeys(whole, 0.0), {"a": (1.0, 0.9, 1.0, 50), "b": (1.0, 0.9, 1.0, 50)})
    assert alike.status == "none shown"


def test_a_small_group_neither_hides_nor_makes_a_gap():
    large = {"a": (0.3, 0.2, 0.45, 50), "b": (0.9, 0.8, 0.96, 50)}
    listed = gap({"value": 0.7}, {**large, "few": (1.0, 0.3, 1.0, 3)})
    assert listed.status == "concern"
    assert (listed.group, listed.extremes.best.group) == ("a", "b")
    alike = {"a": (0.88, 0.78, 0.95, 50), "b": (0.9, 0.8, 0.96, 50)}
    assert gap({"value": 0.9}, {**alike, "few": (0.0, 0.0, 0.7, 3)}).status == "cannot say"


def test_of_many_groups_the_largest_difference_has_to_be_larger():
    groups = {f"g{i}": (0.9 - i / 100, 0.7, 0.99, 30) for i in range(10)}
    numbers = {"value": 0.2, "low": 0.05, "high": 0.35}
    assert gap(numbers, groups).status == "none shown"
    assert gap(numbers, dict(list(groups.items())[::9])).status == "concern"
    assert gap({**numbers, "low": 0.12}, groups).status == "concern"


@pytest.mark.parametrize("groups", [2, 3, 8, 30])
def test_groups_that_are_served_alike_are_seldom_a_concern(groups):
    """Of audits of equal groups, no more than one in twenty is a concern."""
    rng = np.random.default_rng(0)
    audits, n = 400, 200
    rates = rng.binomial(n, 0.8, (audits, groups)) / n
    error = 1.96 * np.sqrt(2 * 0.16 / n)
    concerns = 0
    for rate in rates:
        value = np.ptp(rate)
        numbers = {"value": value, "low": value - error, "high": value + error}
        by_group = {f"g{i}": (p, p - 0.06, p + 0.06, n) for i, p in enumerate(rate)}
        concerns += gap(numbers, by_group).status == "concern"
    assert concerns <= audits * 0.05 + 3 * math.sqrt(audits * 0.05)


def test_captions_answer_with_errors_and_leakage():
    errors = [
        {"metric": "error", "group": name, "value": value, "n": 40}
        for name, value in [("man", 0.1), ("woman", 0.5)]
    ]
    rows = table({"metric": "error_gap"}, {"metric": "lic", "low": -0.1}, *errors)
    (served,) = only(rows, "error_gap")
    assert (served.group, served.status) == ("woman", "concern")
    assert served.extremes.best.group == "man"
    (told,) = only(rows, "lic")
    assert (told.question, told.status) == (QUESTIONS[3], "none shown")


def test_what_has_no_interval_cannot_be_said():
    blank = {"low": NAN, "high": NAN}
    (listed,) = only(table({"metric": "background_gap", **blank}), "background_gap")
    assert listed.status == "cannot say"
    infinite = table({"metric": "background_gap", "value": math.inf, "high": math.inf})
    json.dumps(only(infinite, "background_gap")[0].as_json(), allow_nan=False)
