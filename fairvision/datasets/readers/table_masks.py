"""Masks of people in the cells of a table: paths, run lengths, polygons, and boxes in columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from fairvision.core.tables import Place, PlaceOf
from fairvision.datasets.images import Doubts
from fairvision.datasets.label_columns import texts_of
from fairvision.datasets.readers.coco_masks import draw_box, draw_masks
from fairvision.datasets.readers.importing import locate
from fairvision.errors import InputError, reading, shown

Drawn: TypeAlias = Callable[[tuple[int, int]], np.ndarray]
"""Takes the width and the height of an image and returns its mask, (height, width) bool."""

_CUT = "boxes of people that leave their pictures, and are cut off there"


def cell_masks(
    column: pa.ChunkedArray, name: str, place_of: PlaceOf, root: Path
) -> list[Path | Drawn | None]:
    """Return the mask of each row: a file, or what draws it; None where a cell is empty.

    Parameters
    ----------
    column : cells are paths; or segmentations as COCO has them, JSON or nested columns of parquet:
        run lengths (an object of size and counts), polygons (x, y, x, y, … or points), lists of
        several of these, which are drawn together
    name : of the column
    place_of : says where a row stands
    root : folder where paths start

    Raises
    ------
    InputError
        A path leaves the folder, or a cell is none of these.
    """
    masks: list[Path | Drawn | None] = []
    nested = pa.types.is_nested(column.type)
    values = column.to_pylist() if nested else texts_of(Place("", name), column)
    for row, cell in enumerate(values):
        place = place_of(row, name)
        if cell is None:
            masks.append(None)
        elif nested or cell.startswith(("{", "[")):
            masks.append(partial(_draw_cell, place, cell))
        else:
            masks.append(locate(root, cell, place))
    return masks


def _draw_cell(place: Place, cell: Any, size: tuple[int, int]) -> np.ndarray:
    """Return the union of the segmentations in a cell."""
    value = cell
    if isinstance(cell, str):
        with reading(f"{place}:", "JSON"):
            value = json.loads(cell)
    try:
        parts = _parts(value)
    except RecursionError:
        raise place.error("is nested too deeply to be a mask") from None
    except ValueError as error:
        raise place.error(str(error)) from None
    return draw_masks([(f"{place}: its mask", part) for part in parts], size[1], size[0])


def _parts(value: Any) -> list[Any]:
    """Return the segmentations of a value, each of run lengths or of one polygon.

    >>> _parts([[0, 0, 4, 0, 4, 4], [[1, 1], [2, 1], [2, 2]]])
    [[[0, 0, 4, 0, 4, 4]], [[1, 1, 2, 1, 2, 2]]]
    """
    if isinstance(value, dict):
        if not {"size", "counts"} <= {*value}:
            raise ValueError(f"has an object without size and counts: {shown(value)}")
        return [value]
    if not isinstance(value, list):
        raise ValueError(f"has {shown(value)} where a list or an object of a mask should be")
    if value and all(type(item) in (int, float) for item in value):
        if len(value) == 4:
            raise ValueError("has four numbers: boxes are named by --box LEFT TOP WIDTH HEIGHT")
        return [[value]]
    if value and all(_is_point(item) for item in value):
        return [[[number for point in value for number in point]]]
    return [part for item in value for part in _parts(item)]


def _is_point(value: Any) -> bool:
    """Return whether a value is a list of two numbers."""
    are_two = isinstance(value, list) and len(value) == 2
    return are_two and all(type(number) in (int, float) for number in value)


def box_masks(
    columns: Sequence[pa.ChunkedArray], names: Sequence[str], place_of: PlaceOf, doubts: Doubts
) -> list[Drawn | None]:
    """Return what draws the boxes of each row; None where its cells are empty.

    Parameters
    ----------
    columns : left, top, width and height in pixels; cells are numbers, or lists of them for several
        people (lists in parquet, or JSON)
    names : of these columns
    place_of : says where a row stands
    doubts : gathers the boxes that leave their images

    Raises
    ------
    InputError
        A cell is no number, or some of the four are empty.
    """
    sides = [_numbers(column, name, place_of) for column, name in zip(columns, names)]
    masks: list[Drawn | None] = []
    for row, of_row in enumerate(zip(*sides)):
        place = replace(place_of(row, names[0]), column="")
        counts = {None if cell is None else len(cell) for cell in of_row}
        if len(counts) > 1:
            raise place.error(f"{', '.join(names)} must be of as many boxes, or all empty")
        boxes = list(zip(*(cell or () for cell in of_row)))
        for box in boxes:
            if min(box[2:]) <= 0:
                raise place.error(f"a box of width {box[2]:g} and height {box[3]:g} has no pixels")
        masks.append(None if counts == {None} else partial(_draw_boxes, str(place), boxes, doubts))
    return masks


def _numbers(
    column: pa.ChunkedArray, name: str, place_of: PlaceOf
) -> list[tuple[float, ...] | None]:
    """Return the numbers in each cell; None where it is empty."""
    nested = pa.types.is_nested(column.type)
    values = column.to_pylist() if nested else texts_of(Place("", name), column)
    numbers: list[tuple[float, ...] | None] = []
    for row, cell in enumerate(values):
        if cell is None:
            numbers.append(None)
            continue
        try:
            value = json.loads(cell) if isinstance(cell, str) else cell
            read = tuple(map(float, value if isinstance(value, list) else [value]))
        except (ValueError, TypeError, OverflowError, RecursionError):
            read = (float("nan"),)
        if not all(abs(number) < 1e9 for number in read):
            raise place_of(row, name).error(
                f"{shown(cell)} is no number of pixels, and no list of them"
            )
        numbers.append(read)
    return numbers


def _draw_boxes(
    place: str, boxes: Sequence[tuple[float, ...]], doubts: Doubts, size: tuple[int, int]
) -> np.ndarray:
    """Return the union of boxes in an image."""
    union = np.zeros(size[::-1], bool)
    for left, top, width, height in boxes:
        mask, is_cut = draw_box((left, top, width, height), size)
        if not mask.any():
            raise InputError(
                f"its box {left:g}, {top:g}, {width:g}, {height:g} covers nothing of the picture, "
                f"which is {size[0]}×{size[1]} pixels"
            )
        if is_cut:
            doubts.note(_CUT, place)
        union |= mask
    return union
