"""Where the objects of an image are: boxes, in an optional file of the dataset folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairvision.core.files import whole_file
from fairvision.core.tables import Place, open_table
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.label_columns import cell_text
from fairvision.errors import InputError, reading, shown

REGIONS = "regions.parquet"
SIDES = ("left", "top", "right", "bottom")
COLUMNS = ("id", "task", "label", *SIDES)


def read_regions(dataset: Dataset) -> pd.DataFrame:
    """Read and check `regions.parquet` of a dataset folder.

    Parameters
    ----------
    dataset : all of it, not one split

    Returns
    -------
    a row per object: `id` of the image, `task`, `label`, and the object's box, `left`, `top`,
    `right`, `bottom`, as shares of the upright image's width and height. No rows where there is
    no file. The file may lack `task` where only one task has such a label.

    Raises
    ------
    InputError
        One line naming file, row and column of what cannot be used.
    """
    path = dataset.root / REGIONS
    if not os.path.lexists(path):
        return empty_regions()
    held = open_table(path, may_be_empty=True).read()
    with reading(path):
        table = held.to_pandas()
    return _check(path, table, dataset)


def save_regions(regions: pd.DataFrame, dataset: Dataset) -> None:
    """Write `regions.parquet` into a dataset folder.

    Parameters
    ----------
    regions : columns as `read_regions` returns them; `task` may be absent
    dataset : all of it, not one split

    Raises
    ------
    InputError
        As `read_regions` does; nothing is written then.

    Examples
    --------
    >>> import tempfile
    >>> from fairvision import datasets
    >>> with tempfile.TemporaryDirectory() as place:
    ...     drawn = datasets.scenes(f"{place}/drawn", count=12, bias=0.5, size=16)
    ...     first = {"id": drawn.samples["id"][0], "label": drawn.samples["context"][0]}
    ...     box = {"left": 0.1, "top": 0.2, "right": 0.5, "bottom": 0.9}
    ...     datasets.save_regions(pd.DataFrame([{**first, **box}]), drawn)
    ...     datasets.read_regions(drawn)[["task", "left", "right"]]
          task  left  right
    0  context   0.1    0.5
    """
    path = dataset.root / REGIONS
    checked = _check(path, regions.reset_index(drop=True), dataset)
    with whole_file(path) as part:
        checked.to_parquet(part, index=False)


def empty_regions() -> pd.DataFrame:
    """Return a table of regions without rows."""
    return pd.DataFrame({c: np.empty(0, float if c in SIDES else object) for c in COLUMNS})


def box_mask(boxes: np.ndarray, size: int) -> np.ndarray:
    """Return the pixels that lie in any of the boxes.

    Parameters
    ----------
    boxes : (n, 4) left, top, right, bottom as shares of width and height
    size : side of the square image in pixels

    Returns
    -------
    (size, size) bool: pixels whose centre is in a box, and at least one row and column of each

    Examples
    --------
    >>> box_mask(np.array([[0.0, 0.5, 0.5, 1.0]]), 4).astype(int)
    array([[0, 0, 0, 0],
           [0, 0, 0, 0],
           [1, 1, 0, 0],
           [1, 1, 0, 0]])
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    columns = _pixels_between(boxes[:, 0], boxes[:, 2], size)
    rows = _pixels_between(boxes[:, 1], boxes[:, 3], size)
    inside: np.ndarray = (rows[:, :, None] & columns[:, None, :]).any(axis=0)
    return inside


def _pixels_between(start: np.ndarray, end: np.ndarray, size: int) -> np.ndarray:
    """Return (n, size): pixels whose centre lies from start to end, and the middle one."""
    centres = (np.arange(size) + 0.5) / size
    middle = np.minimum((start + end) / 2 * size, size - 1).astype(int)
    nearest = middle[:, None] == np.arange(size)
    between: np.ndarray = (centres >= start[:, None]) & (centres < end[:, None]) | nearest
    return between


def _check(path: Path, table: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """Return the regions with clean columns; raise `InputError` at the first wrong row."""
    for column in COLUMNS:
        if column not in table and column != "task":
            there = ", ".join(map(str, table))
            raise InputError(f"{path} has no column {column!r}: it has {there}")
    texts = [c for c in ("id", "task", "label") if c in table]
    checked = pd.DataFrame(
        {c: pd.Series([cell_text(v) for v in table[c]], name=c, dtype=object) for c in texts}
    )
    _refuse(
        path,
        ~checked["id"].isin(set(dataset.samples["id"])),
        checked["id"],
        f"is not a picture of {dataset.root} (regions are read for all splits at once)",
    )
    checked["task"] = _tasks(path, checked, dataset)
    for side in SIDES:
        numbers = _numbers(table[side])
        _refuse(path, ~numbers.between(0, 1), table[side], "is not a share from 0 to 1")
        checked[side] = numbers
    for start, end in (("left", "right"), ("top", "bottom")):
        wrong = ~(checked[start] < checked[end])
        _refuse(path, wrong, checked[end], f"is not above {start}, so the box is empty")
    return checked[list(COLUMNS)]


def _numbers(values: pd.Series) -> pd.Series:
    """Return cells as numbers; NaN where they are none."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values.astype(np.float64)
    return pd.Series([_number(cell) for cell in values], dtype=np.float64)


def _number(cell: Any) -> float:
    """Return a cell as a number, and NaN if it is none."""
    try:
        return np.nan if isinstance(cell, (bool, np.bool_)) else float(cell)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _tasks(path: Path, checked: pd.DataFrame, dataset: Dataset) -> pd.Series:
    """Return the task of each label, as stated or as the only one that has it."""
    owners: dict[str, list[str]] = {}
    for name, task in dataset.tasks.items():
        for owned in task.labels:
            owners.setdefault(owned, []).append(name)
    label = checked["label"]
    _refuse(path, ~label.isin(set(owners)), label, "is not a label of any task")
    if "task" not in checked:
        several = label.map(lambda name: len(owners[name]) > 1).astype(bool)
        _refuse(path, several, label, "is a label of several tasks: add a column 'task'")
        return label.map(lambda name: owners[name][0]).astype(object)
    stated = checked["task"]
    wrong = pd.Series([task not in owners[name] for task, name in zip(stated, label)], dtype=bool)
    _refuse(path, wrong, stated, "is not a task with that label")
    return stated


def _refuse(path: Path, wrong: pd.Series, values: Any, problem: str) -> None:
    """Raise `InputError` for the first row that is wrong, if any is."""
    rows = np.flatnonzero(wrong.to_numpy(bool))
    if len(rows):
        row = int(rows[0])
        others = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
        value = values.iloc[row]
        value = value.item() if isinstance(value, np.generic) else value
        raise Place(path, str(values.name), row + 1).error(f"{shown(value)} {problem}{others}")
