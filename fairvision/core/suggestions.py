"""What a mistyped name may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 3


def near(name: str, names: Iterable[str], most: int = MOST) -> list[str]:
    """Return the names that are spelled most like another, the nearest first; case is no matter.

    Examples
    --------
    >>> near("equaliser", ["baseline", "equalizer"]), near("Femal", ["female", "male"])
    (['equalizer'], ['female', 'male'])
    """
    by_spelling: dict[str, str] = {}
    for other in names:
        by_spelling.setdefault(other.casefold(), other)
    matches = get_close_matches(name.casefold(), by_spelling, n=most)
    return [by_spelling[match] for match in matches]


def did_you_mean(name: str, names: Iterable[str], most: int = 1) -> str:
    """Return a question after the names that may have been meant, to end a message; or nothing.

    Examples
    --------
    >>> "no metric" + did_you_mean("acuracy", ["accuracy", "error"])
    'no metric: did you mean accuracy?'
    >>> did_you_mean("zzz", ["accuracy", "error"])
    ''
    """
    meant = near(name, names, most)
    return f": did you mean {' or '.join(meant)}?" if meant else ""
