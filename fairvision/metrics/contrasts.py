"""What lies between the groups of a result: the extreme ones, compared in the same resamples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fairvision.errors import InputError
from fairvision.metrics._engine.bootstrap import mean_of_defined
from fairvision.metrics._engine.grouping import as_objects
from fairvision.metrics._engine.inputs import UNKNOWN
from fairvision.metrics._engine.result import Result, made, summarise

_ENDS = ("smallest", "largest")


@dataclass(frozen=True, eq=False, repr=False)
class GroupResult(Result):
    """A `Result` of certain groups.

    Attributes
    ----------
    groups : tuple
        The groups that it is of: the one with the smallest and the one with the largest value, or
        the worst one. Empty where it is undefined, where it is a mean of several rates, and with
        several labels, of which each has its own groups: columns of `pairs` name those.
    measure : str
        The rate that the groups differ in; of several, the one that decided.
    """

    groups: tuple[Any, ...] = ()
    measure: str = ""


def contrast(
    results: Sequence[Result],
    of: Callable[..., np.ndarray],
    name: str,
    *,
    ends: Sequence[str] = _ENDS,
    choose: Callable[..., Any] = np.argmax,
    mean: bool = False,
) -> GroupResult:
    """Compare the extreme groups of results, for each label; its value is the mean over labels.

    Which groups these are, and of several results which one, is decided on the data and then held
    fixed: the replicates are those of the same groups of the same result.

    Parameters
    ----------
    results : with figures by group, of the same rows, groups and labels
    of : maps the figures of the groups at `ends`, each (..., b), to the contrast (..., b)
    name : of the contrast
    ends : the groups that are compared, "smallest" and "largest" or one of them
    choose : of several results, argmax or argmin of the contrast counts; NaN is both
    mean : of several results the mean of the contrasts counts instead
    """
    tables = [figures_by_group(result) for result in results]
    labels = list(dict.fromkeys(tables[0]["label"])) if "label" in tables[0] else None
    extremes = [_extremes(table, labels, len(ends)) for table in tables]
    rows = np.stack([found[0] for found in extremes])[..., [_ENDS.index(end) for end in ends]]
    images = np.stack([found[1] for found in extremes])
    counts = np.stack([np.append(table["n"], 0)[row] for table, row in zip(tables, rows)])
    images = np.where(rows[..., 0] < 0, images, counts.sum(axis=-1))
    start = np.cumsum([0, *(len(made(result).estimates) for result in results[:-1])])
    places = np.where(rows < 0, -1, rows + 1 + start[:, None, None])

    def contrasts(figures: np.ndarray) -> np.ndarray:
        figures = np.vstack([figures, np.full_like(figures[:1], np.nan)])  # the place −1
        return of(*(figures[places[..., end]] for end in range(len(ends))))

    estimates = np.concatenate([made(result).estimates for result in results])
    chosen = choose(contrasts(estimates[:, :1])[..., 0], axis=0)
    label = np.arange(len(chosen))

    def figures(of_groups: np.ndarray) -> np.ndarray:
        found = contrasts(of_groups)
        each = found.mean(axis=0) if mean else found[chosen, label]
        return each if labels is None else np.vstack([mean_of_defined(each), each])

    n = images.min(axis=0) if mean else images[chosen, label]
    names = [] if mean else [_names(tables[c], rows[c, i]) for i, c in enumerate(chosen)]
    pairs = None
    if labels is not None:
        columns = {end: as_objects([row[i] for row in names]) for i, end in enumerate(ends)}
        pairs = {"label": as_objects(labels), "n": n, **({} if mean else columns)}
    one = bool(labels is None and names and None not in names[0])
    return summarise(
        made(results[0]).sample,
        lambda weights: figures(np.concatenate([made(r).statistic(weights) for r in results])),
        n.max(initial=0),
        name,
        pairs=pairs,
        estimates=figures(estimates),
        kind=GroupResult,
        groups=names[0] if one else (),
        measure=results[int(chosen[0])].name if one else "",
    )


def figures_by_group(result: Result) -> pd.DataFrame:
    """Return the pairs of a result that has figures by group."""
    if not isinstance(result, Result):
        raise InputError(
            "groups are compared in the result of a measure with groups, not in a "
            f"{type(result).__name__}; gap takes a dict of results too"
        )
    if result.pairs is None or "group" not in result.pairs:
        raise InputError(f"{result.name or 'the result'} has no figures by group: give it groups")
    return result.pairs


def difference(smallest: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Return how much the largest is above the smallest."""
    return largest - smallest


def _extremes(
    table: pd.DataFrame, labels: list[Any] | None, needed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (labels, 2) of the smallest and the largest known group, and their images.

    The rows are −1 where fewer groups than needed are defined; the images are those of all groups.
    """
    value, n = table["value"].to_numpy(), table["n"].to_numpy()
    known = (table["group"].to_numpy(dtype=object) != UNKNOWN).astype(bool)
    label = np.zeros(len(table), int) if labels is None else pd.factorize(table["label"])[0]
    size = 1 if labels is None else len(labels)
    rows = np.full((size, 2), -1)
    images = np.bincount(label[known], n[known], minlength=size).astype(int)
    defined = known & ~np.isnan(value)
    for i in range(size):
        (found,) = np.nonzero(defined & (label == i))
        if len(found) >= needed:
            last = found[::-1]  # not the same one where all are equal
            rows[i] = last[value[last].argmin()], found[value[found].argmax()]
    return rows, images


def _names(table: pd.DataFrame, rows: np.ndarray) -> tuple[Any, ...]:
    return tuple(table["group"].iloc[row] if row >= 0 else None for row in rows)
