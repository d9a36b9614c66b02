"""Masks that were painted in Label Studio: its own run lengths, of all four channels of an image.

The coding is that of the package rle-pack of thi.ng/umbrella, with words of a byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fairvision.datasets.readers.coco_masks import MOST_PIXELS

_CHANNELS = 4
_ALPHA = 3


def decode_brush(coded: Any, size: tuple[int, int]) -> np.ndarray:
    """Return the mask, (height, width) bool, that Label Studio's run lengths stand for.

    Parameters
    ----------
    coded : whole numbers from 0 to 255, the value of `rle`
    size : width and height of the image

    Returns
    -------
    pixels with any opacity: only the fourth channel is read

    Raises
    ------
    ValueError
        The numbers are no such code, end early, or are of an image of another size.

    Examples
    --------
    >>> code = [0, 0, 0, 8, 57, 27, 252, 96, 17, 255, 128]
    >>> decode_brush(code, (2, 1))
    array([[False,  True]])
    """
    width, height = size
    if width * height > MOST_PIXELS:
        raise ValueError(f"a picture of {width}×{height} pixels cannot be drawn")
    try:
        content = bytes(coded)
    except (TypeError, ValueError):
        raise ValueError("rle is not a list of whole numbers from 0 to 255") from None
    values = _unpack(content, width * height * _CHANNELS)
    mask: np.ndarray = values.reshape(height, width, _CHANNELS)[:, :, _ALPHA] > 0
    return mask


def _unpack(content: bytes, wanted: int) -> np.ndarray:
    """Return the values of a code, of which there must be as many as wanted."""
    bits = np.unpackbits(np.frombuffer(content, np.uint8))
    text = (bits + ord("0")).tobytes().decode("ascii")
    at = 0

    def read(length: int) -> int:
        nonlocal at
        at += length
        if at > len(text):
            raise ValueError("its run lengths end early")
        return int(text[at - length : at], 2)

    count, word = read(32), read(5) + 1
    if count != wanted:
        raise ValueError(f"its run lengths are of {count} values, not of {wanted} (RGBA)")
    lengths = [read(4) + 1 for _ in range(4)]
    values = np.zeros(count, np.uint32)
    start = 0
    while start < count:
        repeated = read(1)
        end = start + 1 + read(lengths[read(2)])
        if end > count:
            raise ValueError(f"its run lengths are of more than {count} values")
        if repeated:
            values[start:end] = read(word)
        else:
            read(word * (end - start))
            words = bits[at - word * (end - start) : at].reshape(-1, word)
            values[start:end] = _numbers(words)
        start = end
    return values


def _numbers(words: np.ndarray) -> Sequence[int] | np.ndarray:
    """Return the numbers that rows of bits, the highest first, stand for.

    >>> _numbers(np.array([[1, 0, 1], [0, 1, 1]], np.uint8))
    array([5, 3], dtype=uint32)
    """
    powers = 1 << np.arange(words.shape[1] - 1, -1, -1, dtype=np.uint32)
    return words.astype(np.uint32) @ powers
