"""The labels table: what is annotated in each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa

from fairvision.captioning.files import identity
from fairvision.core.table_files import COMPRESSED, read_csv, read_parquet
from fairvision.datasets.readers.coding import coded
from fairvision.datasets.readers.label_columns import label_sets_of, names_of, texts_of
from fairvision.errors import InputError, shown, warn_caller
from fairvision.metrics.caption_words import OTHER
from fairvision.schema import UNKNOWN

IDS = ("image_id", "id")
ATTRIBUTE, OBJECTS, SPLIT = "gender", "objects", "test"  # where nothing else is asked for


@dataclass(frozen=True)
class Labels:
    """What is annotated in n images.

    Attributes
    ----------
    path : the file
    attribute, task : names of the columns of groups and of objects; the latter "" without
    rows : (n rows) `id`; `group`, None where unknown; `objects`, tuples, None where unknown
    vocabulary : all objects of the file
    """

    path: Path
    attribute: str
    task: str
    rows: pd.DataFrame
    vocabulary: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def groups(self) -> list[str]:
        """The groups that occur, in the order of their names."""
        return sorted(self.rows["group"].dropna().unique())

    def of(self, ids: Sequence[str]) -> Labels:
        """Return the rows of these images, in this order."""
        places = pd.Index(self.rows["id"]).get_indexer(pd.Index(ids))
        return replace(self, rows=self.rows.iloc[places].reset_index(drop=True))

    def codes(self, groups: Sequence[str]) -> pd.Categorical:
        """Return (n,) groups with the names of `groups`."""
        return pd.Categorical(self.rows["group"], categories=list(groups))

    def objects(self, vocabulary: Sequence[str]) -> pd.DataFrame:
        """Return (n, labels) 0 and 1, −1 where unknown; labels of other names are left out."""
        place = {label: column for column, label in enumerate(vocabulary)}
        held = np.zeros((len(self.rows), len(place)), np.int8)
        for row, labels in enumerate(self.rows["objects"]):
            if labels is None:
                held[row] = -1
            else:
                held[row, [place[label] for label in labels if label in place]] = 1
        return pd.DataFrame(held, columns=list(vocabulary))


def read_labels(
    path: Path,
    *,
    attribute: str | None = None,
    objects: str | None = None,
    split_column: str | None = None,
    split: str | None = None,
) -> tuple[Labels, Labels]:
    """Read the labels table.

    Parameters
    ----------
    path : csv (perhaps compressed) or parquet, a row per image
    attribute : the column of groups; by default `gender`, or the only one that is left
    objects : the column of objects, `;` between them in csv; by default `objects` if there is one
    split_column, split : which rows are audited; by default all, and `test` where only the column
        is given, and the column `split` where only the value is

    Returns
    -------
    the rows that are audited, and all rows
    """
    table = _read(path)
    ids = next((name for name in IDS if name in table.column_names), None)
    if ids is None:
        raise InputError(f"{path} has no column 'image_id': it has {_listed(table.column_names)}")
    if split_column is None and split is not None:
        split_column = "split"
    task = objects or (OBJECTS if OBJECTS in table.column_names else "")
    taken = (ids, task, split_column, "split", "")
    attribute = attribute or _attribute(path, [c for c in table.column_names if c not in taken])
    for column in filter(None, (attribute, task, split_column)):
        if column not in table.column_names:
            raise InputError(
                f"{path} has no column {shown(column)}: it has {_listed(table.column_names)}"
            )
    read = _labels(path, table, ids, attribute, task)
    if not read.vocabulary:
        if objects is not None:
            raise InputError(f"{path}, column {objects!r}: no object is known")
        read = replace(read, task="")
    if line := coded({read.attribute: read.groups, read.task: read.vocabulary}):
        warn_caller(f"{path}: {line}")
    if split_column is None:
        return read, read
    wanted = split or SPLIT
    splits = pd.Series(texts_of(path, table, split_column), dtype=object)
    chosen = splits == wanted
    if not chosen.any():
        there = ", ".join(sorted(splits.dropna().unique())) or "nothing"
        raise InputError(
            f"{path}, column {split_column!r} has no rows of split {wanted!r}: it has {there}"
        )
    return replace(read, rows=read.rows[chosen].reset_index(drop=True)), read


def read_reference(path: Path, like: Labels) -> Labels:
    """Read a training table with the columns of `like`, whose groups must be the same."""
    table = _read(path)
    for column in (like.attribute, like.task):
        if column not in table.column_names:
            raise InputError(
                f"{path} has no column {shown(column)}: it has {_listed(table.column_names)}"
            )
    read = _labels(path, table, None, like.attribute, like.task)
    for row, group in enumerate(read.rows["group"]):
        if group is not None and group not in like.groups:
            _refuse(path, row, like.attribute, f"{group!r} is not one of {', '.join(like.groups)}")
    return read


def _read(path: Path) -> pa.Table:
    """Read a table; the cells of csv stay text."""
    if path.name.lower().endswith((".csv", *(f".csv{end}" for end in COMPRESSED))):
        table = read_csv(path)
    elif path.suffix.lower() == ".parquet":
        table = read_parquet(path)
    else:
        raise InputError(f"{path} is not a table: give a .csv or .parquet file")
    if not len(table):
        raise InputError(f"{path} has no rows")
    return table


def _attribute(path: Path, columns: list[str]) -> str:
    if ATTRIBUTE in columns:
        return ATTRIBUTE
    if len(columns) == 1:
        return columns[0]
    raise InputError(
        f"{path}: say by --attribute which column holds the groups: {_listed(columns)}"
    )


def _labels(path: Path, table: pa.Table, ids: str | None, attribute: str, task: str) -> Labels:
    groups, _ = names_of(path, table, attribute, (UNKNOWN,))
    nothing: list[Any] = [None] * len(table)
    rows: dict[str, list[Any]] = {
        "id": nothing if ids is None else [identity(x) for x in texts_of(path, table, ids)],
        "group": [None if group == OTHER else group for group in groups],
        "objects": label_sets_of(path, table, task, ())[0].tolist() if task else nothing,
    }
    seen: set[str] = set()
    for row, own in enumerate(rows["id"]) if ids else ():
        if own is None:
            _refuse(path, row, str(ids), "is empty")
        if own in seen:
            _refuse(path, row, str(ids), f"{own} is there twice")
        seen.add(own)
    vocabulary = sorted({label for labels in rows["objects"] for label in labels or ()})
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in rows.items()})
    return Labels(path, attribute, task, frame, tuple(vocabulary))


def _listed(names: Any) -> str:
    return ", ".join(map(str, names)) or "none"


def _refuse(path: Path, row: int, column: str, problem: str) -> NoReturn:
    raise InputError(f"{path} row {row + 1}, column {column!r}: {problem}")
