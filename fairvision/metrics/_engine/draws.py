"""How often things are drawn, with replacement, as many as there are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from fairvision.metrics._engine.arrays import Array, Ints

_AT_ONCE = 1 << 16  # images that are picked together


def draw_units(generator: np.random.Generator, counts: Ints, replicates: int) -> Array:
    """Return how often units with so many images are drawn, (units, replicates)."""
    total = int(counts.sum())
    if not total:
        return np.zeros((len(counts), replicates))
    if len(counts) * 25 < total:
        return generator.multinomial(total, counts / total, size=replicates).T
    unit = np.repeat(np.arange(len(counts)), counts)
    drawn = np.empty((replicates, len(counts)))
    step = max(1, _AT_ONCE // total)
    for start in range(0, replicates, step):
        block = drawn[start : start + step]
        picked = unit[generator.integers(total, size=(len(block), total))]
        picked += len(counts) * np.arange(len(block))[:, None]
        block[:] = np.bincount(picked.ravel(), minlength=block.size).reshape(block.shape)
    return drawn.T


@lru_cache(maxsize=2)
def keep_units(counts: bytes, replicates: int, seed: int) -> Array:
    """Return `draw_units` of counts (units,) int64, kept for the next measure of the same units."""
    return draw_units(np.random.default_rng(seed), np.frombuffer(counts, np.int64), replicates)


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


@lru_cache(maxsize=2)  # images, and blocks of them
def keep_rows(rows: int, replicates: int, seed: int, size: int) -> tuple[Ints, ...]:
    """Return all blocks of `draw_rows`, kept for the next measure of as many rows."""
    return tuple(draw_rows(rows, replicates, seed, size))
