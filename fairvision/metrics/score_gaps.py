"""Any score per image, by group: how far means or medians lie apart, and whether that is chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtr

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats, as_objects, ratio
from fairvision.metrics._engine.base_groups import DIFFERENCE, against
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.extreme_groups import GroupResult, contrast, difference
from fairvision.metrics._engine.inputs import read_values
from fairvision.metrics._engine.joint import corrected, p_values
from fairvision.metrics._engine.outcomes import Groups, group_columns, read_grouping, warn_of_small
from fairvision.metrics._engine.result import Result, recipe_of, summarise
from fairvision.metrics._engine.rows import Rows
from fairvision.schema import UNKNOWN

_ROUNDING = 1e-12  # of half of the weights


@dataclass(frozen=True, eq=False, repr=False)
class ScoreGapResult(GroupResult):
    """A `Result` of scores of groups.

    Attributes
    ----------
    by_group : Result
        The mean or median of all images; its `pairs` have that of each group. `gap` and
        `group_ratio` take it.
    p_value : float
        How often chance alone would make groups that are alike differ as much; of more than two,
        corrected for the number of comparisons by Holm. NaN where undefined.
    test : str
        "Welch" or "bootstrap"; "" where there are no two groups.
    """

    by_group: Result = field(default_factory=lambda: Result(np.nan))
    p_value: float = np.nan
    test: str = ""


def score_gap(
    scores: ArrayLike,
    groups: Groups,
    *,
    statistic: Literal["mean", "median"] = "mean",
    reference: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> ScoreGapResult:
    """Difference between groups in the mean or median of any score of images.

    The score may be the recall, the intersection over union of a mask, the share of right keypoints
    (PCK), or a quality: one number per image.

    The test is of the figure that is compared. Means of independent images are tested by Welch's t,
    which takes groups of unequal spread and size; Student's does not. Medians are tested by the
    percentile bootstrap: no density is estimated, groups may be of different shape, and scores may
    be equal. A t test would be of means, which can differ where medians do not, and that of
    Mann, Whitney and Wilcoxon of which group is larger more often. Means of clusters, strata or
    weighted images are tested by the bootstrap too, those of clusters by their interval.

    Parameters
    ----------
    scores : (n,) numbers
        NaN: undefined, takes no part.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns
        As in `selection_rate`.
    statistic : {"mean", "median"}
        Of an even number of images the median lies midway between the two in the middle.
    reference : group, optional
        The one that all others are compared with. By default the smallest is taken from the
        largest.
    where : (n,) bool, optional
        The images that take part.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    ScoreGapResult
        In units of the score: the largest group less the smallest, or with a reference, with its
        sign, the group furthest from it less the reference; see `gap`. `pairs` has a row per two
        known groups, called `group` (the second less the first), or with a reference per other
        group, with n, the images of both, `p_value`, and `p_holm`, corrected for the number of
        rows. NaN with fewer than two defined groups; `p_value` as well where a group has a single
        image or neither varies, and by the bootstrap without replicates.

    Raises
    ------
    InputError
        Scores are not one number per image, `statistic` is neither of the two, or the reference is
        no group.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    B. L. Welch, "The Generalization of 'Student's' Problem when Several Different Population
    Variances are Involved", Biometrika 34, 1947. R. R. Wilcox, "Comparing medians", Computational
    Statistics & Data Analysis 51, 2006, section 3.

    Examples
    --------
    >>> from fairvision import metrics
    >>> scores = [0.9, 0.8, 0.7, 0.8] * 5 + [0.6, 0.5, 0.9, 0.4] * 5
    >>> result = metrics.score_gap(scores, ["m"] * 20 + ["f"] * 20, reference="m")
    >>> round(float(result), 3), result.n, result.test, result.p_value < 0.001
    (-0.2, 40, 'Welch', True)
    >>> result.by_group.pairs[["group", "value", "n"]].round(3)
      group  value   n
    0     f    0.6  20
    1     m    0.8  20
    >>> median = metrics.score_gap(scores, ["m"] * 20 + ["f"] * 20, statistic="median")
    >>> round(float(median), 3), median.groups, median.test
    (0.25, ('f', 'm'), 'bootstrap')
    """
    if not isinstance(statistic, str) or statistic not in ("mean", "median"):
        raise InputError(f"statistic must be 'mean' or 'median', not {shown(statistic)}")
    if groups is None:
        raise InputError("score_gap needs groups")
    rows = Rows({"scores": scores, "where": where, **group_columns(groups)}, sampling)
    values = read_values("scores", rows["scores"])
    keep = rows.mask & ~np.isnan(values)
    grouping = read_grouping(groups, rows, keep)
    members = keep & (grouping.code == np.arange(len(grouping.names))[:, None])
    by_group = _by_group(rows, values, np.vstack([keep, members]), grouping.names, statistic)
    name = f"{statistic} gap"
    if reference is None:
        result = contrast([by_group], difference, name)
    else:
        result = against([by_group], DIFFERENCE, name, reference)
    table, replicates = _differences(by_group, reference)
    independent = rows.sample.weight is None and rows.sample.stratum is None
    if statistic == "mean" and independent and rows.sample.cluster is None:
        test, p = "Welch", _welch(rows, values, dict(zip(grouping.names, members)), table["two"])
    elif rows.sample.cluster is None:
        test, p = "bootstrap", _percentile_test(replicates)
    else:
        value, low, high = table[["value", "low", "high"]].to_numpy(float).T
        confidence = rows.sample.drawing.confidence
        test, p = "bootstrap", p_values(value, low, high, confidence=confidence)
    p = np.where(np.isnan(table["value"]), np.nan, p)
    tested = [UNKNOWN not in two for two in table["two"]]
    holm = np.where(tested, corrected(np.where(tested, p, np.nan)), np.nan)
    decisive = [set(two) == set(result.groups) for two in table["two"]]
    pairs = table.drop(columns="two").assign(p_value=p, p_holm=holm)
    return ScoreGapResult(
        *(result.value, result.low, result.high, result.n, result.replicates, pairs, name),
        *(result.groups, result.measure),
        by_group=by_group,
        p_value=float(holm[decisive][0]) if any(decisive) else np.nan,
        test=test if any(decisive) else "",
        _recipe=recipe_of(result),
    )


def _by_group(
    rows: Rows, values: Floats, members: Bools, names: tuple[Any, ...], statistic: str
) -> Result:
    """Return the figure of all images with those of groups; `members` (1 + groups, units)."""
    make = _mean if statistic == "mean" else _median
    each = [make(values, images) for images in members]
    n = [rows.count(images) for images in members]
    pairs = {"group": as_objects(names), "n": np.array(n[1:], int)}
    warn_of_small({statistic: pairs})
    shares = None
    if statistic == "mean" and np.isin(values[members[0]], (0, 1)).all():
        shares = rows.sample.effective(lambda weights: members.astype(float) @ weights)
    return summarise(
        rows.sample,
        lambda weights: np.stack([one(weights) for one in each]),
        n[0],
        statistic,
        pairs=pairs,
        shares=shares,
    )


def _mean(values: Floats, images: Bools) -> Callable[[Array], Floats]:
    """Return the mean as a function of weights (units, b) → (b,)."""
    (unit,) = np.nonzero(images)
    score = values[unit]

    def of_weights(weights: Array) -> Floats:
        drawn = weights[unit]
        return ratio(score @ drawn, drawn.sum(axis=0))

    return of_weights


def _median(values: Floats, images: Bools) -> Callable[[Array], Floats]:
    """Return the median as a function of weights (units, b) → (b,)."""
    (unit,) = np.nonzero(images)
    unit = unit[np.argsort(values[unit], kind="stable")]
    score = np.append(values[unit], np.nan)

    def of_weights(weights: Array) -> Floats:
        reached = np.cumsum(weights[unit], axis=0)
        half = reached[-1] / 2 if len(unit) else np.zeros(weights.shape[1])
        below = (reached < half * (1 - _ROUNDING)).sum(axis=0)
        upto = (reached <= half * (1 + _ROUNDING)).sum(axis=0)
        median: Floats = (score[below] + score[upto]) / 2
        return median  # without weight both reach behind the last, NaN

    return of_weights


def _differences(by_group: Result, reference: Any) -> tuple[pd.DataFrame, Floats]:
    """Return each difference between two groups, `two`, with its replicates (rows, b)."""
    assert by_group.pairs is not None
    parts, replicates = [], []
    names = [name for name in by_group.pairs["group"] if name != UNKNOWN]
    for place, base in enumerate(names if reference is None else [reference]):
        of_base = against([by_group], DIFFERENCE, by_group.name, base)
        table = of_base.pairs
        assert table is not None
        two = as_objects([(base, other) for other in table["group"]])
        keep = np.ones(len(table), bool)
        if reference is None:
            keep = np.isin(np.arange(len(table)), np.arange(place, len(names) - 1))
            table = table.assign(group=two)
        parts.append(table.assign(two=two)[keep])
        replicates.append(recipe_of(of_base).estimates[1:, 1:][keep])
    if not parts:
        columns = ["group", "value", "low", "high", "n", "two"]
        return pd.DataFrame({column: [] for column in columns}), np.empty((0, 0))
    return pd.concat(parts, ignore_index=True), np.concatenate(replicates)


def _welch(rows: Rows, values: Floats, members: dict[Any, Bools], pairs: pd.Series) -> Floats:
    """Return p-values of Welch's t test of two groups each; NaN where it is undefined.

    `scipy.stats` has it too, and takes a second to import.
    """
    moments = {}
    for name, images in members.items():
        counts, score = rows.sample.counts[images], values[images]
        n = float(counts.sum())
        mean = counts @ score / max(n, 1)
        of_mean = counts @ (score - mean) ** 2 / (n - 1) / n if n > 1 else np.nan  # its variance
        moments[name] = (mean, of_mean, n - 1)

    def p_value(one: Any, other: Any) -> float:
        (mean, of_mean, freedom), (base, of_base, base_freedom) = moments[one], moments[other]
        variance = of_mean + of_base
        if not variance > 0:
            return np.nan
        both = float(variance**2 / (of_mean**2 / freedom + of_base**2 / base_freedom))
        return 2 * float(stdtr(both, -abs(mean - base) / np.sqrt(variance)))

    return np.array([p_value(one, other) for one, other in pairs], float)


def _percentile_test(replicates: Floats) -> Floats:
    """Return p-values by how many replicates (rows, b) lie on the other side of 0."""
    defined = (~np.isnan(replicates)).sum(axis=1)
    below = (replicates < 0).sum(axis=1) + (replicates == 0).sum(axis=1) / 2
    share = ratio(below, defined)
    p: Floats = np.clip(2 * np.minimum(share, 1 - share), 2 / (defined + 1), 1)
    return p
