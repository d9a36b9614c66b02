"""Groups of one attribute or of several, and the rows that a measure has for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError, warn_caller
from fairvision.metrics._engine.arrays import Array, Bools, Columns, Ints, as_objects
from fairvision.metrics._engine.inputs import read_groups, to_numpy_or_pandas
from fairvision.metrics._engine.result import pair_keys
from fairvision.metrics._engine.rows import Rows
from fairvision.schema import UNKNOWN

Groups = ArrayLike | pd.DataFrame | Mapping[Any, ArrayLike] | None

SMALL = 10  # images, below which a figure says little
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
    code: Ints
    attributes: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """Number of groups, 1 without groups."""
        return len(self.names) if self.attributes else 1

    def keys(self, labels: Sequence[Any] | None) -> dict[str, Array] | None:
        """Return the key columns of the groups, or of all pairs of group and label."""
        if labels is None:
            return {"group": as_objects(self.names)} if self.attributes else None
        return pair_keys(self.names, labels) if self.attributes else {"label": as_objects(labels)}


def group_columns(groups: Groups) -> Columns:
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
    table = np.asarray(to_numpy_or_pandas(groups))
    return {at: table[:, at] for at in range(table.shape[1])}


def read_grouping(groups: Groups, rows: Rows, keep: Bools) -> Grouping:
    """Return the groups of units; "unknown" is listed where a unit in `keep` has no known group."""
    groups = _by_attribute(groups)
    columns = group_columns(groups)
    if not columns:
        return Grouping((), np.zeros(len(keep), int))
    several = isinstance(groups, (Mapping, pd.DataFrame))
    attributes = tuple(groups) if several else ("group",)  # type: ignore[arg-type]
    read = {arg: read_groups(**{arg: rows[arg]}) for arg in columns}
    if len(columns) == 1:
        ((of_attribute, codes),) = read.values()
        (code,) = codes.values()
        names = tuple(of_attribute)
    else:
        declared = all(
            isinstance(getattr(rows[arg], "dtype", None), pd.CategoricalDtype) for arg in columns
        )
        names, code = _intersections(read, declared)
    if (keep & (code < 0)).any():
        names = (*names, UNKNOWN)
    return Grouping(names, np.where(code < 0, len(names) - 1, code), attributes)


def warn_of_small(pairs: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Warn of known groups with few images, given the keys and n of each measure's pairs."""
    small = []
    for measure, columns in pairs.items():
        if columns is None or "group" not in columns:
            continue
        for row in np.flatnonzero(columns["n"] < SMALL):
            if columns["group"][row] != UNKNOWN:
                label = f", label {columns['label'][row]}" if "label" in columns else ""
                group = _group_text(columns["group"][row])
                small.append(f"{measure} of {group}{label} on {columns['n'][row]}")
    if small:
        more = f"; and {len(small) - _NAMED} more" if len(small) > _NAMED else ""
        warn_caller(
            f"figures that rest on fewer than {SMALL} images: {'; '.join(small[:_NAMED])}{more}"
        )


def _group_text(group: Any) -> str:
    """Return the name of a group; of an intersection, the names of its parts."""
    return " × ".join(map(str, group)) if isinstance(group, tuple) else str(group)


def _intersections(
    read: Mapping[str, tuple[list[Any], dict[str, Ints]]], declared: bool
) -> tuple[tuple[Any, ...], Ints]:
    """Return the groups that several attributes make together, and the one of each unit."""
    names = [of_attribute for of_attribute, _ in read.values()]
    codes = [next(iter(code.values())) for _, code in read.values()]
    has_group = np.logical_and.reduce([code >= 0 for code in codes])
    sizes = [max(1, len(of_attribute)) for of_attribute in names]
    together = np.ravel_multi_index([np.where(has_group, code, 0) for code in codes], sizes)
    if declared:
        groups = tuple(product(*names))
        return groups, np.where(has_group, together, -1)
    listed, place = np.unique(together[has_group], return_inverse=True)
    parts = np.unravel_index(listed, sizes)
    groups = tuple(tuple(of[i] for of, i in zip(names, at)) for at in zip(*parts))
    code = np.full(len(has_group), -1)
    code[has_group] = place
    return groups, code
