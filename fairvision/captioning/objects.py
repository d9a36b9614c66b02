"""Which objects a caption names: by their own name, its plural, and further words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from fairvision.errors import InputError
from fairvision.metrics.caption_words import tokens

IRREGULAR = {
    "child": "children",
    "foot": "feet",
    "goose": "geese",
    "man": "men",
    "mouse": "mice",
    "person": "people",
    "sheep": "sheep",
    "tooth": "teeth",
    "woman": "women",
}


def plural(name: str) -> str:
    """Return the plural of an English noun; of several words, that of the last.

    >>> [plural(name) for name in ("wine glass", "knife", "baby", "toy", "mouse", "laptop")]
    ['wine glasses', 'knives', 'babies', 'toys', 'mice', 'laptops']
    """
    before, space, last = name.rpartition(" ")
    if last in IRREGULAR:
        last = IRREGULAR[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in tuple("aeiou"):
        last = last[:-1] + "ies"
    elif last.endswith("fe"):
        last = last[:-2] + "ves"
    else:
        last += "s"
    return before + space + last


def named_objects(
    captions: Iterable[str],
    labels: Sequence[str],
    words: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Return which labels each caption names.

    Parameters
    ----------
    captions : n texts
    labels : names of the objects
    words : further words or phrases of some labels

    Returns
    -------
    (n, labels) 0 and 1. At each place of a caption the longest phrase counts and nothing within it:
    a hot dog is no dog.

    Raises
    ------
    InputError
        `words` are of something that is no label, hold an empty phrase, or one of two labels.

    >>> named_objects(["two hot dogs by a TV"], ["dog", "hot dog", "tv"]).to_dict("records")
    [{'dog': 0, 'hot dog': 1, 'tv': 1}]
    """
    phrases = _phrases(labels, words or {})
    longest = max(map(len, phrases), default=0)
    texts = list(captions)
    held = np.zeros((len(texts), len(labels)), np.int8)
    by_text: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        if text not in by_text:
            by_text[text] = _named_labels(tokens(text), phrases, longest)
        held[row, by_text[text]] = 1
    return pd.DataFrame(held, columns=list(labels))


def _phrases(
    labels: Sequence[str], words: Mapping[str, Sequence[str]]
) -> dict[tuple[str, ...], int]:
    """Return the label, a place in `labels`, of each phrase; own names go before plurals."""
    for label in words:
        if label not in labels:
            raise InputError(f"{label!r} is none of the objects: {', '.join(labels)}")
    phrases: dict[tuple[str, ...], int] = {}
    for form in (plural, str):
        for place, label in enumerate(labels):
            if tokens(label):
                phrases[tuple(tokens(form(label)))] = place
    for label, more in words.items():
        place = labels.index(label)
        for text in more:
            phrase = tuple(tokens(text))
            if not phrase:
                raise InputError(f"{label!r} has a phrase without words: {text!r}")
            if phrases.setdefault(phrase, place) != place:
                raise InputError(f"{text!r} stands for {labels[phrases[phrase]]!r} and {label!r}")
    return phrases


def _named_labels(words: list[str], phrases: dict[tuple[str, ...], int], longest: int) -> list[int]:
    """Return the labels in a text; phrases are read from left to right, long ones first."""
    places, at = [], 0
    while at < len(words):
        for size in range(min(longest, len(words) - at), 0, -1):
            label = phrases.get(tuple(words[at : at + size]))
            if label is not None:
                places.append(label)
                at += size
                break
        else:
            at += 1
    return places
