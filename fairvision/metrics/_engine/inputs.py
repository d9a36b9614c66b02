"""Arrays of any origin become codes and names; what is unknown is marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.core.arrow_streams import of_decimals
from fairvision.core.spellings import warn_of_spellings
from fairvision.errors import InputError, warn_caller
from fairvision.metrics._engine.arrays import Array, Bools, Floats, Ints, Labels, one_label_each
from fairvision.schema import UNKNOWN

_SCALARS = (str, int, float, np.generic, type(None))
_NUMERIC = ("boolean", "integer", "floating", "mixed-integer-float")  # as pandas infers kinds
_NUMBERS = (bool, int, float, np.bool_, np.number)
_CACHED = 1 << 20  # bytes of a table looked at together, so that they are fetched once
_VOID = 255  # what images of classes have where there is none


def to_numpy_or_pandas(values: Any) -> Any:
    """Return values as numpy or pandas holds them; what is neither stays as it is.

    Masked entries of numpy, nulls of pyarrow and NA of pandas are None, or NaN among numbers.
    Whole numbers stay whole beside them. Tensors may require a gradient, or be bfloat16.
    """
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(values)
    if isinstance(values, np.ndarray):
        return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
    if isinstance(values, (pd.Series, pd.Categorical)) or values is None:
        return values
    if isinstance(values, pd.DataFrame):
        return _without_extensions(values)
    if isinstance(values, pd.api.extensions.ExtensionArray):
        return pd.Series(values)
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        return np.asarray(tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor)
    if hasattr(values, "null_count"):
        return _of_pyarrow(values)
    return values


def _unmasked(values: np.ma.MaskedArray[Any, Any]) -> Array:
    """Return masked entries as NaN among numbers, else as None."""
    if not np.ma.is_masked(values):
        return np.asarray(values)
    if values.dtype.kind == "f" or (values.ndim > 1 and values.dtype.kind in "biu"):
        filled: Array = np.ma.filled(values.astype(float), np.nan)
        return filled
    objects = np.array(values.data, dtype=object)
    objects[values.mask] = None
    return objects


def _without_extensions(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose nullable numbers are floats, NaN where they are NA."""
    masked = [isinstance(kind, pd.api.extensions.ExtensionDtype) for kind in table.dtypes]
    if not any(masked):
        return table
    numbers = [
        column.to_numpy(dtype=float, na_value=np.nan)
        if is_masked
        and (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column))
        else column
        for is_masked, (_, column) in zip(masked, table.items())
    ]
    return pd.DataFrame(dict(enumerate(numbers)), index=table.index).set_axis(table.columns, axis=1)


def _of_pyarrow(values: Any) -> Any:
    """Return an array of pyarrow; dictionaries as categories."""
    if hasattr(values, "combine_chunks"):
        values = values.unify_dictionaries().combine_chunks()
    if hasattr(values, "dictionary") and hasattr(values, "indices"):  # without copying
        codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return pd.Categorical.from_codes(codes, values.dictionary.to_pandas(), validate=False)
    if str(values.type).startswith("decimal"):
        return of_decimals(values).to_numpy(zero_copy_only=False)
    if values.null_count:
        return pd.Series(values.to_pandas(integer_object_nulls=True))
    return np.asarray(values)


def as_column(name: str, values: Any) -> Any:
    """Return values as an array, Series or DataFrame; lists as objects."""
    values = to_numpy_or_pandas(values)
    if values is None or isinstance(values, (pd.Series, pd.DataFrame, pd.Categorical)):
        return values
    if isinstance(values, pd.MultiIndex):
        raise InputError(f"{name} must hold one value per row: give several attributes by name")
    if isinstance(values, pd.Index):
        return pd.Series(values)
    if isinstance(values, (list, tuple)):
        if is_table(name, values):
            return np.asarray(values, dtype=object)
        column = np.empty(len(values), dtype=object)
        column[:] = values
        return column
    array = np.asarray(values)
    if array.ndim == 0:
        raise InputError(f"{name} must hold one value per row, not a single value")
    check_simple(name, array)
    return array


def take_rows(values: Any, rows: Ints) -> Any:
    """Return some rows of a column or table."""
    if isinstance(values, (pd.Series, pd.DataFrame)):
        return values.iloc[rows]
    return values[rows]


def require(**arrays: Any) -> None:
    """Raise where one of the arrays is not given."""
    for arg, values in arrays.items():
        if values is None:
            raise InputError(f"{arg} must be given")


