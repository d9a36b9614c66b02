"""Sheets of captioned images in rows, and images with the evidence of models on them, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, font_manager
from PIL import Image, ImageDraw, ImageFont, ImageOps

from fairvision.drawing.overlays import overlay, resized, scale_bar
from fairvision.results.gallery import GalleryImage, ModelAnswer

MARGIN, GAP = 24, 12
INK, PALE, PAPER = "#1a1a1a", "#5f6368", "white"
SMALL, NORMAL, LARGE = 14, 16, 22
TRACK, BAR, MARK = (222, 224, 227), (90, 98, 107), (0, 0, 0)
SCALE_WIDTH = 160
MOST_FOR_NOTES = 1000
PER_ROW = 5
SMALL_SIDE, LARGE_SIDE = 256, 400
SCALE = ("no evidence", "most in this map (99th percentile and above)")
BAR_NOTE = (
    "Ring: the strongest evidence. Bar: share of the evidence on the person (outlined), "
    "beside a mark at chance: the person's share of the picture."
)


@dataclass(frozen=True)
class Tile:
    """An image with a line below it, which `strong` makes bold, and further, paler lines."""

    image: Image.Image
    caption: str = ""
    strong: bool = False
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Row:
    """A line of text, perhaps empty, and tiles below it, side by side."""

    heading: str
    tiles: Sequence[Tile]


def sheet(
    title: str, notes: Sequence[str], rows: Sequence[Row], *, scale: tuple[str, str] | None = None
) -> Image.Image:
    """Lay out rows of tiles on white paper; lines that are too long end in an ellipsis.

    Notes may widen the paper to `MOST_FOR_NOTES` pixels.

    Parameters
    ----------
    title, notes : lines above
    rows : tiles
    scale : what the ends of the overlays' colours stand for; a bar of them is drawn below the notes

    Examples
    --------
    >>> tile = Tile(Image.new("RGB", (100, 80)), "caption")
    >>> sheet("Title", [], [Row("Row", [tile, tile])]).mode
    'RGB'
    """
    widths = [sum(tile.image.width + GAP for tile in row.tiles) - GAP for row in rows]
    font = _font(SMALL, False)
    noted = [min(ceil(font.getlength(note)), MOST_FOR_NOTES) for note in notes]
    inner = max([480, *widths, *noted])
    above = _line_height(LARGE) + (len(notes) + (scale is not None)) * _line_height(SMALL)
    height = 2 * MARGIN + above + sum(map(_height, rows))
    paper = Image.new("RGB", (inner + 2 * MARGIN, height), PAPER)
    draw = ImageDraw.Draw(paper)

    y = MARGIN
    _write(draw, (MARGIN, y), title, LARGE, inner, bold=True)
    y += _line_height(LARGE)
    for note in notes:
        _write(draw, (MARGIN, y), note, SMALL, inner, colour=PALE)
        y += _line_height(SMALL)
    if scale is not None:
        _write_scale(paper, (MARGIN, y), scale, inner)
        y += _line_height(SMALL)
    for row in rows:
        _write(draw, (MARGIN, y + GAP), row.heading, NORMAL, inner)
        x, top = MARGIN, y + GAP + (_line_height(NORMAL) if row.heading else 0)
        for tile in row.tiles:
            paper.paste(tile.image, (x, top))
            width, below = tile.image.width, top + tile.image.height + 4
            _write(draw, (x, below), tile.caption, SMALL, width, bold=tile.strong)
            for i, line in enumerate(tile.lines, start=1):
                _write(draw, (x, below + i * _line_height(SMALL)), line, SMALL, width, colour=PALE)
            x += width + GAP
        y += _height(row)
    return paper


def framed(image: Image.Image, side: int) -> Image.Image:
    """Shrink or enlarge an image into the middle of a white square."""
    return ImageOps.pad(image, (side, side), Image.Resampling.LANCZOS, color=PAPER)


def gauge(width: int, value: float, chance: float) -> Image.Image:
    """Draw a share as a bar, and the level of chance as a mark across it.

    Parameters
    ----------
    width : pixels that stand for 1
    value, chance : shares in [0, 1]; what is NaN is not drawn

    Examples
    --------
    >>> drawn = gauge(101, 0.5, 0.75)
    >>> [drawn.getpixel((x, 8)) for x in (25, 60, 75)] == [BAR, TRACK, MARK]
    True
    """
    drawn = Image.new("RGB", (width, 17), PAPER)
    draw = ImageDraw.Draw(drawn)
    draw.rectangle((0, 4, width - 1, 12), fill=TRACK)
    if value > 0:
        draw.rectangle((0, 4, round(value * (width - 1)), 12), fill=BAR)
    if not np.isnan(chance):
        at = min(max(round(chance * (width - 1)), 2), width - 3)
        draw.rectangle((at - 2, 0, at + 2, 16), fill=PAPER)
        draw.rectangle((at - 1, 0, at + 1, 16), fill=MARK)
    return drawn


def coloured(map: npt.NDArray[np.floating], low: float, high: float, side: int) -> Image.Image:
    """Draw one map (h, w) as squares of viridis, from `low` (dark) to `high` (bright).

    Undefined values are grey. The longer side has `side` pixels.
    """
    share = (map - low) / (high - low) if high > low else np.zeros_like(map)
    colours = colormaps["viridis"].with_extremes(bad="grey")(np.ma.masked_invalid(share))
    return _scaled(np.rint(colours[..., :3] * 255).astype(np.uint8), side)


def as_colours(kernel: npt.NDArray[np.floating], low: float, high: float, side: int) -> Image.Image:
    """Draw a kernel (3 or 1, h, w) in the colours that it answers to; `low` black, `high` white."""
    share = np.clip((kernel - low) / (high - low if high > low else 1), 0, 1)
    shown = np.broadcast_to(share, (3, *share.shape[1:]))
    return _scaled(np.rint(shown.transpose(1, 2, 0) * 255).astype(np.uint8), side)


def _scaled(pixels: npt.NDArray[np.uint8], side: int) -> Image.Image:
    """Enlarge so that single values stay visible as squares; shrink by averaging."""
    factor = side / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX
    return Image.fromarray(pixels).resize(size, how)


def _height(row: Row) -> int:
    """Return the pixels of a row with its gap: heading, images, and the lines below them."""
    tallest = max(tile.image.height for tile in row.tiles)
    lines = max(bool(tile.caption or tile.lines) + len(tile.lines) for tile in row.tiles)
    heading = _line_height(NORMAL) if row.heading else 0
    return GAP + heading + tallest + lines * _line_height(SMALL)


def _line_height(size: int) -> int:
    """Return the height of a line of text in pixels, for a font size in pixels."""
    return round(1.6 * size)


def _write_scale(
    paper: Image.Image, at: tuple[int, int], ends: tuple[str, str], width: int
) -> None:
    """Write the bar of colours with its ends beside it: what the left and the right one mean."""
    draw, (x, y) = ImageDraw.Draw(paper), at
    x += _write(draw, (x, y), ends[0], SMALL, width // 3, colour=PALE) + 8
    paper.paste(scale_bar(SCALE_WIDTH, SMALL), (x, y + 2))
    x += SCALE_WIDTH + 8
    _write(draw, (x, y), ends[1], SMALL, at[0] + width - x, colour=PALE)


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    """Return the font that matplotlib brings along, so that sheets look alike everywhere."""
    weight = "bold" if bold else "normal"
    family = font_manager.FontProperties(family="DejaVu Sans", weight=weight)
    return ImageFont.truetype(font_manager.findfont(family), size)


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    width: int,
    *,
    bold: bool = False,
    colour: str = INK,
) -> int:
    """Write a line no wider than `width`; return how wide it is."""
    font, text = _font(size, bold), " ".join(text.split())
    shown = text
    while font.getlength(shown) > width and len(text) > 1:
        text = text[:-1]
        shown = text + "…"
    draw.text(at, shown, fill=colour, font=font)
    return round(font.getlength(shown))


def contact_sheet(
    title: str, notes: Sequence[str], images: Sequence[GalleryImage], model: str
) -> Image.Image:
    """Draw many images with the evidence of one model for the annotated group.

    Parameters
    ----------
    title, notes : lines above
    images : in order, each numbered
    model : whose maps are drawn
    """
    tiles = []
    for number, image in enumerate(images, start=1):
        answer = _answer_of(image, model)
        drawn = overlay(image.image, answer.map, image.mask, peak=True)
        caption, *lines = _lines(image, answer)
        tile = _with_gauge(framed(drawn, SMALL_SIDE), image, answer)
        tiles.append(Tile(tile, f"{number}. {caption}", True, [*lines, image.id]))
    rows = [Row("", tiles[i : i + PER_ROW]) for i in range(0, len(tiles), PER_ROW)]
    return sheet(title, [*notes, BAR_NOTE], rows, scale=SCALE)


def image_sheet(title: str, notes: Sequence[str], image: GalleryImage, model: str) -> Image.Image:
    """Draw one image, and beside it every model's evidence for the annotated group.

    Parameters
    ----------
    title, notes : lines above
    image : the image
    model : whose answer is in bold
    """
    tiles = [Tile(framed(resized(image.image, LARGE_SIDE), LARGE_SIDE), "the picture")]
    for answer in image.models:
        drawn = framed(overlay(image.image, answer.map, image.mask, peak=True), LARGE_SIDE)
        first, *lines = _lines(image, answer)
        caption, is_strong = f"{answer.name}: {first}", answer.name == model
        tiles.append(Tile(_with_gauge(drawn, image, answer), caption, is_strong, lines))
    return sheet(title, [*notes, BAR_NOTE], [Row("", tiles)], scale=SCALE)


def _answer_of(image: GalleryImage, model: str) -> ModelAnswer:
    """Return a model's answer to an image of the gallery."""
    return next(answer for answer in image.models if answer.name == model)


