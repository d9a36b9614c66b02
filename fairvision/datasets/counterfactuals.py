"""Images that were made of others by changing one thing: the columns that say so, and their rules.

Such an image is a *counterfactual* of its original: the same person elsewhere, another shirt in the
same place. It is asked whether answers are consistent, and takes part in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision.errors import shown

ORIGINAL, CHANGED = "counterfactual_of", "changed"
COLUMNS = (ORIGINAL, CHANGED)

Refuse = Callable[[npt.NDArray[np.bool_], str, Callable[[int], str]], None]
"""Raises for the first of the rows (n,) bool that are wrong: rows, column, problem of a row."""


def is_counterfactual(samples: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which rows are counterfactuals of another, (n,) bool; none without the columns.

    >>> is_counterfactual(pd.DataFrame({"id": ["a", "b"], "counterfactual_of": [None, "a"]}))
    array([False,  True])
    """
    if ORIGINAL not in samples:
        return np.zeros(len(samples), bool)
    return np.asarray(samples[ORIGINAL].notna(), bool)


def check_originals(samples: pd.DataFrame, refuse: Refuse) -> None:
    """Refuse rows that are counterfactuals of nothing that can be compared with them.

    The original must be another row, of the same split, and no counterfactual itself; what was
    changed must be named, and only of counterfactuals.

    Parameters
    ----------
    samples : columns `id`, `split`, `counterfactual_of` and `changed`, missing where empty
    refuse : raises for rows that are wrong
    """
    ids, originals = samples["id"].to_numpy(object), samples[ORIGINAL].to_numpy(object)
    splits, changed = samples["split"].to_numpy(object), samples[CHANGED].notna().to_numpy(bool)
    is_made = is_counterfactual(samples)
    place = np.where(is_made, pd.Index(ids).get_indexer(pd.Index(originals)), -1)

    def of(values: npt.NDArray[Any], row: int) -> str:
        return shown(values[place[row]])

    refuse(is_made & (place < 0), ORIGINAL, lambda row: f"{shown(originals[row])} is no id")
    refuse(
        is_made & (place == np.arange(len(ids))),
        ORIGINAL,
        lambda row: f"{shown(originals[row])} is the row itself",
    )
    refuse(
        is_made & is_made[place],
        ORIGINAL,
        lambda row: (
            f"{shown(originals[row])} is a counterfactual itself, of {of(originals, row)}: "
            "name the original"
        ),
    )
    has_split = ~pd.isna(splits) & ~pd.isna(splits[place])
    refuse(
        is_made & has_split & (splits != splits[place]),
        ORIGINAL,
        lambda row: (
            f"{shown(originals[row])} is in split {of(splits, row)}, and this in "
            f"{shown(splits[row])}: both must be in one"
        ),
    )
    refuse(
        is_made & ~changed,
        CHANGED,
        lambda row: "is empty: name what was changed, such as an attribute, or surroundings",
    )
    refuse(
        ~is_made & changed,
        ORIGINAL,
        lambda row: f"is empty, but {CHANGED!r} is {shown(samples[CHANGED].iloc[row])}",
    )
