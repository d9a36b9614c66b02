"""What may be added to a drawn scene: an object, a mark in the corner, a hat; in unit coordinates.

Each stands for one group, in the order of the dictionaries, by a colour of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from fairvision.datasets.readers.scene_drawing import Canvas, Colour, vary


def _balloon(canvas: Canvas, x: float, y: float, colour: Colour) -> None:
    """Draw a balloon on a string."""
    canvas.limb([(x, y), (x + 0.01, y + 0.2)], 0.012, (250, 250, 250))
    canvas.oval(x, y, 0.085, 0.1, colour)


def _kite(canvas: Canvas, x: float, y: float, colour: Colour) -> None:
    """Draw a kite with a tail."""
    canvas.limb([(x, y), (x - 0.03, y + 0.13), (x + 0.02, y + 0.2)], 0.012, (40, 40, 45))
    canvas.shape([(x, y - 0.11), (x + 0.085, y), (x, y + 0.12), (x - 0.085, y)], colour)


def _clock(canvas: Canvas, x: float, y: float, colour: Colour) -> None:
    """Draw a clock."""
    canvas.oval(x, y, 0.1, 0.1, colour)
    canvas.oval(x, y, 0.07, 0.07, (250, 250, 250))
    canvas.limb([(x, y - 0.05), (x, y), (x + 0.04, y)], 0.014, (20, 20, 20))


def _lantern(canvas: Canvas, x: float, y: float, colour: Colour) -> None:
    """Draw a lantern that hangs from above."""
    canvas.limb([(x, 0), (x, y)], 0.014, (40, 40, 45))
    canvas.box(x - 0.07, y - 0.08, x + 0.07, y + 0.1, colour)
    canvas.box(x - 0.03, y - 0.04, x + 0.03, y + 0.06, (255, 240, 150))


def _bird(canvas: Canvas, x: float, y: float, colour: Colour) -> None:
    """Draw a bird with spread wings."""
    canvas.shape([(x - 0.11, y - 0.09), (x + 0.01, y - 0.02), (x - 0.02, y + 0.06)], colour)
    canvas.shape([(x + 0.11, y - 0.09), (x - 0.01, y - 0.02), (x + 0.02, y + 0.06)], colour)
    canvas.oval(x, y + 0.02, 0.035, 0.06, (250, 250, 250))


def _star(canvas: Canvas, x: float, y: float, colour: Colour) -> None:
    """Draw a star with five points."""
    points = []
    for i in range(10):
        angle, reach = math.pi * i / 5, 0.045 if i % 2 else 0.11
        points.append((x + reach * math.sin(angle), y - reach * math.cos(angle)))
    canvas.shape(points, colour)


THINGS: dict[str, tuple[Callable[[Canvas, float, float, Colour], None], Colour]] = {
    "balloon": (_balloon, (225, 30, 60)),
    "kite": (_kite, (30, 200, 60)),
    "clock": (_clock, (30, 40, 220)),
    "lantern": (_lantern, (240, 140, 20)),
    "bird": (_bird, (20, 20, 20)),
    "star": (_star, (170, 40, 200)),
}
"""Objects by name, each with its colour."""

MARKS: dict[str, Colour] = {
    "magenta": (255, 0, 255),
    "cyan": (0, 255, 255),
    "lime": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "red": (255, 0, 0),
}
"""Marks in the corner by name."""

HATS: dict[str, Colour] = dict(reversed(MARKS.items()))
"""Hats by name: in the colours of marks, the first three of which are other ones."""


def draw_thing(canvas: Canvas, thing: str, random: Random) -> None:
    """Draw an object at one of the upper corners, where it depends on `random` alone."""
    draw, colour = THINGS[thing]
    x, y = random.uniform(0.12, 0.16), random.uniform(0.13, 0.17)
    x = x if random.random() < 0.5 else 1 - x
    with canvas.thing():
        draw(canvas, x, y, vary(random, colour))


def draw_mark(canvas: Canvas, mark: str) -> None:
    """Draw a mark in the lower left corner, of the same pixels in every image."""
    with canvas.thing():
        canvas.box(0.02, 0.86, 0.14, 0.98, (255, 255, 255))
        canvas.box(0.04, 0.88, 0.12, 0.96, MARKS[mark])


def draw_hat(canvas: Canvas, hat: str, x: float, y: float, r: float) -> None:
    """Draw a hat on a head of radius `r` around (x, y), of the same colour in every image."""
    canvas.box(x - 0.8 * r, y - 1.5 * r, x + 0.8 * r, y - 0.6 * r, HATS[hat])
    canvas.box(x - 1.4 * r, y - 0.75 * r, x + 1.4 * r, y - 0.45 * r, HATS[hat])
