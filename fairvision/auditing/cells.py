"""What the cells of a table say: codes of groups and labels, and probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fairvision.auditing.parts import Refuse, is_list
from fairvision.core.spellings import MISSING, distinguishable, folded
from fairvision.core.table_files import not_text
from fairvision.datasets.readers.coding import listed, split_labels, whole
from fairvision.datasets.samples import cell_text
from fairvision.errors import shown
from fairvision.schema import SEPARATOR, UNKNOWN

TOLERANCE = 1e-3
ROUNDING = 1e-6
DIGITS = 6  # of probabilities that were rounded, at most
MOST_ROUNDING = 0.5  # of a sum; what is further off is no distribution
WORD = 56  # labels that one whole number holds


def texts(column: Any) -> tuple[np.ndarray, list[str | None]]:
    """Return codes (n,), -1 where the cell is empty, and the text of each code or None.

    Whole numbers stored as floats, as pandas does where some are missing, are whole numbers.
    """
    column = _one_array(column)
    if pa.types.is_null(column.type):
        return np.full(len(column), -1), []
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    codes = column.indices.cast(pa.int64())
    if codes.null_count:
        codes = codes.fill_null(-1)
    values = column.dictionary.to_pylist()
    return codes.to_numpy(), [
        cell_text(int(v) if isinstance(v, float) and v.is_integer() else v) for v in values
    ]


def names(column: Any) -> np.ndarray:
    """Return the text of each cell, (n,) objects, None where it is empty."""
    codes, known = texts(column)
    return np.array([*known, None], dtype=object)[codes]


def distinct(column: Any) -> tuple[bool, set[str]]:
    """Return whether cells hold lists (or text with a separator), and which labels they hold."""
    column = _one_array(column)
    lists = is_list(column.type)
    codes, known = texts(column.flatten() if lists else column)
    present = np.flatnonzero(np.bincount(codes + 1, minlength=1)[1:])
    found = {text for code in present if (text := known[code]) is not None}
    if lists:
        return True, _wholes(found)
    separated = any(SEPARATOR in text or listed(text) is not None for text in found)
    if not separated:
        return False, _wholes(found)
    return True, _wholes({label for text in found for label in split_labels(text, SEPARATOR)})


def _wholes(names: set[str]) -> set[str]:
    """Return names, of which whole numbers have no fraction, where all are numbers."""
    wholes = {whole(name) for name in names}
    return wholes if all(name.lstrip("-").isdecimal() for name in wholes) else names


def positions(
    column: Any, head: str, labels: Sequence[str], many: bool, refuse: Refuse
) -> np.ndarray:
    """Return the truth as `Dataset.codes` and `Dataset.targets` do.

    Parameters
    ----------
    column : array of pyarrow, n cells
    head : name of the attribute or task
    labels : its groups or labels
    many : whether several may hold

    Returns
    -------
    (n,) int64 positions, -1 unknown; or (n, labels) int8 of 0 and 1, with rows of -1
    """
    column = _one_array(column)
    if many and is_list(column.type):
        return _holding(column, head, labels, refuse)
    codes, known = texts(column)
    place = _places(labels)
    shape = (len(known) + 1, len(labels)) if many else (len(known) + 1,)
    looked_up = np.full(shape, -1, np.int8 if many else np.int64)  # the last one for no text
    strange: dict[int, str] = {}
    for code, text in enumerate(known):
        if text is None or (text == UNKNOWN and not many):
            continue
        written = split_labels(text, SEPARATOR) if many else (text,)
        read = [place.get(label, place.get(whole(label), -1)) for label in written]
        if -1 in read:
            strange[code] = written[read.index(-1)]
        elif many:
            looked_up[code] = 0
            looked_up[code, read] = 1
        else:
            looked_up[code] = read[0]
    if strange:
        for row in np.flatnonzero(np.isin(codes, list(strange))):
            _strange(int(row), head, strange[int(codes[row])], labels, refuse)
    return looked_up[codes]


def _holding(column: Any, head: str, labels: Sequence[str], refuse: Refuse) -> np.ndarray:
    """Return the labels of lists as `positions` does."""
    lengths = pc.list_value_length(column).cast(pa.int64()).fill_null(-1).to_numpy()
    codes, known = texts(column.flatten())
    place = _places(labels)
    looked_up = np.array(
        [*(place.get(str(text), place.get(whole(str(text)), -1)) for text in known), -1],
        dtype=np.int64,
    )
    position = looked_up[codes]
    row = np.repeat(np.arange(len(column)), np.maximum(lengths, 0))
    for wrong in np.flatnonzero(position < 0):
        text = known[codes[wrong]] if codes[wrong] >= 0 else None
        _strange(int(row[wrong]), head, text, labels, refuse)
    holds = np.zeros((len(column), len(labels)), np.int8)
    holds[row, position] = 1
    holds[lengths < 0] = -1
    return holds


def _places(labels: Sequence[str]) -> dict[str, int]:
    """Return the position of each label, also of "1.0" by its other name "1"."""
    return {whole(label): i for i, label in enumerate(labels)} | {
        label: i for i, label in enumerate(labels)
    }


def _strange(row: int, head: str, label: str | None, labels: Sequence[str], refuse: Refuse) -> None:
    """Refuse a label that is none of those that there are, and say what it may be."""
    hint = ""
    text = str(label)
    if same := [other for other in labels if folded(other) == folded(text)]:
        hint = f" (write {distinguishable((text, same[0]))} alike)"
    elif label is None or folded(text) in MISSING:
        hint = " (leave the cell empty if it means unknown)"
    elif listed(text) is not None or {part.strip() for part in text.split(",")} <= {*labels}:
        hint = f" (several labels are written {labels[0]}{SEPARATOR}{labels[-1]})"
    refuse(row, head, f"{shown(label)} is not one of {_few(labels)}{hint}")


def _few(labels: Sequence[str]) -> str:
    more = f", … ({len(labels)} in all)" if len(labels) > 8 else ""
    return ", ".join(shown(label, 40)[1:-1] for label in labels[:8]) + more


def fractions(column: Any, name: str, refuse: Refuse) -> np.ndarray:
    """Return numbers from 0 to 1 as float64, NaN where the cell is empty."""
    column = _one_array(column)
    kind = column.type
    if reason := not_text(kind):
        refuse(0, name, f"{reason.replace(': write it as text', '')}, not numbers from 0 to 1")
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.float64()), pa.float64()
    if pa.types.is_boolean(kind):
        column, kind = column.cast(pa.int8()), pa.int8()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        empty = np.isnan(values)
    else:
        cells = pd.Series(column.to_pylist(), dtype=object)
        text = cells.astype(str).str.strip().str.lower()
        values = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
        empty = (cells.isna() | text.isin(["", "nan"])).to_numpy()
    wrong = ~((values >= -ROUNDING) & (values <= 1 + ROUNDING)) & ~empty
    if wrong.any():
        row = int(wrong.argmax())
        value = column[row].as_py()
        refuse(row, name, f"{shown(value)} is not a number from 0 to 1{_remedy(value)}")
    return values


def _remedy(value: Any) -> str:
    """Return what to write in place of a value that is no probability, where that is clear.

    >>> _remedy("28.8%"), _remedy("0,288"), _remedy(-3.5)
    (' (percent are divided by 100)', ' (write a point, not a comma)', '')
    """
    text = str(value).strip()
    if text.endswith("%"):
        return " (percent are divided by 100)"
    if text.replace(",", "", 1).isdecimal():
        return " (write a point, not a comma)"
    if folded(text) in MISSING or text.lstrip("+-").lower() in ("inf", "infinity"):
        return " (leave it empty where there is no answer)"
    return ""


def check_probabilities(
    columns: Mapping[str, np.ndarray], head: str, many: bool, refuse: Refuse, rounded: set[str]
) -> np.ndarray:
    """Return (n, labels) probabilities: rows are all empty or not at all, and sum to 1 unless many.

    Rows whose sum differs from 1 by no more than rounding explains are divided by it.

    Parameters
    ----------
    columns : numbers of each score column of the head
    rounded : heads of which rows were divided; filled
    """
    names = list(columns)
    values = np.array(list(columns.values())).T  # sums over columns that lie together are fast
    total = values.sum(axis=1)
    undefined = np.isnan(total)
    if undefined.any():
        empty = np.isnan(values)
        partly = undefined & ~empty.all(axis=1)
        if partly.any():
            row = int(partly.argmax())
            column = names[int(empty[row].argmax())]
            refuse(row, column, "is empty but others of the row are not")
    off = np.abs(total - 1) > TOLERANCE
    if not many and off.any():
        explained = np.abs(total[off] - 1) <= _rounding(values) + ROUNDING
        if not explained.all():
            row = int(np.flatnonzero(off)[int(explained.argmin())])
            kind = names[0].partition("/")[0]
            refuse(row, f"{kind}/{head}/…", _wrong_sum(float(total[row])))
        values = values / np.where(off, total, 1)[:, None]
        rounded.add(head)
    return np.ascontiguousarray(values)


def _rounding(values: np.ndarray) -> float:
    """Return how far the sum of probabilities (n, labels) may be from 1 by their rounding.

    >>> round(_rounding(np.array([[0.33, 0.33, 0.33], [0.5, 0.26, 0.25]])), 4)
    0.015
    """
    given = values[~np.isnan(values)]
    if (given == np.round(given)).all():
        return 0.0  # 0 and 1 are answers
    for digits in range(1, DIGITS):
        if (np.abs(given - np.round(given, digits)) < 1e-9).all():
            return float(min(values.shape[1] * 0.5 * 10.0**-digits, MOST_ROUNDING))
    short = given.astype(np.float32).view(np.uint32)
    nearest = ((short + 0x7FFF + ((short >> 16) & 1)) & 0xFFFF0000).astype(np.uint32)
    bfloat16 = nearest.view(np.float32)
    if (np.abs(given - bfloat16) <= 1e-6 * np.abs(given) + 1e-9).all():
        return 2.0**-8  # one unit of 8 bits: each is rounded, and so was what they were divided by
    return 0.0


def _wrong_sum(total: float) -> str:
    if abs(total - 1) < 0.1:
        return (
            f"the probabilities sum to {total:.4g}, not to 1, and rounding does not explain it: "
            "write more digits, and every label"
        )
    return (
        f"the probabilities sum to {total:.4g}, not to 1 (where several labels may hold at once, "
        "write the true ones as a list, or with ';' in csv)"
    )


def packed(holds: np.ndarray) -> np.ndarray:
    """Return rows of labels (n, labels), 0, 1 or all -1, as whole numbers (n, words).

    >>> packed(np.array([[1, 0, 1], [0, 0, 0], [-1, -1, -1]], np.int8)).tolist()
    [[5], [0], [-1]]
    """
    words = []
    for start in range(0, holds.shape[1], WORD):
        bits = np.packbits(holds[:, start : start + WORD] == 1, axis=1, bitorder="little")
        room = np.zeros((len(holds), 8), np.uint8)
        room[:, : bits.shape[1]] = bits
        words.append(room.view("<i8")[:, 0])
    return np.where(holds[:, :1] < 0, -1, np.column_stack(words))


def unpacked(words: np.ndarray, labels: int) -> np.ndarray:
    """Return what `packed` was made of."""
    room = np.ascontiguousarray(words, dtype="<i8").view(np.uint8).reshape(len(words), -1, 8)
    bits = np.unpackbits(room[:, :, : WORD // 8], axis=2, bitorder="little")
    holds = bits.reshape(len(words), -1)[:, :labels].astype(np.int8)
    holds[words[:, 0] < 0] = -1
    return holds


def _one_array(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
