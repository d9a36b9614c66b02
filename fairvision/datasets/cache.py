"""Images decoded once, resized and kept as memory-mapped bytes, where they fit on the disk."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from fairvision.core.files import whole_folder
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.images import quiet_warnings
from fairvision.datasets.pixels import Decoder, Pixels, StreamedPixels, Taken
from fairvision.errors import FairvisionWarning, InputError, check_file, reading

CACHES = ("auto", "always", "never")

_FORMAT = 2
_PIECE = 32
IMAGES, MASKS, HAS_MASK = "images.npy", "masks.npy", "has_mask.npy"
_PER_PIXEL = 4  # bytes: three colours and the mask


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
    size: int,
    *,
    workers: int | None = None,
    quiet: bool = True,
    cache: str = "auto",
) -> Pixels:
    """Return the images of a dataset at one size, decoded now or whenever they are asked for.

    The whole image is resized to a square, so nothing of the person or the context is cut away.
    The cache lies in `$FAIRVISION_CACHE` (else `~/.cache/fairvision`) under the fingerprint of
    the files' paths, sizes and times; changed files make a new one. The pixels are the same bit for
    bit, whether or not they come from there.

    Parameters
    ----------
    dataset : rows to open, in this order
    size : side of the square in pixels
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
    place = _cache_root() / _key(dataset, size)
    try:
        if place.is_dir():
            try:
                return CachedPixels(place, len(dataset), size)
            except InputError as error:
                _warn(f"the cache is damaged ({error}): the pictures are decoded again")
        if not _is_kept(dataset, size, cache, quiet):
            return StreamedPixels(dataset, size, workers)
        with whole_folder(place, marker=None, overwrite=True) as part:
            _build(dataset, size, part, workers or os.cpu_count() or 1, quiet)
        return CachedPixels(place, len(dataset), size)
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
        return StreamedPixels(dataset, size, workers)


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


def _key(dataset: Dataset, size: int) -> str:
    """Return the folder name of a cache; it changes with the dataset's files and the size."""
    digest = hashlib.sha256(repr((_FORMAT, size, str(dataset.root.resolve()))).encode())
    for stamp in dataset.file_stamps():
        digest.update(stamp)
    return f"{dataset.root.resolve().name}-{size}-{digest.hexdigest()[:16]}"


def _build(dataset: Dataset, size: int, folder: Path, workers: int, quiet: bool) -> None:
    """Decode all images and masks of a dataset into the arrays of a cache folder."""
    n, decoder = len(dataset), Decoder(dataset, size)
    images = _new(folder / IMAGES, (n, size, size, 3))
    masks = _new(folder / MASKS, (n, size, size))

    def decode(rows: range) -> int:
        for row in rows:
            decoder.into(row, images[row], masks[row])
        return len(rows)

    # Threads suffice: decoding and resizing let go of the interpreter.
    pieces = [range(start, min(start + _PIECE, n)) for start in range(0, n, _PIECE)]
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
