"""The register of metrics: what it refuses, what hangs on it, and that the documentation has it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fairvision.errors import InputError
from fairvision.results import (
    LeaderboardEntry,
    Metric,
    Place,
    find,
    register,
    registered,
    registry,
    sections,
    unregister,
)
from fairvision.results.documentation import BEGIN, END, metrics_table, with_table
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
    ],
)
def test_what_cannot_be_registered(change, problem):
    registered()
    with pytest.raises(InputError, match=problem):
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


def test_entry_points_are_loaded_once(monkeypatch):
    class Entry:
        loaded = 0

        def load(self):
            self.loaded += 1
            register(METRIC)

    entry = Entry()
    groups = []
    monkeypatch.setattr(registry, "entry_points", lambda group: groups.append(group) or [entry])
    monkeypatch.setattr(registry, "_METRICS", {})
    monkeypatch.setattr(registry, "_loaded", False)
    assert find("somebody_s") == METRIC
    assert list(registered())[-1] == "somebody_s"
    assert groups == ["fairvision.metrics"]
    assert entry.loaded == 1


def test_the_bias_of_versions_is_a_difference_everywhere():
    assert unit_of("cifar10s_bias") == "difference"


def test_the_documentation_holds_every_metric_as_it_is_registered():
    page = DESIGN.read_text("utf-8")
    table = page.partition(BEGIN)[2].partition(END)[0].strip()
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \|", table, re.MULTILINE)
    assert rows == [(name, metric.unit) for name, metric in registered().items()]
    assert with_table(page) == page, (
        "run: python -m fairvision.results.documentation docs/design.md"
    )
