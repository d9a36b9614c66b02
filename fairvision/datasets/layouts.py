"""Layouts of known data sets that are not read as they are: what they look like, and what helps."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from fairvision.core.files import is_of_system
from fairvision.errors import InputError

_RECIPE = "docs/data.md, 'Layouts of known data sets', has the five lines that make a table of it"
_UTKFACE = re.compile(r"\d{1,3}_[01]_(\d_)?\d{8,}.*\.(jpe?g|png)(\.chip\.jpg)?", re.IGNORECASE)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
_SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")
_LOOKED_AT = 50  # entries of a folder


def refuse_layouts(path: Path) -> None:
    """Raise `InputError` with what to do where a path is the layout of a known data set.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for label in ("cat", "dog"):
    ...         Path(place, label).mkdir()
    ...         Path(place, label, "1.png").touch()
    ...     try:
    ...         refuse_layouts(Path(place))
    ...     except InputError as error:
    ...         print(str(error).removeprefix(place).partition(":")[0])
     looks like an ImageFolder, a folder of pictures per label
    """
    if layout := _layout(path):
        raise InputError(f"{path} looks like {layout}: {_RECIPE}")


def _layout(path: Path) -> str:
    """Return what a path of images seems to be, in words, and "" if it is no known layout."""
    if path.is_file():
        return "CelebA's list of attributes" if path.suffix == ".txt" and _is_celeba(path) else ""
    if not path.is_dir() or (path / "dataset.json").exists():
        return ""
    entries = _entries(path)
    if any(_UTKFACE.fullmatch(entry.name) for entry in entries):
        return "UTKFace, whose file names hold age, gender and race"
    labels = [entry for entry in entries if entry.is_dir()]
    if labels and all(label.name.lower() in _SPLITS for label in labels):
        labels = [inner for split in labels for inner in _entries(split) if inner.is_dir()]
    if len(labels) > 1 and all(map(_holds_images, labels)):
        return "an ImageFolder, a folder of pictures per label"
    return ""


def _is_celeba(path: Path) -> bool:
    """Return whether a text begins with a count, a line of names, and an image with -1 and 1."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = [line[:10_000].split() for line in islice(file, 3)]
    except (OSError, UnicodeError):
        return False
    if len(lines) < 3 or len(lines[0]) != 1 or not lines[0][0].isdecimal():
        return False
    return len(lines[2]) == len(lines[1]) + 1 and set(lines[2][1:]) <= {"-1", "1"}


def _entries(folder: Path) -> list[Path]:
    """Return the first entries of a folder, sorted; none if it cannot be listed."""
    try:
        entries = (entry for entry in folder.iterdir() if not is_of_system(entry.name))
        return sorted(islice(entries, _LOOKED_AT))
    except OSError:
        return []


def _holds_images(folder: Path) -> bool:
    """Return whether one of the first entries of a folder has the suffix of an image."""
    return any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in _entries(folder))
