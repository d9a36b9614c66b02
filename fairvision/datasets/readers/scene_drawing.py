"""Drawing scenes in unit coordinates: people, the patterns of their shirts, and places.

(0, 0) is the upper left corner of an image, (1, 1) the lower right.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random

import numpy as np
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
        """Return points given as shares of the side in pixels."""
        return [(x * self.side, y * self.side) for x, y in points]


def vary(random: Random, colour: Colour, by: int = 16) -> Colour:
    """Return a colour near `colour`."""
    red, green, blue = (min(255, max(0, c + random.randint(-by, by))) for c in colour)
    return red, green, blue


Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _dotted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return where dots are, for positions in units of the pattern's period."""
    # dots in offset rows; the radius makes them cover half of the shirt
    y, x = y / 1.3, x / 1.3
    x = x + 0.5 * (np.floor(y) % 2)
    return (x % 1 - 0.5) ** 2 + (y % 1 - 0.5) ** 2 < 0.5 / math.pi


# Where the second colour of a shirt shows, for coordinates in periods. Every pattern shows it on
# half of the shirt, so that the colours on average say nothing about the group.
PATTERNS: dict[str, Pattern] = {
    "striped": lambda x, y: y % 1 < 0.5,
    "dotted": _dotted,
    "checked": lambda x, y: (x * 0.8 % 1 < 0.5) != (y * 0.8 % 1 < 0.5),
    "pinstriped": lambda x, y: x % 1 < 0.5,
    "ringed": lambda x, y: np.hypot(x, y) % 1 < 0.5,
    "halved": lambda x, y: x > 0,
}

_SKINS: list[Colour] = [
    (255, 219, 190), (241, 194, 155), (224, 172, 125), (190, 132, 90), (141, 92, 60), (92, 60, 42),
]  # fmt: skip
_HAIRS: list[Colour] = [
    (35, 28, 26), (84, 54, 36), (150, 98, 52), (222, 184, 104), (190, 190, 190), (170, 70, 40),
]  # fmt: skip


def draw_person(canvas: Canvas, pattern: str, random: Random) -> tuple[float, float, float]:
    """Draw one person; of all that is drawn, only the pattern depends on `pattern`.

    Returns the middle of the head and its radius.
    """
    tall = random.uniform(0.74, 0.96)
    x = random.uniform(0.3, 0.7)
    foot = random.uniform(0.93, 0.99)
    skin = vary(random, random.choice(_SKINS), 8)
    hair = vary(random, random.choice(_HAIRS), 8)
    trousers = _shade(random, random.uniform(0.25, 0.7))
    brightness = random.uniform(0.2, 0.45)
    contrast = random.uniform(0.35, 0.5)
    dark, light = _shade(random, brightness), _shade(random, brightness + contrast)
    first, second = random.sample([dark, light], 2)

    hip, shoulder = foot - 0.26 * tall, foot - 0.64 * tall
    chin = shoulder - 0.02 * tall
    half, stance = 0.165 * tall * random.uniform(0.9, 1.1), random.uniform(0.05, 0.12) * tall
    for side in (-1, 1):
        ankle = (x + side * stance, foot - 0.03 * tall)
        canvas.limb([(x + side * 0.07 * tall, hip), ankle], 0.11 * tall, trousers)
        shoe = vary(random, (60, 50, 50))
        canvas.oval(ankle[0] + side * 0.015, foot - 0.015 * tall, 0.06 * tall, 0.025 * tall, shoe)
    for side in (-1, 1):
        angle = math.radians(random.choice([random.uniform(15, 45), random.uniform(110, 150)]))
        joint = (x + side * (half - 0.02 * tall), shoulder + 0.05 * tall)
        reach = 0.27 * tall
        hand = (joint[0] + side * reach * math.sin(angle), joint[1] + reach * math.cos(angle))
        canvas.limb([joint, hand], 0.075 * tall, skin)
        sleeve = ((joint[0] * 2 + hand[0]) / 3, (joint[1] * 2 + hand[1]) / 3)
        canvas.limb([joint, sleeve], 0.1 * tall, first)
    canvas.box(x - 0.04 * tall, chin - 0.02 * tall, x + 0.04 * tall, shoulder + 0.02 * tall, skin)
    _draw_shirt(canvas, pattern, random, (x, shoulder, half, hip - shoulder), tall, first, second)
    return _draw_head(canvas, random, x, chin, tall, skin, hair)


