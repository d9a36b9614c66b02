"""How often things are drawn, with replacement, as many as there are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from fairvision.metrics._engine.arrays import Array, Ints


def draw_units(generator: np.random.Generator, counts: Ints, replicates: int) -> Array:
    """Return how often units with so many images are drawn, (units, replicates)."""
    total = int(counts.sum())
    if not total:
        return np.zeros((len(counts), replicates))
    if len(counts) * 25 < total:
        return generator.multinomial(total, counts / total, size=replicates).T
    unit = np.repeat(np.arange(len(counts)), counts)
    drawn = np.empty((replicates, len(counts)))
    for replicate in drawn:
        picked = unit[generator.integers(total, size=total)]
        replicate[:] = np.bincount(picked, minlength=len(counts))
    return drawn.T


def draw_rows(rows: int, replicates: int, seed: int, size: int) -> Iterator[Ints]:
    """Yield how often each single image is drawn, (rows, size) at once; never 255 times."""
    generator = np.random.Generator(np.random.SFC64(seed))  # half again as fast as the default
    for start in range(0, replicates, size):
        counts = np.empty((min(size, replicates - start), rows), np.uint8)
        for replicate in counts if rows else ():
            replicate[:] = np.bincount(_picked(generator, rows), minlength=rows)
        yield np.ascontiguousarray(counts.T)


def _picked(generator: np.random.Generator, rows: int) -> Ints:
    """Return as many rows as there are, drawn with replacement, in no random order.

    How many fall into each block of 256 is multinomial, and a byte says which row of the block.
    """
    first = np.arange(0, rows, 256)
    last = rows - first[-1]
    often = generator.multinomial(rows, np.minimum(rows - first, 256) / rows)
    picked = np.repeat(first, often)
    whole = rows - int(often[-1])
    picked[:whole] += np.frombuffer(generator.bytes(whole), np.uint8)
    picked[whole:] += generator.integers(last, size=often[-1])
    return picked


@lru_cache(maxsize=1)
def keep_rows(rows: int, replicates: int, seed: int, size: int) -> tuple[Ints, ...]:
    """Return all blocks of `draw_rows`, kept for the next measure of as many rows."""
    return tuple(draw_rows(rows, replicates, seed, size))
