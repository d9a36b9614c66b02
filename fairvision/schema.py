"""What is annotated in a collection of images: attributes with groups, tasks with labels.

One `Schema` goes from the reader of a dataset to the report. Groups and labels are held as codes,
positions in their names; what is not known has the code -1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision.core.spellings import UNKNOWN as UNKNOWN
from fairvision.errors import InputError

SEPARATOR = ";"
RESERVED = ("id", "image", "mask", "split", "counterfactual_of", "changed")
_WORD = 56  # labels that one whole number holds


@dataclass(frozen=True)
class Task:
    """What is classified: its labels, and whether several may hold for one image."""

    labels: tuple[str, ...]
    many: bool = False


@dataclass(frozen=True)
class Column:
    """Groups or labels of n images: the different cells, and which of them each image has.

    Attributes
    ----------
    index : (n,) position of each image's cell among the different ones; -1 for the last, which is
        unknown
    cell_codes : (different,) int64 position of the group or label, -1 unknown; where many labels
        may hold (different, labels) int8 of 0 and 1, with rows of -1
    cell_names : (different,) objects: a group, a label or a tuple of labels; None where unknown
    """

    index: npt.NDArray[np.integer]
    cell_codes: npt.NDArray[Any]
    cell_names: npt.NDArray[np.object_]

    @property
    def codes(self) -> npt.NDArray[Any]:
        """Codes of each image, (n,) or (n, labels)."""
        return np.asarray(self.cell_codes[self.index])

    @property
    def names(self) -> npt.NDArray[np.object_]:
        """Names of each image, (n,) objects, which images of one cell share."""
        return np.asarray(self.cell_names[self.index])

    def rows(self, indices: npt.NDArray[np.int64]) -> Column:
        """Return some rows, in the order asked for."""
        return replace(self, index=self.index[indices])


@dataclass(frozen=True)
class Schema:
    """Attributes and tasks: the heads of a network, and the columns of truth of a table.

    Attributes
    ----------
    attributes : groups of each annotated, perceived attribute; an image has one, or it is unknown
    tasks : labels of each task, of which an image has one, or any number where `many`

    Examples
    --------
    >>> schema = Schema({"age": ("young", "old")}, {"objects": Task(("cat", "dog"), many=True)})
    >>> list(schema), schema.labels("objects"), schema.is_many("objects")
    (['age', 'objects'], ('cat', 'dog'), True)
    >>> schema.encode("age", ["old", None])
    array([ 1, -1])
    >>> schema.encode("objects", [("dog",), (), None])
    array([[ 0,  1],
           [ 0,  0],
           [-1, -1]], dtype=int8)
    """

    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names: attributes first, then tasks."""
        yield from self.attributes
        yield from self.tasks

    def __contains__(self, name: object) -> bool:
        return name in self.attributes or name in self.tasks

    def __len__(self) -> int:
        return len(self.attributes) + len(self.tasks)

    def labels(self, name: str) -> tuple[str, ...]:
        """Return the groups of an attribute or the labels of a task."""
        return self.attributes[name] if name in self.attributes else self.tasks[name].labels

    def is_many(self, name: str) -> bool:
        """Return whether several labels may hold for one image; of an attribute never."""
        return name in self.tasks and self.tasks[name].many

    @property
    def heads(self) -> dict[str, tuple[str, ...]]:
        """The groups or labels of every attribute and task, by name."""
        return {name: self.labels(name) for name in self}

    def subset(self, names: Collection[str]) -> Schema:
        """Return the attributes and tasks that are among some names."""
        return Schema(
            {name: groups for name, groups in self.attributes.items() if name in names},
            {name: task for name, task in self.tasks.items() if name in names},
        )

    def encode(self, name: str, values: Sequence[Any] | pd.Series) -> npt.NDArray[Any]:
        """Return the codes of groups or labels.

        Parameters
        ----------
        name : an attribute or a task
        values : n groups or labels, tuples of labels where many may hold; None where unknown

        Returns
        -------
        (n,) int64 positions in the names, -1 unknown; or, where many labels may hold, (n, labels)
        int8 of 0 and 1, with rows of -1 where unknown. A group or label without a position is
        unknown too; of tuples it is a KeyError.
        """
        return self.column(name, values).codes

    def column(self, name: str, values: Sequence[Any] | pd.Series) -> Column:
        """Return the column of groups or labels; parameters as in `encode`."""
        index, distinct = pd.factorize(pd.Series(values, dtype=object).to_numpy())
        return self.column_of(name, index, list(distinct))

    def column_of(
        self, name: str, index: npt.NDArray[np.integer], distinct: Sequence[Any]
    ) -> Column:
        """Return the column of which the different cells are known; one more is unknown."""
        positions = {label: i for i, label in enumerate(self.labels(name))}
        if not self.is_many(name):
            codes = np.array([*(positions.get(cell, -1) for cell in distinct), -1], np.int64)
        else:
            codes = np.zeros((len(distinct) + 1, len(positions)), np.int8)
            for row, labels in enumerate([*distinct, None]):
                if labels is None:
                    codes[row] = -1
                else:
                    codes[row, [positions[label] for label in labels]] = 1
        return Column(index, codes, _objects([*distinct, None]))

    def decode(self, name: str, codes: npt.NDArray[Any]) -> Column:
        """Return the column of codes, (n,) or (n, labels); labels in the order of the task's."""
        labels = self.labels(name)
        if not self.is_many(name):
            return Column(codes, np.array([*range(len(labels)), -1]), _objects([*labels, None]))
        index = np.zeros(len(codes), np.int64)
        for word in pack(codes).T:
            position, words = pd.factorize(word)
            index, _ = pd.factorize(index * len(words) + position)
        _, rows = np.unique(index, return_index=True)
        cell_codes = codes[rows]
        names = [
            tuple(label for label, holds in zip(labels, held) if holds) if held[0] >= 0 else None
            for held in cell_codes
        ]
        return Column(index, cell_codes, _objects(names))

    def as_json(self) -> dict[str, object]:
        """Return the form in which `dataset.json` and the tables of an audit hold it."""
        return {
            "attributes": {name: list(groups) for name, groups in self.attributes.items()},
            "tasks": {
                name: {"labels": list(task.labels), "many": task.many}
                for name, task in self.tasks.items()
            },
        }


