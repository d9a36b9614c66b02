"""Reading the mask of a person from a file: which values mean the person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fairvision.datasets.images import Doubts, decode, deep_values, is_deep, note, reading_image
from fairvision.errors import InputError

_LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000")
_HALF = 128
_IGNORED = 255  # PASCAL VOC's code, in palette masks, for what nobody could tell

_SEVERAL = (
    "masks with several values or colours above 0, all of which are taken for the person (codes of "
    "other classes or of 'ignore' must be 0; masks that were smoothed must be cut at half)"
)
_VOID = (
    "palette masks with the code 255 beside others, which PASCAL VOC writes for 'cannot be told': "
    "it is not taken for the person (if it is the person, write masks of 0 and 255 only)"
)
_EVERYTHING = (
    "masks that cover the whole picture, so all evidence is on the person (is white the background "
    "there, or 0 not the background?)"
)


def read_mask(
    path: str | Path, size: tuple[int, int], *, doubts: Doubts | None = None
) -> np.ndarray:
    """Read a mask: every pixel above 0 belongs to the person.

    JPEG and other lossy files blur what they hold: there it is every pixel of at least 128. In
    palette files the colour counts, not its number, but for 255 beside other numbers.

    Parameters
    ----------
    path : an image file of one channel (of several, any above 0 counts; transparency does not)
    size : (width, height) of the upright image that the mask belongs to
    doubts : gathers what is odd about the mask; by default that is warned of at once: several
        values above 0, the code 255 in a palette, a mask of everything

    Returns
    -------
    (height, width) bool

    Raises
    ------
    InputError
        If the file cannot be read, its size is not the image's, its values are not finite, its
        transparency marks other pixels than its colours, or it is lossy and nowhere bright.
    """
    mask, kind, *_ = decode(path, size=size)
    with reading_image(path):
        levels, codes = _levels(mask, path)
        _check_transparency(mask, levels > 0, path)
    person = levels > 0
    above = _distinct(codes[person])
    if kind in _LOSSY and above and (len(above) > 1 or max(above) < _HALF):
        if levels.max() < _HALF:
            raise InputError(
                f"mask {path} is lossy ({kind}) and its values reach only {levels.max():g}, so the "
                "person cannot be told from blur: save it as PNG"
            )
        person = levels >= _HALF
    else:
        if mask.mode == "P" and _IGNORED in above and len(above) > 1:
            above.remove(_IGNORED)
            person &= codes != _IGNORED
            note(_VOID, path, doubts)
        if len(above) > 1:
            note(_SEVERAL, path, doubts)
    if person.all():
        note(_EVERYTHING, path, doubts)
    return person


def _distinct(values: np.ndarray) -> set[float]:
    """Return the values that occur; quickly where there is one, as in most masks."""
    if values.size and values.min() == values.max():
        return {values[0].item()}
    return set(np.unique(values).tolist())


def _levels(mask: Image.Image, path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest channel and a number of the colour, each (height, width)."""
    if is_deep(mask):
        values = deep_values(mask, path)
        return values, values
    if mask.mode in ("1", "L", "LA"):
        grey = np.asarray(mask.convert("L"))
        return grey, grey
    colours = np.asarray(mask.convert("RGBA").convert("RGB")).astype(np.int32)
    numbers = colours @ np.array([1 << 16, 1 << 8, 1])
    return colours.max(axis=2), np.asarray(mask) if mask.mode == "P" else numbers


def _check_transparency(mask: Image.Image, coloured: np.ndarray, path: str | Path) -> None:
    """Raise `InputError` where transparency says something else than the colours."""
    if mask.mode not in ("RGBA", "LA", "PA") and "transparency" not in mask.info:
        return
    opaque = np.asarray(mask.convert("RGBA").getchannel("A")) > 0
    if opaque.any() and not opaque.all() and (opaque != coloured).any():
        raise InputError(
            f"mask {path}: its transparency and its colours mark different pixels: save it "
            "without transparency, the person white on black"
        )
