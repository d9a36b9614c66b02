"""Frames of Spark are streams, and its GROUP BY makes counts: the figures are those of the rows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fairvision
from fairvision import metrics
from fairvision.errors import InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
]
PAGE = Path(__file__).parents[2] / "docs" / "lakes.md"
COLUMNS = {"predicted/gender": "predicted_gender"}
ROWS = 3000


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """Answers of a model, in which some of the truth is not known."""
    random = np.random.default_rng(0)
    groups, labels = random.integers(2, size=ROWS), random.integers(3, size=ROWS)
    names = np.array(["female", "male"])
    answers = np.where(random.random(ROWS) < 0.8, groups, 1 - groups)
    return pa.table(
        {
            "id": [f"{i:05d}" for i in range(ROWS)],
            "split": ["test"] * ROWS,
            "gender": pa.array(names[groups], mask=random.random(ROWS) < 0.02),
            "predicted_gender": names[answers],
            "sport": np.array(["ski", "surf", "chess"])[labels],
        }
    )


@pytest.fixture(scope="module")
def frame(spark, rows, tmp_path_factory):
    """The same answers as Spark reads them from several files."""
    folder = tmp_path_factory.mktemp("lake") / "answers"
    folder.mkdir()
    for part in range(3):
        piece = rows.slice(part * ROWS // 3, ROWS // 3)
        pq.write_table(piece, folder / f"{part}.parquet", row_group_size=400)
    read = spark.read.parquet(str(folder))
    read.createOrReplaceTempView("answers")
    return read


def figures(predictions, output, **options) -> pd.DataFrame:
    done = fairvision.audit(
        predictions={"baseline": predictions}, output=output, replicates=50, **options
    )
    return done.metrics


def test_a_frame_is_a_stream(frame):
    assert hasattr(frame, "__arrow_c_stream__")


@pytest.mark.parametrize("cross", [lambda frame: frame, lambda frame: frame.toArrow()])
@pytest.mark.parametrize("grouped", [False, True])
def test_counts_of_a_frame_are_those_of_its_rows(frame, rows, cross, grouped):
    columns = {"truth": "gender", "predicted": "predicted_gender", "groups": "sport"}
    chosen = frame.select(*(frame[old].alias(new) for new, old in columns.items()))
    if grouped:
        chosen = chosen.groupBy(*columns).count().withColumnRenamed("count", "counts")
    counts = metrics.Counts()
    counts.update(cross(chosen))
    assert counts.total == ROWS
    held = {new: rows[old] for new, old in columns.items()}
    of_rows, of_counts = (metrics.accuracy(**of, replicates=50) for of in (held, counts))
    assert of_rows.n == of_counts.n < ROWS
    for field in ("value", "low", "high"):
        assert getattr(of_rows, field) == getattr(of_counts, field)
    pd.testing.assert_frame_equal(of_rows.pairs, of_counts.pairs, check_exact=True)


def test_an_audit_of_a_frame_is_that_of_its_rows(frame, rows, tmp_path):
    options = {"columns": COLUMNS, "attributes": ["gender"]}
    of_rows = figures(rows, tmp_path / "rows", **options)
    of_frame = figures(frame.orderBy("id"), tmp_path / "spark", **options)
    assert len(of_rows)
    pd.testing.assert_frame_equal(of_frame, of_rows, check_exact=True)


def test_the_query_of_the_page_gives_the_figures_of_the_rows(spark, frame, rows, tmp_path):
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    counted = spark.sql(query)
    assert counted.count() < 10
    by_gender = figures(counted, tmp_path / "spark", columns=COLUMNS)
    names = ["id", "split", "gender", "predicted_gender"]
    of_rows = figures(rows.select(names), tmp_path / "rows", columns=COLUMNS)
    keys = ["model", "metric", "attribute", "task", "group", "label"]
    both = by_gender.merge(of_rows, on=keys, suffixes=("", "_of_rows"))
    assert len(both) == len(by_gender) > 10
    for field in ("value", "low", "high", "n"):
        np.testing.assert_array_equal(both[field], both[f"{field}_of_rows"])


def test_what_fails_in_spark_is_one_line(spark, frame):
    broken = frame.selectExpr("gender AS truth", "raise_error('a lost share') AS predicted")
    counts = metrics.Counts()
    with pytest.raises(InputError, match="lost share") as error:
        counts.update(broken)
    assert "\n" not in str(error.value)
    assert counts.total == 0
