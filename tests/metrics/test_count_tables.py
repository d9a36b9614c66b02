"""Counts as tables of Arrow: the same figures, through files, and refused where damaged."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairvision import metrics
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:figures that rest on fewer")
RANDOM = np.random.default_rng(0)
TRUTH, SCORES = RANDOM.integers(0, 2, 500), RANDOM.random(500)
GROUPS = pd.Categorical.from_codes(RANDOM.choice([-1, 0, 1], 500), ["m", "f", "none"])


def through(table: pa.Table, path: Any) -> pa.Table:
    pq.write_table(table, path)
    return pq.read_table(path)


def scored(groups: Any = GROUPS, rows: slice = slice(None)) -> metrics.ScoreCounts:
    counted = metrics.ScoreCounts(90)
    counted.update(TRUTH[rows], SCORES[rows], None if groups is None else groups[rows])
    return counted


def everything(counted: metrics.ScoreCounts) -> list[Any]:
    results = [counted.roc_auc(replicates=20), counted.calibration_error(replicates=20)]
    pairs = [[] if of.pairs is None else of.pairs.to_dict("list") for of in results]
    return [[repr((of.value, of.low, of.high, of.n)) for of in results], repr(pairs)]


@pytest.mark.parametrize("groups", [GROUPS, np.asarray(GROUPS.codes), None])
def test_scores_are_kept_to_the_last_digit(groups: Any, tmp_path: Any) -> None:
    whole = scored(groups)
    parts = [scored(groups, rows) for rows in (slice(0, 123), slice(123, None))]
    kept = [through(metrics.to_arrow(part), tmp_path / "part.parquet") for part in parts]
    first, second = (metrics.from_arrow(table) for table in kept)
    assert isinstance(first, metrics.ScoreCounts)
    assert isinstance(second, metrics.ScoreCounts)
    first.merge(second)
    assert everything(first) == everything(whole)
    assert first.total == 500


def test_declared_groups_keep_their_order_and_have_figures() -> None:
    pairs = scored().roc_auc(replicates=0).pairs
    assert pairs is not None
    assert pairs["group"].tolist() == ["m", "f", "none", "unknown"]
    assert pairs["n"].tolist()[2] == 0
    exact = metrics.roc_auc(TRUTH, SCORES, GROUPS, replicates=0).pairs
    assert exact is not None
    assert exact["group"].tolist() == pairs["group"].tolist()


@pytest.mark.parametrize(
    "columns",
    [
        {"truth": ["a", None, "b"], "predicted": ["a", "b", "b"]},
        {"truth": [1, 0, None], "predicted": [1, 1, 0]},
        {"truth": pd.Categorical(["b", "a", None], ["b", "a", "c"]), "predicted": ["a", "a", "b"]},
        {
            "truth": pd.DataFrame(np.eye(3)[:, :2], columns=["x", "y"]),
            "predicted": np.eye(3)[:, 1:],
        },
    ],
)
def test_counts_are_kept(columns: dict[str, Any], tmp_path: Any) -> None:
    counts = metrics.Counts()
    for _ in range(2):
        counts.update(**columns, groups=["f", "m", None])
    again = metrics.from_arrow(through(metrics.to_arrow(counts), tmp_path / "counts.parquet"))
    assert isinstance(again, metrics.Counts)
    figures = [metrics.equalized_odds_difference(**of, replicates=20) for of in (counts, again)]
    ours, theirs = (repr((of.value, of.low, of.high, of.n, of.pairs)) for of in figures)
    assert ours == theirs
    again.merge(counts)
    assert again.total == 12


def test_what_is_empty_is_kept() -> None:
    for empty in (metrics.Counts("train_counts"), metrics.ScoreCounts(20)):
        again = metrics.from_arrow(metrics.to_arrow(empty))
        assert again.total == 0
        assert type(again) is type(empty)


def damaged(name: str, value: int) -> pa.Table:
    table = metrics.to_arrow(scored())
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array([value] * len(table), pa.int64()))


def noted(**changes: Any) -> pa.Table:
    table = metrics.to_arrow(scored())
    ((key, text),) = table.schema.metadata.items()
    return table.replace_schema_metadata({key: json.dumps({**json.loads(text), **changes})})


@pytest.mark.parametrize(
    "table",
    [
        *(damaged("images", value) for value in (-1, 0, 2**40, 2**62)),
        *(damaged("cell", value) for value in (-1, 90)),
        *(damaged("truth", value) for value in (-1, 2)),
        *(damaged("group", value) for value in (-1, 7)),
        *(damaged(name, 2**60) for name in ("higher", "lower")),
        noted(grid=20),
        noted(grid="x"),
        noted(groups=[]),
        noted(declared=["other"]),
        metrics.to_arrow(scored()).drop_columns(["cell"]),
        metrics.to_arrow(scored()).replace_schema_metadata({b"fairvision.counts": b"{"}),
    ],
)
def test_what_no_images_can_have_is_refused(table: pa.Table) -> None:
    with pytest.raises(InputError, match=r"the table of counts|grid must"):
        metrics.from_arrow(table)


@pytest.mark.parametrize("table", [pl.from_arrow(metrics.to_arrow(scored())), pa.table({"x": [1]})])
def test_tables_without_notes_are_refused(table: Any) -> None:
    with pytest.raises(InputError, match="lost its notes"):
        metrics.from_arrow(table)
    with pytest.raises(InputError, match="is no table of Arrow"):
        metrics.from_arrow("counts.parquet")
    with pytest.raises(InputError, match="only Counts and ScoreCounts"):
        metrics.to_arrow([1])  # type: ignore[arg-type]


def test_a_copy_of_scores_is_apart() -> None:
    import copy

    counted = scored()
    copied = copy.copy(counted)
    copied.merge(counted)
    assert (counted.total, copied.total) == (500, 1000)