def _draw_shirt(
    canvas: Canvas,
    pattern: str,
    random: Random,
    place: tuple[float, float, float, float],
    tall: float,
    first: Colour,
    second: Colour,
) -> None:
    """Draw a shirt in the first colour with a pattern in the second, its phase at random."""
    x, top, half, length = place
    waist = half * random.uniform(0.85, 1.0)
    phase_x, phase_y = random.uniform(0, 1), random.uniform(0, 1)
    period = 0.13 * tall
    outline = [
        (x - half, top + 0.035 * tall), (x - half * 0.6, top), (x + half * 0.6, top),
        (x + half, top + 0.035 * tall), (x + waist, top + length), (x - waist, top + length),
    ]  # fmt: skip
    canvas.shape(outline, first)
    side = canvas.side
    left, upper = math.floor((x - half) * side), math.floor(top * side)
    wide, high = math.ceil(2 * half * side) + 1, math.ceil(length * side) + 1
    shirt = Image.new("1", (wide, high))
    ImageDraw.Draw(shirt).polygon([(u * side - left, v * side - upper) for u, v in outline], fill=1)
    across = (left + np.arange(wide) + 0.5) / side - x
    down = (upper + np.arange(high) + 0.5) / side - top - length / 2
    if pattern != "halved":
        across, down = across + (phase_x - 0.5) * period, down + (phase_y - 0.5) * period
    shown = PATTERNS[pattern](across[None, :] / period, down[:, None] / period)
    cloth = Image.fromarray(np.asarray(shirt) & shown)
    canvas.image.paste(second, (left, upper), cloth)


def _draw_head(
    canvas: Canvas, random: Random, x: float, chin: float, tall: float, skin: Colour, hair: Colour
) -> tuple[float, float, float]:
    """Draw a head above the chin, with a random hair style and look; return middle and radius."""
    r = 0.135 * tall
    y = chin - r * 0.85
    style = random.choice(["short", "long", "bun", "bald"])
    if style == "long":
        canvas.oval(x, y, 1.18 * r, 1.1 * r, hair)
        canvas.box(x - 1.18 * r, y, x + 1.18 * r, chin + 0.4 * r, hair)
    elif style == "bun":
        canvas.oval(x, y - 1.2 * r, 0.45 * r, 0.45 * r, hair)
    canvas.oval(x, y, r, 1.05 * r, skin)
    if style != "bald":
        canvas.slice(x, y - 0.12 * r, 1.05 * r, 180, 360, hair)
    look = random.uniform(-0.15, 0.15) * r
    for side in (-1, 1):
        canvas.oval(x + look + side * 0.38 * r, y + 0.15 * r, 0.11 * r, 0.14 * r, (30, 25, 25))
    canvas.slice(x + look, y + 0.4 * r, 0.36 * r, 20, 160, (150, 50, 50))
    return x, y, r


def _shade(random: Random, value: float) -> Colour:
    """Return a colour of any hue with a given brightness in [0, 1]."""
    rgb = colorsys.hsv_to_rgb(random.random(), random.uniform(0.15, 0.75), value)
    red, green, blue = (round(255 * c) for c in rgb)
    return red, green, blue


