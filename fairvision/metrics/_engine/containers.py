"""Containers of any library become those of numpy and pandas, with the unknown kept unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Array, Ints


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
    if isinstance(values, (list, tuple)) and all(map(_is_scalar, set(map(type, values)))):
        return False
    try:
        return np.ndim(values) > 1
    except ValueError:
        raise InputError(f"{arg} has rows of different lengths") from None


def _is_scalar(kind: type[Any]) -> bool:
    """Say whether values of a type are single ones, not lists of several."""
    return issubclass(kind, (str, int, float, np.generic, type(None)))
