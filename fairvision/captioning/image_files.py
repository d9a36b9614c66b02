"""The files of images, by their ids, and the images that are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fairvision.captioning.labels import Labels, identity
from fairvision.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")


def rows_of(
    asked: Sequence[str], truth: Labels, captions: Mapping[str, Mapping[str, str]]
) -> Labels:
    """Return labels of the images that were asked for, in this order; empty where unknown.

    Raises
    ------
    InputError
        A model has no caption of one of them.
    """
    ids = [identity(one) or "" for one in asked]
    for image in ids:
        for model, of_model in captions.items():
            if image not in of_model:
                raise InputError(f"--show {image}: {model} has no caption of this picture")
    return truth.of(ids)


def find_images(folder: Path, ids: Iterable[str]) -> dict[str, Path]:
    """Return the file of each image that is there.

    A file belongs to an id that its name is or ends with, as `80714.jpg`, `000000080714.jpg` and
    `COCO_val2014_000000080714.jpg` do.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of pictures")
    wanted, files = set(ids), dict[str, Path]()
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            for name in (path.stem, path.stem.rpartition("_")[2]):
                image = identity(name)
                if image in wanted:
                    files.setdefault(image, path)
                    break
    return files
