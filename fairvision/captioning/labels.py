"""The labels table: what is annotated in each image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from fairvision.captioning.files import identity
from fairvision.core.tables import Place, Table, open_table
from fairvision.datasets import Dataset
from fairvision.datasets.label_columns import label_sets_of, names_of, texts_of
from fairvision.datasets.label_texts import coded
from fairvision.errors import InputError, shown, warn_caller
from fairvision.metrics.caption_words import OTHER
from fairvision.schema import UNKNOWN, Column, Schema, Task

IDS = ("image_id", "id")
ATTRIBUTE, OBJECTS, SPLIT = "gender", "objects", "test"  # where nothing else is asked for


@dataclass(frozen=True)
class Labels:
    """What is annotated in n images.

    Attributes
    ----------
    path : the file
    attribute, task : names of the columns of groups and of objects; the latter "" without
    data : ids, and codes of both; no image files
    """

    path: Path
    attribute: str
    task: str
    data: Dataset

    def __len__(self) -> int:
        return len(self.data)

    @property
    def ids(self) -> list[str]:
        """The ids of the images."""
        return list(self.data.samples["id"])

    @property
    def groups(self) -> list[str]:
        """The groups that occur, in the order of their names."""
        return sorted(self.data.samples[self.attribute].dropna().unique())

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """All objects of the file."""
        return self.data.tasks[self.task].labels if self.task else ()

    @property
    def rows(self) -> pd.DataFrame:
        """By name (n rows): `id`; `group`, None where unknown; `objects`, tuples or None."""
        samples = self.data.samples
        nothing = pd.Series(np.full(len(self), None), dtype=object)
        return pd.DataFrame(
            {
                "id": samples["id"],
                "group": samples[self.attribute],
                "objects": samples[self.task] if self.task else nothing,
            }
        )

    def of(self, ids: Sequence[str]) -> Labels:
        """Return the rows of these images, in this order; nothing is known of those not there."""
        places = pd.Index(self.ids).get_indexer(pd.Index(list(ids)))
        rows = self.data.rows(places)
        columns = {}
        for name in self.data.schema:
            names = rows.samples[name].where(places >= 0, None)
            columns[name] = self.data.schema.column(name, names)
        return replace(self, data=_dataset(self.path, self.data.schema, ids, columns))

    def codes(self, groups: Sequence[str]) -> pd.Categorical:
        """Return (n,) groups with the names of `groups`."""
        return pd.Categorical(self.data.samples[self.attribute], categories=list(groups))

    def objects(self, vocabulary: Sequence[str]) -> pd.DataFrame:
        """Return (n, labels) 0 and 1, −1 where unknown; labels of other names are left out."""
        held = self.data.targets(self.task)
        columns = {label: held[:, i] for i, label in enumerate(self.vocabulary)}
        absent = np.where((held < 0).all(axis=1), -1, 0).astype(np.int8)
        return pd.DataFrame({label: columns.get(label, absent) for label in vocabulary})


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
    table = open_table(path)
    ids = next((name for name in IDS if name in table.types), None)
    if ids is None:
        raise InputError(f"{path} has no column 'image_id': it has {', '.join(table.names)}")
    if split_column is None and split is not None:
        split_column = "split"
    task = objects or (OBJECTS if OBJECTS in table.types else "")
    taken = (ids, task, split_column, "split", "")
    attribute = attribute or _attribute(path, [c for c in table.names if c not in taken])
    table.check_columns(filter(None, (attribute, task, split_column)))
    labels = _labels(table, ids, attribute, task)
    if task and not labels.vocabulary:
        if objects is not None:
            raise Place(path, objects).error("no object is known")
        labels = _labels(table, ids, attribute, "")
    if line := coded({labels.attribute: labels.groups, labels.task: labels.vocabulary}):
        warn_caller(f"{path}: {line}")
    if split_column is None:
        return labels, labels
    wanted = split or SPLIT
    column = table.read([split_column])[split_column]
    splits = pd.Series(texts_of(Place(path, split_column), column), dtype=object)
    chosen = np.flatnonzero(splits == wanted)
    if not len(chosen):
        all_splits = ", ".join(sorted(splits.dropna().unique())) or "nothing"
        raise InputError(
            f"{Place(path, split_column)} has no rows of split {wanted!r}: it has {all_splits}"
        )
    return replace(labels, data=labels.data.rows(chosen)), labels


def read_reference(path: Path, like: Labels) -> Labels:
    """Read a training table with the columns of `like`, whose groups must be the same."""
    table = open_table(path)
    table.check_columns([like.attribute, like.task])
    labels = _labels(table, None, like.attribute, like.task)
    for row, group in enumerate(labels.data.samples[like.attribute]):
        if group is not None and group not in like.groups:
            raise table.place(row, like.attribute).error(
                f"{shown(group)} is not one of {', '.join(like.groups)}"
            )
    return labels


def _attribute(path: Path, columns: list[str]) -> str:
    """Return the column that holds the groups; raise `InputError` if that is unclear."""
    if ATTRIBUTE in columns:
        return ATTRIBUTE
    if len(columns) == 1:
        return columns[0]
    raise InputError(
        f"{path}: say by --attribute which column holds the groups: {', '.join(columns) or 'none'}"
    )


def _labels(table: Table, id_column: str | None, attribute: str, task: str) -> Labels:
    """Return ids, groups and objects that the columns of a table hold."""
    held = table.read(list(filter(None, (id_column, attribute, task))))
    columns = {}
    groups, names = names_of(Place(table.path, attribute), held[attribute], (UNKNOWN,))
    schema = Schema({attribute: tuple(name for name in names if name != OTHER)})
    columns[attribute] = groups
    if OTHER in names:  # which stands for captions that name no group
        named = [None if group == OTHER else group for group in groups.names]
        columns[attribute] = schema.column(attribute, named)
    if task:
        columns[task], vocabulary = label_sets_of(Place(table.path, task), held[task], ())
        schema = Schema(schema.attributes, {task: Task(vocabulary, many=True)})
    ids = [""] * table.rows if id_column is None else _ids(table, held[id_column], id_column)
    return Labels(table.path, attribute, task, _dataset(table.path, schema, ids, columns))


def _ids(table: Table, column: object, name: str) -> list[str]:
    """Return the image ids of a column; raise `InputError` if one is empty or repeated."""
    ids: dict[str, None] = {}
    for row, text in enumerate(texts_of(Place(table.path, name), column)):
        image = identity(text)
        if image is None:
            raise table.place(row, name).error("is empty")
        if image in ids:
            raise table.place(row, name).error(f"{image} is there twice")
        ids[image] = None
    return list(ids)


def _dataset(
    path: Path,
    schema: Schema,
    ids: Collection[str],
    columns: dict[str, Column],
) -> Dataset:
    """Return ids and columns of labels as a dataset without images."""
    samples = pd.DataFrame({"id": pd.Series(list(ids), dtype=object)})
    return Dataset.of_columns(schema, samples, columns, root=path, name=path.stem)
