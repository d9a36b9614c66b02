"""Arrays of any origin become codes and names; what is unknown is marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.core.spellings import warn_of_spellings
from fairvision.errors import InputError
from fairvision.metrics._engine.codings import tell_of_codes, tell_of_signs, tell_of_void_scores
from fairvision.metrics._engine.containers import plain

_NUMBERS = (bool, int, float, np.bool_, np.number)
_CACHED = 1 << 20  # bytes of a table looked at together, so that they are fetched once
UNKNOWN = "unknown"  # the reserved name of the row of figures whose group is not known


@dataclass(frozen=True, eq=False)
class Labels:
    """Which labels hold in which row."""

    held: np.ndarray  # (rows,) codes, −1 where unknown, or (rows, labels) bool
    known: np.ndarray  # (rows,)

    @property
    def many(self) -> bool:
        """Say whether many labels may hold in a row."""
        return self.held.ndim > 1

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """The row, rising, and the label of everything that holds."""
        if self.many:
            return self._at(_places(self.held))
        row = np.flatnonzero(self.held >= 0)
        return row, self.held[row]

    @property
    def row(self) -> np.ndarray:
        """The row of everything that holds."""
        return self.places[0]

    @property
    def label(self) -> np.ndarray:
        """The label of everything that holds."""
        return self.places[1]

    def _at(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        row = place // self.held.shape[1]  # faster than numpy's divmod
        return row, place - row * self.held.shape[1]

    def cells(self, groups: np.ndarray, shape: tuple[int, int], keep: np.ndarray) -> Any:
        """Return the sparse indicator (groups * labels, rows) of each pair of group and label.

        Only rows in `keep` count; times weights (rows, b) it gives the weighted counts.
        """
        return _cells(*self.places, np.float32(1), groups, shape, keep)

    def sums(
        self, groups: np.ndarray, shape: tuple[int, int], keep: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """Return cells times weights (rows,), without making the cells."""
        if self.many and (weights == 1).all():
            rows = (np.flatnonzero(keep & (groups == group)) for group in range(shape[0]))
            return np.array([_column_sums(self.held.take(some, axis=0)) for some in rows]).ravel()
        row, label = self.places
        cell = np.where(keep, groups, shape[0])[row] * shape[1] + label
        kept = np.bincount(cell, weights[row], minlength=(shape[0] + 1) * shape[1])
        return kept[: shape[0] * shape[1]]

    def change(
        self, other: Labels, groups: np.ndarray, shape: tuple[int, int], keep: np.ndarray
    ) -> Any:
        """Return the cells of other labels less these, of rows of the same groups."""
        if not self.many:
            keep = keep & (self.held != other.held)
            return other.cells(groups, shape, keep) - self.cells(groups, shape, keep)
        place = _places(self.held ^ other.held)
        row, label = self._at(place)
        sign = np.where(self.held.ravel()[place], np.float32(-1), np.float32(1))
        return _cells(row, label, sign, groups, shape, keep)


def _column_sums(table: np.ndarray) -> np.ndarray:
    """Return how often each column (of booleans) is true; in blocks of which a byte can count."""
    rows = len(table) - len(table) % 255
    table = table.view(np.uint8)
    blocks = table[:rows].reshape(-1, 255, table.shape[1]).sum(axis=1, dtype=np.uint8)
    return blocks.sum(axis=0, dtype=np.int64) + table[rows:].sum(axis=0, dtype=np.int64)


def _places(table: np.ndarray) -> np.ndarray:
    """Return the flat places of what is true, rising; first in words of 8, of which few are."""
    flat = table.ravel()
    if len(flat) % 8:
        return np.flatnonzero(flat)
    words = flat.view(np.int64)
    word = np.flatnonzero(words != 0)
    inside = np.flatnonzero(words[word].view(bool))
    place = word[inside >> 3] << 3
    place += inside & 7
    return place


def _cells(
    row: np.ndarray,
    label: np.ndarray,
    value: np.ndarray | np.float32,
    groups: np.ndarray,
    shape: tuple[int, int],
    keep: np.ndarray,
) -> sparse.csc_array:
    value = np.broadcast_to(value, row.shape)
    if not keep.all():
        kept = keep[row]
        row, label, value = row[kept], label[kept], value[kept]
    start = np.concatenate([[0], np.bincount(row, minlength=len(keep)).cumsum()])
    size = (shape[0] * shape[1], len(keep))
    return sparse.csc_array((value, groups[row] * shape[1] + label, start), shape=size)


def read_groups(
    names: Sequence[str] | None = None, **arrays: ArrayLike | None
) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Return the common names of the groups, and each array given as codes (-1 = unknown)."""
    columns = {what: _column(what, values) for what, values in arrays.items() if values is not None}
    names_of_all = (name for column in columns.values() for name in column.found)
    warn_of_spellings(" and ".join([*columns][:2]), [UNKNOWN, *names_of_all])
    for column in columns.values():
        column.found = [None if name == UNKNOWN else name for name in column.found]
        column.declared = [name for name in column.declared if name != UNKNOWN]
    return _codes(columns, names)


