"""CelebA: faces of celebrities with forty attributes each, as its authors or Kaggle store them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Unpack

import numpy as np
import pyarrow as pa

from fairvision.core.csv_files import read_csv
from fairvision.core.tables import Place
from fairvision.datasets.dataset import SPLITS, Dataset
from fairvision.datasets.readers.columns import Names, Roles, Rows, import_rows, unique_ids
from fairvision.datasets.readers.importing import Importing, locator, warn
from fairvision.datasets.readers.storing import Source
from fairvision.errors import InputError, check_file, reading, shown

TRAITS = "traits"
_NAMES = {"Male": ("female", "male")}
_YES_NO = ("no", "yes")
_FOLDERS = ("", "Anno", "Eval", "Img", "celeba")
_ATTRIBUTES, _PARTITION = "list_attr_celeba", "list_eval_partition"
_IMAGES = ("img_align_celeba", "img_celeba")
_EVERY, _IMAGE = "all", "image_id"
_DIGITS = 12  # of a number of images


def from_celeba(
    source: str | Path,
    folder: str | Path,
    *,
    attributes: Names = ("Male",),
    tasks: Names = (),
    many: Iterable[str] = (),
    images: str | Path | None = None,
    **importing: Unpack[Importing],
) -> Dataset:
    """Import CelebA, with its own splits.

    Of its forty attributes, some become groups of people and others what is classified. What is
    not there (-1) is known not to be there. Male is perceived gender, female or male, as
    annotated; all others are yes or no.

    Parameters
    ----------
    source : folder of list_attr_celeba (.txt, or .csv as on Kaggle), list_eval_partition and
        img_align_celeba, or of the authors' folders Anno, Eval and Img
    folder : where to write the dataset folder
    attributes : attribute that tells groups of people; repeatable; NAME=COLUMN
    tasks : attribute that is a task of its own, yes or no; repeatable; NAME=COLUMN
    many : attribute that is a label of the task traits, of which any number may hold; repeatable;
        all for those that are named nowhere else
    images : folder of the images; by default img_align_celeba of the source
    importing : see `Importing`

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If a list is missing, or is not as published (other values, rows or counts), names an
        attribute or image that is not there, or if an image cannot be used; nothing is written.

    Warns
    -----
    FairvisionWarning
        There is no list of the splits, so they are drawn at random.

    References
    ----------
    Z. Liu, P. Luo, X. Wang & X. Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from PIL import Image
    >>> lists = {
    ...     "list_attr_celeba.txt": "2\\nMale Smiling Young\\n1.jpg  1 -1  1\\n2.jpg -1 -1 -1\\n",
    ...     "list_eval_partition.txt": "1.jpg 0\\n2.jpg 2\\n",
    ... }
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for name, text in lists.items():
    ...         _ = Path(place, name).write_text(text)
    ...     Path(place, "img_align_celeba").mkdir()
    ...     for name in ("1.jpg", "2.jpg"):
    ...         Image.new("RGB", (8, 8)).save(f"{place}/img_align_celeba/{name}")
    ...     with warnings.catch_warnings(action="ignore"):
    ...         faces = from_celeba(place, f"{place}/out", many=["Smiling", "Young"])
    >>> faces.samples[["id", "split", "Male", "traits"]].values.tolist()
    [['1', 'train', 'male', ('Young',)], ['2', 'test', 'female', ()]]
    """
    root = Path(source)
    path = _list(root, _ATTRIBUTES)
    if path is None:
        raise InputError(
            f"{root} has no {_ATTRIBUTES}.txt or {_ATTRIBUTES}.csv, nor has a folder Anno in it"
        )
    listed = _read_attributes(path)
    roles = Roles.of(attributes, tasks)
    labels = list(dict.fromkeys(many))
    if labels == [_EVERY]:
        labels = [name for name in listed.names if name not in roles.columns]
    Roles(roles.attributes, roles.tasks, {name: name for name in labels}).check(
        listed.path, listed.names
    )
    columns = {name: listed.texts(name) for name in dict.fromkeys(roles.columns)}
    published: dict[str, Sequence[str]] = {name: _NAMES.get(name, _YES_NO) for name in columns}
    if labels:
        roles = Roles(roles.attributes, roles.tasks, {TRAITS: TRAITS})
        columns[TRAITS] = listed.lists(labels)
        published[TRAITS] = labels
    located = locator(_images(root) if images is None else Path(images))
    sources = [
        Source(str(place), located(image, place), None)
        for image, place in zip(listed.images, map(listed.place, range(len(listed.images))))
    ]
    stems = [Path(image).stem for image in listed.images]
    rows = Rows(
        listed.path,
        stems if len(set(stems)) == len(stems) else listed.images,
        pa.table(columns),
        _splits(root, listed),
        sources,
        published,
    )
    importing["name"] = importing.get("name") or "celeba"
    return import_rows(rows, roles, folder, source="CelebA, as annotated", **importing)


@dataclass(frozen=True)
class _Attributes:
    """The list of attributes.

    Attributes
    ----------
    path : the file
    images : names of the image files
    names : of the attributes
    holds : (images, names) bool
    """

    path: Path
    images: list[str]
    names: list[str]
    holds: np.ndarray

    def place(self, row: int) -> Place:
        """Return the place of an image, from 0 on."""
        return Place(self.path, row=row + 1, id=Path(self.images[row]).stem)

    def texts(self, name: str) -> pa.Array:
        """Return what an attribute is called in each image."""
        absent, present = _NAMES.get(name, _YES_NO)
        return pa.array(np.where(self.holds[:, self.names.index(name)], present, absent))

    def lists(self, names: Sequence[str]) -> pa.Array:
        """Return which of some attributes hold in each image."""
        holds = self.holds[:, [self.names.index(name) for name in names]]
        offsets = np.append(0, np.cumsum(holds.sum(axis=1))).astype(np.int64)
        texts = pa.array(names, pa.large_string()).take(pa.array(np.nonzero(holds)[1]))
        return pa.LargeListArray.from_arrays(offsets, texts)


def _list(root: Path, name: str) -> Path | None:
    """Return the path of one of CelebA's lists, None where it is not there."""
    for folder in _FOLDERS:
        for suffix in (".txt", ".csv"):
            if (path := root / folder / f"{name}{suffix}").exists():
                return path
    return None


