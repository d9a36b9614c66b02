"""What an audit of captions reads: captions and words in JSON, and the table of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairvision.auditing.clusters import Clusters
from fairvision.core.files import read_json
from fairvision.core.spellings import as_number
from fairvision.core.tables import Place, Table, open_table
from fairvision.datasets import Dataset
from fairvision.datasets.captions import left_out, says_nothing
from fairvision.datasets.label_columns import label_sets_of, names_of, texts_of
from fairvision.datasets.label_texts import coded
from fairvision.errors import InputError, shown, warn_caller
from fairvision.metrics.caption_words import OTHER
from fairvision.schema import UNKNOWN, Column, Schema, Task

IDS = ("image_id", "id")
ATTRIBUTE, OBJECTS, SPLIT = "gender", "objects", "test"  # where nothing else is asked for


def identity(value: Any) -> str | None:
    """Return an id as text, numbers without leading zeros; None where there is none.

    >>> identity(80714), identity("000000080714"), identity("ski_1"), identity("")
    ('80714', '80714', 'ski_1', None)
    """
    if isinstance(value, bool) or value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return as_number(str(value).strip()) or None


def read_captions(path: Path) -> dict[str, str]:
    """Read a model's captions, one per image, in COCO's format of results.

    Parameters
    ----------
    path : JSON, `[{"image_id": 1, "caption": "a man skis"}, …]`

    Raises
    ------
    InputError
        One line that names file, entry and field.
    """
    value = read_json(path)
    if not isinstance(value, list):
        raise InputError(
            f'{path} is not a list of captions: it has to be [{{"image_id": …, "caption": …}}, …]'
        )
    captions: dict[str, str] = {}
    for number, image, caption in _entries(path, value):
        if image in captions:
            raise InputError(f"{path} entry {number}, image_id: {image} is there twice")
        captions[image] = caption
    return captions


def read_human(path: Path) -> dict[str, tuple[str, ...]]:
    """Read captions that people wrote, any number per image.

    Parameters
    ----------
    path : JSON, a list as in `read_captions`, or COCO's annotations, `{"annotations": […]}`

    Warns
    -----
    FairvisionWarning
        Captions say nothing, as "" and "nan" do, and are left out.
    """
    value = read_json(path)
    entries = value.get("annotations") if isinstance(value, dict) else value
    if not isinstance(entries, list):
        raise InputError(f"{path} is neither a list of captions nor has it a list 'annotations'")
    captions: dict[str, tuple[str, ...]] = {}
    nothing = Counter[str]()
    for _, image, caption in _entries(path, entries):
        if says_nothing(caption):
            nothing[caption] += 1
        else:
            captions[image] = (*captions.get(image, ()), caption)
    if nothing:
        warn_caller(f"{path}: {left_out(nothing)}")
    return captions


@contextmanager
def errors_about(place: object) -> Iterator[None]:
    """Put the file (and field) before what an `InputError` says."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def _entries(path: Path, entries: list[Any]) -> Iterator[tuple[int, str, str]]:
    """Yield number, image id and caption of each entry; raise `InputError` if one is wrong."""
    if not entries:
        raise InputError(f"{path} holds no captions")
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise InputError(f"{path} entry {number} is not an object with image_id and caption")
        for field, kinds in (("image_id", (int, str)), ("caption", str)):
            if field not in entry:
                raise InputError(f"{path} entry {number} has no field {field!r}")
            if not isinstance(entry[field], kinds) or isinstance(entry[field], bool):
                expected = "text" if field == "caption" else "a whole number or text"
                raise InputError(f"{path} entry {number}, {field}: has to be {expected}")
        image = identity(entry["image_id"])
        if image is None:
            raise InputError(f"{path} entry {number}, image_id: is empty")
        yield number, image, entry["caption"]


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
    cluster: str | None = None,
) -> tuple[Labels, Labels]:
    """Read the labels table.

    Parameters
    ----------
    path : csv (perhaps compressed) or parquet, a row per image
    attribute : the column of groups; by default `gender`, or the only one that is left
    objects : the column of objects, `;` between them in csv; by default `objects` if there is one
    split_column, split : which rows are audited; by default all, and `test` where only the column
        is given, and the column `split` where only the value is
    cluster : the column of clusters, if there is one, which holds no groups

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
    taken = (ids, task, split_column, cluster, "split", "")
    attribute = attribute or _attribute(path, [c for c in table.names if c not in taken])
    table.check_columns(filter(None, (attribute, task, split_column, cluster)))
    if len({ids, attribute, task}) < 3:
        twice = attribute if attribute in (ids, task) else task
        raise Place(path, twice).error("cannot be two of ids, groups and objects: name another one")
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


def read_clusters(path: Path, column: str, ids: Sequence[str]) -> Clusters:
    """Read which images are resampled together, of images (n,) of a labels table."""
    table = open_table(path)
    name = next(name for name in IDS if name in table.types)
    held = table.read([name, column])
    images = [identity(text) for text in texts_of(Place(path, name), held[name])]
    clusters = texts_of(Place(path, column), held[column])
    return Clusters(
        column, pd.Series(clusters, images, dtype=object).reindex([*ids]).to_numpy(object)
    )


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
