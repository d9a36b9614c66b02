"""Groups compared with one base: a chosen group, or all images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from fairvision.errors import InputError, shown
from fairvision.metrics._engine import hybrid
from fairvision.metrics._engine.arrays import (
    Array,
    Bools,
    Floats,
    Ints,
    as_objects,
    mean_of_defined,
    ratio,
)
from fairvision.metrics._engine.extreme_groups import GroupResult, difference, figures_by_group
from fairvision.metrics._engine.result import Recipe, Result, pair_keys, recipe_of, summarise
from fairvision.schema import UNKNOWN

Method = Literal["between_groups", "to_overall"]


@dataclass(frozen=True)
class Comparison:
    """How the figure of a group is set against that of the base.

    Attributes
    ----------
    of : maps figures of the base and of groups to comparisons
    distance : how far comparisons are from no difference, 0 or more
    backward : which comparisons say that the group has less or more than is to be said first
    turned : comparisons the other way round
    ends : the interval from those of base and group; see `hybrid`
    """

    of: Callable[[Floats, Floats], Floats]
    distance: Callable[[Floats], Floats]
    backward: Callable[[Floats], Bools]
    turned: Callable[[Floats], Floats]
    ends: hybrid.Hybrid


def _logarithm(ratios: Floats) -> Floats:
    """Return how far ratios are from 1; 0 is infinitely far."""
    with np.errstate(divide="ignore"):
        distance: Floats = np.abs(np.log(ratios))
    return distance


DIFFERENCE = Comparison(
    of=difference,
    distance=np.abs,
    backward=lambda differences: differences < 0,
    turned=np.negative,
    ends=hybrid.of_difference,
)
RATIO = Comparison(
    of=lambda base, group: ratio(group, base),
    distance=_logarithm,
    backward=lambda ratios: ratios > 1,
    turned=lambda ratios: ratio(np.ones_like(ratios), ratios),
    ends=lambda base, group: hybrid.of_ratio(group, base),
)


def has_base(reference: Any, method: str) -> bool:
    """Say whether groups are compared with a base, instead of the extreme ones with each other."""
    if not isinstance(method, str) or method not in get_args(Method):
        raise InputError(f"method must be 'between_groups' or 'to_overall', not {shown(method)}")
    if reference is not None and method == "to_overall":
        raise InputError("give a reference group or method='to_overall', not both")
    return reference is not None or method == "to_overall"


def joined_groups(by_group: Mapping[Any, Result]) -> Result:
    """Return results of groups, made by one call, as one result with figures by group."""
    recipes = [recipe_of(result) for result in by_group.values()]
    if any(recipe.sample is not recipes[0].sample for recipe in recipes):
        raise InputError("groups are compared with a reference in the results of one call")
    figures = [(r.value, r.low, r.high, r.n) for r in by_group.values()]
    pairs = pd.DataFrame(figures, columns=["value", "low", "high", "n"])
    pairs.insert(0, "group", as_objects(list(by_group)))

    def below_undefined(each: list[Floats]) -> Floats:
        return np.concatenate([np.full_like(each[0], np.nan), *each])

    def statistic(weights: Array) -> Floats:
        return below_undefined([recipe.statistic(weights)[:1] for recipe in recipes])

    estimates = below_undefined([recipe.estimates[:1] for recipe in recipes])
    name = next(iter(by_group.values())).name
    recipe = Recipe(recipes[0].sample, statistic, estimates)
    return Result(np.nan, pairs=pairs, name=name, _recipe=recipe)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of a result: 0 is its value, those of its pairs follow, −1 is NaN.

    Attributes
    ----------
    result : Result
    at : (groups or 1, labels) rows
    """

    result: Result
    at: Ints

    def figures(self, weights: Array | None) -> Floats:
        """Return figures (groups, labels, b) in resamples (units, b), or the estimates."""
        recipe = recipe_of(self.result)
        every = recipe.estimates if weights is None else recipe.statistic(weights)
        return np.vstack([every, np.full_like(every[:1], np.nan)])[self.at]

    @property
    def columns(self) -> Floats:
        """Value, low, high and n, (4, groups, labels)."""
        names = ["value", "low", "high", "n"]
        whole = [[getattr(self.result, name) for name in names]]
        pairs = self.result.pairs
        rows = np.empty((0, 4)) if pairs is None else pairs[names].to_numpy(float)
        return np.vstack([whole, rows, [[np.nan] * 3 + [0]]]).T[:, self.at]

    @property
    def still(self) -> Bools:
        """Which figures never vary, although their intervals have width, (groups, labels)."""
        _, low, high, _ = self.columns.reshape(4, -1)
        estimates = self.figures(None)
        moves = estimates.reshape(len(low), estimates.shape[-1])
        return hybrid.is_still(moves, low, high).reshape(self.at.shape)


