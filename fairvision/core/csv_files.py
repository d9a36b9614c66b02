"""Writing csv: no cell tears its row, none is a formula, and all can be read back as they were."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pandas as pd

from fairvision.core.files import whole_file

_MARK = "'"
_FORMULA = re.compile(r"'*[=@+\-\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


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
    written = table.rename(columns=lambda name: with_mark(str(name)))
    texts = [written[name] for name in written if not pd.api.types.is_numeric_dtype(written[name])]
    for column in texts:
        written[column.name] = column.map(_safe, na_action="ignore")
    torn = any(column.astype(str).str.contains("[\r\0-\x08\x0b-\x1f]").any() for column in texts)
    torn |= any(not str(name).isprintable() for name in written)
    # The writer puts no quotes around a carriage return alone.
    quoting: Any = csv.QUOTE_NONNUMERIC if torn else csv.QUOTE_MINIMAL
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        written.to_csv(file, index=False, lineterminator="\n", quoting=quoting)


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


def _safe(cell: Any) -> Any:
    return with_mark(cell) if isinstance(cell, str) else cell
