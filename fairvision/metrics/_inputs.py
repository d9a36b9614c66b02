"""Arrays of any origin become codes and names; what is unknown is marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.errors import InputError

UNKNOWN = "unknown"  # the reserved name of the row of figures whose group is not known


@dataclass(frozen=True)
class Labels:
    """Which labels hold in which row: one code each, or the ones of a table."""

    row: np.ndarray  # (k,) row and
    label: np.ndarray  # (k,) label of everything that holds
    known: np.ndarray  # (rows,)
    many: bool

    def cells(self, groups: np.ndarray, shape: tuple[int, int], keep: np.ndarray) -> Any:
        """Return the sparse indicator (groups * labels, rows) of each pair of group and label.

        Only rows in `keep` count; times weights (rows, b) it gives the weighted counts.
        """
        used = keep[self.row]
        row, label = self.row[used], self.label[used]
        cell = groups[row] * shape[1] + label
        size = (shape[0] * shape[1], len(keep))
        return sparse.csr_array((np.ones(len(row)), (cell, row)), shape=size)


def read_groups(
    names: Sequence[str] | None = None, **arrays: ArrayLike | None
) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Return the common names of the groups, and each array given as codes (-1 = unknown)."""
    columns = {what: _column(what, values) for what, values in arrays.items() if values is not None}
    for what, column in columns.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.cat.remove_categories(column.cat.categories.intersection([UNKNOWN]))
        columns[what] = column.where(column != UNKNOWN)
    return _codes(columns, names)


def read_labels(**arrays: ArrayLike | None) -> tuple[list[Any], dict[str, Labels]]:
    """Return the common names of the labels, and each array given as the labels that hold."""
    given = {what: values for what, values in arrays.items() if values is not None}
    tables = [what for what, values in given.items() if is_table(what, values)]
    if not tables:
        names, codes = _codes({what: _column(what, values) for what, values in given.items()})
        return names, {what: one_label_each(code) for what, code in codes.items()}
    single = [what for what in given if what not in tables]
    if single:
        raise InputError(
            f"{single[0]} holds one label per row, but {tables[0]} is a table of rows × labels"
        )
    read, columns = {}, {}
    for what, values in given.items():
        holds, known, columns[what] = read_indicators(what, values)
        row, label = np.nonzero(holds)
        read[what] = Labels(row, label, known, many=True)
    return _common_columns(columns), read


def one_label_each(codes: np.ndarray) -> Labels:
    """Return codes (-1 = unknown) as labels."""
    (row,) = np.nonzero(codes >= 0)
    return Labels(row, codes[row], codes >= 0, many=False)


def read_indicators(what: str, values: ArrayLike) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """Return a table of rows × labels as booleans, the rows that are known, and the labels' names.

    A row with an unknown entry (NaN, None or -1) is unknown and holds no label.
    """
    table, names = read_table(what, values)
    known = ~(np.isnan(table) | (table == -1)).any(axis=1)
    if not np.isin(table[known], (0, 1)).all():
        raise InputError(f"{what} must hold 0 and 1 only (-1 or NaN: unknown); see metrics.decide")
    return (table == 1) & known[:, None], known, names


def read_table(what: str, values: ArrayLike) -> tuple[np.ndarray, list[Any]]:
    """Return numbers (rows, columns) and the columns' names: a DataFrame's, else positions."""
    names = list(values.columns) if isinstance(values, pd.DataFrame) else None
    try:
        table = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be a table of numbers, rows × columns") from None
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or not table.shape[1]:
        raise InputError(f"{what} must be a table, rows × columns, not of shape {table.shape}")
    return table, names or list(range(table.shape[1]))


def read_values(what: str, values: ArrayLike) -> np.ndarray:
    """Return one number per row as floats, NaN where undefined."""
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{what} must hold one number per row") from None
    if array.ndim != 1:
        raise InputError(f"{what} must hold one number per row, not shape {array.shape}")
    if np.isinf(array).any():
        raise InputError(f"{what} holds infinite numbers, first in row {np.isinf(array).argmax()}")
    return array


def read_where(where: ArrayLike | None, rows: int) -> np.ndarray:
    """Return the rows that count, (rows,) bool; all of them by default."""
    if where is None:
        return np.ones(rows, dtype=bool)
    kept = np.asarray(where)
    if kept.dtype == object and _kind(pd.Series(kept)) in ("boolean", "empty"):
        kept = kept.astype(bool)
    if kept.dtype != bool or kept.ndim != 1:
        raise InputError("where must hold True or False for every row")
    check_rows(values=rows, where=kept)
    return kept


