"""Audits whose intervals hold together, and differences that are too small to matter."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest

from fairvision import audit, captions
from fairvision.errors import InputError
from fairvision.results.findings import findings, schema
from fairvision.results.summary import cards

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


@pytest.fixture
def tables(tmp_path):
    """Two models of three attributes, of which the second has a large gap."""
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{name}.csv" for name in "ab"]
    names = {"gender": ("female", "male"), "hair": ("dark", "fair"), "hat": ("no", "yes")}
    truth = {name: np.array(groups)[random.integers(2, size=400)] for name, groups in names.items()}
    for path in paths:
        columns = {"id": np.arange(400), **truth}
        for name, groups in names.items():
            wrong = random.random(400) < (0.1 + 0.3 * (truth[name] == groups[0]) * (name == "hair"))
            other = np.where(truth[name] == groups[0], groups[1], groups[0])
            columns[f"predicted/{name}"] = np.where(wrong, other, truth[name])
        pd.DataFrame(columns).to_csv(path, index=False)
    return paths


HEADS = {"attributes": ["gender", "hair", "hat"], "replicates": 500}


def gaps(done):
    of_models = done.metrics[~done.metrics["model"].str.contains(" - ")]
    return of_models[of_models["metric"] == "accuracy_gap"].set_index(["model", "attribute"])


def test_the_intervals_behind_findings_hold_together(tables, tmp_path):
    plain = audit(predictions=tables, output=tmp_path / "plain", **HEADS)
    done = audit(predictions=tables, output=tmp_path / "done", simultaneous=True, **HEADS)
    described = json.loads((tmp_path / "done" / "audit.json").read_text())
    told = described["settings"]["simultaneous"]
    assert told["figures"] == 6
    assert 1.2 < told["factor"] < 1.45  # 1.35 of six independent figures
    widths = [(of["high"] - of["low"]).mean() for of in map(gaps, (plain, done))]
    assert widths[1] / widths[0] == pytest.approx(told["factor"], rel=0.06)
    assert {*told["p"]} == {f"{m}/accuracy_gap/{a}" for m in "ab" for a in HEADS["attributes"]}
    for finding in done.findings:
        if finding.metric == "accuracy_gap":
            assert (told["p"][finding.id] < 0.05) == (finding.status == "concern")
    overall = [of.metrics.query("metric == 'accuracy' and group == ''") for of in (plain, done)]
    assert np.allclose(*[(of["high"] - of["low"]).to_numpy() for of in overall], rtol=0.2)
    page = done.report.read_text()
    assert page.count("The intervals of the 6 figures behind the findings hold together") == 2
    assert "would miss zero with nothing behind it" not in page
    assert any("6 figures behind the findings" in line for line in done.verdict.warnings)


def row(model, low, value, high, **more):
    keys = {
        "model": model,
        "metric": "accuracy_gap",
        "attribute": "gender",
        "task": "",
        "group": "",
    }
    numbers = {"value": value, "low": low, "high": high, "n": 900, "unit": "difference"}
    return {**keys, "label": "", **numbers, **more}


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ((-0.005, 0.01, 0.019), "shown small"),
        ((0.004, 0.01, 0.019), "shown small"),  # shown, and too small to matter
        ((0.004, 0.01, 0.021), "concern"),
        ((-0.021, 0.001, 0.01), "none shown"),
        ((0.0, 0.0, 0.0), "none shown"),
    ],
)
def test_an_interval_within_the_smallest_difference_is_small(ends, status):
    (first, *_) = findings(pd.DataFrame([row("m", *ends)]), ["m"], smallest_difference=2)
    assert first.status == status
    assert first.threshold == (0.02 if status == "shown small" else 0)
    (first, *_) = findings(pd.DataFrame([row("m", *ends)]), ["m"])
    assert first.status in ("concern", "none shown")


def by_group(**n):
    return [
        row("m", 0.79, 0.8, 0.81, metric="accuracy", group=group, unit="fraction", n=images)
        for group, images in n.items()
    ]


def test_many_groups_widen_it_and_tiny_ones_forbid_it():
    gap = row("m", -0.016, 0.001, 0.018)
    for groups, status in (
        ({"a": 90, "b": 90}, "shown small"),
        ({"a": 90, "b": 90, "c": 90}, "none shown"),
        ({"a": 90, "b": 90, "c": 4}, "cannot say"),
    ):
        table = pd.DataFrame([gap, *by_group(**groups)])
        assert findings(table, ["m"], smallest_difference=2)[0].status == status


def test_that_it_looks_at_the_person_cannot_be_too_small_to_matter():
    lift = row("m", -0.01, 0.0, 0.01, metric="pointing_game_lift")
    listed = findings(pd.DataFrame([lift]), ["m"], smallest_difference=5)
    assert {of.status for of in listed} == {"cannot say"}


@pytest.mark.parametrize("points", [-1, 0.02, 0.0999, 101, "2", True, float("nan")])
def test_what_is_no_number_of_points_is_refused(points, tables, tmp_path):
    table = pd.DataFrame([row("m", -0.005, 0.01, 0.019)])
    texts = tmp_path / "captions.json"
    calls = (
        partial(findings, table, ["m"]),
        partial(audit, predictions=tables, output=tmp_path / "x"),
        partial(captions, texts, labels=texts, output=tmp_path / "x"),
    )
    for call in calls:
        with pytest.raises(InputError, match="two points are 2, not"):
            call(smallest_difference=points)


def test_fractions_are_refused_in_the_shell(tables, tmp_path, run_cli):
    given = ["audit", "--predictions", tables[0], "--output", tmp_path / "x"]
    result = run_cli(*given, "--smallest-difference", 0.02)
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "two points are 2, not 0.02" in result.err
    assert not (tmp_path / "x").exists()


def test_cards_say_so():
    table = pd.DataFrame([row("m", -0.005, 0.01, 0.019), *by_group(a=90, b=90)])
    assert cards(table, ["m"], smallest_difference=2)[0].status == "shown small"


def test_the_audit_says_it(tables, tmp_path, run_cli):
    done = audit(predictions=tables, output=tmp_path / "done", smallest_difference=25, **HEADS)
    statuses = {of.id: of.status for of in done.findings}
    assert statuses["a/accuracy_gap/gender"] == "shown small"
    assert statuses["a/accuracy_gap/hair"] == "concern"
    described = json.loads((tmp_path / "done" / "audit.json").read_text())
    assert described["settings"]["smallest_difference"] == 25
    told = {finding["id"]: finding["status"] for finding in described["findings"]}
    assert told == statuses
    assert "shown small" in schema()["$defs"]["finding"]["properties"]["status"]["enum"]
    page = done.report.read_text()
    assert "within 25 points" in page
    one = {"attributes": ["gender"], "replicates": 100, "smallest_difference": 50}
    small = audit(predictions=tables, output=tmp_path / "small", **one)
    assert "(shown to be small)" in small._repr_html_()
    assert "≈</span> shown to be small" in small.report.read_text()
    arguments = ["audit", "--predictions", tables[0], "--attribute", "hair", "--quiet"]
    options = ["--smallest-difference", 50, "--simultaneous", "--json", "-o", tmp_path / "shell"]
    result = run_cli(*arguments, *options)
    assert result.code == 0, result.err
    assert json.loads(result.out)["findings"][0]["status"] == "shown small"
