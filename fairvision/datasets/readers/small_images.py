"""Collections of many small images that come as one array: written as image files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from fairvision.errors import InputError

_PER_FOLDER = 1000


def image_paths(part: str, count: int) -> list[str]:
    """Return a relative path for each of `count` images, a thousand in a folder.

    >>> image_paths("train", 2)
    ['images/train/00/00000.png', 'images/train/00/00001.png']
    """
    return [f"images/{part}/{i // _PER_FOLDER:02d}/{i:05d}.png" for i in range(count)]


def write_images(
    folder: Path,
    paths: Sequence[str],
    images: np.ndarray,
    *,
    workers: int | None = None,
    quiet: bool = True,
) -> None:
    """Write images, (n, height, width) or (n, height, width, 3) uint8, as PNG files."""
    for parent in {(folder / path).parent for path in paths}:
        parent.mkdir(parents=True, exist_ok=True)

    def write(start: int) -> None:
        for path, image in zip(paths[start : start + _PER_FOLDER], images[start:]):
            Image.fromarray(image).save(folder / path, compress_level=1)

    starts = range(0, len(paths), _PER_FOLDER)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        try:
            for _ in track(
                pool.map(write, starts),
                "writing pictures",
                total=len(starts),
                transient=True,
                disable=quiet,
            ):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def held_out(count: int, val: int, seed: int) -> np.ndarray:
    """Return the split of each of `count` training images: `val` of them, at random, are val.

    >>> held_out(5, 2, seed=0).tolist()
    ['train', 'train', 'train', 'val', 'val']
    """
    if not 0 <= val < count:
        raise InputError(
            f"{val} validation pictures cannot be held out of {count} training pictures: "
            f"--val must be 0 to {count - 1}"
        )
    splits = np.full(count, "train", object)
    splits[np.random.default_rng(seed).choice(count, val, replace=False)] = "val"
    return splits
