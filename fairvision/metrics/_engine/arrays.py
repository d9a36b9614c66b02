"""Arrays: names of their types, operations on them; which labels hold in which row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array: TypeAlias = NDArray[Any]
Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.floating[Any]]
Ints: TypeAlias = NDArray[np.integer[Any]]
Objects: TypeAlias = NDArray[np.object_]
_LISTED = 1 << 20  # codes that are counted rather than sorted

Columns: TypeAlias = dict[str, Any]  # arrays, Series, tables by the names of arguments


def ratio(part: Array, whole: Array) -> Floats:
    """Return part / whole, NaN where the whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    quotient: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)
    return quotient


def unique_codes(codes: Ints, span: int) -> tuple[Ints, Ints]:
    """Return the different codes, rising, and where each is among them; all are below `span`."""
    if span > max(_LISTED, len(codes)):
        different, place = np.unique(codes, return_inverse=True)
        return different, place
    different = np.flatnonzero(np.bincount(codes, minlength=span))
    place_of = np.zeros(span, np.int64)
    place_of[different] = np.arange(len(different))
    return different, place_of[codes]


def mean_of_defined(values: Floats) -> Floats:
    """Return the mean over the first axis of what is not NaN, NaN where nothing is left."""
    return ratio(np.nansum(values, axis=0), (~np.isnan(values)).sum(axis=0))


def tally(matrix: Any, weights: Array, shape: tuple[int, ...]) -> Floats:
    """Return the sums of weights (units, b) by a matrix (sums, units), in a shape (*shape, b)."""
    return added(matrix, weights).reshape(*shape, weights.shape[1])


def added(matrix: Any, weights: Any) -> Floats:
    """Return the sums of weights (units, b) by a matrix (sums, units); either may be sparse."""
    sums = matrix @ weights
    return np.asarray(sums.toarray() if sparse.issparse(sums) else sums, float)


def as_objects(names: Sequence[Any]) -> Objects:
    """Return names, which may be tuples, as an array of one axis."""
    column = np.empty(len(names), dtype=object)
    column[:] = names
    return column


@dataclass(frozen=True, eq=False)
class Labels:
    """Which labels hold in which row.

    Attributes
    ----------
    held : (rows,) codes, −1 where unknown, or (rows, labels) bool
    valid : (rows,) bool, where the labels are not unknown
    """

    held: Array
    valid: Bools

    @property
    def many(self) -> bool:
        """Say whether many labels may hold in a row."""
        return self.held.ndim > 1

    @cached_property
    def places(self) -> tuple[Ints, Ints]:
        """The row, rising, and the label of everything that holds."""
        if self.many:
            return self._at(_places(self.held))
        row = np.flatnonzero(self.held >= 0)
        return row, self.held[row]

    @property
    def row(self) -> Ints:
        """The row of everything that holds."""
        return self.places[0]

    @property
    def label(self) -> Ints:
        """The label of everything that holds."""
        return self.places[1]

    def _at(self, place: Ints) -> tuple[Ints, Ints]:
        """Return row and label of flat places in the table."""
        row = place // self.held.shape[1]  # faster than numpy's divmod
        return row, place - row * self.held.shape[1]

    def indicator(self, groups: Ints, shape: tuple[int, int], keep: Bools) -> sparse.csc_array:
        """Return the sparse indicator (groups * labels, rows) of each pair of group and label.

        Only rows in `keep` count; times weights (rows, b) it gives the weighted counts.
        """
        return _indicator(*self.places, np.float32(1), groups, shape, keep)

    def sums(self, groups: Ints, shape: tuple[int, int], keep: Bools, weights: Array) -> Array:
        """Return the indicator times weights (rows,), without making the indicator."""
        if self.many and (weights == 1).all():
            rows = (np.flatnonzero(keep & (groups == group)) for group in range(shape[0]))
            return np.array([_column_sums(self.held.take(each, axis=0)) for each in rows]).ravel()
        row, label = self.places
        pair = np.where(keep, groups, shape[0])[row] * shape[1] + label
        kept = np.bincount(pair, weights[row], minlength=(shape[0] + 1) * shape[1])
        return kept[: shape[0] * shape[1]]

    def change(
        self, other: Labels, groups: Ints, shape: tuple[int, int], keep: Bools
    ) -> sparse.csc_array:
        """Return the indicator of other labels less that of these, of rows of the same groups."""
        if not self.many:
            keep = keep & (self.held != other.held)
            return other.indicator(groups, shape, keep) - self.indicator(groups, shape, keep)
        place = _places(self.held ^ other.held)
        row, label = self._at(place)
        sign = np.where(self.held.ravel()[place], np.float32(-1), np.float32(1))
        return _indicator(row, label, sign, groups, shape, keep)


def one_label_each(codes: Ints) -> Labels:
    """Return codes (-1 = unknown) as labels."""
    return Labels(codes, codes >= 0)


def _column_sums(table: Bools) -> Ints:
    """Return how often each column is true; in blocks of which a byte can count."""
    rows = len(table) - len(table) % 255
    numbers = table.view(np.uint8)
    blocks = numbers[:rows].reshape(-1, 255, table.shape[1]).sum(axis=1, dtype=np.uint8)
    sums: Ints = blocks.sum(axis=0, dtype=np.int64) + numbers[rows:].sum(axis=0, dtype=np.int64)
    return sums


def _places(table: Bools) -> Ints:
    """Return the flat places of what is true, rising; first in words of 8, of which few are."""
    flat = table.ravel()
    if len(flat) % 8:
        return np.flatnonzero(flat)
    words = flat.view(np.int64)
    word = np.flatnonzero(words != 0)
    inside = np.flatnonzero(words[word].view(bool))
    place: Ints = word[inside >> 3] << 3
    place += inside & 7
    return place


def _indicator(
    row: Ints,
    label: Ints,
    value: Floats | np.float32,
    groups: Ints,
    shape: tuple[int, int],
    keep: Bools,
) -> sparse.csc_array:
    """Return the sparse matrix (groups * labels, rows) of values at entries of row and label."""
    value = np.broadcast_to(value, row.shape)
    if not keep.all():
        kept = keep[row]
        row, label, value = row[kept], label[kept], value[kept]
    start = np.concatenate([[0], np.bincount(row, minlength=len(keep)).cumsum()])
    size = (shape[0] * shape[1], len(keep))
    return sparse.csc_array((value, groups[row] * shape[1] + label, start), shape=size)