def desk(canvas: Canvas, random: Random) -> None:
    """Draw an office: a window, a desk, a laptop."""
    wood = vary(random, (150, 100, 60))
    top = random.uniform(0.58, 0.64)
    canvas.box(0, 0, 1, 1, vary(random, (226, 214, 190)))
    canvas.box(0, 0.86, 1, 1, vary(random, (150, 140, 135)))
    with canvas.thing():
        canvas.box(0.62, 0.08, 0.94, 0.4, (250, 250, 250))
        canvas.box(0.64, 0.1, 0.92, 0.38, vary(random, (150, 200, 235)))
    with canvas.thing():
        canvas.box(0, top, 1, top + 0.06, wood)
        for x in (0.04, 0.9):
            canvas.box(x, top, x + 0.06, 0.95, vary(random, (110, 72, 42), 6))
    left = random.uniform(0.05, 0.12)
    with canvas.thing():
        canvas.box(left, top - 0.22, left + 0.26, top - 0.02, (60, 62, 70))
        canvas.box(left + 0.02, top - 0.2, left + 0.24, top - 0.05, vary(random, (120, 190, 250)))
        canvas.box(left - 0.02, top - 0.03, left + 0.3, top, (185, 188, 195))


def beach(canvas: Canvas, random: Random) -> None:
    """Draw a beach: sky, sea, sand, a parasol."""
    sand = random.uniform(0.6, 0.68)
    canvas.box(0, 0, 1, 1, vary(random, (130, 205, 250)))
    canvas.oval(random.uniform(0.06, 0.2), 0.13, 0.08, 0.08, (255, 236, 120))
    canvas.box(0, sand - 0.22, 1, sand, vary(random, (40, 130, 200)))
    canvas.box(0, sand, 1, 1, vary(random, (240, 214, 150)))
    x = random.uniform(0.76, 0.86)
    with canvas.thing():
        canvas.limb([(x, 0.34), (x, 0.86)], 0.025, (250, 250, 245))
        red, white = vary(random, (235, 70, 60)), (255, 250, 240)
        for i, colour in enumerate([red, white, red, white, red]):
            canvas.slice(x, 0.46, 0.24, 180 + 36 * i, 216 + 36 * i, colour)


def kitchen(canvas: Canvas, random: Random) -> None:
    """Draw a kitchen: cupboards, an oven, a pot on it."""
    front = vary(random, (130, 170, 140))
    top = random.uniform(0.52, 0.58)
    canvas.box(0, 0, 1, 1, vary(random, (245, 236, 215)))
    with canvas.thing():
        canvas.box(0, 0.04, 0.36, 0.26, front)
        canvas.box(0.38, 0.04, 0.62, 0.26, front)
    canvas.box(0, top, 1, 0.92, front)
    canvas.box(0, top, 1, top + 0.05, (95, 85, 80))
    canvas.box(0, 0.92, 1, 1, vary(random, (176, 122, 90)))
    x = random.uniform(0.62, 0.68)
    with canvas.thing():
        canvas.box(x, top - 0.01, x + 0.3, 0.92, (215, 218, 222))
        canvas.box(x + 0.03, top + 0.11, x + 0.27, 0.86, (45, 40, 45))
        canvas.box(x + 0.06, top + 0.17, x + 0.24, 0.8, vary(random, (240, 150, 50)))
        for i in range(3):
            canvas.oval(x + 0.07 + i * 0.08, top + 0.055, 0.02, 0.02, (60, 60, 65))
        canvas.box(x + 0.06, top - 0.14, x + 0.24, top - 0.01, vary(random, (200, 60, 55)))


