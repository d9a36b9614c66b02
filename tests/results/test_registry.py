"""The register of metrics: what it refuses, what hangs on it, and that the documentation has it."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import fairvision
from fairvision import metrics
from fairvision.errors import InputError
from fairvision.results import (
    LeaderboardEntry,
    Metric,
    Place,
    figures,
    find,
    leaderboard,
    register,
    registered,
    registry,
    sections,
    unregister,
)
from fairvision.results.documentation import BEGIN, END, metrics_table, with_table
from fairvision.results.figures import read_metrics
from fairvision.results.registry import in_section, unit_of

DESIGN = Path(__file__).parents[2] / "docs" / "design.md"
METRIC = Metric(
    name="somebody_s",
    unit="fraction",
    better="higher",
    title="Somebody's, {subject}",
    meaning="what somebody measures of {task}",
    keys="task",
    scope="task",
    places=(Place(sections.TASK),),
)


@pytest.mark.parametrize("name", registered())
def test_every_metric_has_a_name_and_a_line_that_explains_it(name):
    words = registered()[name].words("gender", "objects")
    assert words.title != name
    assert words.meaning
    assert words.undefined
    assert "{" not in words.title + words.meaning + registered()[name].phrase("gender", "objects")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "accuracy"}, "registered already"),
        ({"name": ""}, "no name"),
        ({"unit": ""}, "unit '': one of fraction, difference"),
        ({"unit": "percent"}, "unit 'percent'"),
        ({"better": "more"}, "better is higher, lower, zero or empty"),
        ({"better": "", "leaderboard": LeaderboardEntry("A part")}, "which way is better"),
        ({"scope": "tasks"}, "scope 'tasks': one of attribute, task"),
        ({"title": "Of {group}"}, "title: 'Of {group}' may hold {attribute}"),
        ({"meaning": "a {"}, "meaning: 'a {' may hold"),
        ({"noun": "{}"}, "noun: '{}' may hold"),
        ({"undefined": "no {task.name}"}, "undefined: 'no {task.name}' may hold"),
        (
            {"leaderboard": LeaderboardEntry(sections.BOARD_RIGHT, title="{x}")},
            "title on the leaderboard: '{x}' may hold",
        ),
        ({"leaderboard": LeaderboardEntry("A part")}, "no part 'A part': choose one of How often"),
        (
            {"compute": len, "leaderboard": LeaderboardEntry(sections.BOARD_RIGHT)},
            "each task: it cannot stand in the leaderboard, as 'attribute', which is about each",
        ),
        (
            {"compute": len, "places": (Place(sections.RIGHT),)},
            "each task: it cannot stand in the section 'right' which is about each attribute",
        ),
        ({"compute": len, "places": (Place(sections.CHANGES),)}, "the section 'changes' which"),
    ],
)
def test_what_cannot_be_registered(change, problem):
    registered()
    with pytest.raises(InputError, match=re.escape(problem)):
        register(replace(METRIC, **change))
    assert "somebody_s" not in registered()


def test_a_metric_cannot_be_made_without_a_unit():
    with pytest.raises(TypeError, match="unit"):
        Metric(name="x", title="X", meaning="x", keys="task")


def test_a_registered_metric_stands_where_it_says_and_can_be_removed():
    before = in_section(sections.TASK)
    register(METRIC)
    try:
        assert in_section(sections.TASK) == (*before, "somebody_s")
        assert unit_of("somebody_s") == "fraction"
        assert "| `somebody_s` | fraction | higher | task | what somebody" in metrics_table()
    finally:
        unregister("somebody_s")
    assert find("somebody_s") is None


def test_ranks_go_before_the_order_of_registration():
    together = in_section(sections.TOGETHER)
    assert together[-1] == "accuracy_gap"
    assert in_section(sections.CHANGES)[:3] == ("accuracy", "directional T->A", "directional A->T")


@pytest.mark.parametrize("names_a_metric", [True, False])
def test_entry_points_are_loaded_once(monkeypatch, names_a_metric):
    class Entry:
        loaded = 0

        def load(self):
            self.loaded += 1
            return METRIC if names_a_metric else register(METRIC) and ModuleType("theirs")

    entry = Entry()
    groups = []
    monkeypatch.setattr(registry, "entry_points", lambda group: groups.append(group) or [entry])
    monkeypatch.setattr(registry, "_METRICS", {})
    monkeypatch.setattr(registry, "_loaded", False)
    assert find("somebody_s") == METRIC
    assert list(registered())[-1] == "somebody_s"
    assert groups == ["fairvision.metrics"]
    assert entry.loaded == 1


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("broken_metrics", "SyntaxError"),
        ("math:pi", "it is neither a Metric nor a module"),
        ("fairvision.results.entries:METRICS", "it is neither a Metric nor a module"),
    ],
)
def test_an_entry_point_that_is_no_metric_is_named(tmp_path, monkeypatch, place, problem):
    (tmp_path / "broken_metrics.py").write_text("def (:\n")
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[fairvision.metrics]\nbroken = {place}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_METRICS", {})
    monkeypatch.setattr(registry, "_loaded", False)
    message = f"metric 'broken' of the package theirs cannot be loaded: {problem}.*mend or uninst"
    with pytest.raises(InputError, match=message):
        registered()


def test_the_project_s_own_metrics_come_first(monkeypatch):
    monkeypatch.setattr(registry, "_METRICS", {})
    monkeypatch.setattr(registry, "_loaded", False)
    with pytest.raises(InputError, match="registered already"):
        register(replace(METRIC, name="accuracy"))
    register(METRIC)
    names = list(registered())
    assert (names[0], names[-1]) == ("accuracy", "somebody_s")


def test_the_bias_of_versions_is_a_difference_everywhere():
    assert unit_of("cifar10s_bias") == "difference"


def test_the_documentation_holds_every_metric_as_it_is_registered():
    page = DESIGN.read_text("utf-8")
    table = page.partition(BEGIN)[2].partition(END)[0].strip()
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \|", table, re.MULTILINE)
    assert rows == [(name, metric.unit) for name, metric in registered().items()]
    assert with_table(page) == page, "run: make docs"


@pytest.mark.parametrize(
    ("section", "names"),
    [
        (sections.RIGHT, "accuracy, accuracy_gap"),
        (
            sections.EVIDENCE,
            "pointing_game, chance_level, pointing_game_lift, pointing_game_gap, relevance_mass, "
            "relevance_mass_lift",
        ),
        (
            sections.EVIDENCE_GAPS,
            "pointing_game_lift_gap, relevance_mass_gap, relevance_mass_lift_gap",
        ),
        (sections.WITHOUT_PERSON, "hidden_accuracy, hidden_probability_gap, person_accuracy"),
        (
            sections.TOGETHER,
            "accuracy_context_agrees, accuracy_context_disagrees, context_gap, cifar10s_bias, "
            "directional A->T, directional T->A, bias_amplification_mals, directional T->A; "
            "evidence inside, directional T->A; evidence outside, directional T->A; outside minus "
            "inside, accuracy_gap",
        ),
        (
            sections.PROBABILITIES,
            "worst_group_accuracy, coverage, coverage_gap, calibration_error, "
            "calibration_error_gap",
        ),
        (
            sections.ALL_TASKS,
            "multi-attribute T->A, multi-attribute A->T, multi-attribute MALS",
        ),
        (
            sections.MORE_TOGETHER,
            "worst_group_accuracy, coverage_gap, demographic_parity_difference, "
            "demographic_parity_ratio, equalized_odds_difference, equalized_odds_ratio, "
            "calibration_error_gap, multi-attribute T->A, multi-attribute A->T, multi-attribute "
            "MALS, leakage_amplification, model_leakage, perturbed_leakage, predictability T->A, "
            "predictability A->T",
        ),
        (sections.TASK, "accuracy, coverage, average_precision, calibration_error"),
        (
            sections.CAPTIONED_PERSON,
            "error, error_gap, accuracy_when_named, ratio, ratio_difference, outcome_divergence",
        ),
        (
            sections.CAPTIONED_OBJECTS,
            "directional T->A, directional A->T, bias_amplification_mals",
        ),
        (sections.CAPTIONED_REST, "lic_model, lic_human, lic"),
        (
            sections.CHANGES,
            "accuracy, directional T->A, directional A->T, bias_amplification_mals, "
            "pointing_game, relevance_mass, accuracy_context_disagrees, context_gap, "
            "hidden_accuracy, hidden_probability_gap, person_accuracy",
        ),
        (
            sections.CAPTION_CHANGES,
            "error, outcome_divergence, ratio_difference, lic, lic_model",
        ),
    ],
)
def test_the_order_of_a_section(section, names):
    """Other metrics may stand between these."""
    listed = names.split(", ")
    in_order = [name.replace(", ", "; ") for name in in_section(section)]
    assert [name for name in in_order if name in listed] == listed


def outside(inputs):
    """Return the share of pictures whose label is predicted, of those with a known group."""
    if inputs.predicted_labels is None:
        return None
    same = np.asarray(inputs.predicted_labels) == np.asarray(inputs.labels)
    values = np.where(pd.isna(np.asarray(inputs.groups)), np.nan, same)
    return metrics.mean(values, **inputs.sampling)


def test_a_metric_from_outside_is_in_the_table_the_report_and_the_leaderboard(tmp_path):
    table = pd.DataFrame(
        {
            "id": range(40),
            "age": ["young", "old"] * 20,
            "job": ["rest", "rest", "toil", "toil"] * 10,
            "score/job/rest": [0.9, 0.8, 0.1, 0.6] * 10,
            "score/job/toil": [0.1, 0.2, 0.9, 0.4] * 10,
        }
    )
    for name in ("a", "b"):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    metric = replace(
        METRIC,
        scope="attribute and task",
        title="Somebody's, {attribute} and {task}",
        places=(Place(sections.TOGETHER),),
        leaderboard=LeaderboardEntry(sections.BOARD_RIGHT, ("attribute and task",)),
        compute=outside,
    )
    register(metric)
    try:
        with warnings.catch_warnings(action="ignore"):
            done = fairvision.audit(
                predictions=[tmp_path / "a.csv", tmp_path / "b.csv"],
                attributes=["age"],
                output=tmp_path / "audit",
                replicates=20,
            )
        rows = read_metrics(tmp_path / "audit" / "metrics.csv").query("metric == 'somebody_s'")
        assert rows["model"].tolist() == ["a", "b", "b - a"]
        assert rows["unit"].tolist() == ["fraction", "fraction", "difference"]
        assert rows["value"].tolist() == [0.75, 0.75, 0.0]
        page = done.report.read_text("utf-8")
        assert "Somebody&#39;s, age and job" in page
        assert "what somebody measures of job; <span" in page
        board = leaderboard.collect({0: figures.read(done.metrics, ["a", "b"])}, ["a", "b"], 1)
        assert leaderboard.table(board)["somebody_s/age/job mean"].tolist() == [0.75, 0.75]
        assert "`somebody_s`" in metrics_table()
    finally:
        unregister("somebody_s")


def failing(inputs):
    raise KeyError("age")


@pytest.mark.parametrize(
    ("compute", "problem"),
    [
        (failing, "metric 'somebody_s' cannot be computed: KeyError: 'age'"),
        (lambda inputs: 0.5, "metric 'somebody_s' is computed as a float: return a"),
    ],
)
def test_a_metric_that_cannot_be_computed_is_named(tmp_path, compute, problem):
    table = pd.DataFrame({"id": range(20), "job": ["rest", "toil"] * 10})
    table["age"] = ["young", "old"] * 10
    table["score/job/rest"], table["score/job/toil"] = 0.7, 0.3
    table.to_csv(tmp_path / "a.csv", index=False)
    register(replace(METRIC, compute=compute))
    try:
        with warnings.catch_warnings(action="ignore"), pytest.raises(InputError, match=problem):
            fairvision.audit(
                predictions=[tmp_path / "a.csv"],
                attributes=["age"],
                output=tmp_path / "audit",
                replicates=5,
            )
    finally:
        unregister("somebody_s")
