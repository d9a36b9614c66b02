"""Containers of other libraries become those of numpy and pandas, with the unknown kept unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def plain(values: Any) -> Any:
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


def _unmasked(values: np.ma.MaskedArray) -> np.ndarray:
    if not np.ma.is_masked(values):
        return np.asarray(values)
    if values.dtype.kind == "f" or (values.ndim > 1 and values.dtype.kind in "biu"):
        return np.ma.filled(values.astype(float), np.nan)
    found = np.array(values.data, dtype=object)
    found[values.mask] = None
    return found


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
    if hasattr(values, "combine_chunks"):
        values = values.unify_dictionaries().combine_chunks()
    if hasattr(values, "dictionary") and hasattr(values, "indices"):  # without copying
        codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return pd.Categorical.from_codes(codes, values.dictionary.to_pandas(), validate=False)
    if values.null_count:
        return pd.Series(values.to_pandas(integer_object_nulls=True))
    return np.asarray(values)
