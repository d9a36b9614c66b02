"""Outlines in pixels that are turned: boxes about a point, ellipses about their middle."""

from __future__ import annotations

import math

import numpy as np


def turned_box(
    box: tuple[float, float, float, float], about: tuple[float, float], turn: float
) -> list[float]:
    """Return x, y, x, y, … of the corners of a turned box.

    Parameters
    ----------
    box : left, top, right, bottom
    about : x, y of the point that stays
    turn : angle in radians, clockwise as images are seen

    Examples
    --------
    >>> [round(number, 3) for number in turned_box((0, 0, 4, 2), (0, 0), math.pi / 2)]
    [0.0, 0.0, 0.0, 4.0, -2.0, 4.0, -2.0, 0.0]
    """
    (left, top, right, bottom), (x, y) = box, about
    points = []
    for across, down in (
        (left - x, top - y),
        (right - x, top - y),
        (right - x, bottom - y),
        (left - x, bottom - y),
    ):
        points.append(x + across * math.cos(turn) - down * math.sin(turn))
        points.append(y + across * math.sin(turn) + down * math.cos(turn))
    return points


def ellipse_bounds(
    x: float, y: float, rx: float, ry: float, turn: float
) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of an ellipse, as `draw_ellipse` takes it.

    >>> ellipse_bounds(4, 3, 2, 1, 0)
    (2.0, 2.0, 6.0, 4.0)
    """
    wide = math.hypot(rx * math.cos(turn), ry * math.sin(turn))
    high = math.hypot(rx * math.sin(turn), ry * math.cos(turn))
    return x - wide, y - high, x + wide, y + high


def draw_ellipse(
    x: float, y: float, rx: float, ry: float, turn: float, size: tuple[int, int]
) -> np.ndarray:
    """Return the pixels whose middles lie in an ellipse, (height, width) bool.

    Parameters
    ----------
    x, y : its middle
    rx, ry : its half axes
    turn : angle in radians, clockwise as images are seen
    size : width and height of the image

    Examples
    --------
    >>> draw_ellipse(2, 1, 2, 0.6, 0, (4, 2)).astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0]])
    """
    across = np.arange(size[0]) + 0.5 - x
    down = np.arange(size[1])[:, None] + 0.5 - y
    along = (across * math.cos(turn) + down * math.sin(turn)) / rx
    athwart = (down * math.cos(turn) - across * math.sin(turn)) / ry
    return np.asarray(along**2 + athwart**2 <= 1)
