"""Images and masks as bytes at the size of a network, from memory, a cache, or their files."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fairvision.core.moved import warn_renamed
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.images import Doubts, image_size, read_image, read_mask
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
        person = self.mask(row)
        if person is not None:
            mask[:] = person

    def _path(self, column: str, row: int) -> Path:
        """Return the path of a row's file that a column of the samples names."""
        return self.dataset.root / str(self.dataset.samples[column].array[row])

    def _named(self, error: InputError, row: int) -> InputError:
        """Return an error with the id of the row's sample added."""
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


_PIECE = 256

Work = list[Future[None]]


class Taken(NamedTuple):
    """Some rows: numpy arrays, or tensors on a device.

    Attributes
    ----------
    images : (rows, size, size, 3) uint8
    masks : (rows, size, size) uint8, 1 on the person, 0 elsewhere and where there is no mask
    has_mask : (rows,) bool, whether the mask has any pixel
    """

    images: Any
    masks: Any
    has_mask: Any


class Pixels(ABC):
    """Images and masks of a dataset, row by row, at one size; see `Taken`.

    Attributes
    ----------
    has_mask : (n,) bool of all rows, numpy
    """

    has_mask: Any

    @abstractmethod
    def take(self, rows: np.ndarray) -> Taken:
        """Return some rows, in the order asked for."""

    def each(self, pieces: Iterable[np.ndarray]) -> Iterator[Taken]:
        """Yield one array of rows after the other."""
        return map(self.take, pieces)

    def release(self) -> None:  # noqa: B027 - most have nothing to give back
        """Give back memory that is only there to be faster."""

    def let_go(self) -> None:
        """Give back memory; the old name of `release`."""
        warn_renamed("Pixels.let_go", "release")
        self.release()


class StreamedPixels(Pixels):
    """Pixels that are decoded from their files whenever they are asked for.

    Threads suffice: decoding and resizing let go of the interpreter. They work ahead, but never by
    more than a batch or, where batches are small, by some images for each thread.
    """

    def __init__(self, dataset: Dataset, size: int, workers: int | None = None):
        self._decoder, self._n, self._size = Decoder(dataset, size), len(dataset), size
        self._masked = dataset.samples["mask"].notna().to_numpy()
        self._workers = workers or os.cpu_count() or 1

    @cached_property
    def has_mask(self) -> np.ndarray:
        """Whether each mask has any pixel; decodes all masks when it is first asked for."""
        has_mask = np.zeros(self._n, bool)
        rows = np.flatnonzero(self._masked)
        with ThreadPoolExecutor(self._workers) as pool:
            for start in range(0, len(rows), _PIECE):
                piece = rows[start : start + _PIECE]
                masks = pool.map(self._decoder.mask, piece)
                has_mask[piece] = [mask is not None and mask.any() for mask in masks]
        return has_mask

    def take(self, rows: np.ndarray) -> Taken:
        """Return some rows, in the order asked for."""
        return next(self.each([rows]))

    def each(self, pieces: Iterable[np.ndarray]) -> Iterator[Taken]:
        """Yield one array of rows after the other, while the next are decoded."""
        # For good, as filters belong to the whole process and this is left at any moment.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        ahead: deque[tuple[Taken, Work]] = deque()
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                for rows in pieces:
                    ahead.append(self._begin(rows, pool))
                    waiting = sum(len(work) for _, work in ahead) - len(ahead[0][1])
                    if waiting >= max(len(rows), 4 * self._workers):
                        yield _finished(*ahead.popleft())
                while ahead:
                    yield _finished(*ahead.popleft())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        self._decoder.doubts.tell()

    def _begin(self, rows: np.ndarray, pool: ThreadPoolExecutor) -> tuple[Taken, Work]:
        """Start to decode rows; return arrays (n, size, size, …) and the work filling them."""
        side = self._size
        images = np.empty((len(rows), side, side, 3), np.uint8)
        masks = np.zeros((len(rows), side, side), np.uint8)
        work = [
            pool.submit(self._decoder.into, int(row), image, mask)
            for row, image, mask in zip(rows, images, masks)
        ]
        return Taken(images, masks, np.zeros(len(rows), bool)), work


def _finished(taken: Taken, work: Work) -> Taken:
    """Wait for the decoding of images and return them, with which of them have a mask."""
    for one in work:
        one.result()
    taken.has_mask[:] = taken.masks.any(axis=(1, 2))
    return taken