def _lines(image: GalleryImage, answer: ModelAnswer) -> list[str]:
    """Return what is written below an image: the answer, and the evidence with its chance level."""
    first = f"no answer ({image.truth})"
    if answer.answer is not None:
        judged = "right" if answer.answer == image.truth else f"wrong ({image.truth})"
        first = f"{answer.answer} {answer.probability:.2f}, {judged}"
    if answer.holds is not None:
        first += f", holds in {answer.holds:.0%}"
    if answer.inside is None or answer.mass is None or image.chance is None:
        return [first, "no evidence to judge", ""]
    peak = "on the person" if answer.inside else "elsewhere"
    share = f"{answer.mass:.0%} on the person, chance {image.chance:.0%}"
    return [first, f"strongest evidence {peak}", share]


def _with_gauge(drawn: Image.Image, image: GalleryImage, answer: ModelAnswer) -> Image.Image:
    """Put below a drawing how much of the evidence is on the person, and the level of chance."""
    value, chance = (np.nan if v is None else v for v in (answer.mass, image.chance))
    bar = gauge(drawn.width, value, chance)
    whole = Image.new("RGB", (drawn.width, drawn.height + 6 + bar.height), "white")
    whole.paste(drawn)
    whole.paste(bar, (0, drawn.height + 6))
    return whole
