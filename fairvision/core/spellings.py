"""Names that read alike, such as "Female" and "female ", and names that seem to mean unknown.

Neither is changed: whether they are one group or two is for whoever wrote them to say. Needs
nothing but the standard library, and looks at distinct names only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from fairvision.errors import warn_caller

UNKNOWN = "unknown"
MISSING = frozenset(
    ("", "nan", "none", "null", "na", "n/a", "<na>", "nat", "#n/a", "-1", "?", "missing")
)
_NUMBER = re.compile(r"0*(\d+)(?:\.0*)?")
_NAMED = 3  # of each kind, in a warning
_LONGEST = 30


def folded(name: str) -> str:
    r"""Return a name as it reads: without case, blanks at the ends and forms of Unicode.

    Examples
    --------
    >>> folded(" Female\xa0"), folded("cafe\u0301") == folded("CAF\u00c9")
    ('female', True)
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    if not plain.isascii():
        shows = (letter for letter in plain if unicodedata.category(letter) != "Cf")
        plain = unicodedata.normalize("NFKC", "".join(shows))
    return " ".join(plain.split())


def alike(names: Iterable[object]) -> list[tuple[str, ...]]:
    """Return the texts among distinct names that read alike, together, in order of appearance.

    Examples
    --------
    >>> alike(["Female", "male", "female ", 3])
    [('Female', 'female ')]
    """
    spellings: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for name in names if isinstance(name, str)):
        spellings.setdefault(folded(name), []).append(name)
    return [tuple(same) for same in spellings.values() if len(same) > 1]


def seem_missing(names: Iterable[object]) -> list[str]:
    """Return the texts among names that other programs write where nothing is known.

    Examples
    --------
    >>> seem_missing(["cat", "NaN", "None", None])
    ['NaN', 'None']
    """
    return [name for name in names if isinstance(name, str) and folded(name) in MISSING]


def as_number(text: str) -> str:
    """Return an id that is a whole number without zeros in front and behind; others as they are.

    Examples
    --------
    >>> as_number("000000080714"), as_number("7.0"), as_number("0"), as_number("ski_01")
    ('80714', '7', '0', 'ski_01')
    """
    number = _NUMBER.fullmatch(text)
    return number[1] if number and text.isascii() else text


def warn_of_spellings(subject: str, names: Iterable[object]) -> None:
    """Warn in one line of names that read alike, and of those that seem to mean unknown.

    Parameters
    ----------
    subject : is named so, such as "groups" or "column 'gender'"
    names : the distinct ones; what is no text is passed over

    Warns
    -----
    FairvisionWarning
        There are such names. Each is counted as a name of its own.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warn_of_spellings("groups", ["Female", "female "])
    >>> print(caught[0].message)
    groups: 'Female' and 'female ' count as different: write them alike if they are one
    """
    names = list(dict.fromkeys(names))
    parts = []
    together = [distinguishable(same[:_NAMED]) for same in alike(names)]
    if together:
        parts.append(f"{_listed(together)} count as different: write them alike if they are one")
    texts = {name for name in names if isinstance(name, str)} - {UNKNOWN}
    coded = texts == {"-1", "1"}  # as in CelebA: the other of two
    missing = [] if coded else [_shortened(repr(name)) for name in seem_missing(names)]
    if len(missing) == 1:
        parts.append(f"{missing[0]} counts as a name: leave it empty if it means unknown")
    elif missing:
        parts.append(f"{_listed(missing)} count as names: leave them empty if they mean unknown")
    if parts:
        warn_caller(f"{subject}: {'; '.join(parts)}")


def distinguishable(names: tuple[str, ...]) -> str:
    """Return names for a message, in escapes where they would look the same.

    >>> distinguishable(("caf\\u00e9", "cafe\\u0301"))
    "'caf\\\\xe9' and 'cafe\\\\u0301'"
    """
    looks = {unicodedata.normalize("NFC", " ".join(f"'{name}'".split())) for name in names}
    plain = len(looks) == len(names) and all(name.isprintable() for name in names)
    return " and ".join(_shortened(repr(name) if plain else ascii(name)) for name in names)


def _shortened(text: str) -> str:
    """Return a text with its middle cut out if it is too long to be shown."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 8]}…{text[-8:]}"


def _listed(parts: list[str]) -> str:
    """Return the first parts separated by commas, and how many more there are."""
    more = f", … ({len(parts) - _NAMED} more)" if len(parts) > _NAMED else ""
    return ", ".join(parts[:_NAMED]) + more
