"""Chance that belongs to what it is drawn for: the same on every machine and in every audit."""

from __future__ import annotations

from hashlib import blake2b


def draw(*key: object) -> float:
    """Return a number in [0, 1], evenly distributed over what it is drawn for.

    >>> round(draw(0, "photo-17", "objects"), 3), round(draw(1, "photo-17", "objects"), 3)
    (0.809, 0.504)
    """
    digest = blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
