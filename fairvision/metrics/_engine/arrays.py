"""Arrays: the names of their types, and the few operations on them that all measures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.floating[Any]]
Ints: TypeAlias = NDArray[np.integer[Any]]
Objects: TypeAlias = NDArray[np.object_]


def ratio(part: Array, whole: Array) -> Floats:
    """Return part / whole, NaN where the whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    quotient: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)
    return quotient


def mean_of_defined(values: Floats) -> Floats:
    """Return the mean over the first axis of what is not NaN, NaN where nothing is left."""
    return ratio(np.nansum(values, axis=0), (~np.isnan(values)).sum(axis=0))


def tally(matrix: Any, weights: Array, shape: tuple[int, ...]) -> Floats:
    """Return the sums of weights (units, b) by a matrix (sums, units), in a shape (*shape, b)."""
    return np.asarray(matrix @ weights, float).reshape(*shape, weights.shape[1])


def as_objects(names: Sequence[Any]) -> Objects:
    """Return names, which may be tuples, as an array of one axis."""
    column = np.empty(len(names), dtype=object)
    column[:] = names
    return column
