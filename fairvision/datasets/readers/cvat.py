"""CVAT: shapes and tags that people drew, exported as "CVAT for images 1.1"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Unpack
from xml.etree.ElementTree import Element

from fairvision.core.tables import Place
from fairvision.core.xml_files import read_xml
from fairvision.datasets.dataset import SPLIT_NAMES, Dataset
from fairvision.datasets.readers.annotated import OBJECTS, Annotated, Box, annotated_rows, stems
from fairvision.datasets.readers.coco_masks import box_of
from fairvision.datasets.readers.columns import Names, Roles, import_rows
from fairvision.datasets.readers.cvat_shapes import SHAPES, bounds, draw_shapes
from fairvision.datasets.readers.importing import Importing, first_few, locator, warn
from fairvision.datasets.readers.storing import Source
from fairvision.errors import InputError, shown

TAGS = "tags"
_FILE, _IMAGES = "annotations.xml", "images"
_DIGITS = 7  # of a side of an image


def from_cvat(
    source: str | Path,
    folder: str | Path,
    *,
    attributes: Names = (),
    tasks: Names = (),
    person: str = "person",
    images: str | Path | None = None,
    unknown: Iterable[str] = (),
    **importing: Unpack[Importing],
) -> Dataset:
    """Import an export of CVAT.

    It is exported as CVAT for images 1.1. The mask of an image is the union of its shapes of the
    label --person: masks, polygons, ellipses and boxes. Other labels of shapes are the task
    objects, with their boxes as regions, and labels of tags are the task tags; an image without any
    has none, which is known. Attributes and tasks are what CVAT calls attributes, of people and of
    tags; where those of an image differ, it is unknown. Subsets called as splits are the splits.

    Parameters
    ----------
    source : annotations.xml, or the folder that holds it
    folder : where to write the dataset folder
    attributes : attribute of people, or of tags, that holds a group of people; repeatable;
        NAME=ATTRIBUTE gives it another name
    tasks : the same for what is classified
    person : label of people
    images : folder of the images; by default images beside annotations.xml, or its folder
    unknown : text that means not known, besides none and unknown; repeatable
    importing : see `Importing`

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the file is not in this format, lists an image twice or outside the folder, has no
        attribute of a name, or an image or a shape of a person cannot be used; nothing is written.

    Warns
    -----
    FairvisionWarning
        People of an image differ, or are drawn as lines and points, which cover nothing.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from PIL import Image
    >>> shapes = [
    ...     '<box label="person" xtl="1" ytl="1" xbr="4" ybr="5"><attribute name="gender">'
    ...     f'{group}</attribute></box>' for group in ("female", "male")
    ... ]
    >>> with tempfile.TemporaryDirectory() as place:
    ...     text = ""
    ...     for i, shape in enumerate(shapes):
    ...         Image.new("RGB", (8, 6)).save(f"{place}/{i}.png")
    ...         text += f'<image id="{i}" name="{i}.png" width="8" height="6">{shape}</image>'
    ...     _ = Path(place, "annotations.xml").write_text(f"<annotations>{text}</annotations>")
    ...     with warnings.catch_warnings(action="ignore"):
    ...         people = from_cvat(place, f"{place}/out", attributes=["gender"])
    >>> people.samples[["id", "gender"]].values.tolist(), people.has_masks
    ([['0', 'female'], ['1', 'male']], True)
    """
    path = Path(source)
    path = path / _FILE if path.is_dir() else path
    roles = Roles.of(attributes, tasks)
    listed = _read(path, person, importing.get("skip_broken", False))
    place = path.parent / _IMAGES if (path.parent / _IMAGES).is_dir() else path.parent
    located = locator(place if images is None else Path(images))
    sources = [
        Source(
            image.place,
            located(image.name, Place(path, id=image.name)),
            partial(draw_shapes, image.place, image.size, image.people) if image.people else None,
        )
        for image in listed
    ]
    ids = stems([image.name for image in listed])
    rows, roles = annotated_rows(
        path, listed, roles, (OBJECTS, TAGS), ids, _splits(path, listed), sources
    )
    importing["name"] = importing.get("name") or path.resolve().parent.name
    return import_rows(
        rows,
        roles,
        folder,
        source=f"imported from {path.name} of CVAT",
        unknown=unknown,
        **importing,
    )


@dataclass(frozen=True)
class _Image(Annotated):
    """An image of the file.

    Attributes
    ----------
    size : width and height in pixels
    subset : name, perhaps ""
    people : their shapes
    """

    size: tuple[int, int] = (0, 0)
    subset: str = ""
    people: list[Element] = field(default_factory=list)


def _read(path: Path, person: str, skip_broken: bool) -> list[_Image]:
    """Return the images of a file, checked."""
    root = read_xml(path)
    if root.tag != "annotations":
        raise InputError(f"{path} is not of CVAT: it begins with <{root.tag}>, not <annotations>")
    if root.find("track") is not None:
        raise InputError(f"{path} is of CVAT for videos: export it as CVAT for images 1.1")
    listed: list[_Image] = []
    names: set[str] = set()
    flat: list[str] = []
    broken: list[str] = []
    for element in root.iterfind("image"):
        image = _image(path, element)
        if image.name in names:
            raise InputError(f"{path} lists the image {shown(image.name)} twice")
        names.add(image.name)
        listed.append(image)
        for number, shape in enumerate(element, 1):
            place = f"{image.place}: {shape.tag} {number}"
            label = shape.get("label")
            if label is None:
                raise InputError(f"{place} has no label")
            if label == person or shape.tag == "tag":
                for attribute in shape.iterfind("attribute"):
                    image.answer(attribute.get("name", ""), [attribute.text or ""])
            if shape.tag == "tag":
                image.label(TAGS, label)
            elif label == person and shape.tag in SHAPES:
                image.people.append(shape)
            elif label == person:
                flat.append(place)
            else:
                image.label(OBJECTS, label)
                try:
                    image.boxes.extend(_box(place, label, shape, image.size))
                except InputError as error:
                    if not skip_broken:
                        raise
                    broken.append(str(error))
    if not listed:
        raise InputError(f"{path} lists no images")
    if flat:
        warn(
            f"{path}: {len(flat)} people are drawn as lines or points, which cover nothing: "
            + first_few(flat, path)
        )
    if broken:
        warn(f"left out: {len(broken)} boxes of objects of {path}: {first_few(broken, path)}")
    if not any(image.people for image in listed):
        warn(f"{path} has no shapes of {person!r}: the pictures get no masks (--person LABEL)")
    return listed


def _image(path: Path, element: Element) -> _Image:
    """Return an image of the file, of which the shapes are not read yet."""
    name = element.get("name")
    if not name:
        raise InputError(f"{path} lists an image without a name (id {shown(element.get('id'))})")
    place = f"{path} image {shown(name)}"
    width, height = (element.get(side, "") for side in ("width", "height"))
    if not all(text.isdecimal() and len(text) < _DIGITS and int(text) for text in (width, height)):
        raise InputError(f"{place}: width and height cannot be {shown(width)} and {shown(height)}")
    size = (int(width), int(height))
    return _Image(place, name, size=size, subset=element.get("subset", ""))


def _box(place: str, label: str, shape: Element, size: tuple[int, int]) -> list[Box]:
    """Return the box of an object, or none of one without area or outside the image."""
    if shape.tag not in SHAPES:
        return []
    left, top, right, bottom = bounds(place, shape)
    box = box_of(place, {"bbox": [left, top, right - left, bottom - top]}, size)
    return [] if box is None else [(label, *box)]


def _splits(path: Path, listed: Sequence[_Image]) -> list[str] | None:
    """Return the split of each image, which its subset says; None where none does."""
    splits = [SPLIT_NAMES.get(image.subset.lower()) for image in listed]
    if not any(splits):
        return None
    for image, split in zip(listed, splits):
        if split is None:
            raise InputError(
                f"{image.place} is of the subset {shown(image.subset)}, which is no split as those "
                "of others are: train, val or test"
            )
    return [split for split in splits if split is not None]