def check_simple(arg: str, array: Array) -> None:
    """Raise where the entries of an array are records, of several values each."""
    if array.dtype.kind == "V":
        raise InputError(f"{arg} must hold one value per row, not records of several")


def check_rows(**arrays: Any) -> int:
    """Return the number of rows that all have (arrays, or numbers of rows); 0 without any."""
    lengths = {
        arg: values if isinstance(values, int) else _length(arg, values)
        for arg, values in arrays.items()
    }
    first, rows = next(iter(lengths.items()), ("", 0))
    for arg, length in lengths.items():
        if length != rows:
            raise InputError(f"{arg} has {length} rows, but {first} has {rows}")
    return rows


def _length(arg: str, values: Any) -> int:
    """Return the number of rows."""
    try:
        return len(values)
    except TypeError:
        raise InputError(f"{arg} must hold one value per row") from None


def is_table(arg: str, values: Any) -> bool:
    """Say whether values are rows × labels, not one value per row."""
    if isinstance(values, pd.DataFrame):
        return True
    if isinstance(values, (pd.Series, pd.Index, pd.Categorical)):
        return False
    if isinstance(values, (list, tuple)) and all(
        issubclass(kind, _SCALARS) for kind in {*map(type, values)}
    ):
        return False
    try:
        return np.ndim(values) > 1
    except ValueError:
        raise InputError(f"{arg} has rows of different lengths") from None


def read_groups(
    names: Sequence[str] | None = None, **arrays: ArrayLike | None
) -> tuple[list[Any], dict[str, Ints]]:
    """Return the common names of the groups, and each array given as codes (-1 = unknown)."""
    columns = {
        arg: _read_column(arg, values) for arg, values in arrays.items() if values is not None
    }
    _tell_of_spellings(columns, UNKNOWN)
    for column in columns.values():
        column.occurring = [None if name == UNKNOWN else name for name in column.occurring]
        column.declared = [name for name in column.declared if name != UNKNOWN]
    return _code_columns(columns, names)


def read_labels(**arrays: ArrayLike | None) -> tuple[list[Any], dict[str, Labels]]:
    """Return the common names of the labels, and each array given as the labels that hold."""
    given = {arg: values for arg, values in arrays.items() if values is not None}
    tables = [arg for arg, values in given.items() if is_table(arg, values)]
    if not tables:
        read_one = {arg: _read_column(arg, values) for arg, values in given.items()}
        _tell_of_spellings(read_one)
        names, codes = _code_columns(read_one)
        return names, {arg: one_label_each(code) for arg, code in codes.items()}
    single = [arg for arg in given if arg not in tables]
    if single:
        raise InputError(
            f"{single[0]} holds one label per row, but {tables[0]} is a table of rows × labels"
        )
    read, columns = dict[str, Labels](), dict[str, list[Any]]()
    for arg, values in given.items():
        held, valid, columns[arg] = read_indicators(arg, values)
        read[arg] = Labels(held, valid)
    return common_columns(columns), read


def read_indicators(arg: str, values: ArrayLike) -> tuple[Bools, Bools, list[Any]]:
    """Return a table of rows × labels as booleans, the rows that are known, and the labels' names.

    A row with an unknown entry (NaN, None or -1) is unknown and holds no label.
    """
    table, names = read_table(arg, values, numbers="biuf")
    held = zeros_and_ones(table)
    if held is not None:
        return held, np.ones(len(table), bool), names
    valid = ~((table != table) | (table == -1)).any(axis=1)
    if (table == -1).any() and (table == 1).any() and not (table == 0).any():
        _tell_of_minus_one(arg)
    if not np.isin(table[valid], (0, 1)).all():
        raise InputError(f"{arg} must hold 0 and 1 only (-1 or NaN: unknown); see metrics.decide")
    return (table == 1) & valid[:, None], valid, names


def zeros_and_ones(table: Array) -> Bools | None:
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


def _only_lowest_bit(table: Array) -> bool:
    """Say whether whole numbers are 0 and 1 only: any other has further bits."""
    return np.bitwise_or.reduce(table, axis=None) in (0, 1)


