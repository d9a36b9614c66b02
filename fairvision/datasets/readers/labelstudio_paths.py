"""Paths of images as Label Studio writes them: those that it serves, and those of its storages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fairvision.core.tables import Place
from fairvision.datasets.folder import IMAGE_SUFFIXES
from fairvision.datasets.readers.importing import locator
from fairvision.errors import InputError, shown

_UPLOADS, _LOCAL = "/data/upload/", "/data/local-files/"


def image_key(path: Path, data: Sequence[dict[str, Any]], key: str | None) -> str:
    """Return the field of the tasks' data that holds the image.

    Parameters
    ----------
    path : of the file, for messages
    data : of each task
    key : the field, if the user says it

    Examples
    --------
    >>> image_key(Path("a.json"), [{"photo": "/data/upload/1/a.jpg", "text": "a"}], None)
    'photo'
    """
    there = list(dict.fromkeys(name for fields in data for name in fields))
    if key is not None and key not in there:
        raise InputError(f"{path}: data have no field {shown(key)}: they have {_listed(there)}")
    if key is None and "image" in there:
        key = "image"
    if key is None:
        paths = [
            name
            for name in there
            if any(
                PurePosixPath(served(str(fields.get(name, "")))).suffix.lower() in IMAGE_SUFFIXES
                for fields in data
            )
        ]
        if len(paths) != 1:
            raise InputError(
                f"{path}: say by --image which field of the data holds the picture: they have "
                f"{_listed(there)}"
            )
        key = paths[0]
    return key


def _listed(names: Sequence[str]) -> str:
    """Return names between commas."""
    return ", ".join(map(str, names)) or "none"


def served(path: str) -> str:
    """Return the file that a path of Label Studio's server leads to; other paths as they are.

    Examples
    --------
    >>> served("/data/upload/3/1a2b-a%20dog.jpg"), served("/data/local-files/?d=set/a.jpg")
    ('3/1a2b-a dog.jpg', 'set/a.jpg')
    """
    if path.startswith(_UPLOADS):
        return unquote(path.removeprefix(_UPLOADS))
    if path.startswith(_LOCAL):
        return parse_qs(urlsplit(path).query).get("d", [""])[0].lstrip("/")
    return path


def locate_image(folder: Path, path: str, place: str) -> Path:
    """Return where the image of a task lies.

    Parameters
    ----------
    folder : of the images; a path that the server leads to may begin further out, as folders above
        them do there: its longest end that is in the folder is taken
    path : as the task has it
    place : of the task, for messages

    Raises
    ------
    InputError
        The path is a web address, or leads out of the folder.
    """
    if "://" in path or path.startswith("data:"):
        raise InputError(
            f"{place}: {shown(path)} is a web address: download the picture, and write its path"
        )
    located, here = locator(folder), Place(place)
    parts = PurePosixPath(served(path)).parts
    whole = located("/".join(parts), here)
    if not path.startswith((_UPLOADS, _LOCAL)):
        return whole
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    return next((located(end, here) for end in ends if (folder / end).is_file()), whole)
