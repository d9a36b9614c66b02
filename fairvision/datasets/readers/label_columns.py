"""Columns of groups and labels, from a table of people's own, as they write them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from fairvision.core.spellings import warn_of_spellings
from fairvision.core.table_files import not_text
from fairvision.datasets.readers.coding import (
    check_label,
    check_labels,
    check_not_multi_hot,
    listed,
    split_labels,
    whole,
)
from fairvision.errors import InputError, reading, shown
from fairvision.schema import SEPARATOR


def texts_of(path: Path, table: pa.Table, column: str) -> list[str | None]:
    """Return the cells of a column as text without blanks around it; None where it is empty."""
    values = table[column]
    if pa.types.is_nested(values.type) and not pa.types.is_struct(values.type):
        raise InputError(f"{path}, column {shown(column)} holds lists: name it by --many")
    if reason := not_text(values.type):
        raise InputError(f"{path}, column {shown(column)} {reason}")
    with reading(f"{path}, column {shown(column)},"):
        cells = values.to_pylist()
    texts = [None if cell is None else _text(cell) for cell in cells]
    if all(text is None or text == whole(text) for text in texts):
        return texts
    wholes = [text if text is None else whole(text) for text in texts]
    return wholes if all(map(_is_whole, wholes)) else texts


def _is_whole(text: str | None) -> bool:
    return text is None or text.lstrip("-").isdecimal()


def names_of(
    path: Path, table: pa.Table, column: str, nothing: Collection[str]
) -> tuple[pd.Series, tuple[str, ...]]:
    """Return the groups or labels of a column, None where unknown, and the names that occur."""
    texts = [_unless(text, nothing) for text in texts_of(path, table, column)]
    names = tuple(sorted({text for text in texts if text is not None}))
    for name in names:
        check_label(f"{path}, column {shown(column)}", name)
    warn_of_spellings(f"{path}, column {shown(column)}", names)
    return pd.Series(texts, dtype=object), names


def label_sets_of(
    path: Path, table: pa.Table, column: str, nothing: Collection[str], separator: str | None = None
) -> tuple[pd.Series, tuple[str, ...]]:
    """Return the labels of each row, None where unknown, and the labels that occur."""
    place = f"{path}, column {shown(column)}"
    values = table[column]
    if pa.types.is_nested(values.type):
        lists = _lists(place, values)
    else:
        texts = [_unless(text, nothing) for text in texts_of(path, table, column)]
        present = [text for text in texts if text is not None]
        check_not_multi_hot(place, [some for text in present if (some := listed(text)) is not None])
        for between in (separator or SEPARATOR, None):
            bits = [[bit.strip() for bit in text.split(between)] for text in present]
            check_not_multi_hot(place, bits)
        lists = [
            None if text is None else split_labels(text, separator or SEPARATOR) for text in texts
        ]
    cells = [
        None if some is None else tuple(x for x in some if _unless(x, nothing)) for some in lists
    ]
    different = {cell for cell in cells if cell is not None}
    check_labels(place, different, separator=separator or SEPARATOR, asked=separator is not None)
    names = tuple(sorted({label for cell in different for label in cell}))
    warn_of_spellings(place, names)
    return pd.Series(cells, dtype=object), names


def _lists(where: str, values: pa.ChunkedArray) -> list[tuple[str, ...] | None]:
    """Return the cells of a column of lists as texts."""
    reason = not_text(getattr(values.type, "value_type", values.type))
    if reason or pa.types.is_dictionary(values.type):
        raise InputError(f"{where} holds lists that are no lists of labels: {reason}")
    with reading(f"{where},"):
        cells = values.to_pylist()
    lists = [
        None if cell is None else tuple(text for x in cell if (text := _text(x)) is not None)
        for cell in cells
    ]
    check_not_multi_hot(where, [some for some in lists if some is not None])
    return [None if some is None else tuple(dict.fromkeys(some)) for some in lists]


def _unless(text: str | None, nothing: Collection[str]) -> str | None:
    return None if text is None or text.casefold() in nothing else text


def _text(cell: Any) -> str | None:
    """Return a cell as text without blanks around it; None where it is empty."""
    if cell is None or cell != cell:
        return None
    text = str(cell).strip()
    return (whole(text) if isinstance(cell, float) else text) or None
