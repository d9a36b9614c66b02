"""Drawing in unit coordinates: (0, 0) is the upper left corner, (1, 1) the lower right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from PIL import Image, ImageChops, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


class Canvas:
    """A square image to draw on.

    Attributes
    ----------
    things : boxes of the objects drawn so far
    """

    def __init__(self, image: Image.Image):
        self.image = image
        self.side = image.width
        self.things: list[Box] = []
        self._pen = ImageDraw.Draw(image)

    @contextmanager
    def thing(self) -> Iterator[None]:
        """Note the box around all pixels that change meanwhile: an object."""
        before = self.image.copy()
        yield
        box = ImageChops.difference(before, self.image).getbbox()
        if box is not None:
            left, top, right, bottom = (edge / self.side for edge in box)
            self.things.append((left, top, right, bottom))

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Draw a rectangle."""
        self._pen.rectangle(self._pixels([(x0, y0), (x1, y1)]), fill=colour)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Draw an ellipse around (x, y)."""
        self._pen.ellipse(self._pixels([(x - rx, y - ry), (x + rx, y + ry)]), fill=colour)

    def slice(self, x: float, y: float, r: float, start: float, end: float, colour: Colour) -> None:
        """Draw a piece of a disc between two angles in degrees, clockwise from three o'clock."""
        corners = self._pixels([(x - r, y - r), (x + r, y + r)])
        self._pen.pieslice(corners, start, end, fill=colour)

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        """Draw a filled polygon."""
        self._pen.polygon(self._pixels(points), fill=colour)

    def limb(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line with round ends and joints."""
        self._pen.line(self._pixels(points), fill=colour, width=max(1, round(width * self.side)))
        for x, y in points:
            self.oval(x, y, width / 2, width / 2, colour)

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self.side, y * self.side) for x, y in points]


def vary(random: Random, colour: Colour, by: int = 16) -> Colour:
    """Return a colour near `colour`."""
    red, green, blue = (min(255, max(0, c + random.randint(-by, by))) for c in colour)
    return red, green, blue
