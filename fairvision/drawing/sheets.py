"""Drawings as PNG: maps over their images, captioned images in rows, images with evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, font_manager
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps

from fairvision.core.moved import renamed_arguments
from fairvision.results.gallery import GalleryImage, ModelAnswer

COLOURS, DARKEST = "inferno", 0.25
OPACITY, DIMMED = 0.7, 0.55
MOST_STRETCHED = 20

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


@renamed_arguments(picture="image")
def overlay(
    image: npt.NDArray[np.uint8],
    map: npt.NDArray[np.floating],
    mask: npt.NDArray[np.bool_] | None = None,
    *,
    maximum: float | None = None,
    side: int = 320,
    peak: bool = False,
) -> Image.Image:
    """Draw a map over its image: the more evidence, the brighter and the more opaque.

    The colours are perceptually uniform (inferno without its darkest quarter), so that equal steps
    of evidence look equal. The image beneath is grey, so that colour always means evidence, and
    dimmed, so that much evidence is the brightest thing also where it is printed without colour.
    The image is resized first, so that map and outline are as fine on a small one.

    Parameters
    ----------
    image : (height, width, 3) uint8
    map : (h, w) evidence, not negative; enlarged bilinearly to the image. Where it is NaN, or
        zero everywhere, nothing is drawn.
    mask : (height, width) bool; its outline is drawn in white
    maximum : evidence that gets the brightest colour, as does all above it; by default the map's
        own `full_scale`. Give one number for several maps that are to be compared.
    side : shorter side of the drawing in pixels, see `resized`
    peak : put a ring around the strongest evidence, of several the first in reading order

    Returns
    -------
    RGB image in the proportions of `image`

    Examples
    --------
    >>> import numpy as np
    >>> drawn = overlay(np.full((64, 96, 3), 200, np.uint8), np.eye(7))
    >>> drawn.size, drawn.mode
    ((480, 320), 'RGB')
    """
    base = resized(image, side)
    evidence = np.nan_to_num(np.asarray(map, dtype=np.float32), nan=0.0)
    top = full_scale(evidence) if maximum is None else maximum
    share = np.clip(evidence / top, 0, 1) if top > 0 else np.zeros_like(evidence)
    share = np.asarray(Image.fromarray(share).resize(base.size, Image.Resampling.BILINEAR))

    drawn = _tinted(np.asarray(base.convert("L"), dtype=np.float32), share)
    if mask is not None:
        drawn = _outlined(drawn, mask)
    if peak and top > 0:
        _ring(drawn, evidence)
    return drawn


def scale_bar(width: int, height: int) -> Image.Image:
    """Draw the colours of an overlay from no evidence (left) to its maximum, over mid-grey.

    >>> bar = scale_bar(100, 8)
    >>> bar.getpixel((0, 4)), bar.getpixel((99, 4))
    ((70, 70, 70), (198, 199, 136))
    """
    share = np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))
    return _tinted(np.full((height, width), 128, np.float32), share)


def full_scale(map: npt.NDArray[np.floating]) -> float:
    """Return the 99th percentile of a map's positive values; 0 where there are none.

    Not the maximum: in maps of single pixels, a few outliers would leave all others invisible.

    >>> full_scale(np.array([[0.0, np.nan], [2.0, 2.0]]))
    2.0
    """
    positive = map[map > 0]
    return float(np.percentile(positive, 99)) if positive.size else 0.0


def resized(image: npt.NDArray[np.uint8], side: int) -> Image.Image:
    """Return an image, (height, width, 3) uint8, with a shorter side of `side` pixels.

    The longer side has at most `MOST_STRETCHED` times as many.

    >>> resized(np.zeros((1, 3000, 3), np.uint8), 320).size
    (6400, 2)
    """
    opened = Image.fromarray(image)
    factor = min(side / min(opened.size), MOST_STRETCHED * side / max(opened.size))
    size = (max(1, round(opened.width * factor)), max(1, round(opened.height * factor)))
    return opened.resize(size, Image.Resampling.BICUBIC)


def _tinted(grey: npt.NDArray[np.floating], share: npt.NDArray[np.floating]) -> Image.Image:
    """Lay colours for shares of the maximum, (height, width) in [0, 1], over a grey image."""
    grey = DIMMED * grey[..., None]
    colours = matplotlib.colormaps[COLOURS](DARKEST + (1 - DARKEST) * share)[..., :3] * 255
    opacity = OPACITY * np.sqrt(share)[..., None]
    return Image.fromarray(np.rint(grey + opacity * (colours - grey)).astype(np.uint8))


def _ring(drawn: Image.Image, evidence: npt.NDArray[np.floating]) -> None:
    """Draw a white ring with dark rims around the largest value."""
    place = np.array(np.unravel_index(evidence.argmax(), evidence.shape)[::-1])
    x, y = (place + 0.5) / evidence.shape[::-1] * drawn.size
    for radius, width, colour in ((11, 5, "black"), (10, 3, "white")):
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(drawn).ellipse(box, outline=colour, width=width)


def _outlined(drawn: Image.Image, mask: npt.NDArray[np.bool_]) -> Image.Image:
    """Draw the mask's outline in white with a dark rim, so that it shows on any background."""
    soft = Image.fromarray(np.asarray(mask, dtype=np.uint8) * 255)
    hard = soft.resize(drawn.size, Image.Resampling.BILINEAR).point(lambda v: 255 * (v > 127))
    for width, colour in ((7, "black"), (3, "white")):
        outer, inner = ImageFilter.MaxFilter(width), ImageFilter.MinFilter(width)
        rim = ImageChops.difference(hard.filter(outer), hard.filter(inner))
        drawn.paste(colour, mask=rim.filter(ImageFilter.GaussianBlur(0.7)))
    return drawn


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
        answer = next(answer for answer in image.models if answer.name == model)
        assert image.image is not None
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
    assert image.image is not None
    tiles = [Tile(framed(resized(image.image, LARGE_SIDE), LARGE_SIDE), "the picture")]
    for answer in image.models:
        drawn = framed(overlay(image.image, answer.map, image.mask, peak=True), LARGE_SIDE)
        first, *lines = _lines(image, answer)
        caption, is_strong = f"{answer.name}: {first}", answer.name == model
        tiles.append(Tile(_with_gauge(drawn, image, answer), caption, is_strong, lines))
    return sheet(title, [*notes, BAR_NOTE], [Row("", tiles)], scale=SCALE)


def _lines(image: GalleryImage, answer: ModelAnswer) -> list[str]:
    """Return what is written below an image: the answer, and the evidence with its chance level."""
    first = f"no answer ({image.truth})"
    if answer.answer is not None:
        judged = "right" if answer.answer == image.truth else f"wrong ({image.truth})"
        first = f"{answer.answer} {answer.probability:.2f}, {judged}"
    if answer.holds is not None:
        first += f", holds in {answer.holds:.0%}"
    if answer.why_no_map:
        return [first, *answer.why_no_map.split(": ", 1), ""][:3]
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
