"""From files to pixels at the size that a network takes: one way, whoever asks for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from fairvision.datasets.doubts import Doubts
from fairvision.datasets.folder import Dataset
from fairvision.datasets.images import image_size, read_image
from fairvision.datasets.masks import read_mask
from fairvision.errors import InputError

LARGEST_SIDE = 4096
"""Pixels of the longest side that a network is given: more is a mistake, and fills memory."""
_MARGIN = 3
"""An image first shrinks by whole numbers, to no less than so many times its final size."""


@dataclass(frozen=True)
class Decoder:
    """Decodes images and masks of a dataset, row by row, at one size; gathers what is odd."""

    dataset: Dataset
    size: int
    doubts: Doubts = field(default_factory=Doubts)

    def image(self, row: int) -> np.ndarray:
        """Return the image of a row, (size, size, 3) uint8."""
        try:
            image = read_to_size(self._path("image", row), self.size, self.doubts)
            return resize(image, self.size)
        except InputError as error:
            raise self._named(error, row) from None

    def mask(self, row: int) -> np.ndarray | None:
        """Return the mask of a row, (size, size) uint8; None if there is none."""
        path = self.dataset.samples["mask"].array[row]
        if not isinstance(path, str):
            return None
        try:
            upright = image_size(self._path("image", row))
            mask = read_mask(self.dataset.root / path, upright, doubts=self.doubts)
            return resize_mask(mask, self.size)
        except InputError as error:
            raise self._named(error, row) from None

    def into(self, row: int, image: np.ndarray, mask: np.ndarray) -> None:
        """Write the image of a row, and its mask if it has one, into arrays."""
        image[:] = self.image(row)
        found = self.mask(row)
        if found is not None:
            mask[:] = found

    def _path(self, column: str, row: int) -> Path:
        return self.dataset.root / self.dataset.samples[column].array[row]

    def _named(self, error: InputError, row: int) -> InputError:
        name = self.dataset.samples["id"].array[row]
        return InputError(f"{error} (sample {name!r} of {self.dataset.root})")


def read_to_size(path: str | Path, size: int, doubts: Doubts | None = None) -> Image.Image:
    """Read an image that is to be shrunk by `resize`, no larger than that needs it."""
    return read_image(path, least=_MARGIN * size, doubts=doubts)


def resize(image: Image.Image, size: int) -> np.ndarray:
    """Return an image as a (size, size, 3) uint8 square, smoothed where it shrinks."""
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=float(_MARGIN))
    return np.asarray(image)


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Return a bool mask as a (size, size) square of 0 and 1; none vanishes by shrinking."""
    if mask.shape == (size, size):
        return mask.astype(np.uint8)
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    share = np.asarray(grey.resize((size, size), Image.Resampling.BOX))
    inside = share >= 128
    return (inside if inside.any() else share > 0).astype(np.uint8)
