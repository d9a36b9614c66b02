"""Ids of images, which one program writes as numbers and another as text."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"0*(\d+)(?:\.0*)?")


def as_number(text: str) -> str:
    """Return an id that is a whole number without zeros in front and behind; others as they are.

    Examples
    --------
    >>> as_number("000000080714"), as_number("7.0"), as_number("0"), as_number("ski_01")
    ('80714', '7', '0', 'ski_01')
    """
    number = _NUMBER.fullmatch(text)
    return number[1] if number and text.isascii() else text
