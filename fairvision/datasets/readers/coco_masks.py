"""Masks and boxes as COCO writes them: polygons, run lengths, x, y, width and height."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from pycocotools import mask as coco_mask

from fairvision.errors import InputError, shown

Entry: TypeAlias = dict[str, Any]
"""Of a list in one of COCO's files, as it was read."""

_TOLERANCE = 1.0
"""Pixels by which a polygon may leave the image: exports round."""
LARGEST, MOST_PIXELS = 1e9, 2**28
_LONGEST_RUN = 64  # bits


def draw_masks(segmentations: Iterable[tuple[str, Any]], height: int, width: int) -> np.ndarray:
    """Return the union of segmentations, (height, width) bool.

    Parameters
    ----------
    segmentations : (where it stands, for messages; value of `segmentation`)

    Raises
    ------
    InputError
        If a segmentation is malformed or leaves the image.
    """
    union = np.zeros((height, width), bool)
    for place, segmentation in segmentations:
        try:
            union |= _draw(segmentation, height, width)
        except Exception as error:  # whatever stands there in place of a segmentation
            raise InputError(f"{place} cannot be drawn: {error}") from None
    return union


def box_of(
    place: str, annotation: Entry, size: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    """Return left, top, right, bottom of an object as shares of width and height.

    Parameters
    ----------
    place : where it stands, for messages
    annotation : with `bbox` (x, y, width, height in pixels); without, the box is that of the pixels
        of `segmentation`
    size : width and height of the image in pixels

    Returns
    -------
    None where the annotation has neither, or covers nothing of the image; what leaves the image
    is cut off

    Raises
    ------
    InputError
        If the box is not of four numbers, or as `draw_masks` does.
    """
    width, height = size
    if min(size) < 1:  # the image itself is refused when it is read
        return None
    box, segmentation = annotation.get("bbox"), annotation.get("segmentation")
    if box is not None:
        x, y, wide, high = _numbers(place, box)
        xs, ys = np.array([x, x + wide]), np.array([y, y + high])
    elif segmentation:
        if width * height > MOST_PIXELS:
            raise InputError(f"{place}: its picture of {width}×{height} pixels cannot be drawn")
        mask = draw_masks([(f"{place}: segmentation", segmentation)], height, width)
        if not mask.any():
            return None
        xs, ys = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] + [0, 1] for axis in (0, 1))
    else:
        return None
    left, right = np.clip(xs / width, 0, 1).tolist()
    top, bottom = np.clip(ys / height, 0, 1).tolist()
    return (left, top, right, bottom) if left < right and top < bottom else None


def draw_box(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[np.ndarray, bool]:
    """Return the mask of a box, (height, width) bool, and whether it leaves the image.

    Parameters
    ----------
    box : left, top, width and height in pixels; what leaves the image is cut off
    size : width and height of the image in pixels

    Examples
    --------
    >>> mask, is_cut = draw_box((1, 0, 2, 9), (4, 2))
    >>> mask.astype(int), is_cut
    (array([[0, 1, 1, 0],
           [0, 1, 1, 0]]), True)
    """
    (left, top, wide, high), (width, height) = box, size
    xs, ys = np.array([left, left + wide], float), np.array([top, top + high], float)
    is_cut = not (_within(xs, width) and _within(ys, height))
    xs, ys = xs.clip(0, width), ys.clip(0, height)
    if xs[0] >= xs[1] or ys[0] >= ys[1]:
        return np.zeros((height, width), bool), is_cut
    inside = np.array([[xs[0], ys[0], xs[1] - xs[0], ys[1] - ys[0]]])
    (runs,) = coco_mask.frPyObjects(inside, height, width)
    return _of_runs(run_lengths(runs["counts"]), height, width), is_cut


def leaves_image(annotation: Entry, size: tuple[int, int]) -> bool:
    """Return whether the box of an annotation, which is one of four numbers, is to be cut off.

    >>> leaves_image({"bbox": [-3, 0, 5, 5]}, (60, 40)), leaves_image({}, (60, 40))
    (True, False)
    """
    if annotation.get("bbox") is None:
        return False
    x, y, wide, high = map(float, annotation["bbox"])
    return not (
        _within(np.array([x, x + wide]), size[0]) and _within(np.array([y, y + high]), size[1])
    )


def check_size(stated: tuple[int, int], size: tuple[int, int], origin: str = "file") -> None:
    """Raise `InputError` where an image has another size than is stated of it."""
    if size != stated:
        raise InputError(
            f"the picture is {size[0]}×{size[1]} pixels but the {origin} says "
            f"{stated[0]}×{stated[1]}"
        )


def _numbers(place: str, box: Any) -> tuple[float, ...]:
    """Return x, y, width and height of a box."""
    of_four: list[Any] = box if isinstance(box, list) and len(box) == 4 else [None]
    if all(type(n) in (int, float) and abs(n) < LARGEST for n in of_four) and min(box[2:]) >= 0:
        return tuple(map(float, box))
    raise InputError(f"{place}: bbox {shown(box)} is not x, y, width, height")


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
        if shift > _LONGEST_RUN:
            raise ValueError("a run length is too large")
        if not bits & 0x20:
            if bits & 0x10:
                number -= 1 << shift
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = shift = 0
    return runs


def _draw(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Return the mask (height, width) of a segmentation, which is polygons or run lengths."""
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
    return _of_runs(runs, height, width)


def _of_runs(runs: Sequence[int], height: int, width: int) -> np.ndarray:
    """Return the mask (height, width) of runs outside and inside, in turn, column by column."""
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def _polygon_runs(polygons: list[Any], height: int, width: int) -> list[int]:
    """Return the run lengths, column by column, of the area that polygons cover together."""
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
    """Return whether all values lie between 0 and an end, but for a small tolerance."""
    return bool(((values >= -_TOLERANCE) & (values <= end + _TOLERANCE)).all())
