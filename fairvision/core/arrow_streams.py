"""Tables that other libraries hold, by the stream protocol of Arrow: no library is imported.

What has the method `__arrow_c_stream__` is a stream: relations of DuckDB, frames of Polars and
pandas, tables and readers of pyarrow, and more; so is what makes a reader, as scanners of pyarrow
do, and datasets, which make scanners. It is read once, some rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fairvision.errors import InputError, reading, shown

ROWS = 1 << 17
"""Rows of a stream that are held at a time, at least."""


def is_stream(values: object) -> bool:
    """Say whether values speak the stream protocol of Arrow.

    >>> is_stream(pa.table({"id": [1]})), is_stream("table.parquet")
    (True, False)
    """
    return any(hasattr(values, name) for name in ("__arrow_c_stream__", "to_reader", "scanner"))


def read_stream(stream: Any, name: str, rows: int = ROWS) -> Iterator[pa.Table]:
    """Yield the rows of a stream, at least one table, the last with the rest of them.

    Parameters
    ----------
    stream : anything with `__arrow_c_stream__`; one that can be read once is used up
    name : what it is called in messages
    rows : of each table; whole batches of the stream are cut and put together

    Raises
    ------
    InputError
        It is no stream of a table, two columns have one name, or what makes its rows fails on the
        way.

    Examples
    --------
    >>> table = pa.table({"id": [1, 2, 3]})
    >>> [len(part) for part in read_stream(table, "mine", rows=2)]
    [2, 1]
    """
    with reading(name):
        reader = pa.RecordBatchReader.from_stream(_of_arrow(stream))
        kinds = [_readable(kind) for kind in reader.schema.types]
        schema = pa.schema(list(zip(reader.schema.names, kinds)), reader.schema.metadata)
        waiting = schema.empty_table()
    for column in schema.names:
        if (times := schema.names.count(column)) > 1:
            raise InputError(
                f"{name} has {times} columns called {shown(column)}: rename or remove one"
            )
    ended = yielded = False
    while not ended:
        with reading(name):
            batch = next(reader, None)
        ended = batch is None
        for part in () if batch is None else _cut(batch, rows):
            with reading(name):
                columns = [_as(kind, column) for kind, column in zip(kinds, part.columns)]
            read = pa.Table.from_arrays(columns, schema=schema)
            waiting = pa.concat_tables([waiting, read])
            if len(waiting) >= rows:
                yield waiting.slice(0, rows)
                waiting, yielded = waiting.slice(rows), True
    if len(waiting) or not yielded:
        yield waiting


def write_stream(stream: Any, name: str, path: Path) -> None:
    """Write a stream as a parquet file, with the types and the notes that it has.

    Parameters
    ----------
    stream : anything with `__arrow_c_stream__`
    name : what it is called in messages
    path : the file
    """
    tables = read_stream(stream, name)
    first = next(tables)
    _check_kept(first.schema, name)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def of_decimals(column: Any) -> Any:
    """Return decimal numbers of arrow as the nearest floats, as their digits say.

    >>> of_decimals(pa.array(["0.1", None]).cast(pa.decimal128(20, 18))).to_pylist()
    [0.1, None]
    """
    return column.cast(pa.string()).cast(pa.float64())  # not at once, which is off by a last bit


def _check_kept(schema: pa.Schema, name: str) -> None:
    """Raise `InputError` for the first column of a type that parquet files cannot hold."""
    for column in schema:
        try:
            pq.write_table(pa.schema([column]).empty_table(), pa.BufferOutputStream())
        except pa.ArrowNotImplementedError:
            kind = shown(str(column.type))
            raise InputError(
                f"{name}, column {shown(column.name)} holds {kind}: leave it out, or cast it"
            ) from None


def _cut(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a batch, at most so many at a time."""
    for start in range(0, len(batch), rows):
        yield batch.slice(start, rows)


def _of_arrow(stream: Any) -> Any:
    """Return what speaks the protocol itself."""
    if hasattr(stream, "__arrow_c_stream__"):
        return stream
    return (stream if hasattr(stream, "to_reader") else stream.scanner()).to_reader()


def _as(kind: pa.DataType, column: Any) -> Any:
    """Return an array of arrow as one of a type that holds the same values."""
    if pa.types.is_run_end_encoded(column.type):
        return _as(kind, pc.run_end_decode(column))
    if not pa.types.is_dictionary(column.type):
        return column.cast(kind)
    values = column.dictionary.cast(kind)
    return values.take(column.indices)


def _readable(kind: pa.DataType) -> pa.DataType:
    """Return the type as which values are read: text as large text, categories as what they name.

    >>> _readable(pa.string_view()), _readable(pa.dictionary(pa.int8(), pa.string_view()))
    (DataType(large_string), DataType(large_string))
    """
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _readable(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_list_view(kind):
        return pa.large_list(_readable(kind.value_type))
    return kind
