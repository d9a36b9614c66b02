"""The extreme groups of a measure, compared: what gaps, ratios and worst groups have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fairvision.errors import InputError
from fairvision.metrics._engine import hybrid
from fairvision.metrics._engine.arrays import Floats, Ints, as_objects, mean_of_defined, ratio
from fairvision.metrics._engine.result import Result, recipe_of, summarise
from fairvision.schema import UNKNOWN

_ENDS = ("smallest", "largest")
Contrast = Callable[..., Floats]  # of the figures of groups, each (..., b)


@dataclass(frozen=True, eq=False, repr=False)
class GroupResult(Result):
    """A `Result` of certain groups.

    Attributes
    ----------
    groups : tuple
        The groups that it is of: the one with the smallest and the one with the largest value, or
        the worst one; or the reference and the group furthest from it. Empty where it is undefined,
        where it is a mean of several rates, and with several labels, of which each has its own
        groups: columns of `pairs` name those.
    measure : str
        The rate that the groups differ in; of several, the one that decided.
    """

    groups: tuple[Any, ...] = ()
    measure: str = ""


def contrast(
    results: Sequence[Result],
    of: Contrast,
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
    rows = np.stack([rows for rows, _ in extremes])[..., [_ENDS.index(end) for end in ends]]
    images = np.stack([images for _, images in extremes])
    counts = np.stack([np.append(table["n"], 0)[row] for table, row in zip(tables, rows)])
    images = np.where(rows[..., 0] < 0, images, counts.sum(axis=-1))
    start = np.cumsum([0, *(len(recipe_of(result).estimates) for result in results[:-1])])
    places = np.where(rows < 0, -1, rows + 1 + start[:, None, None])

    def contrasts(figures: Floats) -> Floats:
        figures = np.vstack([figures, np.full_like(figures[:1], np.nan)])  # the place −1
        return of(*(figures[places[..., end]] for end in range(len(ends))))

    estimates = np.concatenate([recipe_of(result).estimates for result in results])
    chosen = choose(contrasts(estimates[:, :1])[..., 0], axis=0)
    label = np.arange(len(chosen))

    def figures(of_groups: Floats) -> Floats:
        of_results = contrasts(of_groups)
        each: Floats = of_results.mean(axis=0) if mean else of_results[chosen, label]
        return each if labels is None else np.vstack([mean_of_defined(each), each])

    n = images.min(axis=0) if mean else images[chosen, label]
    groups = [[*table["group"], None] for table in tables]  # the place −1
    names = [tuple(groups[c][row] for row in rows[c, i]) for i, c in enumerate(chosen)]
    names = [] if mean else names
    pairs = None
    if labels is not None:
        columns = {end: as_objects([row[i] for row in names]) for i, end in enumerate(ends)}
        pairs = {"label": as_objects(labels), "n": n, **({} if mean else columns)}
    one = bool(labels is None and names and None not in names[0])
    result = summarise(
        recipe_of(results[0]).sample,
        lambda weights: figures(np.concatenate([recipe_of(r).statistic(weights) for r in results])),
        n.max(initial=0),
        name,
        pairs=pairs,
        estimates=figures(estimates),
        kind=GroupResult,
        groups=names[0] if one else (),
        measure=results[int(chosen[0])].name if one else "",
    )
    every = [_joined_ends(*pair, of) for pair in zip(results, rows)]
    joined = np.stack(every)  # (results, ends, labels)
    return _widened(result, joined.mean(axis=0) if mean else joined[chosen, :, label].T)


def _joined_ends(result: Result, rows: Ints, of: Contrast) -> Floats:
    """Return the ends (2, labels) of a contrast by those of its groups; NaN: not needed."""
    table = figures_by_group(result)
    figures = table[["value", "low", "high"]].to_numpy(float).T
    still = hybrid.is_still(recipe_of(result).estimates[1 : 1 + len(table)], *figures[1:])
    figures = np.hstack([figures, np.full((3, 1), np.nan)])  # the place −1
    sides = [figures[:, at] for at in rows.T]
    needed = np.append(still | np.isnan(figures[1, :-1]), False)[rows].any(axis=1)
    needed &= ~np.isnan(of(*(side[0] for side in sides)))
    return hybrid.where(needed, _HYBRIDS[of](*sides) if len(sides) > 1 else sides[0][1:])


def _widened(result: GroupResult, ends: Floats) -> GroupResult:
    """Return a contrast with ends (2, labels) where they are known; of the mean if it is still."""
    if result.pairs is None:
        low, high = hybrid.ends_of(np.array([result.low, result.high]), ends[:, 0])
        return replace(result, low=float(low), high=float(high))
    table = result.pairs
    columns = hybrid.ends_of(table[["low", "high"]].to_numpy(float).T, ends)
    table = table.assign(low=columns[0], high=columns[1])
    low, high = result.low, result.high
    if low == high and not np.isnan(ends).all():
        low, high = columns[:, table["value"].notna()].mean(axis=1)
    return replace(result, low=float(low), high=float(high), pairs=table)


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


def difference(smallest: Floats, largest: Floats) -> Floats:
    """Return how much the largest is above the smallest."""
    return largest - smallest


_HYBRIDS: dict[Contrast, hybrid.Hybrid] = {
    difference: hybrid.of_difference,
    ratio: hybrid.of_ratio,
}


def _extremes(table: pd.DataFrame, labels: list[Any] | None, needed: int) -> tuple[Ints, Ints]:
    """Return the rows (labels, 2) of the smallest and the largest known group, and their images.

    The rows are −1 where fewer groups than needed are defined; the images are those of all groups.
    """
    value, n = table["value"].to_numpy(), table["n"].to_numpy()
    has_group = (table["group"].to_numpy(dtype=object) != UNKNOWN).astype(bool)
    label = np.zeros(len(table), int) if labels is None else pd.factorize(table["label"])[0]
    size = 1 if labels is None else len(labels)
    rows = np.full((size, 2), -1)
    images = np.bincount(label[has_group], n[has_group], minlength=size).astype(int)
    defined = has_group & ~np.isnan(value)
    for i in range(size):
        (of_label,) = np.nonzero(defined & (label == i))
        if len(of_label) >= needed:
            last = of_label[::-1]  # not the same one where all are equal
            rows[i] = last[value[last].argmin()], of_label[value[of_label].argmax()]
    return rows, images