def _images(root: Path) -> Path:
    """Return the folder of the images, which Kaggle puts into one of the same name."""
    for folder in _FOLDERS:
        for name in _IMAGES:
            place = root / folder / name
            if place.is_dir():
                return place / name if (place / name).is_dir() else place
    raise InputError(
        f"{root} has no folder {' or '.join(_IMAGES)}: unpack it, or name it by --images"
    )


def _read_attributes(path: Path) -> _Attributes:
    """Return the list of attributes, checked."""
    if path.suffix == ".csv":
        table = _read_table(path)
        names, images = [n for n in table.column_names if n != _IMAGE], table[_IMAGE].to_pylist()
        rows: Iterable[Sequence[str]] = zip(*(table[name].to_pylist() for name in names))
    else:
        names, images, rows = _read_text(path)
    if not images or not names:
        raise InputError(f"{path} lists no images with attributes")
    holds = np.empty((len(images), len(names)), bool)
    for number, row in enumerate(rows):
        if wrong := {*row} - {"1", "-1"}:
            raise Place(path, row=number + 1).error(f"{shown(min(wrong))} is neither 1 nor -1")
        holds[number] = [cell == "1" for cell in row]
    unique_ids(Place(path), images)
    return _Attributes(path, images, list(names), holds)


def _read_table(path: Path) -> pa.Table:
    """Return a csv file of Kaggle, which has a column of images."""
    table = read_csv(path)
    if _IMAGE not in table.column_names:
        raise InputError(f"{path} has no column {_IMAGE!r}: it has {', '.join(table.column_names)}")
    return table


def _read_text(path: Path) -> tuple[list[str], list[str], list[list[str]]]:
    """Return the attributes, the images and their cells, of the authors' file."""
    check_file(path)
    with reading(path), path.open(encoding="utf-8-sig") as file:
        head = [line.split() for line in islice(file, 2)]
        rows = [line.split() for line in file if line.strip()]
    count = head[0][0] if head and len(head[0]) == 1 else ""
    if len(head) < 2 or not count.isdecimal() or len(count) > _DIGITS:
        raise InputError(f"{path} is not as published: a count, a line of names, a line per image")
    if int(count) != len(rows):
        raise InputError(f"{path} says {count} images but lists {len(rows)}: is it cut short?")
    names = head[1]
    for number, row in enumerate(rows, 1):
        if len(row) != len(names) + 1:
            raise Place(path, row=number).error(
                f"has {len(row) - 1} values, but there are {len(names)} attributes"
            )
    return names, [row[0] for row in rows], [row[1:] for row in rows]


def _splits(root: Path, listed: _Attributes) -> list[str] | None:
    """Return the published split of each image; None where it is not there."""
    path = _list(root, _PARTITION)
    if path is None:
        warn(
            f"{root} has no {_PARTITION}: splits are drawn at random, so pictures of one person "
            "may be in several of them"
        )
        return None
    if path.suffix == ".csv":
        table = _read_table(path)
        others = [name for name in table.column_names if name != _IMAGE]
        rows = list(zip(*(table[name].to_pylist() for name in (_IMAGE, *others))))
    else:
        check_file(path)
        with reading(path), path.open(encoding="utf-8-sig") as file:
            rows = [tuple(line.split()) for line in file if line.strip()]
    splits: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        if len(row) != 2 or row[1] not in ("0", "1", "2"):
            raise Place(path, row=number).error("is not an image and 0, 1 or 2")
        if row[0] in splits:
            raise Place(path, row=number).error(f"{shown(row[0])} stands above it already")
        splits[row[0]] = SPLITS[int(row[1])]
    for image in listed.images:
        if image not in splits:
            raise InputError(f"{path} has no split of {shown(image)}, which {listed.path} lists")
    return [splits[image] for image in listed.images]