def read_labels(**arrays: ArrayLike | None) -> tuple[list[Any], dict[str, Labels]]:
    """Return the common names of the labels, and each array given as the labels that hold."""
    given = {what: values for what, values in arrays.items() if values is not None}
    tables = [what for what, values in given.items() if is_table(what, values)]
    if not tables:
        read_one = {what: _column(what, values) for what, values in given.items()}
        names_of_all = [name for column in read_one.values() for name in column.found]
        warn_of_spellings(" and ".join([*read_one][:2]), names_of_all)
        names, codes = _codes(read_one)
        return names, {what: one_label_each(code) for what, code in codes.items()}
    single = [what for what in given if what not in tables]
    if single:
        raise InputError(
            f"{single[0]} holds one label per row, but {tables[0]} is a table of rows × labels"
        )
    read, columns = dict[str, Labels](), dict[str, list[Any]]()
    for what, values in given.items():
        held, known, columns[what] = read_indicators(what, values)
        read[what] = Labels(held, known)
    return common_columns(columns), read


def one_label_each(codes: np.ndarray) -> Labels:
    """Return codes (-1 = unknown) as labels."""
    return Labels(codes, codes >= 0)


def read_indicators(what: str, values: ArrayLike) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """Return a table of rows × labels as booleans, the rows that are known, and the labels' names.

    A row with an unknown entry (NaN, None or -1) is unknown and holds no label.
    """
    table, names = read_table(what, values, numbers="biuf")
    held = zeros_and_ones(table)
    if held is not None:
        return held, np.ones(len(table), bool), names
    known = ~((table != table) | (table == -1)).any(axis=1)
    tell_of_signs(what, table)
    if not np.isin(table[known], (0, 1)).all():
        raise InputError(f"{what} must hold 0 and 1 only (-1 or NaN: unknown); see metrics.decide")
    return (table == 1) & known[:, None], known, names


