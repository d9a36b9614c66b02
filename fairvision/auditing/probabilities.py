"""Columns of probabilities: numbers from 0 to 1 that sum to 1, as they were rounded; or logits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy import special

from fairvision.core.arrow_streams import of_decimals
from fairvision.core.spellings import MISSING, folded
from fairvision.core.tables import PlaceOf, not_text
from fairvision.datasets.label_columns import one_array
from fairvision.errors import shown

TOLERANCE = 1e-3
ROUNDING = 1e-6
PERCENT = 100
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DIGITS = 6  # of probabilities that were rounded, at most
_MOST_ROUNDING = 0.5  # of a sum; what is further off is no distribution


def fractions(column: Any, name: str, place_of: PlaceOf) -> npt.NDArray[np.float64]:
    """Return numbers from 0 to 1 as float64, NaN where the cell is empty."""
    values, empty = _numbers(column, name, place_of, "numbers from 0 to 1")
    wrong = ~((values >= -ROUNDING) & (values <= 1 + ROUNDING)) & ~empty
    if wrong.any():
        row = int(wrong.argmax())
        value = one_array(column)[row].as_py()
        raise place_of(row, name).error(
            f"{shown(value)} is not a number from 0 to 1{_remedy(value)}"
        )
    return values


def finite_numbers(column: Any, name: str, place_of: PlaceOf) -> npt.NDArray[np.float64]:
    """Return numbers as float64, NaN where the cell is empty; none may be infinite."""
    values, empty = _numbers(column, name, place_of, "numbers")
    wrong = ~np.isfinite(values) & ~empty
    if wrong.any():
        row = int(wrong.argmax())
        value = one_array(column)[row].as_py()
        raise place_of(row, name).error(f"{shown(value)} is not a finite number{_remedy(value)}")
    return values


def _numbers(
    column: Any, name: str, place_of: PlaceOf, expected: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return cells as float64, NaN where they are none, and which of them are empty."""
    column = one_array(column)
    kind = column.type
    if reason := not_text(kind):
        raise place_of(0, name).error(f"{reason.replace(': write it as text', '')}, not {expected}")
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_decimal(kind):
        column, kind = of_decimals(column), pa.float64()
    if pa.types.is_boolean(kind):
        column, kind = column.cast(pa.int8()), pa.int8()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        values = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        return values, np.isnan(values)
    texts = pd.Series(column.to_pylist(), dtype=object)
    text = texts.astype(str).str.strip().str.lower()
    values = np.asarray(pd.to_numeric(text, errors="coerce"), np.float64)
    return values, (texts.isna() | text.isin(["", "nan"])).to_numpy()


def _remedy(value: Any) -> str:
    """Return what to write in place of a value that is no probability, where that is clear.

    >>> _remedy("28.8%"), _remedy("0,288"), _remedy(-3.5)
    (' (percent are divided by 100)', ' (write a point, not a comma)', ' (--logits reads logits)')
    >>> _remedy(28.8)
    ' (percent are divided by 100, --logits reads logits)'
    """
    text = str(value).strip()
    if text.endswith("%"):
        return " (percent are divided by 100)"
    if text.replace(",", "", 1).isdecimal():
        return " (write a point, not a comma)"
    if folded(text) in MISSING or text.lstrip("+-").lower() in ("inf", "infinity"):
        return " (leave it empty where there is no answer)"
    if not _NUMBER.fullmatch(text):
        return ""
    percent = "percent are divided by 100, " if 1 < float(text) <= PERCENT else ""
    return f" ({percent}--logits reads logits)"


def together(
    columns: Mapping[str, npt.NDArray[np.float64]], place_of: PlaceOf
) -> npt.NDArray[np.float64]:
    """Return (n, columns) numbers, of which the rows are all empty or not at all."""
    names = list(columns)
    values = np.array(list(columns.values())).T  # sums over columns that lie together are fast
    with np.errstate(over="ignore", invalid="ignore"):
        undefined = np.isnan(values.sum(axis=1))
    if undefined.any():
        empty = np.isnan(values)
        partly = empty.any(axis=1) & ~empty.all(axis=1)
        if partly.any():
            row = int(partly.argmax())
            column = names[int(empty[row].argmax())]
            raise place_of(row, column).error("is empty but others of the row are not")
    return values


