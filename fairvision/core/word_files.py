"""Lists of words in JSON: those of each group, or of each object."""

from __future__ import annotations

from pathlib import Path

from fairvision.core.files import read_json
from fairvision.errors import InputError


def read_words(path: Path) -> dict[str, list[str]]:
    """Read lists of words by the name of what they stand for, `{"woman": ["woman", "she"], …}`."""
    value = read_json(path)
    if not isinstance(value, dict) or not value:
        raise InputError(f'{path} has to map names to lists of words: {{"name": ["word", …], …}}')
    for name, words in value.items():
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError(f"{path}, {name!r}: has to be a list of words")
    return value