def check_rows(**arrays: Any) -> int:
    """Return the number of rows that all have (arrays, or numbers of rows)."""
    (first, rows), *others = (
        (what, values if isinstance(values, int) else len(values))
        for what, values in arrays.items()
    )
    for what, found in others:
        if found != rows:
            raise InputError(f"{what} has {found} rows, but {first} has {rows}")
    return rows


def is_table(what: str, values: Any) -> bool:
    """Say whether values are rows × labels, not one value per row."""
    if isinstance(values, pd.DataFrame):
        return True
    if isinstance(values, (pd.Series, pd.Index, pd.Categorical)):
        return False
    try:
        return np.ndim(values) > 1
    except ValueError:
        raise InputError(f"{what} has rows of different lengths") from None


def _common_columns(columns: dict[str, list[Any]]) -> list[Any]:
    """Return the names of the columns that all tables have; mere positions go with any names."""
    (first, names), *others = columns.items()
    for what, found in others:
        positions = list(range(len(found)))
        if len(found) != len(names):
            raise InputError(f"{what} has {len(found)} labels (columns), but {first} {len(names)}")
        if names == positions:
            first, names = what, found
        elif found not in (names, positions):
            raise InputError(
                f"the columns of {what} are not named, or ordered, as those of {first}"
            )
    return names


def _column(what: str, values: ArrayLike) -> pd.Series:
    if isinstance(values, (list, tuple)):
        values = np.asarray(values, dtype=object)  # else NaN among names would become the name nan
    if not isinstance(values, (pd.Series, pd.Index, pd.Categorical)):
        values = np.asarray(values)
        if values.ndim != 1:
            raise InputError(f"{what} must hold one value per row, not shape {values.shape}")
    return pd.Series(values).reset_index(drop=True)


def _codes(
    columns: dict[str, pd.Series], names: Sequence[Any] | None = None
) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Code columns over common names: those given, or the categories and all other values."""
    read = {what: _names_or_numbers(what, column, names) for what, column in columns.items()}
    numeric = {
        what: _is_numeric(_kind(values)) for what, values in read.items() if values.notna().any()
    }
    if len(set(numeric.values())) > 1:
        named, coded = sorted(numeric, key=lambda what: numeric[what])[:: len(numeric) - 1]
        raise InputError(f"{named} holds names, but {coded} holds numbers")
    declared = [
        column.cat.categories
        for column in columns.values()
        if isinstance(column.dtype, pd.CategoricalDtype)
    ]
    if names is None:
        universe = list(dict.fromkeys(name for some in declared for name in some if name != -1))
    else:
        universe = list(names)
    found = {name for values in read.values() for name in values.dropna().unique()}
    strays = sorted(found.difference(universe))
    if names is not None and strays:
        raise InputError(f"{strays[0]!r} is not among {', '.join(map(str, names))}")
    universe += strays
    index = pd.Index(universe, dtype=object)
    return universe, {what: index.get_indexer(values) for what, values in read.items()}


def _names_or_numbers(what: str, column: pd.Series, names: Sequence[Any] | None) -> pd.Series:
    """Return names or whole numbers as objects, NaN where unknown; codes as the names given."""
    known = column.astype(object).dropna()
    kind = _kind(known)
    if not _is_numeric(kind):
        if kind not in ("string", "empty"):
            raise InputError(f"{what} must hold names or whole numbers, one per row")
        return known.reindex(column.index)
    numbers = known.astype(float)
    numbers = numbers[numbers != -1]
    if (numbers % 1 != 0).any():
        raise InputError(f"{what} must hold names or codes, not scores; see metrics.decide")
    codes = numbers.astype(int).astype(object)
    if names is not None:
        if not codes.isin(range(len(names))).all():
            raise InputError(f"{what} holds codes outside 0 to {len(names) - 1}")
        codes = codes.map(dict(enumerate(names))).astype(object)
    return codes.reindex(column.index)


def _kind(values: pd.Series) -> str:
    return pd.api.types.infer_dtype(values, skipna=True)


def _is_numeric(kind: str) -> bool:
    return kind in ("boolean", "integer", "floating", "mixed-integer-float")