def joined(columns: Sequence[Column]) -> Column:
    """Return the rows of several columns of one attribute or task, one after the other."""
    starts = np.cumsum([0, *(len(column.cell_codes) for column in columns)])
    if len(columns) == 1:
        return columns[0]
    indices = [
        np.where(column.index < 0, len(column.cell_codes) - 1, column.index) + start
        for column, start in zip(columns, starts)
    ]
    return Column(
        np.concatenate(indices),
        np.concatenate([column.cell_codes for column in columns]),
        np.concatenate([column.cell_names for column in columns]),
    )


def pack(held: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return rows of labels (n, labels), 0, 1 or all -1, as whole numbers (n, words).

    >>> pack(np.array([[1, 0, 1], [0, 0, 0], [-1, -1, -1]], np.int8)).tolist()
    [[5], [0], [-1]]
    """
    words = [np.zeros(len(held), np.int64)] if not held.shape[1] else []
    for start in range(0, held.shape[1], _WORD):
        bits = np.packbits(held[:, start : start + _WORD] == 1, axis=1, bitorder="little")
        room = np.zeros((len(held), 8), np.uint8)
        room[:, : bits.shape[1]] = bits
        words.append(room.view("<i8")[:, 0])
    return np.where(held[:, :1] < 0, -1, np.column_stack(words))


def unpack(words: npt.NDArray[np.int64], labels: int) -> npt.NDArray[np.int8]:
    """Return what `pack` was given."""
    room = np.ascontiguousarray(words, dtype="<i8").view(np.uint8).reshape(len(words), -1, 8)
    bits = np.unpackbits(room[:, :, : _WORD // 8], axis=2, bitorder="little")
    held = bits.reshape(len(words), -1)[:, :labels].astype(np.int8)
    held[words[:, 0] < 0] = -1
    return held


def parse_schema(path: Path, settings: Any) -> Schema:
    """Return the attributes and tasks of a `dataset.json`; `InputError` names `path`."""
    try:
        attributes = {str(k): _names(v) for k, v in settings.get("attributes", {}).items()}
        tasks = {
            str(k): Task(_names(v["labels"]), bool(v.get("many", False)))
            for k, v in settings.get("tasks", {}).items()
        }
    except (AttributeError, KeyError, TypeError):
        raise InputError(
            f"{path}: attributes must map a name to its groups, and tasks a name to "
            '{"labels": [...], "many": false}'
        ) from None
    schema = Schema(attributes, tasks)
    names = list(schema)
    for name in names:
        if name in RESERVED or names.count(name) > 1 or {"/", "\0"} & {*name} or not name:
            raise InputError(f"{path}: {name!r} cannot be the name of an attribute or task")
    for name in names:
        labels = schema.labels(name)
        if len(set(labels)) != len(labels) or not all(labels):
            raise InputError(f"{path}: {name!r} has an empty or repeated name among {labels}")
    for name, groups in attributes.items():
        if UNKNOWN in groups:
            raise InputError(
                f"{path}: {name!r} has a group called 'unknown': leave its cells empty instead"
            )
        if len(groups) < 2:
            raise InputError(f"{path}: attribute {name!r} needs at least two groups")
    for name, task in tasks.items():
        if task.many and any(SEPARATOR in label for label in task.labels):
            raise InputError(f"{path}: a label of {name!r} holds a ';', which separates labels")
        if len(task.labels) < (1 if task.many else 2):
            raise InputError(f"{path}: task {name!r} has too few labels")
    return schema


def _names(values: Any) -> tuple[str, ...]:
    """Return a list of names as text; raise `TypeError` if it is no list."""
    if not isinstance(values, (list, tuple)):
        raise TypeError
    return tuple(map(str, values))


def _objects(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    """Return an array of objects, also of tuples."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array