def read_table(arg: str, values: ArrayLike, numbers: str = "") -> tuple[Array, list[Any]]:
    """Return numbers (rows, columns) and the columns' names: a DataFrame's, else positions.

    They are floats, unless they are of one of the kinds of `numbers` (as in numpy) already.
    """
    values = to_numpy_or_pandas(values)
    names = list(values.columns) if isinstance(values, pd.DataFrame) else None
    try:
        table = np.asarray(values)
        table = table if table.dtype.kind in numbers else _to_floats(values)
    except (TypeError, ValueError):
        raise InputError(f"{arg} must be a table of numbers, rows × columns") from None
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or not table.shape[1]:
        raise InputError(f"{arg} must be a table, rows × columns, not of shape {table.shape}")
    if names and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{arg} has several columns of the name {twice!r}")
    return table, names or list(range(table.shape[1]))


def _to_floats(values: Any) -> Floats:
    """Return numbers as floats, NaN for None and pandas' NA."""
    try:
        return np.asarray(values, dtype=float)
    except TypeError:
        array = np.asarray(values, dtype=object)
        return np.where(pd.isna(array), np.nan, array).astype(float)


def read_scores(arg: str, values: ArrayLike) -> tuple[Floats, list[Any]]:
    """Return scores (rows, columns) and the columns' names; say it where -1 may mean unknown."""
    table, names = read_table(arg, values)
    _tell_of_void_scores(arg, table)
    return table, names


def read_values(arg: str, values: ArrayLike) -> Floats:
    """Return one number per row as floats, NaN where undefined."""
    values = to_numpy_or_pandas(values)
    try:
        if isinstance(values, pd.Series):
            array = values.to_numpy(dtype=float, na_value=np.nan)
        else:
            array = _to_floats(values)
    except (TypeError, ValueError):
        raise InputError(f"{arg} must hold one number per row") from None
    if array.ndim != 1:
        raise InputError(f"{arg} must hold one number per row, not shape {array.shape}")
    if np.isinf(array).any():
        raise InputError(f"{arg} holds infinite numbers, first in row {np.isinf(array).argmax()}")
    return array


def read_mask(where: ArrayLike | None, rows: int) -> Bools:
    """Return the rows that count, (rows,) bool; all of them by default."""
    if where is None:
        return np.ones(rows, dtype=bool)
    kept = np.asarray(to_numpy_or_pandas(where))
    if kept.dtype == object and pd.isna(kept).any():
        raise InputError("where must hold True or False for every row, and some are unknown")
    if kept.dtype == object and _inferred_kind(kept.ravel()) in ("boolean", "empty"):
        kept = kept.astype(bool)
    if kept.dtype != bool or kept.ndim != 1:
        raise InputError("where must hold True or False for every row")
    check_rows(values=rows, where=kept)
    return kept


def common_columns(columns: dict[str, list[Any]]) -> list[Any]:
    """Return the names of the columns that all tables have; mere positions go with any names."""
    (first, names), *others = columns.items()
    for arg, other in others:
        positions = list(range(len(other)))
        if len(other) != len(names):
            raise InputError(f"{arg} has {len(other)} labels (columns), but {first} {len(names)}")
        if names == positions:
            first, names = arg, other
        elif other not in (names, positions):
            raise InputError(f"the columns of {arg} are not named, or ordered, as those of {first}")
    warn_of_spellings(f"columns of {first}", names)
    return names


@dataclass
class _Column:
    """One value per row: its place among the different values, None and −1 where there is none."""

    code: Ints
    occurring: list[Any]
    declared: list[Any]


def _read_column(arg: str, values: ArrayLike) -> _Column:
    """Return values as places among the different ones; the categories of a Categorical."""
    array = as_column(arg, values)
    if array.ndim != 1:
        raise InputError(f"{arg} must hold one value per row, not shape {array.shape}")
    column = pd.Series(array)
    if isinstance(column.dtype, pd.CategoricalDtype):
        code, declared = column.cat.codes.to_numpy(), column.cat.categories
        times = np.bincount(code[code >= 0], minlength=len(declared))
        occurring = [name if n else None for name, n in zip(declared, times)]
        return _Column(code, occurring, list(declared))
    try:
        code, names = pd.factorize(column)
    except TypeError:
        raise InputError(f"{arg} must hold names or whole numbers, one per row") from None
    return _Column(code, names.tolist(), [])


def _tell_of_spellings(columns: dict[str, _Column], *also: str) -> None:
    """Warn of names that read alike, but for categories: whoever made these has listed them."""
    listed = [
        name for column in columns.values() if not column.declared for name in column.occurring
    ]
    warn_of_spellings(" and ".join([*columns][:2]), [*also, *listed])


