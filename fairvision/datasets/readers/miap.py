"""MIAP: boxes of people in Open Images, with perceived gender and age presentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Unpack

import numpy as np
import pyarrow as pa

from fairvision.core.csv_files import read_csv
from fairvision.core.tables import Place
from fairvision.datasets.dataset import SPLITS, Dataset
from fairvision.datasets.readers.coco_masks import draw_box
from fairvision.datasets.readers.columns import Names, Roles, Rows, import_rows
from fairvision.datasets.readers.importing import Importing, locator, warn
from fairvision.datasets.readers.storing import Source
from fairvision.errors import InputError, shown

PUBLISHED = {
    "GenderPresentation": ("Predominantly Feminine", "Predominantly Masculine"),
    "AgePresentation": ("Young", "Middle", "Older"),
}
_UNKNOWN = "Unknown"
_ID, _SIDES = "ImageID", ("XMin", "YMin", "XMax", "YMax")
_FOLDERS = {"train": ("train",), "val": ("val", "validation"), "test": ("test",)}
_DEFAULT = {"gender": "GenderPresentation", "age": "AgePresentation"}


def from_miap(
    source: str | Path,
    folder: str | Path,
    *,
    attributes: Names = (),
    tasks: Names = (),
    images: str | Path | None = None,
    **importing: Unpack[Importing],
) -> Dataset:
    """Import MIAP, people in Open Images by their boxes.

    The mask of an image is the union of the boxes of its people, groups and depictions included: it
    holds more than the people. An image has a group where all its people have it, and is unknown
    where they differ or one is annotated as Unknown. Splits are the published ones.

    Parameters
    ----------
    source : folder of open_images_extended_miap_boxes_train.csv, _val.csv, _test.csv, or some of
        them
    folder : where to write the dataset folder
    attributes : GenderPresentation or AgePresentation; repeatable; NAME=COLUMN gives it another
        name; by default both, as gender and age
    tasks : the same, for what is classified
    images : folder of the images, ImageID.jpg, or of folders train, val (or validation) and test
        of them; by default images in the source, or the source
    importing : see `Importing`

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If there is no such table, or it is not as published, or if an image cannot be used; nothing
        is written.

    Warns
    -----
    FairvisionWarning
        People of an image differ, so that its group is unknown.

    References
    ----------
    C. Schumann, S. Ricco, U. Prabhu, V. Ferrari & C. Pantofaru, "A Step Toward More Inclusive
    People Annotations for Fairness", AIES 2021. arXiv:2105.02317.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from PIL import Image
    >>> header = "ImageID,LabelName,XMin,XMax,YMin,YMax,GenderPresentation,AgePresentation"
    >>> row = "{},/m/01g317,0.25,0.75,0,0.5,Predominantly {},{}"
    >>> people = [("0a", "Feminine", "Young"), ("0b", "Masculine", "Older")]
    >>> folder = tempfile.TemporaryDirectory
    >>> with folder() as place, folder() as made:
    ...     table = Path(place, "open_images_extended_miap_boxes_val.csv")
    ...     _ = table.write_text("\\n".join([header, *(row.format(*one) for one in people)]))
    ...     for name in ("0a", "0b"):
    ...         Image.new("RGB", (8, 6)).save(f"{place}/{name}.jpg")
    ...     with warnings.catch_warnings(action="ignore"):
    ...         people = from_miap(place, f"{made}/out")
    >>> people.samples[["id", "split", "age"]].values.tolist(), people.has_masks
    ([['0a', 'val', 'Young'], ['0b', 'val', 'Older']], True)
    """
    root = Path(source)
    roles = Roles.of(attributes or _DEFAULT, tasks)
    roles.check(root, list(PUBLISHED))
    people: dict[str, _People] = {}
    for split in SPLITS:
        path = root / f"open_images_extended_miap_boxes_{split}.csv"
        if path.exists():
            _read(path, split, list(dict.fromkeys(roles.columns)), people)
    if not people:
        raise InputError(
            f"{root} has no open_images_extended_miap_boxes_train.csv, _val.csv or _test.csv with "
            "rows"
        )
    columns = {name: _values(root, people, name) for name in dict.fromkeys(roles.columns)}
    place = root / "images" if images is None and (root / "images").is_dir() else root
    place = place if images is None else Path(images)
    located = {split: locator(_folder(place, split), place) for split in SPLITS}
    sources = [
        Source(
            str(of_image.place),
            located[of_image.split](f"{name}.jpg", of_image.place),
            partial(_draw, of_image.boxes),
        )
        for name, of_image in people.items()
    ]
    splits = [of_image.split for of_image in people.values()]
    rows = Rows(root, list(people), pa.table(columns), splits, sources, PUBLISHED)
    importing["name"] = importing.get("name") or "miap"
    return import_rows(rows, roles, folder, source="Open Images MIAP, as annotated", **importing)


@dataclass(frozen=True)
class _People:
    """The people of an image.

    Attributes
    ----------
    place : of its first row
    split : of the table
    boxes : left, top, right, bottom of each, as shares of width and height
    answers : values of each column
    """

    place: Place
    split: str
    boxes: list[tuple[float, ...]] = field(default_factory=list)
    answers: dict[str, set[str]] = field(default_factory=dict)


def _read(path: Path, split: str, columns: Sequence[str], people: dict[str, _People]) -> None:
    """Add the boxes of a table to the people of each image."""
    table = read_csv(path)
    for name in (_ID, *_SIDES, *columns):
        if name not in table.column_names:
            raise InputError(
                f"{path} has no column {shown(name)}: it has {', '.join(table.column_names)}"
            )
    sides = list(zip(*(table[name].to_pylist() for name in _SIDES)))
    values = list(zip(*(table[name].to_pylist() for name in columns)))
    for row, image in enumerate(table[_ID].to_pylist(), 1):
        place = Place(path, row=row, id=image)
        of_image = people.setdefault(image, _People(place, split))
        if of_image.split != split:
            raise place.error(f"stands in {of_image.place.path} already")
        of_image.boxes.append(_box(place, sides[row - 1]))
        for name, value in zip(columns, values[row - 1]):
            if value not in (*PUBLISHED[name], _UNKNOWN):
                raise Place(path, name, row, image).error(
                    f"{shown(value)} is not one of {', '.join((*PUBLISHED[name], _UNKNOWN))}"
                )
            of_image.answers.setdefault(name, set()).add(value)


def _box(place: Place, texts: Sequence[str]) -> tuple[float, ...]:
    """Return left, top, right and bottom as shares of width and height, checked."""
    try:
        left, top, right, bottom = map(float, texts)
    except ValueError:
        raise place.error(f"its box {', '.join(texts)} is not of four numbers") from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise place.error(
            f"its box {', '.join(texts)} (left, top, right, bottom) is none: shares of width and "
            "height go from 0 to 1"
        )
    return left, top, right, bottom


def _values(root: Path, people: dict[str, _People], name: str) -> pa.Array:
    """Return the value that all people of each image have, None where they have none in common."""
    answers = [of_image.answers[name] for of_image in people.values()]
    if differing := sum(len(of_image) > 1 for of_image in answers):
        warn(
            f"{root}: {name} differs between the people of {differing} of {len(answers)} images, "
            "and is unknown there"
        )
    only = [min(of_image) if len(of_image) == 1 else None for of_image in answers]
    return pa.array(only, pa.large_string())


def _folder(images: Path, split: str) -> Path:
    """Return the folder of the images of a split."""
    places = [images / name for name in _FOLDERS[split]]
    return next((place for place in places if place.is_dir()), images)


def _draw(boxes: Sequence[tuple[float, ...]], size: tuple[int, int]) -> np.ndarray:
    """Return the union of boxes in an image of width and height, (height, width) bool."""
    width, height = size
    union = np.zeros((height, width), bool)
    for left, top, right, bottom in boxes:
        corner, sides = (
            (left * width, top * height),
            ((right - left) * width, (bottom - top) * height),
        )
        union |= draw_box((*corner, *sides), size)[0]
    return union
