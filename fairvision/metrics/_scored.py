"""Scores beside the truth, in every form in which truth is given: for all measures of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError, shown
from fairvision.metrics._inputs import (
    check_rows,
    common_columns,
    is_table,
    read_indicators,
    read_labels,
    read_scores,
)


@dataclass(frozen=True, eq=False)
class Scored:
    """Which labels hold, and the score of each.

    Attributes
    ----------
    held : (rows, labels) bool
    scores : (rows, labels) floats
    known : (rows,) bool, where neither truth nor a score is unknown
    names : of the labels; positions where they have none
    classes : whether truth holds one label per row, and scores a column for each
    """

    held: np.ndarray
    scores: np.ndarray
    known: np.ndarray
    names: list[Any]
    classes: bool


def read_scored(
    what: str, truth: ArrayLike, scores: ArrayLike, labels: Sequence[Any] | None = None
) -> Scored:
    """Read truth, called `what`, and scores.

    Truth is 0 and 1 for one column of scores; a name or code per row for a column per class; or a
    table of 0 and 1. `labels` name the columns.
    """
    table, columns = read_scores("scores", scores)
    names = columns if labels is None else list(labels)
    if table.shape[1] != len(names):
        raise InputError(f"scores has {table.shape[1]} columns, and {len(names)} labels are named")
    if is_table(what, truth):
        held, known, own = read_indicators(what, truth)
        check_rows(**{what: held, "scores": table})
        common = common_columns({what: own, "scores": columns})
        return _scored(held, table, known, common if labels is None else names, False)
    found, read = read_labels(**{what: truth})
    true = read[what]
    check_rows(**{what: true.known, "scores": table})
    if table.shape[1] == 1:
        if not set(found) <= {0, 1}:
            raise InputError(f"with one column of scores, {what} must hold 0 and 1 (-1: unknown)")
        place = found.index(1) if 1 in found else -2
        return _scored((true.held == place)[:, None], table, true.known, names, False)
    called = names if any(isinstance(name, str) for name in found) else columns
    absent = [name for name in found if name not in called]
    if absent:
        raise InputError(
            f"scores have no column for the label {shown(absent[0])}: give a DataFrame with the "
            f"labels as columns, or {what} as the number of the column"
        )
    column = np.array([*(called.index(name) for name in found), -1])[true.held]
    held = column[:, None] == np.arange(len(names))
    return _scored(held, table, true.known, names, True)


def _scored(
    held: np.ndarray, table: np.ndarray, known: np.ndarray, names: list[Any], classes: bool
) -> Scored:
    return Scored(held, table, known & ~np.isnan(table).any(axis=1), names, classes)