def _code_columns(
    columns: dict[str, _Column], names: Sequence[Any] | None = None
) -> tuple[list[Any], dict[str, Ints]]:
    """Code columns over common names: those given, or the categories and all other values."""
    read = {arg: _check_names(arg, column.occurring, names) for arg, column in columns.items()}
    occurring = {arg: [name for name in read[arg] if name is not None] for arg in columns}
    numeric = {arg: not isinstance(each[0], str) for arg, each in occurring.items() if each}
    if len(set(numeric.values())) > 1:
        named, coded = sorted(numeric, key=lambda arg: numeric[arg])[:: len(numeric) - 1]
        raise InputError(f"{named} holds names, but {coded} holds numbers")
    universe = list(names or ())
    if names is None:
        of_all = (
            name for column in columns.values() for name in (*column.occurring, *column.declared)
        )
        _tell_of_codes(" and ".join([*columns][:2]), of_all)
        declared = [name for column in columns.values() for name in column.declared]
        universe = list(dict.fromkeys(name for name in declared if name != -1))
    strays = sorted({name for each in occurring.values() for name in each}.difference(universe))
    if names is not None and strays:
        raise InputError(f"{strays[0]!r} is not among {', '.join(map(str, names))}")
    universe += strays
    place = {name: at for at, name in enumerate(universe)}
    return universe, {
        arg: np.array([*(place.get(name, -1) for name in read[arg]), -1])[column.code]
        for arg, column in columns.items()
    }


def _check_names(arg: str, values: list[Any], names: Sequence[Any] | None) -> list[Any]:
    """Return names or whole numbers, None where unknown; codes as the names given."""
    occurring = [name for name in values if name is not None]
    kind = _inferred_kind(occurring)
    if kind.startswith("mixed") and all(isinstance(name, _NUMBERS) for name in occurring):
        kind = "integer"  # and booleans among them
    if kind not in _NUMERIC:
        if kind not in ("string", "empty"):
            raise InputError(f"{arg} must hold names or whole numbers, one per row")
        return values
    if not all(float(number).is_integer() for number in occurring):
        raise InputError(f"{arg} must hold names or codes, not scores; see metrics.decide")
    codes = [None if number is None or number == -1 else int(number) for number in values]
    if names is None:
        below = min((code for code in codes if code is not None), default=0)
        if below < 0:
            raise InputError(
                f"{arg} holds the code {below}: codes are 0 or more; give -1, NaN or None where "
                "it means unknown"
            )
        return codes
    if not all(code is None or 0 <= code < len(names) for code in codes):
        raise InputError(f"{arg} holds codes outside 0 to {len(names) - 1}")
    return [None if code is None else names[code] for code in codes]


def _inferred_kind(values: Sequence[Any] | Array) -> str:
    """Return what kind of values pandas takes them for, the unknown left out."""
    return pd.api.types.infer_dtype(values, skipna=True)


def _tell_of_codes(arg: str, names: Iterable[Any]) -> None:
    """Warn of 255 among small codes, and of -1 as the other of two."""
    held = {name for name in names if isinstance(name, (int, float)) and name == name}
    if held == {1, -1}:
        _tell_of_minus_one(arg)
    if _VOID in held and len(held) > 1:
        rest = max(code for code in held if code != _VOID)
        if rest < _VOID // 2:
            warn_caller(
                f"{arg} holds the code {_VOID}, and else none above {rest}: it counts as a class; "
                "give -1 where it means unknown"
            )


def _tell_of_minus_one(arg: str) -> None:
    """Warn that -1 counts as unknown."""
    warn_caller(
        f"{arg} holds 1 and -1, and nowhere 0: -1 counts as unknown; give 0 where it is a class"
    )


def _tell_of_void_scores(arg: str, table: Array) -> None:
    """Warn where all scores lie between 0 and 1 but for one code, such as -1."""
    low, high = (of.reduce(table, axis=None, initial=np.nan) for of in (np.fmin, np.fmax))
    if (low < 0) == (high > 1):
        return
    code = low if low < 0 else high
    if code == _VOID or (code < 0 and code % 1 == 0):
        inside, coded = (table >= 0) & (table <= 1), table == code
        if inside.any() and (inside | coded | np.isnan(table)).all():
            warn_caller(
                f"{arg} lie between 0 and 1 but for {code:g} in {coded.any(axis=1).sum()} rows, "
                "which counts as a score: give NaN where it means unknown"
            )
