"""Where the rows of a table lie: a file, or a folder of parquet files; read whole or in batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, SupportsInt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.core.table_files import COMPRESSED, not_text, open_parquet, read_csv, read_parquet
from fairvision.errors import InputError, reading, shown

SUFFIX = ".parquet"
Refuse = Callable[[SupportsInt, str, str], NoReturn]  # row, column, what is wrong with it


@dataclass(frozen=True)
class Table:
    """A table on disk.

    Attributes
    ----------
    path : the file or folder
    parts : its files, in order
    rows_of : rows of each part
    types : of the values of each column, by its name; `null` where all parts are empty there
    note : what an audit wrote into the file about its columns, or None
    content : the rows, where they had to be read at once (csv)
    """

    path: Path
    parts: tuple[Path, ...]
    rows_of: tuple[int, ...]
    types: dict[str, pa.DataType]
    note: Any = None
    content: pa.Table | None = None

    @property
    def rows(self) -> int:
        """Number of rows of all parts."""
        return sum(self.rows_of)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.types)

    def place(self, row: int) -> str:
        """Return the file and the row in it, from 1 on, of a row of the table, from 0 on."""
        ends = np.cumsum(self.rows_of)
        part = int(np.searchsorted(ends, row, side="right"))
        return f"{self.parts[part]} row {row - int(ends[part]) + self.rows_of[part] + 1}"

    def refuse(self, row: SupportsInt, column: str, problem: str) -> NoReturn:
        """Raise `InputError` for a cell."""
        raise InputError(f"{self.place(int(row))}, column {shown(column)}: {problem}")

    def read(self) -> pa.Table:
        """Return all rows."""
        if self.content is not None:
            return self.content
        tables = []
        for part in self.parts:
            tables.append(read_parquet(part, self.names))
        with reading(self.path):
            schema = pa.schema(list(self.types.items()))
            return pa.concat_tables([table.cast(schema) for table in tables]).combine_chunks()

    def batches(
        self, columns: Sequence[str], size: int, *, coded: Sequence[str] = ()
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the first row, and at most `size` rows of some columns, part after part.

        Text in columns of `coded` is read as a dictionary, but not text in lists.
        """
        start = 0
        for part, rows in zip(self.parts, self.rows_of):
            with reading(part):
                schema = pq.read_schema(part)
                text = [name for name in coded if _is_text(schema.field(name).type)]
                file = pq.ParquetFile(part, read_dictionary=text)
                batches = file.iter_batches(size, columns=list(columns))
            read = 0
            while True:
                with reading(part):
                    batch = next(batches, None)
                    if batch is not None:
                        batch.validate(full=True)
                if batch is None:
                    break
                yield start + read, batch.select(list(columns))
                read += len(batch)
            if read != rows:
                raise InputError(
                    f"{part} is damaged: it has {read} of the {rows} rows that it names"
                )
            start += rows


def open_table(path: Path) -> Table:
    """Look at a table: a parquet or csv file, or a folder of parquet files (sorted by name).

    Raises
    ------
    InputError
        One line: it does not exist, is no table or is broken, has no rows or no column `id`, or
        the parts of a folder have different columns.
    """
    table = _csv(path) if is_csv(path) and not path.is_dir() else _parquet(path)
    if "id" not in table.types:
        raise InputError(f"{path} has no column 'id': it has {_some(table.names)}")
    if not table.rows:
        raise InputError(f"{path} has no rows")
    for name in ("id", "split"):
        if name in table.types and (reason := not_text(table.types[name])):
            raise InputError(f"{path}: column {shown(name)} {reason}")
    return table


def is_csv(path: Path) -> bool:
    """Say whether a file is csv by its name, perhaps compressed."""
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return name.suffix.lower() == ".csv"


def _csv(path: Path) -> Table:
    content = read_csv(path)
    types = dict(zip(content.column_names, content.schema.types))
    return Table(path, (path,), (len(content),), types, content=content)


def _parquet(path: Path) -> Table:
    parts = _parts(path)
    types: dict[str, pa.DataType] = {}
    rows_of, note = [], None
    for part in parts:
        file = open_parquet(part)
        part_types = dict(zip(file.schema_arrow.names, map(_plain, file.schema_arrow.types)))
        if part == parts[0]:
            types, note = part_types, _note(part, file.schema_arrow.metadata)
        types = _common(parts[0], types, part, part_types)
        rows_of.append(file.metadata.num_rows)
    return Table(path, parts, tuple(rows_of), types, note)


def _parts(path: Path) -> tuple[Path, ...]:
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"{path} does not exist")
        if path.suffix != SUFFIX:
            raise InputError(
                f"{path} is not a table: give a .parquet or .csv file, or a folder of parquet files"
            )
        return (path,)
    inside = [file for file in sorted(path.iterdir()) if not file.name.startswith((".", "_"))]
    parts = tuple(file for file in inside if file.suffix == SUFFIX and file.is_file())
    if not inside:
        raise InputError(f"{path} is an empty folder: it needs parquet files")
    if not parts:
        raise InputError(f"{path} has no parquet files: it has {_some(f.name for f in inside)}")
    return parts


def _common(
    first: Path, types: dict[str, pa.DataType], part: Path, own: dict[str, pa.DataType]
) -> dict[str, pa.DataType]:
    """Return the types that two parts have in common; a column without values fits any."""
    for there, here, where, other in ((types, own, part, first), (own, types, first, part)):
        for name in there:
            if name not in here:
                raise InputError(
                    f"{where} has no column {name!r}, but {other} has: the parts of a folder need "
                    "the same columns"
                )
    common = {name: _shared(kind, own[name]) for name, kind in types.items()}
    for name, kind in common.items():
        if kind is None:
            mine, before = (str(some[name]).replace("large_", "") for some in (own, types))
            raise InputError(
                f"{part}, column {name!r} holds {mine}, but {before} in {first}: the parts of a "
                "folder need the same columns"
            )
    return common


def _shared(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """Return a type for the values of both; None where there is none."""
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if is_list(a) and is_list(b):
        value = _shared(a.value_type, b.value_type)
        return None if value is None else pa.large_list(value)
    numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (a, b))
    return pa.float64() if numbers else None


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of values, however they are stored: text as large text, numbers wide."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if _is_text(kind):
        return pa.large_string()
    if is_list(kind):
        return pa.large_list(_plain(kind.value_type))
    if pa.types.is_integer(kind):
        return pa.int64() if kind != pa.uint64() else kind
    return pa.float64() if pa.types.is_floating(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return any(
        some(kind)
        for some in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def is_list(kind: pa.DataType) -> bool:
    """Say whether cells of this type are lists."""
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _note(part: Path, metadata: dict[bytes, bytes] | None) -> Any:
    """Return what `pandas.DataFrame.attrs` carried under "fairvision"."""
    try:
        return json.loads((metadata or {}).get(b"PANDAS_ATTRS", b"{}")).get("fairvision")
    except (ValueError, AttributeError):
        raise InputError(f"{part}: the notes in its metadata are damaged") from None


def _some(names: Any) -> str:
    listed = list(names)
    return ", ".join(listed[:4]) + (", …" if len(listed) > 4 else "")