def slope(canvas: Canvas, random: Random) -> None:
    """Draw a snowy slope: mountains, fir trees, a snowboard."""
    snow = (240, 246, 252)
    canvas.box(0, 0, 1, 1, vary(random, (90, 160, 225)))
    for x in (random.uniform(0.0, 0.2), random.uniform(0.6, 0.8)):
        canvas.shape([(x - 0.3, 0.6), (x + 0.1, 0.12), (x + 0.5, 0.6)], (128, 140, 165))
        canvas.shape([(x, 0.24), (x + 0.1, 0.12), (x + 0.2, 0.24), (x + 0.1, 0.3)], snow)
    canvas.shape([(0, random.uniform(0.42, 0.52)), (1, 0.62), (1, 1), (0, 1)], snow)
    with canvas.thing():
        for x in (0.06, 0.19):
            fir = vary(random, (30, 95, 70), 10)
            canvas.shape([(x - 0.09, 0.68), (x, 0.36), (x + 0.09, 0.68)], fir)
    x = random.uniform(0.8, 0.88)
    board = vary(random, (235, 90, 40))
    with canvas.thing():
        canvas.limb([(x, 0.42), (x + 0.05, 0.88)], 0.1, board)
        canvas.limb([(x + 0.02, 0.58), (x + 0.03, 0.7)], 0.04, (255, 230, 90))


def street(canvas: Canvas, random: Random) -> None:
    """Draw a street: houses, a road, a car."""
    canvas.box(0, 0, 1, 1, vary(random, (196, 208, 218)))
    for i, x in enumerate((-0.02, 0.24, 0.5, 0.76)):
        roof = random.uniform(0.08, 0.24)
        canvas.box(x, roof, x + 0.24, 0.72, vary(random, [(170, 95, 80), (200, 170, 120)][i % 2]))
        for y in (roof + 0.08, roof + 0.24):
            for dx in (0.05, 0.15):
                canvas.box(x + dx, y, x + dx + 0.05, y + 0.08, (250, 232, 150))
    canvas.box(0, 0.7, 1, 1, vary(random, (82, 84, 92), 8))
    for x in (0.05, 0.4, 0.75):
        canvas.box(x, 0.91, x + 0.18, 0.935, (245, 245, 245))
    x, paint = random.uniform(0.02, 0.1), vary(random, (30, 110, 200))
    with canvas.thing():
        canvas.shape([(x + 0.07, 0.64), (x + 0.13, 0.5), (x + 0.3, 0.5), (x + 0.37, 0.64)], paint)
        canvas.box(x, 0.62, x + 0.44, 0.77, paint)
        canvas.box(x + 0.15, 0.53, x + 0.29, 0.62, (215, 235, 245))
        for wheel in (x + 0.1, x + 0.34):
            canvas.oval(wheel, 0.77, 0.06, 0.06, (30, 30, 32))
            canvas.oval(wheel, 0.77, 0.025, 0.025, (200, 200, 200))


def garden(canvas: Canvas, random: Random) -> None:
    """Draw a garden: a lawn, a fence, an apple tree, flowers."""
    lawn = random.uniform(0.58, 0.66)
    canvas.box(0, 0, 1, 1, vary(random, (185, 226, 240)))
    canvas.box(0, lawn, 1, 1, vary(random, (110, 180, 75)))
    for i in range(9):
        canvas.box(i * 0.12, lawn - 0.16, i * 0.12 + 0.07, lawn + 0.03, (245, 240, 228))
    canvas.box(0, lawn - 0.1, 1, lawn - 0.07, (245, 240, 228))
    x = random.uniform(0.76, 0.86)
    with canvas.thing():
        canvas.box(x - 0.04, 0.4, x + 0.04, 0.84, vary(random, (115, 78, 50)))
        leaves = vary(random, (45, 125, 55))
        for dx, dy in ((-0.12, 0.32), (0.12, 0.32), (0, 0.2), (0, 0.36)):
            canvas.oval(x + dx, dy, 0.16, 0.15, leaves)
        for dx, dy in ((-0.14, 0.3), (0.02, 0.2), (0.11, 0.36), (-0.03, 0.4)):
            canvas.oval(x + dx, dy, 0.03, 0.03, (220, 45, 45))
    for i in range(6):
        flower = vary(random, [(240, 80, 150), (250, 210, 60)][i % 2])
        canvas.oval(random.uniform(0, 1), random.uniform(0.86, 0.97), 0.025, 0.025, flower)


