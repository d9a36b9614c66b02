"""Streams of Arrow: cut into tables of one size, with the types that values are read as."""

from __future__ import annotations

import decimal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairvision.core.arrow_streams import is_stream, of_decimals, read_stream, write_stream
from fairvision.errors import InputError


@pytest.mark.parametrize("batches", [[5], [1, 1, 1, 1, 1], [0, 3, 0, 2], [4, 1]])
@pytest.mark.parametrize("rows", [1, 2, 5, 9])
def test_batches_of_any_size_become_tables_of_one(batches, rows):
    starts = [sum(batches[:i]) for i in range(len(batches))]
    parts = [pa.record_batch({"n": list(range(s, s + n))}) for s, n in zip(starts, batches)]
    reader = pa.RecordBatchReader.from_batches(
        pa.schema([("n", pa.int64())]),
        [part.cast(pa.schema([("n", pa.int64())])) for part in parts],
    )
    tables = list(read_stream(reader, "mine", rows))
    assert [len(table) for table in tables[:-1]] == [rows] * (len(tables) - 1)
    assert pa.concat_tables(tables)["n"].to_pylist() == list(range(5))
    assert all(len(table) for table in tables)


def test_a_stream_without_rows_is_one_table_without_rows():
    (table,) = read_stream(pa.table({"id": pa.array([], pa.string_view())}), "mine")
    assert table.schema == pa.schema([("id", pa.large_string())])


def test_text_of_all_kinds_is_read_as_text():
    frame = pl.DataFrame({"id": ["a", None, "b"], "list": [["x"], [], None]}).with_columns(
        pl.col("id").cast(pl.Categorical).alias("category"),
        pl.col("id").cast(pl.Enum(["b", "a"])).alias("enum"),
    )
    (table,) = read_stream(frame, "mine")
    assert set(map(str, table.schema.types)) == {"large_string", "large_list<item: large_string>"}
    assert table["category"].to_pylist() == table["enum"].to_pylist() == ["a", None, "b"]
    assert table["list"].to_pylist() == [["x"], [], None]


def test_a_file_has_the_rows_types_and_notes_of_the_stream(tmp_path):
    schema = pa.schema([("id", pa.int32()), ("x", pa.float32())], metadata={"a": "b"})
    table = pa.table({"id": [1, 2], "x": [0.5, None]}, schema=schema)
    write_stream(table.to_reader(), "mine", tmp_path / "t.parquet")
    written = pq.read_table(tmp_path / "t.parquet")
    assert written.equals(table)
    assert written.schema.metadata[b"a"] == b"b"


def test_a_scanner_of_pyarrow_is_a_stream(tmp_path):
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "t.parquet")
    scanner = pyarrow.dataset.dataset(tmp_path / "t.parquet").scanner()
    assert is_stream(scanner)
    assert [len(table) for table in read_stream(scanner, "mine")] == [2]


def test_what_fails_on_the_way_is_one_line():
    def failing():
        yield pa.record_batch({"n": [1]})
        raise ValueError("the disk is gone\nat once")

    reader = pa.RecordBatchReader.from_batches(pa.schema([("n", pa.int64())]), failing())
    with pytest.raises(InputError, match=r"^mine cannot be read: .*the disk is gone"):
        list(read_stream(reader, "mine"))
    with pytest.raises(InputError, match=r"^mine cannot be read: "):
        list(read_stream(pl.Series([1]), "mine"))


def test_runs_of_equal_values_are_read_as_these():
    values = pa.chunked_array([["a", "a", "b", None]])
    table = pa.table({"x": pc.run_end_encode(values.combine_chunks()), "y": [1, 2, 3, 4]})
    parts = list(read_stream(table, "mine", rows=3))
    assert [part["x"].to_pylist() for part in parts] == [["a", "a", "b"], [None]]


def test_names_are_there_once():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(InputError, match=r"^mine has 2 columns called 'x': rename"):
        list(read_stream(table, "mine"))


def test_what_no_file_can_hold_is_one_line(tmp_path):
    spans = pa.array([(1, 2, 3)], pa.month_day_nano_interval())
    table = pa.table({"x": [1], "y": spans})
    with pytest.raises(InputError, match=r"^mine, column 'y' holds 'month_day.*: leave it out"):
        write_stream(table, "mine", tmp_path / "rows.parquet")
    assert not (tmp_path / "rows.parquet").exists()


@given(st.integers(0, 10**18), st.integers(1, 18))
def test_decimals_are_the_nearest_floats(digits, scale):
    number = decimal.Decimal(digits).scaleb(-scale)
    column = pa.array([number, None], pa.decimal128(38, scale))
    assert of_decimals(column).to_pylist() == [float(number), None]
