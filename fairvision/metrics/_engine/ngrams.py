"""Runs of tokens: how often each text holds each, and the longest that two texts share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import pandas as pd
from scipy import sparse

from fairvision.metrics._engine.arrays import Floats, Ints

_PAIRS = 4096  # pairs of texts that are looked at together, at most
_STEPS = 4_000_000  # entries of their tables, at most, if they are several


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts as numbers that stand for their tokens.

    Attributes
    ----------
    token : (tokens,) ints, the texts one after the other
    length : (texts,) ints, tokens of each
    """

    token: Ints
    length: Ints

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> Texts:
        """Return texts that are given as lists of tokens."""
        tokens = np.array([*chain.from_iterable(texts)], dtype=object)
        return cls(pd.factorize(tokens)[0], np.array([*map(len, texts)], dtype=np.int64))

    @cached_property
    def start(self) -> Ints:
        """Where each text starts."""
        return np.cumsum(self.length) - self.length

    def padded(self, texts: Ints, filler: int) -> Ints:
        """Return a table of the tokens of some texts, (texts, longest)."""
        length = self.length[texts]
        place = np.arange(length.max(initial=0))
        inside = place < length[:, None]
        at = np.where(inside, self.start[texts][:, None] + place, 0)
        return np.where(inside, self.token[at], filler)


def ngram_counts(texts: Texts, order: int) -> Iterator[sparse.csr_array]:
    """Yield how often texts hold runs of 1 to `order` tokens, (texts, different runs) each."""
    gram, span = texts.token, int(texts.token.max(initial=-1)) + 1
    left = np.repeat(texts.length, texts.length) - np.arange(len(texts.token))
    left += np.repeat(texts.start, texts.length)  # tokens from here to the end of the text
    at = np.arange(len(texts.token))
    for size in range(1, order + 1):
        if size > 1:
            longer = left[at] >= size
            at = at[longer]
            pair = gram[longer].astype(np.int64) * span + texts.token[at + size - 1]
            gram = pd.factorize(pair)[0]
        ends = np.concatenate([[0], np.cumsum(np.maximum(texts.length - size + 1, 0))])
        shape = len(texts.length), int(gram.max(initial=-1)) + 1
        counts = sparse.csr_array((np.ones(len(gram)), gram.copy(), ends), shape=shape)
        counts.sum_duplicates()  # which sorts in place
        yield counts


def maximum_of_rows(table: sparse.csr_array, row: Ints) -> sparse.coo_array:
    """Return the largest number that alike entries of `row` have in each column.

    Parameters
    ----------
    table : (rows, columns) numbers above 0
    row : (rows,) which row of the result each is taken to
    """
    entries = table.tocoo()
    place = row[entries.row].astype(np.int64) * table.shape[1] + entries.col
    order = np.argsort(place, kind="stable")
    place, first = np.unique(place[order], return_index=True)
    most: Floats = np.maximum.reduceat(entries.data[order], first) if len(first) else np.empty(0)
    at, column = np.divmod(place, max(1, table.shape[1]))
    return sparse.coo_array((most, (at, column)), shape=(row.max(initial=-1) + 1, table.shape[1]))


def longest_common(texts: Texts, first: Ints, second: Ints) -> Ints:
    """Return the length of the longest subsequence of tokens that both texts of a pair hold.

    One row of the table of dynamic programming after the other, for many pairs at once: within a
    row the largest length so far is a running maximum.

    Parameters
    ----------
    first, second : (pairs,) which texts

    Returns
    -------
    (pairs,) ints
    """
    longest = np.zeros(len(first), np.int64)
    for pairs in _of_like_length(texts.length[first], texts.length[second]):
        rows, columns = texts.padded(first[pairs], -1), texts.padded(second[pairs], -2)
        best = np.zeros((len(pairs), columns.shape[1] + 1), np.int32)
        for token in rows.T:
            longer = best[:, :-1] + (columns == token[:, None])
            best[:, 1:] = np.maximum.accumulate(np.maximum(longer, best[:, 1:]), axis=1)
        longest[pairs] = best[:, -1]
    return longest


def _of_like_length(first: Ints, second: Ints) -> Iterator[Ints]:
    """Yield pairs of texts in blocks whose padded tables are not much larger than needed.

    `first` and `second` are the lengths of the texts, (pairs,).
    """
    order = np.lexsort((second, first))
    while len(order):
        window = order[:_PAIRS]
        longest = np.maximum.accumulate(first[window]) * np.maximum.accumulate(second[window])
        size = longest * np.arange(1, len(window) + 1)
        stop = max(1, int(np.searchsorted(size, _STEPS, side="right")))
        yield order[:stop]
        order = order[stop:]
