"""Columns of probabilities: numbers from 0 to 1 that sum to 1, as they were rounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fairvision.core.spellings import MISSING, folded
from fairvision.core.tables import PlaceOf, not_text
from fairvision.datasets.label_columns import one_array
from fairvision.errors import shown

TOLERANCE = 1e-3
ROUNDING = 1e-6
_DIGITS = 6  # of probabilities that were rounded, at most
_MOST_ROUNDING = 0.5  # of a sum; what is further off is no distribution


def fractions(column: Any, name: str, place_of: PlaceOf) -> npt.NDArray[np.float64]:
    """Return numbers from 0 to 1 as float64, NaN where the cell is empty."""
    column = one_array(column)
    kind = column.type
    if reason := not_text(kind):
        raise place_of(0, name).error(
            f"{reason.replace(': write it as text', '')}, not numbers from 0 to 1"
        )
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.float64()), pa.float64()
    if pa.types.is_boolean(kind):
        column, kind = column.cast(pa.int8()), pa.int8()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        values: npt.NDArray[np.float64]
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        empty = np.isnan(values)
    else:
        texts = pd.Series(column.to_pylist(), dtype=object)
        text = texts.astype(str).str.strip().str.lower()
        values = np.asarray(pd.to_numeric(text, errors="coerce"), np.float64)
        empty = (texts.isna() | text.isin(["", "nan"])).to_numpy()
    wrong = ~((values >= -ROUNDING) & (values <= 1 + ROUNDING)) & ~empty
    if wrong.any():
        row = int(wrong.argmax())
        value = column[row].as_py()
        raise place_of(row, name).error(
            f"{shown(value)} is not a number from 0 to 1{_remedy(value)}"
        )
    return np.asarray(values, np.float64)


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
    columns: Mapping[str, npt.NDArray[np.float64]],
    head: str,
    many: bool,
    place_of: PlaceOf,
    rounded: set[str],
) -> npt.NDArray[np.float64]:
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
            raise place_of(row, column).error("is empty but others of the row are not")
    off = np.abs(total - 1) > TOLERANCE
    if not many and off.any():
        explained = np.abs(total[off] - 1) <= _rounding(values) + ROUNDING
        if not explained.all():
            row = int(np.flatnonzero(off)[int(explained.argmin())])
            kind = names[0].partition("/")[0]
            raise place_of(row, f"{kind}/{head}/…").error(_wrong_sum(float(total[row])))
        values = values / np.where(off, total, 1)[:, None]
        rounded.add(head)
    return np.ascontiguousarray(values)


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
