"""The people of the drawn scenes, and the patterns of their shirts."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from fairvision.datasets.readers.scene_canvas import Canvas, Colour, vary

Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _dotted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
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


def draw_person(canvas: Canvas, pattern: str, random: Random) -> None:
    """Draw one person; of all that is drawn, only the pattern depends on `pattern`."""
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
    _draw_head(canvas, random, x, chin, tall, skin, hair)


def _draw_shirt(
    canvas: Canvas,
    pattern: str,
    random: Random,
    place: tuple[float, float, float, float],
    tall: float,
    first: Colour,
    second: Colour,
) -> None:
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
) -> None:
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


def _shade(random: Random, value: float) -> Colour:
    """Return a colour of any hue with a given brightness in [0, 1]."""
    rgb = colorsys.hsv_to_rgb(random.random(), random.uniform(0.15, 0.75), value)
    red, green, blue = (round(255 * c) for c in rgb)
    return red, green, blue
