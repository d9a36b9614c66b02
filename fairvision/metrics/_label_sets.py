"""Sets of labels that occur together, found without listing those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from scipy import sparse

from fairvision.errors import InputError
from fairvision.metrics._inputs import Labels

_CANDIDATES = 30_000_000  # pairs of row and set looked at together (a GB)


@dataclass(frozen=True)
class LabelSets:
    """Sets of labels, small ones first, and the rows of each source that have them.

    Attributes
    ----------
    members : labels of each set, rising
    has : per source, sparse (sets, rows) of ones
    """

    members: list[tuple[int, ...]]
    has: list[sparse.csc_array]

    def named(self, names: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the names of the labels of each set."""
        return [tuple(names[label] for label in labels) for labels in self.members]

    def up_to(self, limit: int) -> int:
        """Return the largest size of set such that those up to it are not more than the limit."""
        sizes = np.bincount([len(labels) for labels in self.members]).cumsum()
        return int((sizes <= limit).sum()) - 1


def common_sets(
    sources: Sequence[tuple[Labels, np.ndarray]],
    common_to: int,
    labels: int,
    max_size: int | None = None,
) -> LabelSets:
    """Find the sets of labels that occur in each of the first sources, and where all have them.

    Sets grow by one label at a time, and only those grow that are common: what holds a set holds
    its parts (Agrawal & Srikant 1994).

    Parameters
    ----------
    sources : labels and the rows of them that count, (rows,) bool
    common_to : number of sources in which a set has to occur
    labels : number of labels
    max_size : labels in a set, at most; None for any number
    """
    held = []
    for label, keep in sources:
        kept = keep[label.row]
        held.append((label.row[kept], label.label[kept]))
    ends = [np.bincount(row, minlength=len(of[1])).cumsum() for (row, _), of in zip(held, sources)]
    # per source, each row that has a set of the size looked at: the place of the set's last label,
    # and the number of the set without it
    places = [np.arange(len(row)) for row, _ in held]
    parents = [np.zeros(len(row), np.int64) for row, _ in held]
    members: list[tuple[int, ...]] = [()]
    smaller, size = 0, 0
    found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in sources]
    while max_size is None or size < max_size:
        keys = [of * labels + label[at] for of, at, (_, label) in zip(parents, places, held)]
        common = reduce(np.intersect1d, keys[:common_to])
        if not len(common):
            break
        size += 1
        start = len(members)
        members += [(*members[smaller + k // labels], k % labels) for k in common.tolist()]
        candidates = 0
        for i, key in enumerate(keys):
            number = np.minimum(np.searchsorted(common, key), len(common) - 1)
            is_common = common[number] == key
            number, at = number[is_common], places[i][is_common]
            row = held[i][0][at]
            found[i].append((row, number + start - 1))
            times = ends[i][row] - at - 1
            candidates += int(times.sum())
            if candidates > _CANDIDATES and size != max_size:
                raise InputError(
                    f"more than {len(members) - 1} sets of labels occur in training and in the "
                    f"test; pass max_size={size} or less"
                )
            first = np.repeat(times.cumsum() - times, times)
            places[i] = np.repeat(at + 1, times) + np.arange(len(first)) - first
            parents[i] = np.repeat(number, times)
        smaller = start
    return LabelSets(
        members[1:],
        [_incidence(some, (len(members) - 1, len(of[1]))) for some, of in zip(found, sources)],
    )


def _incidence(
    found: Sequence[tuple[np.ndarray, np.ndarray]], shape: tuple[int, int]
) -> sparse.csc_array:
    """Return ones (sets, rows) at pairs of row and set."""
    if not found:
        return sparse.csc_array(shape, dtype=np.float32)
    row, number = (np.concatenate(some) for some in zip(*found))
    return sparse.csc_array((np.ones(len(row), np.float32), (number, row)), shape=shape)


def by_group(has: sparse.csc_array, groups: np.ndarray, number: int) -> sparse.csc_array:
    """Return the cells (groups · sets, rows) of pairs of group and set, as `Labels.cells`."""
    sets, rows = has.shape
    group = np.repeat(groups, np.diff(has.indptr)).astype(np.int64)
    return sparse.csc_array(
        (has.data, group * sets + has.indices, has.indptr), shape=(number * sets, rows)
    )