def library(canvas: Canvas, random: Random) -> None:
    """Draw a library: shelves of books, a lamp."""
    spines: list[Colour] = [(178, 58, 62), (58, 92, 160), (70, 128, 84), (214, 170, 72)]
    canvas.box(0, 0, 1, 1, vary(random, (92, 58, 40), 10))
    with canvas.thing():
        for row in range(3):
            floor = 0.28 + row * 0.28
            canvas.box(0, floor - 0.24, 1, floor, (52, 34, 26))
            x = random.uniform(-0.05, 0.0)
            while x < 1:
                width, tall = random.uniform(0.05, 0.09), random.uniform(0.15, 0.22)
                canvas.box(
                    x, floor - tall, x + width - 0.012, floor, vary(random, random.choice(spines))
                )
                x += width
    canvas.box(0, 0.86, 1, 1, vary(random, (130, 40, 50)))


def pitch(canvas: Canvas, random: Random) -> None:
    """Draw a football pitch: stands, a goal, a ball."""
    edge = random.uniform(0.5, 0.56)
    canvas.box(0, 0, 1, 1, vary(random, (170, 196, 226)))
    canvas.box(0, 0.16, 1, edge, vary(random, (92, 88, 120)))
    for _ in range(36):
        head = vary(random, random.choice([(240, 200, 90), (230, 90, 90), (235, 235, 240)]))
        canvas.oval(random.uniform(0, 1), random.uniform(0.2, edge - 0.06), 0.017, 0.017, head)
    canvas.box(0, edge, 1, 1, vary(random, (48, 150, 66)))
    canvas.box(0, 0.82, 1, 0.845, (240, 250, 240))
    left = random.uniform(0.0, 0.05)
    goal = [(left, 0.76), (left, 0.32), (left + 0.46, 0.32), (left + 0.46, 0.76)]
    with canvas.thing():
        for x in range(1, 6):
            at = left + x * 0.46 / 6
            canvas.limb([(at, 0.33), (at, 0.76)], 0.008, (205, 215, 220))
        canvas.limb(goal, 0.028, (255, 255, 255))
    ball = random.uniform(0.78, 0.9)
    with canvas.thing():
        canvas.oval(ball, 0.9, 0.06, 0.06, (250, 250, 250))
        canvas.oval(ball, 0.9, 0.024, 0.024, (30, 30, 30))


def bedroom(canvas: Canvas, random: Random) -> None:
    """Draw a bedroom: a bed, an image on the wall."""
    canvas.box(0, 0, 1, 1, vary(random, (206, 190, 222)))
    canvas.box(0, 0.82, 1, 1, vary(random, (165, 125, 90)))
    with canvas.thing():
        canvas.box(0.64, 0.1, 0.9, 0.3, (120, 90, 60))
        canvas.box(0.66, 0.12, 0.88, 0.28, vary(random, (250, 225, 150)))
    wood, blanket = vary(random, (120, 78, 48)), vary(random, (70, 90, 170))
    head = random.uniform(0.4, 0.46)
    with canvas.thing():
        canvas.box(0, head, 0.07, 0.92, wood)
        canvas.box(0, 0.62, 0.95, 0.82, (248, 246, 240))
        canvas.shape([(0.3, 0.58), (0.95, 0.6), (0.97, 0.82), (0.3, 0.82)], blanket)
        canvas.oval(0.18, 0.58, 0.12, 0.06, (255, 255, 255))
        canvas.box(0.93, 0.56, 1, 0.92, wood)


