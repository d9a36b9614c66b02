"""Pictures decoded once, resized and kept as memory-mapped bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from fairvision.datasets.folder import Dataset, file_stamps
from fairvision.datasets.pictures import quiet_warnings, read_mask, read_picture
from fairvision.errors import InputError
from fairvision.files import whole_folder

_FORMAT = 1
_PIECE = 32
_MARKER = "has_mask.npy"


@dataclass(frozen=True)
class Pixels:
    """Pictures and masks of a dataset, row by row, at one size.

    Attributes
    ----------
    images : (n, size, size, 3) uint8, memory-mapped
    masks : (n, size, size) uint8, 1 on the person, 0 elsewhere and where there is no mask
    has_mask : (n,) bool, whether the mask has any pixel
    """

    images: np.ndarray
    masks: np.ndarray
    has_mask: np.ndarray


def open_pixels(
    dataset: Dataset, size: int, *, workers: int | None = None, quiet: bool = True
) -> Pixels:
    """Return the decoded pictures of a dataset, decoding them if no cache of them is there.

    The whole picture is resized to a square, so nothing of the person or the context is cut away.
    The cache lies in `$FAIRVISION_CACHE` (else `~/.cache/fairvision`) under the fingerprint of
    the files' paths, sizes and times; changed files make a new one.

    Parameters
    ----------
    dataset : rows to open, in this order
    size : side of the square in pixels
    workers : threads that decode; by default one per core
    quiet : show no progress

    Raises
    ------
    InputError
        If a picture or mask is missing, damaged or of the wrong size; nothing is left in the cache.
    """
    place = _cache_root() / _key(dataset, size)
    if not (place / _MARKER).is_file():
        with whole_folder(place, marker=_MARKER, overwrite=True) as part:
            _build(dataset, size, part, workers or os.cpu_count() or 1, quiet)
    return Pixels(
        images=np.load(place / "images.npy", mmap_mode="r"),
        masks=np.load(place / "masks.npy", mmap_mode="r"),
        has_mask=np.load(place / _MARKER),
    )


def resize(picture: Image.Image, size: int) -> np.ndarray:
    """Return a picture as a (size, size, 3) uint8 square, smoothed where it shrinks."""
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(picture)


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Return a bool mask as a (size, size) square of 0 and 1; none vanishes by shrinking."""
    if mask.shape == (size, size):
        return mask.astype(np.uint8)
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    share = np.asarray(grey.resize((size, size), Image.Resampling.BOX))
    inside = share >= 128
    return (inside if inside.any() else share > 0).astype(np.uint8)


def _cache_root() -> Path:
    root = os.environ.get("FAIRVISION_CACHE")
    if root:
        return Path(root)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fairvision"


def _key(dataset: Dataset, size: int) -> str:
    digest = hashlib.sha256(repr((_FORMAT, size, str(dataset.root.resolve()))).encode())
    digest.update(repr(dataset.samples["mask"].isna().tolist()).encode())
    for stamp in file_stamps(dataset):
        digest.update(repr(stamp).encode())
    return f"{dataset.root.resolve().name}-{size}-{digest.hexdigest()[:16]}"


def _build(dataset: Dataset, size: int, folder: Path, workers: int, quiet: bool) -> None:
    n = len(dataset)
    new = partial(np.lib.format.open_memmap, mode="w+", dtype=np.uint8)
    images = new(folder / "images.npy", shape=(n, size, size, 3))
    masks = new(folder / "masks.npy", shape=(n, size, size))

    columns = [dataset.samples[name].tolist() for name in ("id", "image", "mask")]

    def decode(rows: range) -> int:
        for row in rows:
            name, image, mask = (column[row] for column in columns)
            try:
                picture = read_picture(dataset.root / image)
                images[row] = resize(picture, size)
                if mask is not None:
                    masks[row] = resize_mask(read_mask(dataset.root / mask, picture.size), size)
            except InputError as error:
                raise InputError(f"{error} (sample {name!r} of {dataset.root})") from None
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
    images.flush()
    masks.flush()
    np.save(folder / _MARKER, masks.reshape(n, -1).any(axis=1))


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    with Progress(transient=True, disable=quiet, console=Console(stderr=True)) as bar:
        task = bar.add_task("decoding pictures", total=total)
        yield lambda done: bar.advance(task, done)