def normalised(
    values: npt.NDArray[np.float64], name: str, place_of: PlaceOf
) -> tuple[npt.NDArray[np.float64], bool]:
    """Return probabilities that sum to 1, or are NaN, in each row, and whether any were changed.

    Rows whose sum differs from 1 by no more than rounding explains are divided by it.

    Parameters
    ----------
    values : (n, labels) numbers from 0 to 1
    name : of the columns, for messages
    place_of : says where a row is
    """
    total = values.sum(axis=1)
    off = np.abs(total - 1) > TOLERANCE
    if not off.any():
        return values, False
    explained = np.abs(total[off] - 1) <= _rounding(values) + ROUNDING
    if not explained.all():
        row = int(np.flatnonzero(off)[int(explained.argmin())])
        raise place_of(row, name).error(_wrong_sum(float(total[row])))
    return values / np.where(off, total, 1)[:, None], True


def like_parts_of(values: npt.NDArray[np.float64], whole: int, one_holds: bool) -> bool:
    """Say whether numbers (n, labels) are such as probabilities (whole 1) or percentages (100) are.

    None is below 0; of several labels of which one holds they sum to the whole, else none is above.

    >>> like_parts_of(np.array([[28.8, 71.2], [50, 50]]), 100, one_holds=True)
    True
    >>> like_parts_of(np.array([[0.3], [-0.1]]), 1, one_holds=True)
    False
    """
    given = values[~np.isnan(values).any(axis=1)]
    if (given < 0).any():
        return False
    if not one_holds or values.shape[1] == 1:
        return bool((given <= whole).all())
    rounding = TOLERANCE if whole == 1 else values.shape[1] / 2
    with np.errstate(over="ignore", invalid="ignore"):
        return bool((np.abs(given.sum(axis=1) - whole) <= rounding).all())


def from_logits(values: npt.NDArray[np.float64], many: bool) -> npt.NDArray[np.float64]:
    """Return probabilities: sigmoid where many labels may hold, softmax over the labels elsewhere.

    >>> from_logits(np.array([[1000.0, 0.0], [0.0, 0.0], [np.nan, np.nan]]), many=False)
    array([[1. , 0. ],
           [0.5, 0.5],
           [nan, nan]])
    """
    with np.errstate(over="ignore"):  # a difference that is too large is infinite, its share 0
        return np.asarray(special.expit(values) if many else special.softmax(values, axis=1))


def _rounding(values: npt.NDArray[np.float64]) -> float:
    """Return how far the sum of probabilities (n, labels) may be from 1 by their rounding.

    >>> round(_rounding(np.array([[0.33, 0.33, 0.33], [0.5, 0.26, 0.25]])), 4)
    0.015
    """
    given = values[~np.isnan(values)]
    if (given == np.round(given)).all():
        return 0.0  # 0 and 1 are answers
    for digits in range(1, _DIGITS):
        if (np.abs(given - np.round(given, digits)) < 1e-9).all():
            return float(min(values.shape[1] * 0.5 * 10.0**-digits, _MOST_ROUNDING))
    short = given.astype(np.float32).view(np.uint32)
    nearest = ((short + 0x7FFF + ((short >> 16) & 1)) & 0xFFFF0000).astype(np.uint32)
    bfloat16 = nearest.view(np.float32)
    if (np.abs(given - bfloat16) <= 1e-6 * np.abs(given) + 1e-9).all():
        return 2.0**-8  # one unit of 8 bits: each is rounded, and so was what they were divided by
    return 0.0


def _wrong_sum(total: float) -> str:
    """Return what is wrong with probabilities of this sum, and how to write them."""
    if abs(total - 1) < 0.1:
        return (
            f"the probabilities sum to {total:.4g}, not to 1, and rounding does not explain it: "
            "write more digits, and every label"
        )
    return (
        f"the probabilities sum to {total:.4g}, not to 1 (where several labels may hold at once, "
        "write the true ones as a list, or with ';' in csv)"
    )