def desert(canvas: Canvas, random: Random) -> None:
    """Draw a desert: an orange sky, dunes, a cactus."""
    canvas.box(0, 0, 1, 1, vary(random, (250, 176, 100)))
    canvas.oval(random.uniform(0.1, 0.3), 0.28, 0.13, 0.13, (255, 226, 140))
    far, near = vary(random, (214, 132, 74)), vary(random, (196, 106, 56))
    waves = random.uniform(0, math.tau)
    for level, colour in ((0.56, far), (0.72, near)):
        ridge = [(i / 12, level + 0.05 * math.sin(waves + i / 2 + 9 * level)) for i in range(13)]
        canvas.shape([(0, 1), *ridge, (1, 1)], colour)
    x, green = random.uniform(0.8, 0.88), vary(random, (52, 120, 66))
    with canvas.thing():
        canvas.limb([(x, 0.3), (x, 0.86)], 0.1, green)
        canvas.limb([(x, 0.62), (x - 0.13, 0.62), (x - 0.13, 0.46)], 0.06, green)
        canvas.limb([(x, 0.54), (x + 0.1, 0.54), (x + 0.1, 0.4)], 0.06, green)


def harbour(canvas: Canvas, random: Random) -> None:
    """Draw a harbour: water, a quay, a sailing boat."""
    canvas.box(0, 0, 1, 1, vary(random, (214, 226, 230)))
    canvas.box(0, 0.5, 1, 1, vary(random, (36, 96, 122)))
    for _ in range(8):
        x, y = random.uniform(0, 0.9), random.uniform(0.54, 0.82)
        canvas.box(x, y, x + 0.12, y + 0.012, (120, 176, 196))
    canvas.box(0, 0.86, 1, 1, vary(random, (150, 146, 140)))
    x, hull = random.uniform(0.66, 0.74), vary(random, (170, 45, 40))
    with canvas.thing():
        canvas.limb([(x, 0.08), (x, 0.64)], 0.02, (90, 62, 40))
        canvas.shape([(x + 0.02, 0.1), (x + 0.02, 0.56), (x + 0.26, 0.56)], (252, 250, 244))
        canvas.shape([(x - 0.02, 0.16), (x - 0.02, 0.56), (x - 0.18, 0.56)], (240, 232, 214))
        canvas.shape([(x - 0.24, 0.62), (x + 0.28, 0.62), (x + 0.2, 0.76), (x - 0.16, 0.76)], hull)


def camp(canvas: Canvas, random: Random) -> None:
    """Draw a camp at night: stars, a moon, a tent, a fire."""
    canvas.box(0, 0, 1, 1, vary(random, (24, 30, 66), 8))
    for _ in range(22):
        canvas.oval(random.uniform(0, 1), random.uniform(0, 0.55), 0.008, 0.008, (240, 240, 210))
    canvas.oval(random.uniform(0.74, 0.9), 0.16, 0.09, 0.09, (240, 236, 200))
    canvas.box(0, 0.66, 1, 1, vary(random, (34, 62, 44), 8))
    x, tent = random.uniform(0.14, 0.22), vary(random, (225, 120, 45))
    with canvas.thing():
        canvas.shape([(x - 0.24, 0.84), (x, 0.36), (x + 0.24, 0.84)], tent)
        canvas.shape([(x - 0.07, 0.84), (x, 0.54), (x + 0.07, 0.84)], (70, 36, 24))
    fire = random.uniform(0.8, 0.9)
    with canvas.thing():
        canvas.shape([(fire - 0.1, 0.88), (fire, 0.62), (fire + 0.1, 0.88)], (245, 110, 30))
        canvas.shape([(fire - 0.05, 0.88), (fire, 0.72), (fire + 0.05, 0.88)], (255, 220, 80))
        canvas.limb([(fire - 0.1, 0.89), (fire + 0.1, 0.89)], 0.03, (90, 60, 40))


CONTEXTS: dict[str, Callable[[Canvas, Random], None]] = {
    place.__name__: place
    for place in (
        desk,
        kitchen,
        beach,
        slope,
        street,
        garden,
        library,
        pitch,
        bedroom,
        desert,
        harbour,
        camp,
    )
}
