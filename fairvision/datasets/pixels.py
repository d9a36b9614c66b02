"""Images and masks as bytes at the size of a network, from memory, a cache, or their files."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import sys
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from fairvision.core.files import whole_folder
from fairvision.core.moved import warn_renamed
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.geometry import Geometry, as_geometry
from fairvision.datasets.images import Doubts, image_size, quiet_warnings, read_image, read_mask
from fairvision.errors import FairvisionWarning, InputError, check_file, reading

LARGEST_SIDE = 4096
"""Pixels of the longest side that a network is given: more is a mistake, and fills memory."""
CACHES = ("auto", "always", "never")

_FORMAT = 2
_ROWS_AT_ONCE = 32
IMAGES, MASKS, HAS_MASK = "images.npy", "masks.npy", "has_mask.npy"
_PER_PIXEL = 4  # bytes: three colours and the mask


@dataclass(frozen=True)
class Decoder:
    """Decodes images and masks of a dataset, row by row; gathers what is odd.

    Attributes
    ----------
    geometry : how they become squares; None leaves each as it is
    """

    dataset: Dataset
    geometry: Geometry | None
    doubts: Doubts = field(default_factory=Doubts)

    def image(self, row: int) -> np.ndarray:
        """Return the image of a row, (size, size, 3) uint8."""
        path = self._path("image", row)
        try:
            if self.geometry is None:
                return np.asarray(read_image(path, doubts=self.doubts))
            return self.geometry.read(path, self.doubts)
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
            return mask.astype(np.uint8) if self.geometry is None else self.geometry.mask(mask)
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


def resize(image: Image.Image, size: int) -> np.ndarray:
    """Return an image as a (size, size, 3) uint8 square, smoothed where it shrinks."""
    return Geometry(size).image(image)


def small_masks(dataset: Dataset, size: int, *, workers: int | None = None) -> np.ndarray:
    """Return the masks of all images, and none of the images, at a small size.

    Parameters
    ----------
    dataset : n images
    size : height and width
    workers : threads that decode; by default one per core

    Returns
    -------
    (n, size, size) uint8, 1 on the person, 0 elsewhere and where there is no mask
    """
    masks = np.zeros((len(dataset), size, size), np.uint8)
    decoder = Decoder(dataset, Geometry(size))

    def read(row: int) -> None:
        person = decoder.mask(row)
        if person is not None:
            masks[row] = person

    if dataset.has_masks:
        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            deque(pool.map(read, range(len(dataset))), maxlen=0)
    return masks


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

    def __init__(self, dataset: Dataset, size: int | Geometry, workers: int | None = None):
        geometry = as_geometry(size)
        self._decoder, self._n, self._size = Decoder(dataset, geometry), len(dataset), geometry.size
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


class CachedPixels(Pixels):
    """Pixels that lie decoded in files.

    Attributes
    ----------
    images, masks, has_mask : of all rows, see `Taken`; the first two memory-mapped
    """

    def __init__(self, folder: Path, count: int, size: int):
        self.images = _load(folder / IMAGES, (count, size, size, 3), np.uint8)
        self.masks = _load(folder / MASKS, (count, size, size), np.uint8)
        self.has_mask = np.array(_load(folder / HAS_MASK, (count,), np.bool_))

    def take(self, rows: np.ndarray) -> Taken:
        """Return some rows, in the order asked for."""
        return Taken(self.images[rows], self.masks[rows], self.has_mask[rows])

    def release(self) -> None:
        """Take what was read out of this process's memory; the system keeps the files."""
        for read in (self.images, self.masks):
            if isinstance(read.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                read.base.madvise(mmap.MADV_DONTNEED)


def open_pixels(
    dataset: Dataset,
    size: int | Geometry,
    *,
    workers: int | None = None,
    quiet: bool = True,
    cache: str = "auto",
) -> Pixels:
    """Return the images of a dataset at one size, decoded now or whenever they are asked for.

    By default the whole image is resized to a square, so nothing of the person or the context is
    cut away. The cache lies in `$FAIRVISION_CACHE` (else `~/.cache/fairvision`) under the
    fingerprint of the files' paths, sizes and times; changed files make a new one. The pixels are
    the same bit for bit, whether or not they come from there.

    Parameters
    ----------
    dataset : rows to open, in this order
    size : side of the square in pixels, or how images become squares
    workers : threads that decode; by default one per core
    quiet : show no progress
    cache : "always" decodes all images and keeps them, "never" decodes them whenever they are
        asked for, "auto" keeps them unless they take more than half of what is free on the disk, or
        the disk cannot be written. A cache that is there is used; a damaged one is made again.

    Raises
    ------
    InputError
        If an image or mask is missing, damaged or of the wrong size, in which case nothing is left
        in the cache; or if there is no room for what is always to be kept.
    """
    if cache not in CACHES:
        raise InputError(f"cache {cache!r} is not one of {', '.join(CACHES)}")
    geometry = as_geometry(size)
    if geometry.key is None:
        return StreamedPixels(dataset, geometry, workers)
    place = _cache_root() / _key(dataset, geometry)
    try:
        if place.is_dir():
            try:
                return CachedPixels(place, len(dataset), geometry.size)
            except InputError as error:
                _warn(f"the cache is damaged ({error}): the pictures are decoded again")
        if not _is_kept(dataset, geometry.size, cache, quiet):
            return StreamedPixels(dataset, geometry, workers)
        with whole_folder(place, marker=None, overwrite=True) as part:
            _build(dataset, geometry, part, workers or os.cpu_count() or 1, quiet)
        return CachedPixels(place, len(dataset), geometry.size)
    except OSError as error:
        problem = f"the cache {error.filename or place} cannot be used: {error.strerror or error}"
        if cache == "always":
            raise InputError(
                f"{problem}: set FAIRVISION_CACHE to another folder, or --cache never"
            ) from None
        _warn(
            f"{problem}; pictures are decoded whenever they are needed, unless FAIRVISION_CACHE "
            "names another folder"
        )
        return StreamedPixels(dataset, geometry, workers)


def _load(path: Path, shape: tuple[int, ...], kind: type[np.generic]) -> np.ndarray:
    """Return a memory-mapped array; `InputError` unless it is of this shape and type."""
    check_file(path, "an array")
    with reading(path, "an array"):
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.shape != shape or array.dtype != kind or not array.flags.c_contiguous:
        raise InputError(f"{path} holds {array.dtype} {array.shape}, not {np.dtype(kind)} {shape}")
    return np.asanyarray(array)


def _warn(message: str) -> None:
    """Warn of the cache, on behalf of the caller's caller."""
    warnings.warn(message, FairvisionWarning, stacklevel=3)


def _cache_root() -> Path:
    """Return the folder of all caches: FAIRVISION_CACHE, or fairvision in the user's cache."""
    root = os.environ.get("FAIRVISION_CACHE")
    try:
        if root:
            return Path(root).expanduser()
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # nobody's home
        base = Path(tempfile.gettempdir())
    return base / "fairvision"


def _is_kept(dataset: Dataset, size: int, cache: str, quiet: bool) -> bool:
    """Return whether decoded images go to the disk: as `cache` asks, and if there is room."""
    if cache == "never":
        return False
    root = _cache_root().absolute()
    there = next(path for path in (root, *root.parents) if path.exists())
    free, needed = shutil.disk_usage(there).free, _PER_PIXEL * size**2 * len(dataset)
    sizes = (
        f"{len(dataset)} decoded pictures take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
        f"free at {root}"
    )
    if cache == "always" and needed > free:
        raise InputError(f"{sizes}: set FAIRVISION_CACHE to a larger disk, or --cache never")
    if cache == "auto" and 2 * needed > free:
        if not quiet:
            print(f"{sizes}: they are decoded whenever they are needed", file=sys.stderr)
        return False
    return True


def _key(dataset: Dataset, geometry: Geometry) -> str:
    """Return the folder name of a cache; it changes with the dataset's files and the geometry."""
    size, root = geometry.size, dataset.root.resolve()
    digest = hashlib.sha256(repr((_FORMAT, size, str(root))).encode())
    digest.update((geometry.key or "").encode())
    for stamp in dataset.file_stamps():
        digest.update(stamp)
    return f"{root.name}-{size}-{digest.hexdigest()[:16]}"


def _build(dataset: Dataset, geometry: Geometry, folder: Path, workers: int, quiet: bool) -> None:
    """Decode all images and masks of a dataset into the arrays of a cache folder."""
    n, size, decoder = len(dataset), geometry.size, Decoder(dataset, geometry)
    images = _new(folder / IMAGES, (n, size, size, 3))
    masks = _new(folder / MASKS, (n, size, size))

    def decode(rows: range) -> int:
        for row in rows:
            decoder.into(row, images[row], masks[row])
        return len(rows)

    # Threads suffice: decoding and resizing let go of the interpreter.
    pieces = [range(start, min(start + _ROWS_AT_ONCE, n)) for start in range(0, n, _ROWS_AT_ONCE)]
    with quiet_warnings(), ThreadPoolExecutor(workers) as pool, _progress(n, quiet) as advance:
        try:
            for done in pool.map(decode, pieces):
                advance(done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    decoder.doubts.tell()
    images.flush()
    masks.flush()
    np.save(folder / HAS_MASK, masks.reshape(n, -1).any(axis=1))


def _new(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """Make an array on the disk; `OSError` where there is no room, not a bus error later."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances a progress bar by a number of decoded images."""
    with Progress(transient=True, disable=quiet, console=Console(stderr=True)) as bar:
        task = bar.add_task("decoding pictures", total=total)
        yield lambda done: bar.advance(task, done)
