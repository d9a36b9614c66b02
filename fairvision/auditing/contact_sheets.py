"""Sheets of telling images: one per cell with many, one per image with every model's map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from fairvision.drawing.overlays import overlay, resized
from fairvision.drawing.sheets import Row, Tile, framed, gauge, sheet

PER_ROW = 5
SMALL_SIDE, LARGE_SIDE = 256, 400
SCALE = ("no evidence", "most in this map (99th percentile and above)")
BAR = (
    "Ring: the strongest evidence. Bar: share of the evidence on the person (outlined), "
    "beside a mark at chance: the person's share of the picture."
)

Item = dict[str, Any]
"""An image as `fairvision.auditing.gallery.draw` returns it."""


def contact_sheet(
    title: str, notes: Sequence[str], items: Sequence[Item], model: str
) -> Image.Image:
    """Draw many images with the evidence of one model for the annotated group.

    Parameters
    ----------
    title, notes : lines above
    items : images, in order, each numbered
    model : whose maps are drawn
    """
    tiles = []
    for number, item in enumerate(items, start=1):
        said = _of(item, model)
        drawn = overlay(item["picture"], said["map"], item["mask"], peak=True)
        answer, *lines = _lines(item, said)
        tile = _with_gauge(framed(drawn, SMALL_SIDE), item, said)
        tiles.append(Tile(tile, f"{number}. {answer}", True, [*lines, item["id"]]))
    rows = [Row("", tiles[i : i + PER_ROW]) for i in range(0, len(tiles), PER_ROW)]
    return sheet(title, [*notes, BAR], rows, scale=SCALE)


def image_sheet(title: str, notes: Sequence[str], item: Item, model: str) -> Image.Image:
    """Draw one image, and beside it every model's evidence for the annotated group.

    Parameters
    ----------
    title, notes : lines above
    item : the image
    model : whose answer is in bold
    """
    tiles = [Tile(framed(resized(item["picture"], LARGE_SIDE), LARGE_SIDE), "the picture")]
    for said in item["models"]:
        drawn = framed(overlay(item["picture"], said["map"], item["mask"], peak=True), LARGE_SIDE)
        answer, *lines = _lines(item, said)
        caption = f"{said['name']}: {answer}"
        tiles.append(Tile(_with_gauge(drawn, item, said), caption, said["name"] == model, lines))
    return sheet(title, [*notes, BAR], [Row("", tiles)], scale=SCALE)


def _of(item: Item, model: str) -> dict[str, Any]:
    found: dict[str, Any] = next(said for said in item["models"] if said["name"] == model)
    return found


def _lines(item: Item, said: dict[str, Any]) -> list[str]:
    """Say the answer and the evidence, with its level of chance."""
    judged = "right" if said["answer"] == item["truth"] else f"wrong ({item['truth']})"
    answer = f"no answer ({item['truth']})"
    if said["answer"] is not None:
        answer = f"{said['answer']} {said['probability']:.2f}, {judged}"
    if said["inside"] is None or said["mass"] is None or item["chance"] is None:
        return [answer, "no evidence to judge", ""]
    peak = "on the person" if said["inside"] else "elsewhere"
    share = f"{said['mass']:.0%} on the person, chance {item['chance']:.0%}"
    return [answer, f"strongest evidence {peak}", share]


def _with_gauge(drawn: Image.Image, item: Item, said: dict[str, Any]) -> Image.Image:
    """Put below a drawing how much of the evidence is on the person, and the level of chance."""
    value, chance = (np.nan if v is None else v for v in (said["mass"], item["chance"]))
    bar = gauge(drawn.width, value, chance)
    whole = Image.new("RGB", (drawn.width, drawn.height + 6 + bar.height), "white")
    whole.paste(drawn)
    whole.paste(bar, (0, drawn.height + 6))
    return whole
