"""Files of tables, csv and parquet, as arrow's tables: whatever is wrong with one is a line.

A csv file is read as text, and nothing in it is guessed: rows of other lengths than the header,
columns of one name and other separators are told, not repaired.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.core.csv_files import without_mark
from fairvision.core.unpacking import limited
from fairvision.errors import InputError, check_file, reading, shown

ROWS = 50_000  # turned into arrow's columns at once
_OPEN: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
COMPRESSED = tuple(_OPEN)
_SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}
_TEXT = pa.large_string()
_MOST_ROWS = 100  # of parquet, for each byte of the file: rows that are alike pack well


def read_csv(path: str | Path, separator: str = ",") -> pa.Table:
    r"""Read a csv file, perhaps compressed, in UTF-8 (or in UTF-16 with a byte-order mark).

    Columns without a name, such as the index that pandas writes, and empty cells beyond the header
    (a comma at the end of lines) are left out; blanks around names and cells too.

    Returns
    -------
    columns of text, "" where a cell is empty

    Raises
    ------
    InputError
        It cannot be read, has no row, two columns of one name, or a row of another length.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("\ufeffid, group,\n1, b,\n")
    ...     read_csv(Path(folder, "a.csv")).to_pylist()
    [{'id': '1', 'group': 'b'}]
    """
    path = check_file(path, "a table")
    with reading(path), _opened(path) as file:
        return _parsed(path, csv.reader(file, delimiter=separator, strict=True), separator)


def header(path: str | Path) -> list[str]:
    """Return the names of the columns of a csv file; `InputError` where it is none."""
    path = check_file(path, "a table")
    with reading(path), _opened(path) as file:
        return next(csv.reader(file, strict=True), [])


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
    """Read a parquet file, or those of its columns that it has."""
    file = open_parquet(path)
    there = file.schema_arrow.names
    chosen = there if columns is None else [name for name in columns if name in there]
    with reading(path):
        table = file.read(columns=chosen).select(chosen)
        table.validate(full=True)  # text that is no UTF-8
    return table


def check_names(path: str | Path, names: Sequence[str]) -> None:
    """Raise `InputError` where two columns have one name: they would be taken for one another."""
    name, count = Counter(names).most_common(1)[0] if names else ("", 1)
    if count > 1:
        raise InputError(f"{path} has {count} columns called {shown(name)}: rename or remove one")


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
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
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
    return f"holds {shown(str(kind))[1:-1]}: write it as text"


@contextmanager
def _opened(path: Path) -> Iterator[io.TextIOWrapper]:
    """Yield a file as text, by its byte-order mark."""
    with _OPEN.get(path.suffix.lower(), open)(path, "rb") as file:
        if path.suffix.lower() in _OPEN:
            file = limited(file, path)
        wide = file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        encoding = "utf-16" if wide else "utf-8-sig"
        with io.TextIOWrapper(file, encoding=encoding, newline="") as text:
            yield text


def _parsed(path: Path, lines: Iterator[list[str]], separator: str) -> pa.Table:
    header: list[str] = []
    while not any(header):
        line = next(lines, None)
        if line is None:
            raise InputError(f"{path} is empty: it needs a line of column names, and rows")
        header = [without_mark(name.strip()) for name in line]
        if any("\0" in name for name in header):
            raise InputError(f"{path} is not text in UTF-8: it looks like UTF-16: save it as UTF-8")
    _check_separator(path, header, separator)
    places = [place for place, name in enumerate(header) if name]
    names = [header[place] for place in places]
    check_names(path, names)
    kinds = pa.schema([(name, _TEXT) for name in names])
    batches, rows, row = [], [], 0
    for line in lines:
        if not any(map(str.strip, line)) and len(line) < 2:
            continue  # a blank line
        row += 1
        rows.append(_fitted(path, row, line, len(header)))
        if len(rows) == ROWS:
            batches.append(_batch(rows, places, kinds))
            rows = []
    batches.append(_batch(rows, places, kinds))
    return pa.Table.from_batches(batches, kinds).combine_chunks()


def _fitted(path: Path, row: int, line: list[str], width: int) -> list[str]:
    """Return a row that is as long as the header, but for empty cells at its end."""
    if len(line) > width and not any(map(str.strip, line[width:])):
        return line[:width]
    if len(line) != width:
        raise InputError(
            f"{path} row {row} has {len(line)} cells, but the header has {width}: is it cut short, "
            "or a separator not in quotes?"
        )
    return line


def _batch(rows: list[list[str]], places: list[int], kinds: pa.Schema) -> pa.RecordBatch:
    columns = list(zip(*rows)) if rows else [()] * (max(places, default=-1) + 1)
    arrays = [
        pa.array([without_mark(cell.strip()) for cell in columns[place]], _TEXT) for place in places
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=kinds)


def _check_separator(path: Path, header: list[str], separator: str) -> None:
    if len(header) > 1:
        return
    for other, name in _SEPARATORS.items():
        if other != separator and header[0].count(other) > 0:
            raise InputError(
                f"{path} seems to be separated by {name}, not by {_SEPARATORS[separator]}: its "
                f"header is {shown(header[0])}"
            )
