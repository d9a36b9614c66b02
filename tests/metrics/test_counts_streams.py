"""Counts of tables that other libraries hold: the figures are those of the columns in memory."""

from __future__ import annotations

import copy

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from fairvision import metrics
from fairvision.core import arrow_streams
from fairvision.errors import InputError


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    labels, groups = random.integers(3, size=4000), random.integers(2, size=4000)
    predicted = np.where(random.random(4000) < 0.7, labels, groups)
    names = np.array(["ski", "surf", "chess"])
    truth = [None if unknown else name for name, unknown in zip(names[labels], labels[::-1] > 1)]
    return pa.table(
        {"labels": truth, "groups": groups.astype(np.int8), "pred_labels": names[predicted]}
    )


def as_reader(table, folder):
    return table.to_reader(max_chunksize=37)


def as_scanner(table, folder):
    pq.write_table(table, folder / "t.parquet")
    return pyarrow.dataset.dataset(folder / "t.parquet").scanner(batch_size=91)


def as_polars(table, folder):
    return pl.from_arrow(table)


def as_polars_categories(table, folder):
    return pl.from_arrow(table).with_columns(pl.col("labels").cast(pl.Categorical))


def as_pandas(table, folder):
    return table.to_pandas()


def as_relation(table, folder):
    pq.write_table(table, folder / "t.parquet")
    return duckdb.connect().sql(f"FROM '{folder / 't.parquet'}'")


def as_enum(table, folder):
    values = "'surf', 'ski', 'chess'"
    return as_relation(table, folder).project(
        f"labels::ENUM({values}) AS labels, groups, pred_labels"
    )


def grouped(table, folder):
    return as_relation(table, folder).query(
        "t", "SELECT labels, groups, pred_labels, count(*) AS counts FROM t GROUP BY ALL"
    )


def grouped_twice(table, folder):
    """Sums of whole numbers are decimals in DuckDB."""
    counted = grouped(table, folder)
    return counted.query(
        "t", "SELECT labels, groups, pred_labels, sum(counts) AS counts FROM t GROUP BY ALL"
    )


@pytest.mark.parametrize(
    "made",
    [
        lambda table, folder: table,
        as_reader,
        as_scanner,
        as_polars,
        as_polars_categories,
        as_pandas,
        as_relation,
        as_enum,
        grouped,
        grouped_twice,
    ],
)
@pytest.mark.parametrize("rows", [64, 1 << 17])
def test_figures_of_streams_are_those_of_columns(table, made, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(arrow_streams.read_stream, "__defaults__", (rows,))
    counts = metrics.Counts()
    counts.update(made(table, tmp_path))
    columns = {name: table[name] for name in table.column_names}
    measures = [
        lambda of: metrics.directional_bias_amplification(**of, replicates=50),
        lambda of: metrics.accuracy(
            *(of[name] for name in ("labels", "pred_labels")),
            counts=of.get("counts"),
            replicates=50,
        ),
    ]
    for measure in measures:
        held, counted = measure(columns), measure(dict(counts))
        for field in ("value", "low", "high", "n"):
            assert getattr(held, field) == getattr(counted, field)


def test_streams_and_columns_add_up(table):
    counts, twice = metrics.Counts(), metrics.Counts()
    counts.update(table)
    counts.update(**dict(zip(table.column_names, table.columns)))
    assert counts.total == 2 * len(table)
    twice.update(pa.concat_tables([table, table]))
    pd.testing.assert_frame_equal(
        *(
            pd.DataFrame(dict(of)).sort_values([*of][:3], ignore_index=True)
            for of in (counts, twice)
        )
    )


def test_lists_of_numbers_are_a_table_of_labels():
    held = np.random.default_rng(1).integers(2, size=(300, 2))
    stream = pl.DataFrame({"truth": held.tolist(), "predicted": held[::-1].tolist()})
    counts = metrics.Counts()
    counts.update(stream)
    figure = metrics.accuracy(**counts, replicates=0)
    assert float(figure) == float(metrics.accuracy(held, held[::-1], replicates=0))


def test_decimals_are_codes_and_counts():
    """As sums of DuckDB are."""
    query = "SELECT 1.0 AS truth, 0::DECIMAL(9, 2) AS predicted, sum(1.0) AS counts FROM range(3)"
    counts = metrics.Counts()
    counts.update(duckdb.sql(query))
    counts.update(truth=[1], predicted=[1])
    assert (counts.total, float(metrics.accuracy(**counts, replicates=0))) == (4, 0.25)


def test_streams_without_rows_add_nothing():
    counts = metrics.Counts()
    counts.update(pa.table({"truth": pa.array([], pa.list_(pa.int8()))}))
    counts.update(pa.table({"truth": [[1, 0]]}))
    assert counts.total == 1


def test_a_copy_is_apart(table):
    counts = metrics.Counts()
    counts.update(table)
    copied = copy.copy(counts)
    copied.update(table)
    assert (counts.total, copied.total) == (len(table), 2 * len(table))


def test_what_cannot_be_merged_leaves_the_counts_as_they_were():
    counts, other = metrics.Counts(), metrics.Counts()
    counts.update(truth=["a"])
    other.update(predicted=np.eye(2), truth=["a", "b"])
    with pytest.raises(InputError, match="the columns are"):
        counts.merge(other)
    counts.update(truth=["b"])
    assert list(counts) == ["truth", "counts"]


def test_training_counts_have_their_keyword():
    counts = metrics.Counts("train_counts")
    counts.update(pa.table({"train_labels": ["a", "b"], "train_counts": [3, 4]}))
    assert counts.total == 7


def failing():
    yield pa.record_batch({"truth": ["a"]})
    raise ValueError("gone")


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (pl.DataFrame({"truth": ["a"]}).lazy(), "LazyFrame is no stream of Arrow"),
        (["a"], "list is no stream of Arrow"),
        (pa.table({"truth": [[1], [1, 2]]}), "truth must hold lists of one length"),
        (pa.table({"other": ["a"]}), "the columns are other, but those counted before truth"),
        (pa.table({"truth": ["a"], "counts": [-1]}), "counts must hold whole numbers"),
        (pa.table({"counts": [1]}), "columns of the measures must be given"),
        (pa.table({"truth": [{"a": 1}]}), "truth must hold a value or a list of numbers"),
        (
            pa.Table.from_arrays([pa.array(["a"])] * 2, names=["truth", "truth"]),
            "the stream has 2 columns called 'truth'",
        ),
        (
            pa.RecordBatchReader.from_batches(pa.schema([("truth", pa.string())]), failing()),
            "the stream cannot be read: .*gone",
        ),
    ],
)
def test_what_is_refused_leaves_the_counts_as_they_were(stream, reason):
    counts = metrics.Counts()
    counts.update(truth=["a"])
    with pytest.raises(InputError, match=reason):
        counts.update(stream)
    assert counts.total == 1


def test_a_stream_and_columns_are_not_mixed():
    with pytest.raises(InputError, match="not both"):
        metrics.Counts().update(pa.table({"truth": ["a"]}), predicted=["a"])
