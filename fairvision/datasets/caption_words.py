"""The group that people perceive, read from the words of their captions.

Words and tokens are those of `fairvision.metrics.caption_genders`.
"""

from __future__ import annotations

from collections.abc import Iterable

from fairvision.metrics.caption_words import GENDER_WORDS, named_group, tokens

__all__ = ["WORDS", "perceived_gender", "tokens"]

WORDS = {"female": GENDER_WORDS["woman"], "male": GENDER_WORDS["man"]}


def perceived_gender(captions: Iterable[str]) -> str | None:
    """Return the one group that the captions of an image name; None for both or neither.

    >>> perceived_gender(["A woman rides a horse.", "Somebody on her horse."])
    'female'
    >>> perceived_gender(["A woman and a man."]) is None
    True
    """
    group = named_group(tuple(captions), WORDS)
    return group if group in WORDS else None
