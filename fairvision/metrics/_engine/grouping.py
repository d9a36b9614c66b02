"""Groups of one attribute or of several, and the rows that a measure has for them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import FairvisionWarning, InputError
from fairvision.metrics._engine.containers import plain
from fairvision.metrics._engine.inputs import UNKNOWN, read_groups
from fairvision.metrics._engine.rows import Rows

Groups = ArrayLike | pd.DataFrame | Mapping[Any, ArrayLike] | None

SMALL = 10
_NAMED = 3  # small groups that a warning names


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which group each unit is of.

    Attributes
    ----------
    names : of the groups, last "unknown" where there is an image of it; () without groups
    code : (units,) position in `names`, 0 without groups
    attributes : whose values the names are; with several, names are tuples
    """

    names: tuple[Any, ...]
    code: np.ndarray
    attributes: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """Number of groups, 1 without groups."""
        return len(self.names) if self.attributes else 1

    def keys(self, labels: Sequence[Any] | None) -> dict[str, np.ndarray] | None:
        """Return the key columns of the groups, or of all pairs of group and label."""
        columns = {"group": self.names} if self.attributes else {}
        if labels is None:
            return {key: as_objects(names) for key, names in columns.items()} or None
        tiled = np.tile(as_objects(labels), self.size)
        repeated = np.repeat(as_objects(self.names), len(labels))
        return {"group": repeated, "label": tiled} if self.attributes else {"label": tiled}


def columns_of(groups: Groups) -> dict[str, Any]:
    """Return the columns of groups, one for each attribute, named as `Rows` shall name them."""
    groups = _by_attribute(groups)
    if groups is None:
        return {}
    if not isinstance(groups, (Mapping, pd.DataFrame)):
        return {"groups": groups}
    if isinstance(groups, pd.DataFrame) and not groups.columns.is_unique:
        raise InputError("groups have two columns of the same name")
    columns = {f"groups[{attribute!r}]": column for attribute, column in groups.items()}
    if not columns:
        raise InputError("groups hold no attribute")
    return columns


def _by_attribute(groups: Groups) -> Groups:
    """Return a table of images × attributes, without names, by the position of its columns."""
    if isinstance(groups, (list, tuple)) and any(np.ndim(of) == 1 for of in groups[:1]):
        raise InputError("groups must be one per image; give several attributes as {name: groups}")
    if isinstance(groups, (Mapping, pd.DataFrame)) or getattr(groups, "ndim", 1) != 2:
        return groups
    table = np.asarray(plain(groups))
    return {at: table[:, at] for at in range(table.shape[1])}


def read_grouping(groups: Groups, rows: Rows, keep: np.ndarray) -> Grouping:
    """Return the groups of units; "unknown" is listed where a unit in `keep` has no known group."""
    groups = _by_attribute(groups)
    columns = columns_of(groups)
    if not columns:
        return Grouping((), np.zeros(len(keep), int))
    several = isinstance(groups, (Mapping, pd.DataFrame))
    attributes = tuple(groups) if several else ("group",)  # type: ignore[arg-type]
    read = {what: read_groups(**{what: rows[what]}) for what in columns}
    if len(columns) == 1:
        ((found, codes),) = read.values()
        ((code),) = codes.values()
        names = tuple(found)
    else:
        declared = all(isinstance(_dtype(rows[what]), pd.CategoricalDtype) for what in columns)
        names, code = _intersections(read, declared)
    if (keep & (code < 0)).any():
        names = (*names, UNKNOWN)
    return Grouping(names, np.where(code < 0, len(names) - 1, code), attributes)


def warn_of_small(pairs: Mapping[str, Mapping[str, Any] | None], depth: int = 4) -> None:
    """Warn of known groups with few images, given the keys and n of each measure's pairs.

    The warning points to the caller that is so many calls up.
    """
    small = []
    for measure, columns in pairs.items():
        if columns is None or "group" not in columns:
            continue
        for row in np.flatnonzero(columns["n"] < SMALL):
            if columns["group"][row] != UNKNOWN:
                label = f", label {columns['label'][row]}" if "label" in columns else ""
                group = _text(columns["group"][row])
                small.append(f"{measure} of {group}{label} on {columns['n'][row]}")
    if small:
        more = f"; and {len(small) - _NAMED} more" if len(small) > _NAMED else ""
        warnings.warn(
            f"figures that rest on fewer than {SMALL} images: {'; '.join(small[:_NAMED])}{more}",
            FairvisionWarning,
            stacklevel=depth,
        )


def as_objects(names: Sequence[Any]) -> np.ndarray:
    """Return names, which may be tuples, as an array of one axis."""
    column = np.empty(len(names), dtype=object)
    column[:] = names
    return column


def _text(group: Any) -> str:
    return " × ".join(map(str, group)) if isinstance(group, tuple) else str(group)


def _dtype(column: Any) -> Any:
    return getattr(column, "dtype", None)


def _intersections(
    read: Mapping[str, tuple[list[Any], dict[str, np.ndarray]]], declared: bool
) -> tuple[tuple[Any, ...], np.ndarray]:
    """Return the groups that several attributes make together, and the one of each unit."""
    names = [found for found, _ in read.values()]
    codes = [next(iter(code.values())) for _, code in read.values()]
    known = np.logical_and.reduce([code >= 0 for code in codes])
    sizes = [max(1, len(found)) for found in names]
    together = np.ravel_multi_index([np.where(known, code, 0) for code in codes], sizes)
    if declared:
        groups = tuple(product(*names))
        return groups, np.where(known, together, -1)
    listed, place = np.unique(together[known], return_inverse=True)
    parts = np.unravel_index(listed, sizes)
    groups = tuple(tuple(of[i] for of, i in zip(names, at)) for at in zip(*parts))
    code = np.full(len(known), -1)
    code[known] = place
    return groups, code