def _each_group(result: Result, groups: Sequence[Any], labels: Sequence[Any]) -> _Rows:
    """Return the rows of all pairs of group and label."""
    table = figures_by_group(result)
    label = [labels.index(of) for of in table["label"]] if "label" in table else [0] * len(table)
    place = dict(zip(zip(table["group"], label), range(1, 1 + len(table))))
    at = [[place.get((group, i), -1) for i in range(len(labels))] for group in groups]
    return _Rows(result, np.array(at, int).reshape(len(groups), len(labels)))


def _all_images(result: Result, labels: Sequence[Any]) -> _Rows:
    """Return the rows of all images, for each label."""
    if "label" not in figures_by_group(result):
        if np.isnan(result.value) and not np.isnan(figures_by_group(result)["value"]).all():
            raise InputError("to_overall needs the result of a measure with groups, not a dict")
        return _Rows(result, np.zeros((1, 1), int))
    overall = recipe_of(result).overall
    if overall is None:
        raise InputError(f"{result.name} has no figures of all images for each label")
    whole = overall()
    place = dict(
        zip(() if whole.pairs is None else whole.pairs["label"], range(1, len(labels) + 1))
    )
    return _Rows(whole, np.array([[place.get(label, -1) for label in labels]], int))


def against(
    results: Sequence[Result],
    comparison: Comparison,
    name: str,
    reference: Any = None,
    *,
    mean: bool = False,
) -> GroupResult:
    """Compare each group with the reference group, or without one with all images.

    `pairs` has a row per other group, and label: its comparison with the base, with its sign. The
    value is that of the known group furthest from the reference (of several labels by the mean over
    them); or the mean over labels of how far the furthest group is from all images, without a sign.
    Which groups these are, and of several results which one, is decided on the data and held fixed.

    Parameters
    ----------
    results : with figures by group, of the same rows, groups and labels
    comparison : DIFFERENCE or RATIO
    name : of the result
    reference : group, or None for all images
    mean : of several results the mean counts; else, in each row, the one that is furthest
    """
    first = figures_by_group(results[0])
    has_labels = "label" in first
    labels = list(dict.fromkeys(first["label"])) if has_labels else [None]
    groups = list(dict.fromkeys(first["group"]))
    others = [group for group in groups if group != reference]
    if reference is None:
        bases = [_all_images(result, labels) for result in results]
    else:
        _check_reference(reference, groups)
        bases = [_each_group(result, [reference], labels) for result in results]
    each = [_each_group(result, others, labels) for result in results]

    def of_results(weights: Array | None) -> Floats:
        sides = [(base.figures(weights), of.figures(weights)) for base, of in zip(bases, each)]
        return np.stack([comparison.of(*both) for both in sides])  # (results, groups, labels, b)

    estimates = of_results(None)
    chosen = comparison.distance(estimates[..., 0]).argmax(axis=0)  # NaN is furthest

    def of_one(every: Array) -> Array:
        """Return what counts of several results, (groups, labels, …)."""
        at = chosen.reshape(1, *chosen.shape, *[1] * (every.ndim - 3))
        one: Array = every.mean(axis=0) if mean else np.take_along_axis(every, at, axis=0)[0]
        return one

    def layers(every: Floats) -> Floats:
        """Return the comparisons that the value is the mean of, (layers, groups, labels, b)."""
        return every if mean and reference is None else of_one(every)[None]

    values = layers(estimates)[..., 0]
    if reference is not None:  # the same group for all labels
        averaged = mean_of_defined(np.moveaxis(values, -1, 0))
        values = np.broadcast_to(averaged[..., None], values.shape)
    furthest = np.stack([_furthest(comparison.distance(of), others) for of in values])
    place = np.arange(len(values))[:, None], furthest, np.arange(len(labels))
    turned = comparison.backward(_and_none(values)[place]) & (reference is None)

    def figures(every: Floats) -> Floats:
        picked = _and_none(layers(every))[place]
        picked = np.where(turned[..., None], comparison.turned(picked), picked)
        rows = of_one(every)
        value = mean_of_defined(picked.mean(axis=0))[None]
        return np.concatenate([value, rows.reshape(-1, rows.shape[-1])])

    of_base, of_groups = (np.stack([rows.columns[3] for rows in side]) for side in (bases, each))
    n = of_one(of_groups if reference is None else of_groups + of_base)
    of_value = n if reference is not None else of_one(np.broadcast_to(of_base, of_groups.shape))
    of_value = np.vstack([of_value, of_base.max(axis=0)])[place[1:]]
    decisive = furthest[0, 0] if len(values) == 1 and labels else len(others)
    named = decisive < len(others) and (reference is not None or not has_labels)
    keys = pair_keys(others, labels) if has_labels else {"group": as_objects(others)}
    result = summarise(
        recipe_of(results[0]).sample,
        lambda weights: figures(of_results(weights)),
        int(of_value.max(initial=0)),
        name,
        pairs={**keys, "n": n.ravel().astype(int)},
        estimates=figures(estimates),
        kind=GroupResult,
        groups=(*[reference] * (reference is not None), others[decisive]) if named else (),
        measure=results[chosen[decisive, 0]].name if named and not mean else "",
    )
    ends = np.stack([_joined_ends(*both, comparison) for both in zip(bases, each)])
    result = _widened_pairs(result, of_one(ends))
    if turned.size != 1:
        return result
    joined = _and_none(of_one(ends)[None])[place][0, 0]
    if np.isnan(joined).any():
        return result
    low, high = comparison.turned(joined)[::-1] if turned.all() else joined
    both = np.isfinite([low, high]).all()  # no end: nothing is known
    return replace(result, low=float(low) if both else np.nan, high=float(high) if both else np.nan)


