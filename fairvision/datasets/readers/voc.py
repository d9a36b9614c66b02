"""Pascal VOC: a file of XML per image, which says where people and objects are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Unpack
from xml.etree.ElementTree import Element

import numpy as np

from fairvision.core.files import is_of_system
from fairvision.core.tables import Place
from fairvision.core.xml_files import read_xml
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.folder import IMAGE_SUFFIXES
from fairvision.datasets.label_columns import names
from fairvision.datasets.readers.annotated import OBJECTS, Annotated, Box, annotated_rows
from fairvision.datasets.readers.coco_masks import box_of
from fairvision.datasets.readers.columns import Names, Roles, import_rows, rows_by_id
from fairvision.datasets.readers.importing import Importing, first_few, locator, warn
from fairvision.datasets.readers.storing import Source
from fairvision.datasets.readers.voc_masks import (
    PixelBox,
    draw_boxes,
    draw_segments,
    person_colour,
    read_box,
)
from fairvision.datasets.readers.voc_sets import read_sets
from fairvision.errors import InputError, reading

_ANNOTATIONS, _IMAGES, _SEGMENTS = "Annotations", ("JPEGImages", "images"), "SegmentationClass"
_KEYS = ("id", "image_id", "image", "filename")
_UNSPECIFIED = "Unspecified"
_DIGITS = 7  # of a side of an image
_NO_ANSWERS = ("name", "bndbox", "part", "polygon", "segm", "actions", "attributes", "point")


def from_voc(
    source: str | Path,
    folder: str | Path,
    *,
    attributes: Names = (),
    tasks: Names = (),
    person: str = "person",
    table: str | Path | None = None,
    images: str | Path | None = None,
    sets: str = "Main",
    boxes: bool = False,
    unknown: Iterable[str] = (),
    **importing: Unpack[Importing],
) -> Dataset:
    """Import a folder of the layout of Pascal VOC.

    Annotations holds a file of XML per image, JPEGImages the images, ImageSets/Main the splits. The
    mask of an image is what SegmentationClass shows of the label --person, or else the union of the
    boxes of its people, which hold more than the people. Other objects are the task objects, with
    their boxes as regions; an image without any has none, which is known. Attributes and tasks are
    what the objects of people say, such as pose, attributes or actions, or columns of --table;
    where those of an image differ, it is unknown.

    Parameters
    ----------
    source : folder that holds Annotations, or the files of XML themselves
    folder : where to write the dataset folder
    attributes : what people's objects, or the table, call a group of people; repeatable;
        NAME=ATTRIBUTE gives it another name
    tasks : the same for what is classified
    person : label of people
    table : table with a column id, the name of the image without its suffix, and further columns
    images : folder of the images; by default JPEGImages, or images, or that of the files of XML
    sets : folder in ImageSets whose train.txt, val.txt and test.txt say the splits; images in none
        of them are left out
    boxes : take the boxes of people also where there are segmentations
    unknown : text that means not known, besides unknown and Unspecified; repeatable
    importing : see `Importing`

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If there are no such files, one is malformed or leads out of the folder, no person has an
        attribute of a name, or an image cannot be used; nothing is written.

    Warns
    -----
    FairvisionWarning
        People of an image differ, images are in no split, or some have boxes and some segments.

    References
    ----------
    M. Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", IJCV 88, 2010.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from PIL import Image
    >>> box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>6</ymax></bndbox>"
    >>> folder = tempfile.TemporaryDirectory
    >>> with folder() as place, folder() as made:
    ...     for i, pose in enumerate(("Left", "Right")):
    ...         Image.new("RGB", (8, 6)).save(f"{place}/{i}.png")
    ...         shape = f"<object><name>person</name><pose>{pose}</pose>{box}</object>"
    ...         text = f"<annotation><filename>{i}.png</filename>{shape}</annotation>"
    ...         _ = Path(place, f"{i}.xml").write_text(text)
    ...     with warnings.catch_warnings(action="ignore"):
    ...         people = from_voc(place, f"{made}/out", attributes=["pose"])
    >>> people.samples[["id", "pose"]].values.tolist(), people.has_masks
    ([['0', 'Left'], ['1', 'Right']], True)
    """
    root, roles = Path(source), Roles.of(attributes, tasks)
    annotations = root / _ANNOTATIONS if (root / _ANNOTATIONS).is_dir() else root
    files, splits = read_sets(root / "ImageSets" / sets, _xml_files(annotations))
    listed = [_read(file, name, person) for name, file in files.items()]
    _add_objects(root, listed, person, importing.get("skip_broken", False))
    if table is not None:
        _add_table(Path(table), listed, list(files), roles)
    place = next((root / name for name in _IMAGES if (root / name).is_dir()), annotations)
    located = locator(place if images is None else Path(images))
    masks = _masks(root, listed, list(files), None if boxes else person_colour(root, person))
    sources = [
        Source(image.place, _image_file(image, name, located), mask)
        for name, image, mask in zip(files, listed, masks)
    ]
    rows, roles = annotated_rows(root, listed, roles, [OBJECTS], list(files), splits, sources)
    return import_rows(
        rows,
        roles,
        folder,
        source=f"imported from {root.resolve().name}, of the layout of Pascal VOC",
        unknown=(_UNSPECIFIED, *unknown),
        **importing,
    )


@dataclass(frozen=True)
class _Image(Annotated):
    """An image, as its file of XML describes it.

    Attributes
    ----------
    size : width and height in pixels; 0, 0 where they are not told
    people : their boxes
    objects : label, and the element, of each that is no person
    """

    size: tuple[int, int] = (0, 0)
    people: list[PixelBox] = field(default_factory=list)
    objects: list[tuple[str, Element]] = field(default_factory=list)


def _xml_files(folder: Path) -> dict[str, Path]:
    """Return the files of XML in a folder and below, by their paths without suffix."""
    with reading(folder, "a folder"):
        entries = sorted(path for path in folder.rglob("*.xml") if not is_of_system(path.name))
    if not entries:
        raise InputError(f"{folder} has no files of XML: give the folder that holds Annotations")
    located = locator(folder)
    return {
        path.relative_to(folder).with_suffix("").as_posix(): located(
            path.relative_to(folder).as_posix(), Place(folder)
        )
        for path in entries
    }


def _read(path: Path, name: str, person: str) -> _Image:
    """Return what a file says of its image."""
    root = read_xml(path)
    if root.tag != "annotation":
        raise InputError(f"{path} is not of VOC: it begins with <{root.tag}>, not <annotation>")
    file = (root.findtext("filename") or "").strip()
    sides = [(root.findtext(f"size/{side}") or "").strip() for side in ("width", "height")]
    if not all(text.isdecimal() and len(text) < _DIGITS for text in sides):
        sides = ["0", "0"]
    image = _Image(str(path), file or name, size=(int(sides[0]), int(sides[1])))
    for number, element in enumerate(root.iterfind("object"), 1):
        label = (element.findtext("name") or "").strip()
        if not label:
            raise InputError(f"{path}: object {number} has no name")
        if label != person:
            image.label(OBJECTS, label)
            image.objects.append((label, element))
            continue
        image.people.append(read_box(f"{path}: object {number}", element))
        for answer, value in _answers(element):
            image.answer(answer, [value])
    return image


def _answers(element: Element) -> list[tuple[str, str]]:
    """Return what the object of a person says: pose and the like, its attributes, its actions.

    Examples
    --------
    >>> from xml.etree.ElementTree import fromstring
    >>> pair = "<attribute><name>age</name><value>old</value></attribute>"
    >>> _answers(fromstring(f"<object><pose>Left</pose><attributes>{pair}</attributes></object>"))
    [('pose', 'Left'), ('age', 'old')]
    """
    answers = [
        (child.tag, child.text or "")
        for child in element
        if child.tag not in _NO_ANSWERS and len(child) == 0
    ]
    for group in (*element.iterfind("attributes"), *element.iterfind("actions")):
        for child in group:
            name = (child.findtext("name") or "").strip()
            answers.append((name, child.findtext("value") or "") if name else _plain(child))
    return answers


def _plain(element: Element) -> tuple[str, str]:
    """Return the name and the text of an element."""
    return element.tag, element.text or ""


def _add_objects(root: Path, listed: Sequence[_Image], person: str, skip_broken: bool) -> None:
    """Add the boxes of objects to their images; tell where there are no people."""
    broken: list[str] = []
    for image in listed:
        for label, element in image.objects:
            try:
                image.boxes.extend(_box(image, label, element))
            except InputError as error:
                if not skip_broken:
                    raise
                broken.append(str(error))
    if broken:
        warn(f"left out: {len(broken)} boxes of objects of {root}: {first_few(broken, root)}")
    if not any(image.people for image in listed):
        warn(f"{root} has no objects {person!r}: the pictures get no masks (--person LABEL)")


def _box(image: _Image, label: str, element: Element) -> list[Box]:
    """Return the box of an object, or none of one outside the image."""
    left, top, right, bottom = read_box(f"{image.place}: {label}", element)
    if 0 in image.size:
        raise InputError(f"{image.place} does not tell width and height of its picture (size)")
    box = box_of(image.place, {"bbox": [left, top, right - left, bottom - top]}, image.size)
    return [] if box is None else [(label, *box)]


def _add_table(path: Path, listed: Sequence[_Image], ids: Sequence[str], roles: Roles) -> None:
    """Add the columns of a table that are wanted to the answers of each image."""
    columns = rows_by_id(path, ids, _KEYS, lambda id: Path(id).with_suffix("").as_posix())
    for name in dict.fromkeys(roles.columns):
        if name in columns.column_names:
            for image, value in zip(listed, names(columns[name])):
                if value is not None:
                    image.answer(name, [value])


def _image_file(image: _Image, name: str, located: Callable[[str, Place], Path]) -> Path:
    """Return where an image lies: as its file of XML says, or called like that."""
    place = Place(image.place)
    file = located(image.name, place)
    if file.is_file():
        return file
    others = (located(f"{name}{suffix}", place) for suffix in IMAGE_SUFFIXES)
    return next((other for other in others if other.is_file()), file)


def _masks(
    root: Path, listed: Sequence[_Image], ids: Sequence[str], colour: tuple[int, int, int] | None
) -> list[Callable[[tuple[int, int]], np.ndarray] | None]:
    """Return what draws the people of each image: segments in a colour, or else boxes."""
    masks: list[Callable[[tuple[int, int]], np.ndarray] | None] = []
    located, of_boxes = locator(root / _SEGMENTS), 0
    for name, image in zip(ids, listed):
        segments = located(f"{name}.png", Place(image.place))
        if colour is not None and segments.is_file():
            masks.append(partial(draw_segments, segments, colour))
            continue
        of_boxes += bool(image.people)
        masks.append(partial(draw_boxes, image.size, image.people) if image.people else None)
    if 0 < of_boxes < len(listed) - masks.count(None):
        warn(
            f"{root}: the masks of {of_boxes} pictures are boxes, since {_SEGMENTS} has no file of "
            "them: boxes hold more than the person (--boxes takes boxes everywhere)"
        )
    return masks
