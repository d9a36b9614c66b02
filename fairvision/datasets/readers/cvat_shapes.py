"""Shapes of CVAT: boxes, polygons, ellipses and masks, as its XML holds them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from fairvision.datasets.readers.coco_masks import LARGEST, check_size, draw_box, draw_masks
from fairvision.datasets.readers.outlines import draw_ellipse, ellipse_bounds, turned_box
from fairvision.errors import InputError, shown

SHAPES = ("box", "polygon", "ellipse", "mask")
"""Those that cover an area."""


def draw_shapes(
    place: str, stated: tuple[int, int], shapes: Sequence[Element], size: tuple[int, int]
) -> np.ndarray:
    """Return the union of shapes in an image, (height, width) bool.

    Parameters
    ----------
    place : where the image stands, for messages
    stated : width and height as the file says
    shapes : elements of the kinds of `SHAPES`; what of a box leaves the image is cut off
    size : width and height of the image

    Raises
    ------
    InputError
        The sizes differ, or a shape is malformed or, unless a box, leaves the image.
    """
    check_size(stated, size)
    union = np.zeros(size[::-1], bool)
    for shape in shapes:
        union |= _draw(f"{place}: a {shape.tag}", shape, size)
    return union


def _draw(place: str, shape: Element, size: tuple[int, int]) -> np.ndarray:
    """Return the mask of a shape."""
    if shape.tag == "box" and not float_of(place, shape, "rotation", "0"):
        left, top, right, bottom = bounds(place, shape)
        return draw_box((left, top, right - left, bottom - top), size)[0]
    if shape.tag == "mask":
        return _draw_mask(place, shape, size)
    if shape.tag == "ellipse":
        return draw_ellipse(*_ellipse(place, shape), size)
    points = _points(place, shape) if shape.tag == "polygon" else _corners(place, shape)
    return draw_masks([(place, [points])], size[1], size[0])


def bounds(place: str, shape: Element) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a shape of the kinds of `SHAPES`, in pixels.

    Examples
    --------
    >>> shape = Element("polygon", points="1,2;5,2;3,8.5")
    >>> bounds("it", shape)
    (1.0, 2.0, 5.0, 8.5)
    """
    if shape.tag == "box":
        left, top, right, bottom = (
            float_of(place, shape, name) for name in ("xtl", "ytl", "xbr", "ybr")
        )
        if left > right or top > bottom:
            raise InputError(f"{place} has its right or bottom before its left or top")
        if not float_of(place, shape, "rotation", "0"):
            return left, top, right, bottom
    if shape.tag == "mask":
        left, top, wide, high = (
            float_of(place, shape, name) for name in ("left", "top", "width", "height")
        )
        return left, top, left + wide, top + high
    if shape.tag == "ellipse":
        return ellipse_bounds(*_ellipse(place, shape))
    points = _points(place, shape) if shape.tag == "polygon" else _corners(place, shape)
    xs, ys = points[::2], points[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def float_of(place: str, shape: Element, name: str, default: str | None = None) -> float:
    """Return a number that an element has as an attribute."""
    text = shape.get(name, default)
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not abs(number) < LARGEST:
        raise InputError(f"{place}: {name} cannot be {shown(text)}")
    return number


def _points(place: str, shape: Element) -> list[float]:
    """Return x, y, x, y, … of a polygon."""
    text = shape.get("points", "")
    try:
        pairs = [tuple(map(float, point.split(","))) for point in text.split(";")]
    except ValueError:
        pairs = []
    if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
        raise InputError(f"{place}: points cannot be {shown(text)}: at least three of x,y")
    return [number for pair in pairs for number in pair]


def _corners(place: str, box: Element) -> list[float]:
    """Return x, y, x, y, … of the corners of a box that is turned about its middle."""
    left, top, right, bottom = (float_of(place, box, name) for name in ("xtl", "ytl", "xbr", "ybr"))
    middle = ((left + right) / 2, (top + bottom) / 2)
    turn = math.radians(float_of(place, box, "rotation", "0"))
    return turned_box((left, top, right, bottom), middle, turn)


def _ellipse(place: str, shape: Element) -> tuple[float, float, float, float, float]:
    """Return the middle, the half axes and the turn, in radians, of an ellipse."""
    x, y, rx, ry = (float_of(place, shape, name) for name in ("cx", "cy", "rx", "ry"))
    if min(rx, ry) <= 0:
        raise InputError(f"{place}: an ellipse of half axes {rx:g} and {ry:g} has no pixels")
    return x, y, rx, ry, math.radians(float_of(place, shape, "rotation", "0"))


def _draw_mask(place: str, shape: Element, size: tuple[int, int]) -> np.ndarray:
    """Return the mask whose runs, outside and inside in turn, go row by row through its box."""
    names = ("left", "top", "width", "height")
    left, top, wide, high = (int(float_of(place, shape, name)) for name in names)
    if min(left, top) < 0 or min(wide, high) < 1 or left + wide > size[0] or top + high > size[1]:
        raise InputError(f"{place} lies outside the picture of {size[0]}×{size[1]} pixels")
    try:
        runs = [int(run) for run in shape.get("rle", "").split(",")]
    except ValueError:
        raise InputError(f"{place}: rle is not whole numbers between commas") from None
    if min(runs) < 0 or sum(runs) != wide * high:
        raise InputError(f"{place}: its runs cover {sum(runs)} of its box's {wide * high} pixels")
    union = np.zeros(size[::-1], bool)
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    union[top : top + high, left : left + wide] = inside.reshape(high, wide)
    return union