def zeros_and_ones(table: np.ndarray) -> np.ndarray | None:
    """Return a table of the numbers 0 and 1 as booleans; None if it holds anything else."""
    if table.ndim != 2 or not table.size or table.dtype.kind not in "biuf":
        return None
    if table.dtype == bool:
        return table
    if table.itemsize == 1:
        return table.view(bool) if _only_lowest_bit(table) else None
    held, whole = np.empty(table.shape, bool), table.dtype.kind in "iu"
    step = max(1, _CACHED // (table.itemsize * table.shape[1]))
    for rows in (slice(start, start + step) for start in range(0, len(table), step)):
        part = table[rows]
        valid = _only_lowest_bit(part) if whole else ((part == 1) | (part == 0)).all()
        if not valid:
            return None
        np.not_equal(part, 0, out=held[rows])  # several times as fast as to assign it
    return held


def _only_lowest_bit(table: np.ndarray) -> bool:
    """Say whether whole numbers are 0 and 1 only: any other has further bits."""
    return np.bitwise_or.reduce(table, axis=None) in (0, 1)


def read_table(what: str, values: ArrayLike, numbers: str = "") -> tuple[np.ndarray, list[Any]]:
    """Return numbers (rows, columns) and the columns' names: a DataFrame's, else positions.

    They are floats, unless they are of one of the kinds of `numbers` (as in numpy) already.
    """
    values = plain(values)
    names = list(values.columns) if isinstance(values, pd.DataFrame) else None
    try:
        table = np.asarray(values)
        table = table if table.dtype.kind in numbers else _floats(values)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be a table of numbers, rows × columns") from None
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or not table.shape[1]:
        raise InputError(f"{what} must be a table, rows × columns, not of shape {table.shape}")
    if names and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{what} has several columns of the name {twice!r}")
    return table, names or list(range(table.shape[1]))


def _floats(values: Any) -> np.ndarray:
    """Return numbers as floats, NaN for None and pandas' NA."""
    try:
        return np.asarray(values, dtype=float)
    except TypeError:
        array = np.asarray(values, dtype=object)
        return np.where(pd.isna(array), np.nan, array).astype(float)


def read_scores(what: str, values: ArrayLike) -> tuple[np.ndarray, list[Any]]:
    """Return scores (rows, columns) and the columns' names; say it where -1 may mean unknown."""
    table, names = read_table(what, values)
    tell_of_void_scores(what, table)
    return table, names


def read_values(what: str, values: ArrayLike) -> np.ndarray:
    """Return one number per row as floats, NaN where undefined."""
    values = plain(values)
    try:
        if isinstance(values, pd.Series):
            array = values.to_numpy(dtype=float, na_value=np.nan)
        else:
            array = _floats(values)
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
    kept = np.asarray(plain(where))
    if kept.dtype == object and pd.isna(kept).any():
        raise InputError("where must hold True or False for every row, and some are unknown")
    if kept.dtype == object and _kind(kept.ravel()) in ("boolean", "empty"):
        kept = kept.astype(bool)
    if kept.dtype != bool or kept.ndim != 1:
        raise InputError("where must hold True or False for every row")
    check_rows(values=rows, where=kept)
    return kept


def require(**arrays: Any) -> None:
    """Raise where one of the arrays is not given."""
    for what, values in arrays.items():
        if values is None:
            raise InputError(f"{what} must be given")


def check_simple(what: str, array: np.ndarray) -> None:
    """Raise where the entries of an array are records, of several values each."""
    if array.dtype.kind == "V":
        raise InputError(f"{what} must hold one value per row, not records of several")


def check_rows(**arrays: Any) -> int:
    """Return the number of rows that all have (arrays, or numbers of rows); 0 without any."""
    lengths = {
        what: values if isinstance(values, int) else _length(what, values)
        for what, values in arrays.items()
    }
    first, rows = next(iter(lengths.items()), ("", 0))
    for what, found in lengths.items():
        if found != rows:
            raise InputError(f"{what} has {found} rows, but {first} has {rows}")
    return rows


def _length(what: str, values: Any) -> int:
    try:
        return len(values)
    except TypeError:
        raise InputError(f"{what} must hold one value per row") from None


def is_table(what: str, values: Any) -> bool:
    """Say whether values are rows × labels, not one value per row."""
    if isinstance(values, pd.DataFrame):
        return True
    if isinstance(values, (pd.Series, pd.Index, pd.Categorical)):
        return False
    if isinstance(values, (list, tuple)) and all(map(_is_scalar, set(map(type, values)))):
        return False
    try:
        return np.ndim(values) > 1
    except ValueError:
        raise InputError(f"{what} has rows of different lengths") from None


def common_columns(columns: dict[str, list[Any]]) -> list[Any]:
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
    warn_of_spellings(f"columns of {first}", names)
    return names


@dataclass
class _Column:
    """One value per row, as its place among those found; None and −1 where there is none."""

    code: np.ndarray
    found: list[Any]
    declared: list[Any]


def _column(what: str, values: ArrayLike) -> _Column:
    values = plain(values)
    if isinstance(values, pd.MultiIndex):
        raise InputError(f"{what} must hold one value per row: give several attributes by name")
    if isinstance(values, (list, tuple)):
        values = np.asarray(values, dtype=object)  # else NaN among names would become the name nan
    if not isinstance(values, (pd.Series, pd.Index, pd.Categorical)):
        values = np.asarray(values)
        if values.ndim != 1:
            raise InputError(f"{what} must hold one value per row, not shape {values.shape}")
        check_simple(what, values)
    column = pd.Series(values)
    if isinstance(column.dtype, pd.CategoricalDtype):
        code, declared = column.cat.codes.to_numpy(), column.cat.categories
        times = np.bincount(code[code >= 0], minlength=len(declared))
        found = [name if n else None for name, n in zip(declared, times)]
        return _Column(code, found, list(declared))
    try:
        code, names = pd.factorize(column)
    except TypeError:
        raise InputError(f"{what} must hold names or whole numbers, one per row") from None
    return _Column(code, names.tolist(), [])


def _codes(
    columns: dict[str, _Column], names: Sequence[Any] | None = None
) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Code columns over common names: those given, or the categories and all other values."""
    read = {what: _names_or_numbers(what, column.found, names) for what, column in columns.items()}
    known = {what: [name for name in found if name is not None] for what, found in read.items()}
    numeric = {what: not isinstance(found[0], str) for what, found in known.items() if found}
    if len(set(numeric.values())) > 1:
        named, coded = sorted(numeric, key=lambda what: numeric[what])[:: len(numeric) - 1]
        raise InputError(f"{named} holds names, but {coded} holds numbers")
    universe = list(names or ())
    if names is None:
        of_all = (name for column in columns.values() for name in (*column.found, *column.declared))
        tell_of_codes(" and ".join([*columns][:2]), of_all)
        declared = [name for column in columns.values() for name in column.declared]
        universe = list(dict.fromkeys(name for name in declared if name != -1))
    strays = sorted({name for found in known.values() for name in found}.difference(universe))
    if names is not None and strays:
        raise InputError(f"{strays[0]!r} is not among {', '.join(map(str, names))}")
    universe += strays
    place = {name: at for at, name in enumerate(universe)}
    return universe, {
        what: np.array([*(place.get(name, -1) for name in read[what]), -1])[column.code]
        for what, column in columns.items()
    }


def _names_or_numbers(what: str, found: list[Any], names: Sequence[Any] | None) -> list[Any]:
    """Return names or whole numbers, None where unknown; codes as the names given."""
    known = [name for name in found if name is not None]
    kind = _kind(known)
    if kind.startswith("mixed") and all(isinstance(name, _NUMBERS) for name in known):
        kind = "integer"  # and booleans among them
    if not _is_numeric(kind):
        if kind not in ("string", "empty"):
            raise InputError(f"{what} must hold names or whole numbers, one per row")
        return found
    if not all(float(number).is_integer() for number in known):
        raise InputError(f"{what} must hold names or codes, not scores; see metrics.decide")
    codes = [None if number is None or number == -1 else int(number) for number in found]
    if names is None:
        below = min((code for code in codes if code is not None), default=0)
        if below < 0:
            raise InputError(
                f"{what} holds the code {below}: codes are 0 or more; give -1, NaN or None where "
                "it means unknown"
            )
        return codes
    if not all(code is None or 0 <= code < len(names) for code in codes):
        raise InputError(f"{what} holds codes outside 0 to {len(names) - 1}")
    return [None if code is None else names[code] for code in codes]


def _kind(values: Sequence[Any] | np.ndarray) -> str:
    return pd.api.types.infer_dtype(values, skipna=True)


def _is_scalar(kind: type) -> bool:
    return issubclass(kind, (str, int, float, np.generic, type(None)))


def _is_numeric(kind: str) -> bool:
    return kind in ("boolean", "integer", "floating", "mixed-integer-float")
