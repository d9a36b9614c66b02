"""People in the layout of Pascal VOC: boxes of whole pixels, segments in the colour of a label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias
from xml.etree.ElementTree import Element

import numpy as np

from fairvision.datasets.images import read_image
from fairvision.datasets.readers.coco_masks import LARGEST, check_size, draw_box
from fairvision.datasets.readers.voc_sets import lines_of
from fairvision.errors import InputError, shown

PixelBox: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels, from 0 on; right and bottom are those behind the last."""

_COLOURS = {"person": (192, 128, 128)}
"""As published; files of labels say others."""
_LABELS = "labelmap.txt"
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_box(place: str, element: Element) -> PixelBox:
    """Return the box of an object; VOC counts pixels from 1, and the last one is of the box.

    Examples
    --------
    >>> from xml.etree.ElementTree import fromstring
    >>> box = "<xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>6</ymax>"
    >>> read_box("it", fromstring(f"<object><bndbox>{box}</bndbox></object>"))
    (0.0, 1.0, 4.0, 6.0)
    """
    texts = [(element.findtext(f"bndbox/{side}") or "").strip() for side in _SIDES]
    try:
        left, top, right, bottom = map(float, texts)
    except ValueError:
        left = top = right = bottom = float("nan")
    if not all(abs(side) < LARGEST for side in (left, top, right, bottom)):
        raise InputError(f"{place}: its bndbox is not of four numbers: {shown(', '.join(texts))}")
    if left > right or top > bottom:
        raise InputError(f"{place}: its bndbox ends before it begins: {', '.join(texts)}")
    return left - 1, top - 1, right, bottom


def draw_boxes(
    stated: tuple[int, int], people: Sequence[PixelBox], size: tuple[int, int]
) -> np.ndarray:
    """Return the union of boxes in an image, (height, width) bool; what leaves it is cut off.

    Parameters
    ----------
    stated : width and height as the file says; 0, 0 where it does not
    people : their boxes
    size : width and height of the image

    Raises
    ------
    InputError
        The sizes differ.
    """
    if 0 not in stated:
        check_size(stated, size)
    union = np.zeros(size[::-1], bool)
    for left, top, right, bottom in people:
        union |= draw_box((left, top, right - left, bottom - top), size)[0]
    return union


def draw_segments(path: Path, colour: tuple[int, int, int], size: tuple[int, int]) -> np.ndarray:
    """Return the pixels of one colour in a file of segments, (height, width) bool."""
    segments = read_image(path)
    check_size(segments.size, size, f"segments {path}")
    mask: np.ndarray = (np.asarray(segments) == np.array(colour)).all(axis=2)
    return mask


def person_colour(root: Path, person: str) -> tuple[int, int, int] | None:
    """Return the colour of people in files of segments; None where it is not known.

    Parameters
    ----------
    root : folder that may hold labelmap.txt, with a line `label:red,green,blue:parts:actions` each
    person : label of people

    Examples
    --------
    >>> person_colour(Path("nowhere"), "person"), person_colour(Path("nowhere"), "player")
    ((192, 128, 128), None)
    """
    path = root / _LABELS
    if not path.is_file():
        return _COLOURS.get(person)
    for number, line in enumerate(lines_of(path), 1):
        label, _, rest = line.partition(":")
        if label.strip() != person or line.startswith("#"):
            continue
        texts = rest.partition(":")[0].split(",")
        if len(texts) == 3 and all(text.strip().isdecimal() for text in texts):
            red, green, blue = map(int, texts)
            return red, green, blue
        raise InputError(f"{path} line {number}: {shown(rest)} does not begin with red,green,blue")
    return None
