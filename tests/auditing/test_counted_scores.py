"""Scores of tables that are counted: figures inside their bounds, whatever the batches are."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fairvision import audit
from fairvision.auditing import cautions, streaming
from fairvision.auditing.counted_score_figures import FIGURES
from fairvision.results.figures import COLUMNS

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
KEYS = list(COLUMNS[:6])
IMAGES = 900
LABELS = {"gender": "fm", "age": "abc", "animal": ("cat", "dog", "owl"), "hat": ("no", "yes")}


def drawn(seed: int) -> pd.DataFrame:
    """Draw scores of two attributes, and of tasks of three, two and many labels; some unknown."""
    truth, random = np.random.default_rng(5), np.random.default_rng(seed)
    columns = {"id": [f"p{i}" for i in range(IMAGES)]}
    for head, labels in LABELS.items():
        codes = truth.integers(len(labels), size=IMAGES)
        known = truth.random(IMAGES) < 0.95
        columns[head] = np.where(known, np.array(list(labels), dtype=object)[codes], None)
        for kind in ("score", "hidden") if head == "gender" else ("score",):
            scores = random.random((IMAGES, len(labels))) + 0.7 * (
                codes[:, None] == np.arange(len(labels))
            )
            scores /= scores.sum(axis=1, keepdims=True)
            if kind == "hidden":
                scores[::5] = np.nan
            columns |= {f"{kind}/{head}/{of}": scores[:, i] for i, of in enumerate(labels)}
    held = truth.random((IMAGES, 3)) < [0.5, 0.3, 0.02]
    columns["things"] = [[of for of, there in zip("xyz", row) if there] for row in held]
    scores = 0.4 * held + 0.6 * random.random(held.shape)
    columns |= {f"score/things/{of}": scores[:, i] for i, of in enumerate("xyz")}
    return pd.DataFrame(columns)


def run(output, **options):
    tables = {name: pl.from_pandas(drawn(seed)) for seed, name in enumerate("AB")}
    settings = {"replicates": 50, "attributes": ["gender", "age"], **options}
    return audit(predictions=tables, output=output, **settings)


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    return run(tmp_path_factory.mktemp("held") / "audit")


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "LIMIT", 20)
        return run(tmp_path_factory.mktemp("counted") / "audit")


def of_scores(done, *, models=("A", "B")):
    table = done.metrics
    return table[table["metric"].isin(FIGURES) & table["model"].isin(models)].set_index(KEYS)


def test_figures_are_those_of_the_rows_within_the_bound(held, counted):
    ours, theirs = of_scores(counted), of_scores(held)
    left_out = theirs.index.difference(ours.index)
    assert {key[1] for key in left_out} == {"log_loss", "roc_auc", "roc_auc_gap"}
    assert {key[3] for key in left_out} == {"things"}
    assert {key[2] for key in left_out} == {"age", "gender"}
    theirs = theirs.loc[ours.index]
    assert ours["n"].tolist() == theirs["n"].tolist()
    (line,) = [line for line in counted.verdict.warnings if "grid" in line]
    assert "log loss" in line
    off = [float(number) for number in re.findall(r"(?:curves|precision|them) ([\d.e-]+)", line)]
    assert len(off) == 3
    assert min(off) > 0
    assert max(off) < 0.002
    exact = ~ours.index.get_level_values("metric").str.contains("roc|precision")
    for rows, within in ((exact, 1e-12), (~exact, 2 * max(off))):  # a gap is of two
        difference = (ours["value"] - theirs["value"])[rows].abs()
        assert difference.max() <= within
    assert ours["value"].isna().tolist() == theirs["value"].isna().tolist()


def test_intervals_are_as_wide_but_for_means_over_labels(held, counted):
    ours, theirs = of_scores(counted), of_scores(held)
    theirs = theirs.loc[ours.index]
    width = (ours["high"] - ours["low"]) / (theirs["high"] - theirs["low"])
    keys = ours.index.to_frame()
    mean = (keys["task"] == "things") & (keys["label"] == "")
    assert width[mean].min() > 1
    assert 0.8 < width[~mean].median() < 1.25


def test_what_needs_both_scores_of_an_image_is_left_out_and_said(counted):
    assert of_scores(counted, models=["B - A"]).empty
    assert cautions.SCORES_COUNTED in counted.verdict.left_out


@pytest.mark.parametrize("batch", [97, 400])
def test_batches_change_no_digit(counted, batch, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "LIMIT", 20)
    monkeypatch.setattr(streaming, "BATCH", batch)
    again = run(tmp_path / "audit")
    pd.testing.assert_frame_equal(again.metrics, counted.metrics, check_exact=True)


def test_intervals_that_hold_together_are_of_other_figures(counted, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "LIMIT", 20)
    again = run(tmp_path / "audit", simultaneous=True)
    pd.testing.assert_frame_equal(of_scores(again), of_scores(counted), check_exact=True)


def test_heads_with_labels_alone_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "LIMIT", 20)
    table = drawn(0)
    table = table.drop(columns=[name for name in table if name.startswith("score/hat/")])
    table["predicted/hat"] = table["hat"]
    done = audit(predictions={"A": table}, output=tmp_path / "a", replicates=5, attributes=["age"])
    assert "A, hat: labels alone are given" in " ".join(done.verdict.left_out)
    assert "hat" not in set(of_scores(done).index.get_level_values("task"))
