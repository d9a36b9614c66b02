"""Regions of Label Studio: what its results say of one, and what it covers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fairvision.datasets.readers.annotated import Box
from fairvision.datasets.readers.coco_masks import LARGEST, box_of, check_size, draw_box, draw_masks
from fairvision.datasets.readers.labelstudio_brush import decode_brush
from fairvision.datasets.readers.outlines import draw_ellipse, ellipse_bounds, turned_box
from fairvision.errors import InputError, shown

_SIDES = ("x", "y", "width", "height")
_ELLIPSE = ("x", "y", "radiusX", "radiusY")


@dataclass
class Region:
    """What the results of one id say: of a region, or, where it has no shape, of the image.

    Attributes
    ----------
    place : where it stands, for messages
    shape : brush, polygon, ellipse or rectangle; other where it covers nothing; "" of the image
    labels : of the region
    choices : values by the name of their control
    value : numbers of the shape
    size : width and height of the image in pixels, as the file says
    """

    place: str
    shape: str = ""
    labels: list[str] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)
    value: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)


def regions_of(place: str, results: Sequence[Any]) -> list[Region]:
    """Return the regions that the results of an annotation describe, and what is of the image.

    Parameters
    ----------
    place : where they stand, for messages
    results : those of one id are of one region

    Raises
    ------
    InputError
        A result is malformed, or the image was turned in Label Studio.

    Examples
    --------
    >>> (region,) = regions_of("1", [{"type": "choices", "from_name": "sex", "value": {
    ...     "choices": ["male"]}}])
    >>> region.shape, region.choices
    ('', {'sex': ['male']})
    """
    regions: dict[str, Region] = {}
    for number, result in enumerate(results, 1):
        at = f"{place}: result {number}"
        if not isinstance(result, dict) or not isinstance(result.get("value", {}), dict):
            raise InputError(f"{at} is none of Label Studio: {shown(result)}")
        value = result.get("value", {})
        region = regions.setdefault(str(result.get("id", number)), Region(at))
        if (shape := _shape_of(value)) and not region.shape:
            if result.get("image_rotation"):
                raise InputError(f"{at}: its picture was turned: turn the file, and draw again")
            region.shape, region.value, region.place = shape, value, at
            region.size = _size(at, result)
        for key, texts in value.items():
            if key.endswith("labels"):
                region.labels += _texts(at, key, texts)
            elif key == "choices":
                control = str(result.get("from_name", ""))
                region.choices.setdefault(control, []).extend(_texts(at, key, texts))
    return list(regions.values())


def _shape_of(value: dict[str, Any]) -> str:
    """Return what kind of shape a value describes; "" where it describes none."""
    names = value.keys()
    if "rle" in names:
        return "brush"
    if "points" in names:
        return "polygon"
    if {*_ELLIPSE} <= names:
        return "ellipse"
    if {*_SIDES} <= names:
        return "rectangle"
    return "other" if {"x", "vertices", "imageDataURL"} & names else ""


def _size(at: str, result: dict[str, Any]) -> tuple[int, int]:
    """Return width and height of the image, as a result says."""
    width, height = (result.get(name) for name in ("original_width", "original_height"))
    if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0:
        return width, height
    raise InputError(
        f"{at}: original_width and original_height cannot be {shown(width)} and {shown(height)}"
    )


def _texts(at: str, key: str, texts: Any) -> list[str]:
    """Return a list of texts."""
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"{at}: {key} is {shown(texts)}, not a list of texts")
    return texts


def draw_regions(regions: Sequence[Region], size: tuple[int, int]) -> np.ndarray:
    """Return the union of regions in an image, (height, width) bool.

    Parameters
    ----------
    regions : of shapes that cover something; what of a rectangle leaves the image is cut off
    size : width and height of the image: what is not painted is told in percent, and goes with a
        picture of another size, too

    Raises
    ------
    InputError
        The image has other proportions, or a region is malformed.
    """
    union = np.zeros(size[::-1], bool)
    for region in regions:
        _check_size(region, size)
        union |= _draw(region, size)
    return union


def box_of_region(region: Region, label: str) -> list[Box]:
    """Return the box of an object, or none of one without area or outside the image."""
    size, place = region.size, region.place
    if region.shape == "other":
        return []
    if region.shape == "brush":
        mask = _draw(region, size)
        if not mask.any():
            return []
        xs, ys = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] + [0, 1] for axis in (0, 1))
        (left, right), (top, bottom) = xs.tolist(), ys.tolist()
    elif region.shape == "ellipse":
        left, top, right, bottom = ellipse_bounds(*_ellipse(region, size))
    else:
        points = _points(region, size)
        left, right = min(points[::2]), max(points[::2])
        top, bottom = min(points[1::2]), max(points[1::2])
    box = box_of(place, {"bbox": [left, top, right - left, bottom - top]}, size)
    return [] if box is None else [(label, *box)]


def _check_size(region: Region, size: tuple[int, int]) -> None:
    """Raise `InputError` where an image cannot be the one that was annotated."""
    (width, height), (stated_width, stated_height) = size, region.size
    off = abs(width * stated_height - height * stated_width)
    if region.shape == "brush" or off > max(*size, *region.size):
        check_size(region.size, size)


def _draw(region: Region, size: tuple[int, int]) -> np.ndarray:
    """Return the mask of a region."""
    if region.shape == "brush":
        try:
            return decode_brush(region.value["rle"], size)
        except ValueError as error:
            raise InputError(f"{region.place}: {error}") from None
    if region.shape == "ellipse":
        return draw_ellipse(*_ellipse(region, size), size)
    if region.shape == "rectangle" and not _number(region, "rotation"):
        x, y, wide, high = _pixels(region, _SIDES, size)
        return draw_box((x, y, wide, high), size)[0]
    return draw_masks([(region.place, [_points(region, size)])], size[1], size[0])


def _points(region: Region, size: tuple[int, int]) -> list[float]:
    """Return x, y, x, y, … of a polygon, or of the corners of a rectangle, in pixels.

    A rectangle is turned about its left upper corner.
    """
    if region.shape == "rectangle":
        x, y, wide, high = _pixels(region, _SIDES, size)
        turn = math.radians(_number(region, "rotation"))
        return turned_box((x, y, x + wide, y + high), (x, y), turn)
    points = region.value["points"]
    try:
        pairs = [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError, OverflowError):
        pairs = []
    if len(pairs) < 3 or not all(abs(number) < LARGEST for pair in pairs for number in pair):
        raise InputError(f"{region.place}: points cannot be {shown(points)}: at least three x, y")
    return [number / 100 * side for pair in pairs for number, side in zip(pair, size)]


def _ellipse(region: Region, size: tuple[int, int]) -> tuple[float, float, float, float, float]:
    """Return the middle, the half axes and the turn, in radians, of an ellipse."""
    x, y, rx, ry = _pixels(region, _ELLIPSE, size)
    if min(rx, ry) <= 0:
        raise InputError(f"{region.place}: an ellipse of radius {min(rx, ry):g} has no pixels")
    return x, y, rx, ry, math.radians(_number(region, "rotation"))


def _pixels(
    region: Region, names: Sequence[str], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Return four numbers that stand for percent of width, height, width, height, in pixels."""
    x, y, wide, high = (_number(region, name) for name in names)
    if min(wide, high) < 0:
        raise InputError(f"{region.place}: {names[2]} and {names[3]} must not be below 0")
    width, height = (side / 100 for side in size)
    return x * width, y * height, wide * width, high * height


def _number(region: Region, name: str) -> float:
    """Return a number of a shape; 0 where there is none."""
    number = region.value.get(name, 0)
    if type(number) not in (int, float) or not abs(number) < LARGEST:
        raise InputError(f"{region.place}: {name} cannot be {shown(number)}")
    return float(number)
