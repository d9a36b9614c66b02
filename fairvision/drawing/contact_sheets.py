"""Images with the evidence of models: one sheet for many images, or one for each image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from fairvision.drawing.overlays import overlay, resized
from fairvision.drawing.sheets import Row, Tile, framed, gauge, sheet
from fairvision.results.gallery import GalleryImage, ModelAnswer

PER_ROW = 5
SMALL_SIDE, LARGE_SIDE = 256, 400
SCALE = ("no evidence", "most in this map (99th percentile and above)")
BAR = (
    "Ring: the strongest evidence. Bar: share of the evidence on the person (outlined), "
    "beside a mark at chance: the person's share of the picture."
)


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
    return sheet(title, [*notes, BAR], rows, scale=SCALE)


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
    return sheet(title, [*notes, BAR], [Row("", tiles)], scale=SCALE)


def _answer_of(image: GalleryImage, model: str) -> ModelAnswer:
    """Return a model's answer to an image of the gallery."""
    return next(answer for answer in image.models if answer.name == model)


def _lines(image: GalleryImage, answer: ModelAnswer) -> list[str]:
    """Return what is written below an image: the answer, and the evidence with its chance level."""
    first = f"no answer ({image.truth})"
    if answer.answer is not None:
        judged = "right" if answer.answer == image.truth else f"wrong ({image.truth})"
        first = f"{answer.answer} {answer.probability:.2f}, {judged}"
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
