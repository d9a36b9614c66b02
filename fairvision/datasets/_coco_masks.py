"""COCO's three ways to write a mask: polygons, run lengths, compressed run lengths."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from fairvision.errors import InputError

_TOLERANCE = 1.0
"""Pixels by which a polygon may leave the picture: exports round."""


def draw_masks(segmentations: Iterable[tuple[str, Any]], height: int, width: int) -> np.ndarray:
    """Return the union of segmentations, (height, width) bool.

    Parameters
    ----------
    segmentations : (where it stands, for messages; value of `segmentation`)

    Raises
    ------
    InputError
        If a segmentation is malformed or leaves the picture.
    """
    union = np.zeros((height, width), bool)
    for where, segmentation in segmentations:
        try:
            union |= _draw(segmentation, height, width)
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise InputError(f"{where} cannot be drawn: {error}") from None
    return union


def box_of(
    where: str, annotation: dict[str, Any], size: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    """Return left, top, right, bottom of an object as shares of width and height.

    Parameters
    ----------
    where : where it stands, for messages
    annotation : with `bbox` (x, y, width, height in pixels); without, the box is that of the pixels
        of `segmentation`
    size : width and height of the picture in pixels

    Returns
    -------
    None where the annotation has neither, or covers nothing of the picture

    Raises
    ------
    InputError
        If the box is not of four numbers or leaves the picture, or as `draw_masks` does.
    """
    width, height = size
    if min(size) < 1:  # the picture itself is refused when it is read
        return None
    box, segmentation = annotation.get("bbox"), annotation.get("segmentation")
    if box is not None:
        try:
            x, y, wide, high = (float(number) for number in box)
        except (TypeError, ValueError):
            raise InputError(f"{where}: bbox {box!r} is not x, y, width, height") from None
        xs, ys = np.array([x, x + wide]), np.array([y, y + high])
        if not (_within(xs, width) and _within(ys, height) and min(wide, high) >= 0):
            raise InputError(
                f"{where}: bbox {box!r} lies outside the picture of {width}×{height} pixels"
            )
    elif segmentation:
        mask = draw_masks([(f"{where}: segmentation", segmentation)], height, width)
        if not mask.any():
            return None
        xs, ys = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] + [0, 1] for axis in (0, 1))
    else:
        return None
    left, right = np.clip(xs / width, 0, 1).tolist()
    top, bottom = np.clip(ys / height, 0, 1).tolist()
    return (left, top, right, bottom) if left < right and top < bottom else None


def run_lengths(compressed: bytes) -> list[int]:
    """Return the numbers in compressed run lengths.

    A byte holds five bits of a number and whether more follow; from the fourth number on, it is
    the difference from the last but one.

    >>> run_lengths(b"52203")
    [5, 2, 2, 2, 5]
    """
    runs: list[int] = []
    number = shift = 0
    for byte in compressed:
        bits = byte - 48
        number |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                number -= 1 << shift
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = shift = 0
    return runs


def _draw(segmentation: Any, height: int, width: int) -> np.ndarray:
    # pycocotools only turns polygons into runs: its decoder leaves pixels that malformed runs do
    # not cover uninitialised
    if isinstance(segmentation, list):
        runs = _polygon_runs(segmentation, height, width)
    else:
        size, runs = segmentation["size"], segmentation["counts"]
        if list(size) != [height, width]:
            raise ValueError(f"its size is {size} but its picture's is [{height}, {width}]")
        if isinstance(runs, str):
            runs = run_lengths(runs.encode("ascii"))
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"its runs cover {sum(runs)} of its picture's {height * width} pixels")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def _polygon_runs(polygons: list[Any], height: int, width: int) -> list[int]:
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"a polygon of {len(polygon)} numbers; it needs x, y of 3 points")
    xs, ys = (
        np.array(list(chain.from_iterable(polygon[start::2] for polygon in polygons)), float)
        for start in (0, 1)
    )
    if not (_within(xs, width) and _within(ys, height)):
        raise ValueError(f"a point of it lies outside the picture of {width}×{height} pixels")
    union = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    return run_lengths(union["counts"])


def _within(values: np.ndarray, end: float) -> bool:
    return bool(((values >= -_TOLERANCE) & (values <= end + _TOLERANCE)).all())
