"""Images on which people drew shapes and gave answers: what the formats of such programs share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa

from fairvision.datasets.readers.columns import Roles, Rows
from fairvision.datasets.readers.importing import warn
from fairvision.datasets.readers.storing import Source
from fairvision.datasets.regions import SIDES
from fairvision.errors import InputError, shown

OBJECTS = "objects"
Box = tuple[str, float, float, float, float]
"""Label, left, top, right and bottom of an object, as shares of width and height."""


@dataclass(frozen=True)
class Annotated:
    """What is said of an image.

    Attributes
    ----------
    place : where it stands, for messages
    name : path of the image
    answers : values of each attribute that people and the image have, "" where one is empty
    labels : by task, those that the image has
    boxes : of its objects
    """

    place: str
    name: str
    answers: dict[str, set[str]] = field(default_factory=dict)
    labels: dict[str, set[str]] = field(default_factory=dict)
    boxes: list[Box] = field(default_factory=list)

    def answer(self, name: str, values: Iterable[str]) -> None:
        """Add values of an attribute."""
        self.answers.setdefault(name, set()).update(value.strip() for value in values)

    def label(self, task: str, label: str) -> None:
        """Add a label of a task."""
        self.labels.setdefault(task, set()).add(label)


def annotated_rows(
    path: Path,
    listed: Sequence[Annotated],
    roles: Roles,
    tasks: Sequence[str],
    ids: Sequence[str],
    splits: Sequence[str] | None,
    sources: Sequence[Source],
) -> tuple[Rows, Roles]:
    """Return the rows of annotated images, and the roles of their columns.

    Parameters
    ----------
    path : of the source, for messages
    listed : the images
    roles : of their answers
    tasks : those of `Annotated.labels`, which are added to the roles where an image has a label; an
        image without any has none, which is known
    ids, splits, sources : as in `Rows`

    Raises
    ------
    InputError
        If no image has an attribute of that name.

    Warns
    -----
    FairvisionWarning
        Answers of an image differ, so that it is unknown.

    Examples
    --------
    >>> listed = [Annotated("1", "a.png", {"age": {"old"}}, {"objects": {"cup"}})]
    >>> listed.append(Annotated("2", "b.png", {"age": {"young"}}))
    >>> roles = Roles.of(["age"], [])
    >>> rows, roles = annotated_rows(Path("t"), listed, roles, ["objects"], ["a", "b"], None, [])
    >>> rows.columns.to_pylist(), roles.many
    ([{'age': 'old', 'objects': ['cup']}, {'age': 'young', 'objects': []}], {'objects': 'objects'})
    """
    columns = {
        name: _values(path, listed, name, name in roles.many.values())
        for name in dict.fromkeys(roles.columns)
    }
    published: dict[str, Sequence[str]] = {}
    for task in tasks:
        labels = sorted({label for image in listed for label in image.labels.get(task, ())})
        if not labels:
            continue
        if task in roles.names:
            raise InputError(f"{task!r} is what shapes are of: give the attribute another name")
        roles = Roles(roles.attributes, roles.tasks, roles.many | {task: task})
        sets = [sorted(image.labels.get(task, ())) for image in listed]
        columns[task] = _lists(sets)
        published[task] = labels
    regions = None
    if OBJECTS in published:
        boxes = [(id, OBJECTS, *box) for id, image in zip(ids, listed) for box in image.boxes]
        regions = pd.DataFrame(boxes, columns=["id", "task", "label", *SIDES])
    return Rows(path, ids, pa.table(columns), splits, sources, published, regions), roles


def _values(path: Path, listed: Sequence[Annotated], name: str, many: bool) -> pa.Array:
    """Return the value of an attribute of each image, or all of them; None where it is unknown."""
    names = dict.fromkeys(name for image in listed for name in image.answers)
    if name not in names:
        there = f"there are {', '.join(map(str, names))}" if names else "there are none"
        raise InputError(f"{path} has no attribute {shown(name)}: {there}")
    values = [image.answers.get(name, set()) for image in listed]
    if many:
        return _lists([sorted(of_image) if of_image else None for of_image in values])
    if differing := sum(len(of_image) > 1 for of_image in values):
        warn(
            f"{path}: {name} differs between the people of {differing} images, and is unknown there"
        )
    only = [min(of_image) if len(of_image) == 1 else None for of_image in values]
    return pa.array(only, pa.large_string())


def _lists(values: Sequence[list[str] | None]) -> pa.Array:
    """Return a column of lists of texts."""
    return pa.array(values, pa.large_list(pa.large_string()))


def stems(paths: Sequence[str]) -> list[str]:
    """Return the stems of images' paths if they are unique, else the paths.

    >>> stems(["a/1.png", "b/2.png"]), stems(["a/1.png", "b/1.png"])
    (['1', '2'], ['a/1.png', 'b/1.png'])
    """
    short = [Path(path).stem for path in paths]
    return short if len(set(short)) == len(short) else list(paths)
