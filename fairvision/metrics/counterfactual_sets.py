"""Sets of images that are equal but for the group: decisions that stay, scores that shift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats, Ints, as_objects, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import (
    as_column,
    check_rows,
    read_groups,
    read_values,
    require,
)
from fairvision.metrics._engine.outcomes import Groups, by_attribute, group_columns, read_grouping
from fairvision.metrics._engine.result import Result, summarise
from fairvision.metrics._engine.rows import Rows
from fairvision.schema import UNKNOWN

_HOW_OFTEN = ("counts", "weights")  # keywords of sampling that say how much an image counts


@dataclass(frozen=True, eq=False, repr=False)
class CounterfactualResult(Result):
    """A `Result` of sets of images that are equal but for the group.

    Attributes
    ----------
    shift : Result
        Mean difference of scores between the two images of a pair, in units of the score. Its
        `pairs` has a row per two groups, the second less the first. The value is that of two groups
        (the second less the first); of more, that of the two groups that are furthest apart on the
        data, which are held fixed in the replicates.
    flips : Result
        Share of pairs in which the decision turns, 1 less the value. Its `pairs` have a row per
        group and other group: the share of their pairs in which the first has a positive decision
        and the other has not. A model that turns as often either way flips without a direction.
    by_set : DataFrame
        A row per set and two groups in it: `pair`, `group` (the two), `value` (share of their pairs
        in which the decision stays), `shift`, and `n`, their images.
    by_attribute : dict of name to CounterfactualResult
        Where groups are of several attributes: the same of pairs that differ in this one only.
        Sets are drawn as wholes here too. Else empty.
    """

    shift: Result = field(default_factory=lambda: Result(np.nan))
    flips: Result = field(default_factory=lambda: Result(np.nan))
    by_set: pd.DataFrame = field(default_factory=pd.DataFrame)
    by_attribute: Mapping[Any, CounterfactualResult] = field(default_factory=dict)


def counterfactual_consistency(
    scores: ArrayLike,
    pair: ArrayLike,
    groups: Groups,
    *,
    threshold: float = 0.5,
    **sampling: Unpack[Sampling],
) -> CounterfactualResult:
    """Images that are equal but for the group: in how many pairs the decision stays.

    Each image is set beside every image of another group in the same set. The decision is positive
    where the score is above `threshold`, as in `decide`. Consistency is no accuracy: a model that
    always says the same has 1.

    Parameters
    ----------
    scores : (n,) numbers
        Of one label or text; or decisions, 0 and 1. NaN: unknown.
    pair : (n,) names or codes
        Which images are equal but for the group: the same scene, drawn twice or more. None, NaN,
        -1 or "unknown": the image is in no set.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns
        As in `selection_rate`; of several attributes the intersections are the groups. An image of
        unknown group is in no pair.
    threshold : float
    **sampling
        Rows and interval; see `Sampling`. Sets are drawn as wholes, or the clusters given, of which
        each holds all images of a set. Images that count, or weigh, a and b make a pair that
        does so a·b times.

    Returns
    -------
    CounterfactualResult
        In [0, 1]. `pairs` has a row per two groups, called `group`; `shift` is the mean difference
        of scores, `flips` says which way decisions turn, `by_set` has each set, and `by_attribute`
        pairs that differ in one of several attributes. NaN without pairs. n counts the images that
        are in a pair.

    Raises
    ------
    InputError
        Scores are not one number per image, or a cluster or stratum does not hold whole sets.

    References
    ----------
    K. C. Fraser and S. Kiritchenko, "Examining Gender and Racial Bias in Large Vision-Language
    Models Using a Novel Dataset of Parallel Images", EACL 2024 (arXiv:2402.05779). S. Garg et al.,
    "Counterfactual Fairness in Text Classification through Robustness", AIES 2019, section 3
    (arXiv:1809.10610).

    Examples
    --------
    Two scenes, each drawn of a woman and a man. The decision turns in the second one.

    >>> from fairvision import metrics
    >>> scores, scene = [0.75, 1.0, 0.25, 0.75], ["desk", "desk", "kitchen", "kitchen"]
    >>> result = metrics.counterfactual_consistency(scores, scene, ["woman", "man"] * 2)
    >>> float(result), float(result.shift), result.n
    (0.5, -0.375, 4)
    >>> result.flips.pairs[["group", "value"]]
              group  value
    0  (man, woman)    0.5
    1  (woman, man)    0.0
    >>> result.by_set
          pair         group  value  shift  n
    0     desk  (man, woman)    1.0  -0.25  2
    1  kitchen  (man, woman)    0.0  -0.50  2
    """
    if groups is None:
        raise InputError("counterfactual_consistency needs groups")
    number = isinstance(threshold, (int, float, np.number)) and not isinstance(threshold, bool)
    if not number or np.isnan(threshold):
        raise InputError(f"threshold must be a number, not {shown(threshold)}")
    images = _read(scores, pair, groups, sampling)
    result = _summarised(images, images.score > threshold, sampling)
    return replace(result, by_attribute=_each_attribute(scores, pair, groups, threshold, sampling))


def _each_attribute(
    scores: ArrayLike, pair: ArrayLike, groups: Groups, threshold: float, sampling: Sampling
) -> dict[Any, CounterfactualResult]:
    """Return the figures of pairs that differ in one attribute only, of each of several."""
    columns = by_attribute(groups)
    if not isinstance(columns, (Mapping, pd.DataFrame)) or len(columns) < 2:
        return {}
    code_of = {
        name: next(iter(read_groups(groups=as_column("groups", of))[1].values()))
        for name, of in columns.items()
    }
    scene = read_groups(pair=as_column("pair", pair))[1]["pair"]
    drawn: Any = {"cluster": scene} | {
        name: of for name, of in sampling.items() if name != "cluster" or of is not None
    }
    results = {}
    for name in columns:
        alike = np.stack([scene, *(code for other, code in code_of.items() if other != name)])
        _, among = np.unique(alike, axis=1, return_inverse=True)
        among = np.where((alike >= 0).all(axis=0), among.reshape(-1), -1)
        results[name] = counterfactual_consistency(
            scores, among, columns[name], threshold=threshold, **drawn
        )
    return results


@dataclass(frozen=True, eq=False)
class _Images:
    """The images that are in a set, have a known group and a score.

    Attributes
    ----------
    score, weight, times : (images,) how much each weighs, and how many images each stands for
    code : (images,) the set
    group : (images,)
    sets : what they are called
    names : of the groups
    per_set : cluster and strata of each set, where given
    """

    score: Floats
    weight: Floats
    times: Ints
    code: Ints
    group: Ints
    sets: list[Any]
    names: tuple[Any, ...]
    per_set: dict[str, Any]

    def sums(self, values: Array) -> Floats:
        """Return sums of values (images,) by set and group, (sets, groups)."""
        shape = len(self.sets), len(self.names)
        at = self.code * shape[1] + self.group
        return np.bincount(at, values, shape[0] * shape[1]).astype(float).reshape(shape)


def _read(scores: ArrayLike, pair: ArrayLike, groups: Groups, sampling: Sampling) -> _Images:
    """Read the images that can be in a pair."""
    columns = {"scores": scores, "pair": pair, **group_columns(groups)}
    columns = {name: as_column(name, values) for name, values in columns.items()}
    per_row = {
        name: as_column(name, sampling.get(name))
        for name in ("cluster", "strata")
        if sampling.get(name) is not None
    }
    require(**columns)
    number = check_rows(**columns, **per_row)
    how_often: Any = {"replicates": 0} | {name: sampling.get(name) for name in _HOW_OFTEN}
    rows = Rows({**columns, "row": np.arange(number)}, how_often)
    score = read_values("scores", rows["scores"])
    sets, read = read_groups(pair=rows["pair"])
    code = read["pair"]
    keep = (code >= 0) & ~np.isnan(score)
    grouping = read_grouping(groups, rows, keep)
    named = np.array([name != UNKNOWN for name in grouping.names] + [False])
    keep &= named[grouping.code]
    occurring, code = np.unique(code[keep], return_inverse=True)
    row = np.asarray(rows["row"])[keep]
    return _Images(
        score[keep],
        rows.sample.base[keep, 0],
        rows.sample.counts[keep],
        code,
        grouping.code[keep],
        [sets[at] for at in occurring],
        tuple(name for name in grouping.names if name != UNKNOWN),
        {
            name: _of_sets(name, pd.Series(values).iloc[row], code)
            for name, values in per_row.items()
        },
    )


def _of_sets(name: str, values: pd.Series, code: Ints) -> pd.Series:
    """Return what all images of a set have in common, (sets,); raise where they have not."""
    values = values.reset_index(drop=True)
    try:
        of_image, _ = pd.factorize(values)
    except TypeError:
        raise InputError(f"{name} must hold names or codes, one per image") from None
    _, first = np.unique(code, return_index=True)
    if (of_image != of_image[first][code]).any():
        raise InputError(f"{name}: all images of one pair must lie in one of them")
    return values.iloc[first].reset_index(drop=True)


def _summarised(images: _Images, positive: Bools, sampling: Sampling) -> CounterfactualResult:
    """Return both figures: each set is a row of sums, by two groups."""
    both = list(combinations(range(len(images.names)), 2))
    first, second = (np.array([two[i] for two in both], int) for i in (0, 1))
    weight, times = images.sums(images.weight), images.sums(images.times)
    yes = images.sums(images.weight * positive)
    total = images.sums(images.weight * images.score)
    pairs = weight[:, first] * weight[:, second]
    stay = yes[:, first] * yes[:, second]
    stay = stay + (weight - yes)[:, first] * (weight - yes)[:, second]
    turn = yes[:, first] * (weight - yes)[:, second]
    shift = weight[:, first] * total[:, second] - weight[:, second] * total[:, first]
    occurs = (times[:, first] > 0) & (times[:, second] > 0)
    n = np.where(occurs, times[:, first] + times[:, second], 0).astype(int)
    paired = times.sum(axis=1)[occurs.any(axis=1)]

    drawing: Any = {name: of for name, of in sampling.items() if name not in _HOW_OFTEN}
    drawing |= images.per_set
    rows = Rows({"sums": np.hstack([pairs, stay, shift, turn])}, drawing)
    units = len(rows.sample.counts)  # sets, alike ones together
    sums = np.asarray(rows["sums"]).T.reshape(4, len(both), units)

    def consistency(weights: Array) -> Floats:
        of_pairs, of_stay, *_ = sums @ weights
        everything = ratio(of_stay.sum(axis=0), of_pairs.sum(axis=0))
        return np.vstack([everything, ratio(of_stay, of_pairs)])

    def shifts(weights: Array) -> Floats:
        of_pairs, _, of_shift, _ = sums @ weights
        return ratio(of_shift, of_pairs)

    def flips(weights: Array) -> Floats:
        of_pairs, of_stay, _, of_turn = sums @ weights
        back = np.maximum(of_pairs - of_stay - of_turn, 0)
        everything = ratio(np.sum(of_pairs - of_stay, axis=0), of_pairs.sum(axis=0))
        return np.vstack([everything, ratio(of_turn, of_pairs), ratio(back, of_pairs)])

    furthest, sign = _furthest(shifts(rows.sample.base)[:, 0], len(both))

    def shift_and_pairs(weights: Array) -> Floats:
        of_groups = shifts(weights)
        chosen = sign * of_groups[furthest] if both else np.full(weights.shape[1], np.nan)
        return np.vstack([chosen, of_groups])

    def sets(weights: Array) -> Floats:
        counted = (sums[0] > 0).astype(float)
        return np.vstack([counted.any(axis=0).astype(float) @ weights, counted @ weights])

    names = as_objects([tuple(images.names[at] for at in two) for two in both])
    keys = {"group": names, "n": n.sum(axis=0)}
    of_shift: Result = summarise(
        rows.sample,
        shift_and_pairs,
        keys["n"][furthest] if both else 0,
        "counterfactual shift",
        pairs=keys,
    )
    of_sets = rows.sample.effective(sets)
    turned = as_objects([(one, other) for other, one in names])
    of_flips: Result = summarise(
        rows.sample,
        flips,
        paired.sum(),
        "counterfactual flips",
        pairs={"group": np.append(names, turned), "n": np.tile(keys["n"], 2)},
        shares=np.append(of_sets, of_sets[1:]),
    )
    at, two = np.nonzero(occurs)
    by_set = pd.DataFrame(
        {
            "pair": as_objects(images.sets)[at],
            "group": names[two],
            "value": ratio(stay, pairs)[at, two],
            "shift": ratio(shift, pairs)[at, two],
            "n": n[at, two],
        }
    )
    return summarise(
        rows.sample,
        consistency,
        paired.sum(),
        "counterfactual_consistency",
        pairs=keys,
        shares=of_sets,
        kind=CounterfactualResult,
        shift=of_shift,
        flips=of_flips,
        by_set=by_set,
    )


def _furthest(shifts: Floats, both: int) -> tuple[int, float]:
    """Return which two groups are furthest apart, and 1 or −1, which makes the shift positive.

    Of two groups alone the sign stays.
    """
    if both < 2 or np.isnan(shifts).all():
        return 0, 1.0
    place = int(np.nanargmax(np.abs(shifts)))
    return place, -1.0 if shifts[place] < 0 else 1.0
