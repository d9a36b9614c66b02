"""Plain values in any container that a measure may be given, drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

Random = np.random.Generator
Values = Sequence[Any]


def one_of(random: Random, options: Sequence[Any]) -> Any:
    return options[int(random.integers(len(options)))]


def objects(values: Values) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _series(random: Random, values: Any, **more: Any) -> pd.Series:
    """A Series whose index says nothing of the order of rows."""
    column = pd.Series(values, **more)
    column.index = random.permutation(len(column)) - 3
    return column


def _masked(values: Values, filled: Any, dtype: Any) -> np.ma.MaskedArray:
    mask = [value is None for value in values]
    data = np.array([filled if value is None else value for value in values], dtype=dtype)
    return np.ma.masked_array(data, mask=mask)


def _categorical(random: Random, values: Values, declared: Values) -> Any:
    known = sorted({value for value in values if value is not None} | set(declared))
    column = pd.Categorical(values, [known[i] for i in random.permutation(len(known))])
    dictionary = pa.DictionaryArray.from_arrays(
        pa.array(column.codes, mask=column.codes < 0), pa.array(list(column.categories))
    )
    return one_of(random, [column, _series(random, column), dictionary])


def names(random: Random, values: Values, declared: Values = ()) -> Any:
    """Texts; None where unknown. `declared` are categories, without images perhaps."""
    if declared:
        return _categorical(random, values, declared)
    blank = one_of(random, [None, float("nan"), None])
    filled = [blank if value is None else value for value in values]
    options: list[Callable[[], Any]] = [
        lambda: filled,
        lambda: tuple(filled),
        lambda: objects(filled),
        lambda: _series(random, objects(filled)),
        lambda: _series(random, list(values), dtype="string"),
        lambda: pd.Index(objects(values)),
        lambda: pa.array(list(values), pa.string()),
        lambda: (
            pa.chunked_array([pa.array(list(values[:2]), pa.string()), list(values[2:])])
            if len(values) > 2 and any(values[2:]) and any(values[:2])
            else objects(values)
        ),
        lambda: _masked(values, "?", object),
    ]
    if None not in values and len(values):
        options += [lambda: np.array(values)]
    return one_of(random, options)()


def codes(random: Random, values: Values, declared: Values = ()) -> Any:
    """Whole numbers, 0 or more; None where unknown."""
    if declared:
        return _categorical(random, values, declared)
    blank = one_of(random, [None, float("nan"), -1])
    filled = [blank if value is None else value for value in values]
    minus = [-1 if value is None else value for value in values]
    signed = one_of(random, [np.int8, np.int16, np.int32, np.int64])
    floats = [np.nan if value is None else value for value in values]
    options: list[Callable[[], Any]] = [
        lambda: filled,
        lambda: tuple(filled),
        lambda: objects(filled),
        lambda: np.array(minus, dtype=signed),
        lambda: np.array(minus, dtype=">i4"),
        lambda: np.array(floats, dtype=one_of(random, [np.float32, np.float64, np.float16])),
        lambda: _series(random, floats, dtype=float),
        lambda: _series(random, list(values), dtype="Int64"),
        lambda: _series(random, list(values), dtype=pd.ArrowDtype(pa.int32())),
        lambda: _masked(values, 0, signed),
        lambda: pa.array(list(values), one_of(random, [pa.int8(), pa.int64()])),
        lambda: torch.tensor(minus, dtype=one_of(random, [torch.int8, torch.int64])),
        lambda: torch.tensor(floats, dtype=torch.float32, requires_grad=True),
    ]
    if None not in values:
        options += [lambda: np.array(values, dtype=np.uint8), lambda: np.array(values, np.uint16)]
        if set(values) <= {0, 1}:
            options += [
                lambda: np.array(values, dtype=bool),
                lambda: [bool(value) for value in values],
                lambda: torch.tensor(values, dtype=torch.bool),
            ]
    elif set(values) <= {0, 1, None}:
        options.append(
            lambda: _series(
                random, [None if v is None else bool(v) for v in values], dtype="boolean"
            )
        )
    return one_of(random, options)()


def numbers(random: Random, values: Values) -> Any:
    """Numbers that float16 holds; None where undefined."""
    floats = [np.nan if value is None else value for value in values]
    options: list[Callable[[], Any]] = [
        lambda: floats,
        lambda: list(values),
        lambda: tuple(floats),
        lambda: objects(values),
        lambda: np.array(floats, dtype=one_of(random, [np.float16, np.float32, np.float64])),
        lambda: np.array(floats, dtype=">f8"),
        lambda: _series(random, floats, dtype=float),
        lambda: _series(random, list(values), dtype="Float64"),
        lambda: _masked(values, 0, float),
        lambda: pa.array(list(values), pa.float64()),
        lambda: torch.tensor(floats, dtype=one_of(random, [torch.float32, torch.float64])),
    ]
    return one_of(random, options)()


def bits(random: Random, values: Values) -> Any:
    """True or False for every row."""
    array = np.array(values, dtype=bool)
    return one_of(
        random,
        [
            array.tolist(),
            array,
            _series(random, array),
            _series(random, array, dtype="boolean"),
            torch.from_numpy(array),
            pa.array(array.tolist(), pa.bool_()),
        ],
    )


def table(
    random: Random,
    rows: Sequence[Values | None],
    width: int,
    columns: Any = None,
    *,
    labels: bool = False,
) -> Any:
    """Rows of 0 and 1 (`labels`), or of scores; None for a row, or an entry, that is unknown.

    `columns` name those of a DataFrame, which it is then.
    """
    whole = np.array(
        [[np.nan] * width if r is None else [np.nan if v is None else v for v in r] for r in rows],
        dtype=float,
    ).reshape(len(rows), width)
    unknown = np.isnan(whole)
    if columns is not None:
        frame = pd.DataFrame(whole, columns=columns)
        return frame.astype("Float64") if random.random() < 0.3 else frame
    options: list[Callable[[], Any]] = [
        lambda: whole,
        lambda: whole.astype(np.float32),
        lambda: np.asfortranarray(whole),
        lambda: whole.astype(object),
        lambda: pd.DataFrame(whole, index=random.permutation(len(rows))),
        lambda: pd.DataFrame(whole).astype("Float64"),
        lambda: np.ma.masked_array(np.where(unknown, 0, whole), mask=unknown),
        lambda: torch.tensor(whole),
    ]
    if len(rows):
        options += [
            whole.tolist,
            lambda: [[None if np.isnan(v) else v for v in row] for row in whole],
        ]
    if labels:
        options += [
            lambda: np.where(unknown, -1, whole).astype(np.int8),
            lambda: np.where(unknown, -1, whole).astype(np.int64),
            lambda: pd.DataFrame(np.where(unknown, -1, whole).astype(int)),
        ]
        if not unknown.any():
            options += [
                lambda: whole.astype(bool),
                lambda: whole.astype(np.uint8),
                lambda: torch.tensor(whole) > 0,
                lambda: pd.DataFrame(whole.astype(bool)),
            ]
    return one_of(random, options)()
