"""What is odd about the images and masks of a data set: one warning per kind, not per file."""

from __future__ import annotations

import warnings
from pathlib import Path

from fairvision.errors import FairvisionWarning, shown

_NAMED = 3


class Doubts:
    """Gathers which files are odd in which way, also from threads.

    Examples
    --------
    >>> doubts = Doubts()
    >>> for name in "abcd":
    ...     doubts.note("masks that cover the whole image", f"{name}.png")
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     doubts.tell()
    ...     doubts.tell()
    >>> [str(warning.message) for warning in caught]
    ["masks that cover the whole image: 4 ('a.png', 'b.png', 'c.png', …)"]
    """

    def __init__(self) -> None:
        self._paths: dict[str, dict[str, None]] = {}
        self._told: set[str] = set()

    def note(self, kind: str, path: str | Path) -> None:
        """Note that a file is odd in some way; `kind` begins with a plural noun."""
        self._paths.setdefault(kind, {})[str(path)] = None

    def tell(self) -> None:
        """Warn of each kind once, however often this is called."""
        for kind, paths in list(self._paths.items()):
            if kind not in self._told:
                self._told.add(kind)
                named = [shown(path) for path in list(paths)[:_NAMED]]
                named += ["…"] * (len(paths) > _NAMED)
                message = f"{kind}: {len(paths)} ({', '.join(named)})"
                warnings.warn(message, FairvisionWarning, stacklevel=2)
