"""Columns of groups and labels as people write them: read once, as codes.

Where the labels are known, `read_labels` looks for each; where they are not, `names_of` and
`label_sets_of` say which there are as well.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fairvision.core.spellings import MISSING, distinguishable, folded, warn_of_spellings
from fairvision.core.tables import Place, PlaceOf, is_list, not_text
from fairvision.datasets.label_texts import (
    check_label,
    check_labels,
    check_not_multi_hot,
    listed,
    split_labels,
    whole,
)
from fairvision.errors import InputError, reading, shown
from fairvision.schema import SEPARATOR, UNKNOWN, Column, Schema, Task


def texts(column: Any) -> tuple[npt.NDArray[np.int32], list[str | None]]:
    """Return codes (n,), -1 where the cell is empty, and the text of each code or None.

    Whole numbers stored as floats, as pandas does where some are missing, are whole numbers.

    Parameters
    ----------
    column : array of pyarrow, n cells that are no lists

    Examples
    --------
    >>> texts(pa.array([1.0, None, 2.5]))
    (array([ 0, -1,  1], dtype=int32), ['1', '2.5'])
    """
    column = one_array(column)
    if pa.types.is_null(column.type):
        return np.full(len(column), -1, np.int32), []
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    codes = column.indices.cast(pa.int32())
    if codes.null_count:
        codes = codes.fill_null(-1)
    return codes.to_numpy(), _cell_texts(column.dictionary)


def names(column: Any) -> npt.NDArray[np.object_]:
    """Return the text of each cell, (n,) objects, None where it is empty."""
    codes, values = texts(column)
    return np.array([*values, None], dtype=object)[codes]


def _cell_texts(values: Any) -> list[str | None]:
    """Return `cell_text` of each value of an array of pyarrow."""
    if pa.types.is_integer(values.type):
        values = values.cast(pa.string())
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return [cell_text(value) for value in values.to_pylist()]
    return [text or None for text in values.to_numpy(zero_copy_only=False)]


def cell_text(value: Any) -> str | None:
    """Return a cell as text, whole numbers without a fraction; None where it is empty.

    >>> cell_text(7.0), cell_text(0.5), cell_text(float("nan")), cell_text("")
    ('7', '0.5', None, None)
    """
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) or None


def one_array(column: Any) -> Any:
    """Return an array of pyarrow that is in one piece."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def look(column: Any) -> tuple[bool, set[str]]:
    """Return whether cells hold lists (or text with a separator), and which labels they hold."""
    column = one_array(column)
    lists = is_list(column.type)
    codes, values = texts(column.flatten() if lists else column)
    present = np.flatnonzero(np.bincount(codes + 1, minlength=1)[1:])
    distinct = {text for code in present if (text := values[code]) is not None}
    if lists:
        return True, _wholes(distinct)
    if not any(SEPARATOR in text or listed(text) is not None for text in distinct):
        return False, _wholes(distinct)
    return True, _wholes({label for text in distinct for label in split_labels(text, SEPARATOR)})


def read_labels(schema: Schema, name: str, column: Any, place_of: PlaceOf) -> Column:
    """Return a column of groups or labels that are known.

    Parameters
    ----------
    schema : attributes and tasks
    name : one of them; where many labels may hold, cells are lists, text that was a list, or text
        with separators
    column : array of pyarrow, n cells
    place_of : says where a row of the column stands

    Raises
    ------
    InputError
        A label is none of the labels.
    """
    column = one_array(column)
    labels, many = schema.labels(name), schema.is_many(name)
    label_of = {whole(label): label for label in labels}  # "1" for "1.0" too
    label_of |= {label: label for label in labels}
    if many and is_list(column.type):
        return _read_lists(schema, name, column, label_of, place_of)
    index, values = texts(column)
    distinct: list[Any] = [None] * len(values)
    strange: dict[int, str] = {}
    for cell, text in enumerate(values):
        if text is None or (text == UNKNOWN and not many):
            continue
        written = split_labels(text, SEPARATOR) if many else (text,)
        read = [label_of.get(label) or label_of.get(whole(label)) for label in written]
        if None in read:
            strange[cell] = written[read.index(None)]
        distinct[cell] = tuple(read) if many else read[0]
    if strange:
        for row in np.flatnonzero(np.isin(index, list(strange))):
            _refuse(place_of(int(row), name), strange[int(index[row])], labels)
    return schema.column_of(name, index, distinct)


def _read_lists(
    schema: Schema, name: str, column: Any, label_of: dict[str, str], place_of: PlaceOf
) -> Column:
    """Return a column of lists of labels as codes and distinct sets; null means unlabelled."""
    lists = column.cast(pa.large_list(column.type.value_type))
    lengths = pc.list_value_length(lists).fill_null(-1).to_numpy()
    index, values = texts(lists.flatten())
    read = [label_of.get(str(text)) or label_of.get(whole(str(text))) for text in values]
    row = np.repeat(np.arange(len(lists)), np.maximum(lengths, 0))
    for wrong in np.flatnonzero(np.array([label is None for label in [*read, None]])[index]):
        text = values[index[wrong]] if index[wrong] >= 0 else None
        _refuse(place_of(int(row[wrong]), name), text, schema.labels(name))
    labels = schema.labels(name)
    places = pa.array(
        [str(labels.index(label) if label else -1) for label in read], pa.large_string()
    )
    offsets = np.append(0, np.cumsum(np.maximum(lengths, 0)))
    held = pa.LargeListArray.from_arrays(offsets, places.take(pa.array(index)))
    joined = pc.dictionary_encode(pc.binary_join(held, pa.scalar(" ", pa.large_string())))
    distinct = [
        tuple(labels[int(place)] for place in text.split())
        for text in joined.dictionary.to_pylist()
    ]
    of_rows = joined.indices.to_numpy()
    return schema.column_of(name, np.where(lengths < 0, -1, of_rows), distinct)


