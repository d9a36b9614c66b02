"""Tables on disk, csv or parquet: read whole or in batches, and what is wrong has its place.

This is the one way in which tables of other people come in: of datasets, of predictions, of
labels. What a column means is decided by those who read it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.core.csv_files import COMPRESSED, check_names, read_csv
from fairvision.errors import InputError, check_file, reading, shown

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_PARQUET = ".parquet"
_PIECE = 1 << 20  # bytes
_MOST_ROWS = 100  # of parquet, for each byte of the file: rows that are alike pack well


@dataclass(frozen=True)
class Place:
    """Where in a table something stands, for messages.

    Attributes
    ----------
    path : the file
    column : name of the column, "" for all
    row : number of the row, from 1 on; None for all
    id : what the row is called, None where that is not told

    Examples
    --------
    >>> str(Place("t.csv", "age", 3)), str(Place("t.csv", row=3, id="p1"))
    ("t.csv row 3, column 'age'", "t.csv row 3 (id 'p1')")
    >>> raise Place("t.csv", "age", 3).error("is empty")
    Traceback (most recent call last):
    fairvision.errors.InputError: t.csv row 3, column 'age': is empty
    """

    path: str | Path
    column: str = ""
    row: int | None = None
    id: str | None = None

    def __str__(self) -> str:
        row = "" if self.row is None else f" row {self.row}"
        name = "" if self.id is None else f" (id {shown(self.id)})"
        column = f", column {shown(self.column)}" if self.column else ""
        return f"{self.path}{row}{name}{column}"

    def error(self, problem: str) -> InputError:
        """Return the error that something is wrong here."""
        return InputError(f"{self}: {problem}")


PlaceOf = Callable[[int, str], Place]
"""Says where a row, from 0 on, and a column stand."""


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
    in_file : what columns are called in the file, where it is something else
    file_rows : for each column, or "" for all, the row of the file from which each row is,
        where it is another
    """

    path: Path
    parts: tuple[Path, ...]
    rows_of: tuple[int, ...]
    types: dict[str, pa.DataType]
    note: Any = None
    content: pa.Table | None = None
    in_file: Mapping[str, str] = field(default_factory=dict)
    file_rows: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows of all parts."""
        return sum(self.rows_of) if self.content is None else len(self.content)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.types)

    def place(self, row: int, column: str = "") -> Place:
        """Return the place of a row, from 0 on: the file, and row and column in it."""
        moved = self.file_rows.get(column, self.file_rows.get(""))
        row = row if moved is None else int(moved[row])
        return place_of(self.parts, self.rows_of, row, self.in_file.get(column, column))

    def renamed(self, names: Mapping[str, str]) -> Table:
        """Return the table with columns under other names.

        Parameters
        ----------
        names : new names, and what the columns are called now; what is called like a new name
            already, and is not renamed itself, is left out
        """
        new = {old: name for name, old in names.items()}
        held = [name for name in self.types if name in new or name not in names]
        content = self.content
        if content is not None:
            content = content.select(held).rename_columns([new.get(name, name) for name in held])
        return replace(
            self,
            types={new.get(name, name): self.types[name] for name in held},
            content=content,
            in_file={**self.in_file, **names},
        )

    def check_columns(self, columns: Iterable[str]) -> None:
        """Raise `InputError` for the first of some columns that the table lacks."""
        for name in columns:
            if name not in self.types:
                names = [self.in_file.get(name, name) for name in self.names]
                raise InputError(
                    f"{self.path} has no column {shown(name)}: it has {', '.join(names)}"
                )

    def check_text(self, name: str, *, lists: bool = False) -> None:
        """Raise `InputError` unless a column holds text, numbers or truth values.

        Parameters
        ----------
        name : of the column
        lists : whether lists of these will do as well
        """
        if reason := self.not_text(name, lists=lists):
            raise InputError(f"{Place(self.path, name)} {reason}")

    def not_text(self, name: str, *, lists: bool = False) -> str:
        """Return what `check_text` says of a column, "" if nothing."""
        kind = self.types[name]
        return not_text(kind.value_type if lists and is_list(kind) else kind)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all rows, of some columns or all."""
        names = self.names if columns is None else list(columns)
        if self.content is not None:
            return self.content.select(names)
        in_file = [self.in_file.get(name, name) for name in names]
        tables = [read_parquet(part, in_file).rename_columns(names) for part in self.parts]
        with reading(self.path):
            schema = pa.schema([(name, self.types[name]) for name in names])
            return pa.concat_tables([table.cast(schema) for table in tables])

    def batches(
        self,
        columns: Sequence[str],
        size: int,
        *,
        coded: Sequence[str] = (),
        buffered: bool = False,
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the first row, and at most `size` rows of some columns, part by part.

        Parameters
        ----------
        columns : names
        size : rows at a time
        coded : columns of which text is read as a dictionary, but not text in lists
        buffered : read a piece of a file after the other, not a row group at a time: cells are
            large
        """
        options = {"pre_buffer": False, "buffer_size": _PIECE} if buffered else {}
        start, in_file = 0, [self.in_file.get(name, name) for name in columns]
        if self.content is not None:
            for batch in self.content.select(list(columns)).to_batches(size):
                yield start, batch
                start += len(batch)
            return
        texts = {self.in_file.get(name, name) for name in coded}
        for part, rows in zip(self.parts, self.rows_of):
            with reading(part):
                schema = pq.read_schema(part)
                text = [name for name in texts if _is_text(schema.field(name).type)]
                file = pq.ParquetFile(part, read_dictionary=text, **options)
                batches = file.iter_batches(size, columns=in_file)
            read = 0
            while True:
                with reading(part):
                    batch = next(batches, None)
                    if batch is not None:
                        batch.validate(full=True)
                if batch is None:
                    break
                of_columns = batch.select(in_file).columns
                yield start + read, pa.RecordBatch.from_arrays(of_columns, list(columns))
                read += len(batch)
            if read != rows:
                raise InputError(
                    f"{part} is damaged: it has {read} of the {rows} rows that it names"
                )
            start += rows


def place_of(
    files: Sequence[Path], rows_of: Sequence[int], row: int, column: str = "", id: str | None = None
) -> Place:
    """Return the place of a row, from 0 on, of files that are one table."""
    if len(files) == 1:
        return Place(files[0], column, int(row) + 1, id)
    ends = np.cumsum(rows_of)
    part = int(np.searchsorted(ends, row, side="right"))
    return Place(files[part], column, int(row) - int(ends[part]) + rows_of[part] + 1, id)


def open_table(path: str | Path, *, may_be_empty: bool = False) -> Table:
    """Look at a table: .csv or .tsv, perhaps compressed, .parquet, or a folder of parquet files.

    Files of a folder are sorted by their names, and have the same columns.

    Parameters
    ----------
    path : the file or folder
    may_be_empty : whether a table without rows will do

    Raises
    ------
    InputError
        One line: it does not exist, is no table or is broken, has no rows, or the parts of a
        folder have different columns.
    """
    path = Path(path)
    kind = "" if path.is_dir() else _kind(path)
    if kind in _SEPARATORS:
        content = read_csv(path, _SEPARATORS[kind])
        types = dict(zip(content.column_names, content.schema.types))
        table = Table(path, (path,), (len(content),), types, content=content)
    else:
        table = open_parts(path, _parts(path))
    if not table.rows and not may_be_empty:
        raise InputError(f"{path} has no rows")
    return table


def open_parts(path: Path, parts: tuple[Path, ...]) -> Table:
    """Return parquet files as one table whose columns have the types common to all files.

    Parameters
    ----------
    path : what the table is called in messages
    parts : the files, in order

    Raises
    ------
    InputError
        As `open_table` does.
    """
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


def is_csv(path: Path) -> bool:
    """Say whether a file is csv by its name, perhaps compressed: it can only be read whole."""
    return _kind(path) in _SEPARATORS and not path.is_dir()


def open_parquet(path: str | Path, **options: Any) -> pq.ParquetFile:
    """Open a parquet file, perhaps a damaged one, whose columns have names of their own."""
    path = check_file(path, "a table")
    with reading(path):
        file = pq.ParquetFile(path, **options)
        names, rows = file.schema_arrow.names, file.metadata.num_rows
    if rows > _MOST_ROWS * path.stat().st_size:
        raise InputError(f"{path} promises {rows:,} rows, more than so small a file can hold")
    check_names(path, names)
    for name in names:
        if name != name.strip():
            raise InputError(f"{path}: the name of column {shown(name)} has blanks around it")
    return file


def read_parquet(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a parquet file, or those of its columns that it has, as it is."""
    file = open_parquet(path)
    names = file.schema_arrow.names
    chosen = names if columns is None else [name for name in columns if name in names]
    with reading(path):
        table = file.read(columns=chosen).select(chosen)
        table.validate(full=True)  # text that is no UTF-8
    return table


def not_text(kind: pa.DataType) -> str:
    """Return why cells of a type are neither text nor numbers nor truth values; "" if they are.

    Examples
    --------
    >>> not_text(pa.string()), not_text(pa.timestamp("s"))
    ('', 'holds timestamp[s]: write it as text')
    """
    if pa.types.is_dictionary(kind):
        return not_text(kind.value_type)
    plain = (
        _is_text(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    )
    if plain:
        return ""
    if pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}:
        return "holds pictures, not paths: save them as files, and write their paths"
    return f"holds {shown(str(kind).replace('large_', ''))[1:-1]}: write it as text"


def is_list(kind: pa.DataType) -> bool:
    """Say whether cells of this type are lists."""
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _kind(path: Path) -> str:
    """Return the suffix of a table in lower case, without that of a compression."""
    plain = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return plain.suffix.lower()


def _parts(path: Path) -> tuple[Path, ...]:
    """Return the parquet file at a path, or those in the folder; raise `InputError` if none."""
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"{path} does not exist")
        if path.suffix.lower() != _PARQUET:
            is_database = path.suffix.lower() in (".duckdb", ".db", ".ddb")
            hint = f', or of a database "duckdb:{path}?QUERY"' if is_database else ""
            raise InputError(
                f"{path} is not a table that can be read: give .csv, .tsv or .parquet, or a folder "
                f"of parquet files{hint}"
            )
        return (path,)
    inside = [file for file in sorted(path.iterdir()) if not file.name.startswith((".", "_"))]
    parts = tuple(file for file in inside if file.suffix == _PARQUET and file.is_file())
    if not inside:
        raise InputError(f"{path} is an empty folder: it needs parquet files")
    if not parts:
        names = [file.name for file in inside]
        more = ", …" if len(names) > 4 else ""
        raise InputError(f"{path} has no parquet files: it has {', '.join(names[:4])}{more}")
    return parts


def _common(
    first: Path, types: dict[str, pa.DataType], part: Path, part_types: dict[str, pa.DataType]
) -> dict[str, pa.DataType]:
    """Return the types that two parts have in common; a column without values fits any."""
    for names, others, lacking, full in (
        (types, part_types, part, first),
        (part_types, types, first, part),
    ):
        for name in names:
            if name not in others:
                raise InputError(
                    f"{lacking} has no column {name!r}, but {full} has: the parts of a folder need "
                    "the same columns"
                )
    common = {name: _shared(kind, part_types[name]) for name, kind in types.items()}
    for name, kind in common.items():
        if kind is None:
            here, before = (str(t[name]).replace("large_", "") for t in (part_types, types))
            raise InputError(
                f"{part}, column {name!r} holds {here}, but {before} in {first}: the parts of a "
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
    """Return whether a type of Arrow is text of any width."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _note(part: Path, metadata: dict[bytes, bytes] | None) -> Any:
    """Return what `pandas.DataFrame.attrs` carried under "fairvision"."""
    try:
        return json.loads((metadata or {}).get(b"PANDAS_ATTRS", b"{}")).get("fairvision")
    except (ValueError, AttributeError):
        raise InputError(f"{part}: the notes in its metadata are damaged") from None
