"""Captions and word lists in JSON: COCO's results, COCO's annotations, {name: [words]}."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairvision.core.files import read_json
from fairvision.core.spellings import as_number
from fairvision.errors import InputError


def identity(value: Any) -> str | None:
    """Return an id as text, numbers without leading zeros; None where there is none.

    >>> identity(80714), identity("000000080714"), identity("ski_1"), identity("")
    ('80714', '80714', 'ski_1', None)
    """
    if isinstance(value, bool) or value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return as_number(str(value).strip()) or None


def read_captions(path: Path) -> dict[str, str]:
    """Read a model's captions, one per image, in COCO's format of results.

    Parameters
    ----------
    path : JSON, `[{"image_id": 1, "caption": "a man skis"}, …]`

    Raises
    ------
    InputError
        One line that names file, entry and field.
    """
    value = read_json(path)
    if not isinstance(value, list):
        raise InputError(
            f'{path} is not a list of captions: it has to be [{{"image_id": …, "caption": …}}, …]'
        )
    captions: dict[str, str] = {}
    for number, image, caption in _entries(path, value):
        if image in captions:
            raise InputError(f"{path} entry {number}, image_id: {image} is there twice")
        captions[image] = caption
    return captions


def read_human(path: Path) -> dict[str, tuple[str, ...]]:
    """Read captions that people wrote, any number per image.

    Parameters
    ----------
    path : JSON, a list as in `read_captions`, or COCO's annotations, `{"annotations": […]}`
    """
    value = read_json(path)
    entries = value.get("annotations") if isinstance(value, dict) else value
    if not isinstance(entries, list):
        raise InputError(f"{path} is neither a list of captions nor has it a list 'annotations'")
    captions: dict[str, tuple[str, ...]] = {}
    for _, image, caption in _entries(path, entries):
        captions[image] = (*captions.get(image, ()), caption)
    return captions


def read_words(path: Path) -> dict[str, list[str]]:
    """Read lists of words by the name of what they stand for, `{"woman": ["woman", "she"], …}`."""
    value = read_json(path)
    if not isinstance(value, dict) or not value:
        raise InputError(f'{path} has to map names to lists of words: {{"name": ["word", …], …}}')
    for name, words in value.items():
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError(f"{path}, {name!r}: has to be a list of words")
    return value


@contextmanager
def errors_about(place: object) -> Iterator[None]:
    """Put the file (and field) before what an `InputError` says."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def _entries(path: Path, entries: list[Any]) -> Iterator[tuple[int, str, str]]:
    """Yield number, image id and caption of each entry; raise `InputError` if one is wrong."""
    if not entries:
        raise InputError(f"{path} holds no captions")
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise InputError(f"{path} entry {number} is not an object with image_id and caption")
        for field, kinds in (("image_id", (int, str)), ("caption", str)):
            if field not in entry:
                raise InputError(f"{path} entry {number} has no field {field!r}")
            if not isinstance(entry[field], kinds) or isinstance(entry[field], bool):
                expected = "text" if field == "caption" else "a whole number or text"
                raise InputError(f"{path} entry {number}, {field}: has to be {expected}")
        image = identity(entry["image_id"])
        if image is None:
            raise InputError(f"{path} entry {number}, image_id: is empty")
        yield number, image, entry["caption"]
