"""What is annotated in a collection of images: attributes with groups, tasks with labels.

One `Schema` goes from the reader of a dataset to the report. Groups and labels are held as codes,
positions in their names; what is not known has the code -1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision.errors import InputError

UNKNOWN = "unknown"
SEPARATOR = ";"
RESERVED = ("id", "image", "mask", "split")


@dataclass(frozen=True)
class Task:
    """What is classified: its labels, and whether several may hold for one image."""

    labels: tuple[str, ...]
    many: bool = False


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
        unknown too; of tuples it is a ValueError.
        """
        labels = self.labels(name)
        column = pd.Series(values, dtype=object)
        if not self.is_many(name):
            categories: list[Any] = list(labels)
            codes = pd.Categorical(column, categories=categories).codes
            return np.asarray(codes, np.int64)
        codes, distinct = pd.factorize(column.to_numpy(object))
        held = np.zeros((len(distinct) + 1, len(labels)), np.int8)
        held[-1] = -1
        for row, names in enumerate(distinct):
            held[row, [labels.index(label) for label in names]] = 1
        return np.asarray(held[codes], np.int8)

    def as_json(self) -> dict[str, Any]:
        """Return the form in which `dataset.json` and the tables of an audit hold it."""
        return {
            "attributes": {name: list(groups) for name, groups in self.attributes.items()},
            "tasks": {
                name: {"labels": list(task.labels), "many": task.many}
                for name, task in self.tasks.items()
            },
        }


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
        if name in RESERVED or names.count(name) > 1 or "/" in name or not name:
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
    if not isinstance(values, (list, tuple)):
        raise TypeError
    return tuple(map(str, values))
