"""csv files: read as text, perhaps compressed, and written so that they are read back as they were.

Nothing in a csv file is guessed: rows of other lengths than the header, columns of one name and
other separators are told, not repaired. What is written has no cell that tears its row, and none
that is a formula.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa

from fairvision.core.files import whole_file
from fairvision.errors import InputError, check_file, reading, shown

_ROWS = 50_000  # turned into arrow's columns at once
_OPEN: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
COMPRESSED = tuple(_OPEN)
_SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}
_TEXT = pa.large_string()
FREE = 2**27  # bytes that may come out of any compressed file
MOST = 300  # bytes for each byte of the file: text packs to a tenth, a column of one word further
_MARK = "'"
_FORMULA = re.compile(r"'*[=@+\-\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


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


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    r"""Write a table as csv in UTF-8, whole or not at all.

    Text that a spreadsheet would run (it begins with `=`, `@`, `+`, `-`, a tab or a carriage
    return and is no number) gets a `'` in front, the sign for text in spreadsheets; `read_csv` of
    this package takes it away again. Numbers stay numbers.

    Examples
    --------
    >>> import tempfile
    >>> table = pd.DataFrame({"label": ["=1+1", "-2", "a\rb"], "value": [-0.5, 1.0, 2.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_csv(table, Path(folder, "a.csv"))
    ...     Path(folder, "a.csv").read_bytes()
    b'"label","value"\n"\'=1+1",-0.5\n"-2",1.0\n"a\rb",2.0\n'
    """
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        file.write(csv_text(table))


def csv_text(table: pd.DataFrame) -> str:
    """Return a table as the text that `write_csv` writes."""
    written = table.rename(columns=lambda name: with_mark(str(name)))
    texts = [written[name] for name in written if not pd.api.types.is_numeric_dtype(written[name])]
    for column in texts:
        written[column.name] = column.map(_safe, na_action="ignore")
    torn = any(column.astype(str).str.contains("[\r\0-\x08\x0b-\x1f]").any() for column in texts)
    torn |= any(not str(name).isprintable() for name in written)
    # The writer puts no quotes around a carriage return alone.
    quoting: Any = csv.QUOTE_NONNUMERIC if torn else csv.QUOTE_MINIMAL
    return written.to_csv(index=False, lineterminator="\n", quoting=quoting)


def with_mark(text: str) -> str:
    """Return text as it stands in csv: with a `'` in front where it would be a formula.

    Examples
    --------
    >>> with_mark("=A1"), with_mark("-0.5"), with_mark("'=A1"), with_mark("cat")
    ("'=A1", '-0.5', "''=A1", 'cat')
    """
    return _MARK + text if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def without_mark(text: str) -> str:
    """Return what `with_mark` was given.

    Examples
    --------
    >>> without_mark("'=A1"), without_mark("'tis")
    ('=A1', "'tis")
    """
    return text[1:] if text.startswith(_MARK) and _FORMULA.match(text) else text


def check_names(path: str | Path, names: Sequence[str]) -> None:
    """Raise `InputError` where two columns have one name: they would be taken for one another."""
    name, count = Counter(names).most_common(1)[0] if names else ("", 1)
    if count > 1:
        raise InputError(f"{path} has {count} columns called {shown(name)}: rename or remove one")


@contextmanager
def _opened(path: Path) -> Iterator[io.TextIOWrapper]:
    """Yield a file as text, by its byte-order mark."""
    with _OPEN.get(path.suffix.lower(), open)(path, "rb") as file:
        if path.suffix.lower() in _OPEN:
            file = io.BufferedReader(_Limited(file, path))
        wide = file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        encoding = "utf-16" if wide else "utf-8-sig"
        with io.TextIOWrapper(file, encoding=encoding, newline="") as text:
            yield text


def _parsed(path: Path, lines: Iterator[list[str]], separator: str) -> pa.Table:
    """Return the lines of a csv file as a table of text columns, without its blank lines."""
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
        if len(rows) == _ROWS:
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
    """Return rows of text as one batch of columns; `places` are those of the named columns."""
    columns = list(zip(*rows)) if rows else [()] * (max(places, default=-1) + 1)
    arrays = [
        pa.array([without_mark(cell.strip()) for cell in columns[place]], _TEXT) for place in places
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=kinds)


def _check_separator(path: Path, header: list[str], separator: str) -> None:
    """Raise `InputError` if a header of one column holds another common separator."""
    if len(header) > 1:
        return
    for other, name in _SEPARATORS.items():
        if other != separator and header[0].count(other) > 0:
            raise InputError(
                f"{path} seems to be separated by {name}, not by {_SEPARATORS[separator]}: its "
                f"header is {shown(header[0])}"
            )


def _safe(cell: Any) -> Any:
    """Return a cell as `with_mark` writes text, and unchanged if it is not text."""
    return with_mark(cell) if isinstance(cell, str) else cell


class _Limited(io.RawIOBase):
    """A stream that ends in `InputError` once more has come out of it than is plausible."""

    def __init__(self, file: IO[bytes], path: Path):
        self._file, self._path = file, path
        self._size = path.stat().st_size
        self._left = FREE + MOST * self._size

    def readable(self) -> bool:
        """Return True: the stream is only for reading."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with unpacked bytes and return their number; refuse too many in all."""
        piece = self._file.read(len(buffer))
        self._left -= len(piece)
        if self._left < 0:
            raise InputError(
                f"{self._path} unpacks to more than {MOST} times its {self._size} bytes: unpack it "
                "by hand and look at it"
            )
        buffer[: len(piece)] = piece
        return len(piece)