def _refuse(place: Place, label: str | None, labels: Sequence[str]) -> NoReturn:
    """Raise the error of a label that is none of the labels, and say what it may be."""
    hint, text = "", str(label)
    if alike := [name for name in labels if folded(name) == folded(text)]:
        hint = f" (write {distinguishable((text, alike[0]))} alike)"
    elif label is None or folded(text) in MISSING:
        hint = " (leave the cell empty if it means unknown)"
    elif listed(text) is not None or {part.strip() for part in text.split(",")} <= {*labels}:
        hint = f" (several labels are written {labels[0]}{SEPARATOR}{labels[-1]})"
    few = ", ".join(shown(name, 40)[1:-1] for name in labels[:8])
    more = f", … ({len(labels)} in all)" if len(labels) > 8 else ""
    raise place.error(f"{shown(label)} is not one of {few}{more}{hint}")


def texts_of(place: Place, column: Any) -> list[str | None]:
    """Return the cells of a column as text without blanks around it; None where it is empty."""
    codes, values = _stripped_texts(place, column)
    values.append(None)
    return [values[code] for code in codes]


def names_of(place: Place, column: Any, unknown: Collection[str]) -> tuple[Column, tuple[str, ...]]:
    """Return a column of groups or labels, and the names that occur.

    Parameters
    ----------
    place : of the column, for messages
    column : array of pyarrow, n cells
    unknown : texts that mean not known, in lower case
    """
    index, values = _stripped_texts(place, column)
    distinct = [None if _is_unknown(text, unknown) else text for text in values]
    names = tuple(sorted({text for text in distinct if text is not None}))
    for name in names:
        check_label(place, name)
    warn_of_spellings(str(place), names)
    return Schema({"": names}).column_of("", index, distinct), names


def label_sets_of(
    place: Place, column: Any, unknown: Collection[str], separator: str | None = None
) -> tuple[Column, tuple[str, ...]]:
    """Return a column of any number of labels each, and the labels that occur.

    Parameters
    ----------
    place, column, unknown : as in `names_of`
    separator : between labels, by default `;`
    """
    between = separator or SEPARATOR
    sets: list[tuple[str, ...] | None]
    if pa.types.is_nested(column.type):
        index, sets = _lists(place, column)
    else:
        index, values = _stripped_texts(place, column)
        present = [text for text in values if text is not None and not _is_unknown(text, unknown)]
        check_not_multi_hot(place, [items for text in present if (items := listed(text))])
        for by in (between, None):
            bits = [[bit.strip() for bit in text.split(by)] for text in present]
            check_not_multi_hot(place, bits)
        sets = [
            None if text is None or _is_unknown(text, unknown) else split_labels(text, between)
            for text in values
        ]
    sets = [
        None if labels is None else tuple(x for x in labels if not _is_unknown(x, unknown))
        for labels in sets
    ]
    distinct = {labels for labels in sets if labels is not None}
    check_labels(place, distinct, separator=between, asked=separator is not None)
    names = tuple(sorted({label for labels in distinct for label in labels}))
    warn_of_spellings(str(place), names)
    schema = Schema({}, {"": Task(names, many=True)})
    return schema.column_of("", index, sets), names


def _stripped_texts(place: Place, column: Any) -> tuple[npt.NDArray[np.int32], list[str | None]]:
    """Return codes and texts without blanks around them, all whole numbers without a fraction."""
    if pa.types.is_nested(column.type) and not pa.types.is_struct(column.type):
        raise InputError(f"{place} holds lists: name it by --many")
    if reason := not_text(column.type):
        raise InputError(f"{place} {reason}")
    with reading(f"{place},"):
        codes, values = texts(column)
    values = [None if text is None else text.strip() or None for text in values]
    wholes = [None if text is None else whole(text) for text in values]
    are_whole = all(text is None or text.lstrip("-").isdecimal() for text in wholes)
    return codes, wholes if are_whole else values


def _lists(place: Place, column: Any) -> tuple[npt.NDArray[Any], list[tuple[str, ...] | None]]:
    """Return codes of cells of lists, and the texts in each different one."""
    reason = not_text(getattr(column.type, "value_type", column.type))
    if reason or pa.types.is_dictionary(column.type):
        raise InputError(f"{place} holds lists that are no lists of labels: {reason}")
    with reading(f"{place},"):
        distinct = column.to_pylist()
    lists = [
        None
        if cell is None
        else tuple(text.strip() for x in cell if (text := cell_text(x)) and text.strip())
        for cell in distinct
    ]
    check_not_multi_hot(place, [labels for labels in lists if labels is not None])
    unique = [None if labels is None else tuple(dict.fromkeys(labels)) for labels in lists]
    codes, different = pd.factorize(pd.Series(unique, dtype=object).to_numpy())
    return codes, list(different)


def _is_unknown(text: str | None, unknown: Collection[str]) -> bool:
    """Return whether a cell is empty or one of the given words for unknown, in any case."""
    return text is None or text.casefold() in unknown


def _wholes(labels: set[str]) -> set[str]:
    """Return names, of which whole numbers have no fraction, where all are numbers."""
    wholes = {whole(name) for name in labels}
    return wholes if all(name.lstrip("-").isdecimal() for name in wholes) else labels
