"""The metrics table: its columns, the rows that results make, and the file read back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from fairvision import metrics
from fairvision.core.csv_files import read_csv
from fairvision.errors import InputError, check_file, shown
from fairvision.metrics import Result
from fairvision.results.registry import registered

CONFIDENCE = 0.95
"""Of every interval in the table."""
KEYS = ("model", "metric", "attribute", "task", "group", "label")
NUMBERS = ("value", "low", "high", "n")
COLUMNS = (*KEYS, *NUMBERS, "unit")


class Key(NamedTuple):
    """What a figure is about, whichever model it is of."""

    metric: str
    attribute: str = ""
    task: str = ""
    group: str = ""
    label: str = ""


Computed = Iterator[tuple[Key, Result]]
"""What computations yield, in the order of the table."""


def difference_of(first: str, other: str) -> str:
    """Return what stands in the column `model` for the difference of two models.

    >>> difference_of("A", "B")
    'B - A'
    """
    return f"{other} - {first}"


def differences(first: Mapping[Key, Result], other: Mapping[Key, Result]) -> Computed:
    """Yield the paired difference `other - first` of each figure that both have."""
    for key, result in first.items():
        if key in other:
            yield key, metrics.compare(result, other[key])


def tabulate(results: Iterable[tuple[str, Key, Result]]) -> pd.DataFrame:
    """Return the metrics table.

    Parameters
    ----------
    results : model (or difference of models), key and result of each figure, in order. A key
        without label gets those of the result's pairs of group and label.

    Returns
    -------
    the table of docs/design.md, with empty keys as "". Undefined figures are NaN.
    """
    by_name = registered()
    rows: list[dict[str, Any]] = []
    for model, key, result in results:
        metric = by_name[key.metric]
        unit = "difference" if " - " in model else metric.unit
        row = {"model": model, **key._asdict(), "unit": unit}
        if metric.rows != "pairs":
            rows.append({**row, **{name: getattr(result, name) for name in NUMBERS}})
        if result.pairs is not None and metric.rows != "whole":
            rows += [
                {**row, **{name: pair[name] for name in pair if name in COLUMNS}}
                for pair in result.pairs.to_dict("records")
            ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": int})


def read_metrics(path: str | Path) -> pd.DataFrame:
    """Read `metrics.csv` as an audit wrote it; `InputError` says that it is damaged, and where."""
    path = check_file(path, "a metrics table")
    try:
        table: pd.DataFrame = read_csv(path).to_pandas()
    except InputError as error:
        raise InputError(f"{path} is damaged: {str(error).removeprefix(f'{path} ')}") from None
    for column in COLUMNS:
        if column not in table:
            raise InputError(f"{path} is damaged: it has no column {column!r}")
    parsers: dict[str, Callable[[str], object]] = {"n": _count, "unit": _unit}
    for column in (*NUMBERS, "unit"):
        values: list[Any] = []
        for row, text in enumerate(table[column], 1):
            try:
                values.append(parsers.get(column, float)(text or "nan"))
            except ValueError:
                raise InputError(
                    f"{path} is damaged: row {row}, column {column!r} holds {shown(text)}"
                ) from None
        table[column] = values
    return table


def _count(text: str) -> int:
    """Return a number of images."""
    if not 0 <= int(text) < 2**53:
        raise ValueError(text)
    return int(text)


def _unit(text: str) -> str:
    """Return a unit, which is a word."""
    if not text.isalpha() or text == "nan":
        raise ValueError(text)
    return text