def _check_reference(reference: Any, groups: Sequence[Any]) -> None:
    """Raise where groups are known, and the reference is none of them."""
    present = [group for group in groups if group != UNKNOWN]
    if present and reference not in present:
        raise InputError(
            f"reference is {shown(reference)}, but the groups are {', '.join(map(repr, present))}"
        )


def _and_none(values: Floats) -> Floats:
    """Return figures of groups (layers, groups, …) and, after the last group, NaN."""
    none = np.full((len(values), 1, *values.shape[2:]), np.nan)
    return np.concatenate([values, none], axis=1)


def _furthest(distance: Floats, groups: Sequence[Any]) -> Ints:
    """Return the known group furthest away, for each label; after the last where none is."""
    candidate = np.array([group != UNKNOWN for group in groups], bool)[:, None]
    distance = np.where(candidate & ~np.isnan(distance), distance, -2)
    furthest: Ints = np.vstack([distance, np.full(distance.shape[1], -1)]).argmax(axis=0)
    return furthest


def _joined_ends(base: _Rows, each: _Rows, comparison: Comparison) -> Floats:
    """Return the ends (groups, labels, 2) by those of base and group; NaN: not needed."""
    of_base, of_each = base.columns[:3], each.columns[:3]
    needed = base.still | each.still | np.isnan(of_base[1]) | np.isnan(of_each[1])
    needed &= ~np.isnan(comparison.of(of_base[0], of_each[0]))
    flat = [np.broadcast_to(of, of_each.shape).reshape(3, -1) for of in (of_base, of_each)]
    ends = comparison.ends(flat[0], flat[1]).reshape(2, *each.at.shape)
    return hybrid.where(needed[..., None], np.moveaxis(ends, 0, -1))


def _widened_pairs(result: GroupResult, ends: Floats) -> GroupResult:
    """Return a comparison with ends (groups, labels, 2) where they are known."""
    assert result.pairs is not None
    low, high = hybrid.ends_of(
        result.pairs[["low", "high"]].to_numpy(float).T, ends.reshape(-1, 2).T
    )
    return replace(result, pairs=result.pairs.assign(low=low, high=high))
