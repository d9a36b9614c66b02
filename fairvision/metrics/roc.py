"""What scores say without a threshold: areas under ROC curves, and between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Array, Bools, Floats, as_objects, ratio
from fairvision.metrics._engine.binned_curves import areas_between
from fairvision.metrics._engine.blocks import Blocks, are_many
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.outcomes import Groups, read_grouping, warn_of_small
from fairvision.metrics._engine.placements import area_by_placements, ranks
from fairvision.metrics._engine.result import Result, summarise
from fairvision.metrics.scores import (
    Images,
    centre_replicates,
    figures_of_labels,
    read_rows,
)
from fairvision.schema import UNKNOWN

_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def roc_auc(
    targets: ArrayLike,
    scores: ArrayLike,
    groups: Groups = None,
    *,
    labels: Sequence[str] | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Mean over labels of the area under the ROC curve.

    For one label it is the share of pairs of an image with it and one without it in which the one
    with it has the higher score; equal scores count half. 1/2 for scores that tell nothing,
    whatever the label's frequency. By group both images are of the group: how scores of one group
    compare with those of another is not seen.

    Parameters
    ----------
    targets, scores, groups, labels
        As in `average_precision`: of names or codes, one class against the rest.
    **sampling
        Rows and interval; see `Sampling`. Where no pair is in the wrong order, or all are, the
        exact interval is that of pairs without an image in common: as many as there are images of
        the rarer kind. More than 10,000 images times labels are drawn in 2,000 blocks taken at
        random, and areas follow from placements (DeLong et al. 1988): the interval is the same
        within its noise.

    Returns
    -------
    Result
        In [0, 1]. A label that always or never holds is NaN in `pairs` (a row per `label`; with
        groups per `group`, and `label` if there are several) and left out of the mean. n counts the
        known rows.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006, section 7.
    E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the Areas under Two or More
    Correlated Receiver Operating Characteristic Curves", Biometrics 44, 1988.

    Examples
    --------
    >>> from fairvision import metrics
    >>> float(metrics.roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    rows, read = read_rows("targets", targets, scores, groups, sampling, labels)
    if not are_many(rows.sample, len(read.names)):
        return figures_of_labels("roc_auc", rows, read, groups, _area, shares=_pairs)
    blocks = Blocks.of(rows.sample, len(read.names))
    ranked = replace(read, scores=np.apply_along_axis(ranks, 0, read.scores))
    return figures_of_labels(
        *("roc_auc", rows, ranked, groups, partial(area_by_placements, blocks)),
        shares=_pairs,
        sample=blocks.sample,
    )


def _pairs(holds: Bools, images: Bools, of: Images) -> float:
    """Return how many pairs there are that share no image, nor a cluster: `Shares`."""
    positive, negative, either = of.effective(np.stack([holds & images, ~holds & images, images]))
    return float(min(positive, negative, either / 2))


def _area(holds: Bools, scores: Floats, valid: Bools) -> Callable[[Array], Floats]:
    """Return the area of one label as a function of weights (n, b) → (b,)."""
    (positive,), (negative,) = np.nonzero(holds & valid), np.nonzero(~holds & valid)
    positive = positive[np.argsort(-scores[positive], kind="stable")]
    above, upto = (np.searchsorted(-scores[positive], -scores[negative], side) for side in _SIDES)
    ties = bool((above != upto).any())

    def of_weights(weights: Array) -> Floats:
        drawn = weights[negative]
        reached = np.zeros((len(positive) + 1, weights.shape[1]))
        np.cumsum(weights[positive], axis=0, out=reached[1:])
        won = np.einsum("ij,ij->j", drawn, reached[above])
        if ties:
            won = (won + np.einsum("ij,ij->j", drawn, reached[upto])) / 2
        return ratio(won, reached[-1] * drawn.sum(axis=0))

    return of_weights


def _in_order(scores: Floats, valid: Bools) -> tuple[Array, Array]:
    """Return the valid rows by falling scores, and where each different score begins."""
    (image,) = np.nonzero(valid)
    image = image[np.argsort(-scores[image], kind="stable")]
    new = np.append(True, np.diff(scores[image]) != 0)
    return image, np.flatnonzero(new[: len(image)])


def abroca(
    truth: ArrayLike, scores: ArrayLike, groups: Groups, **sampling: Unpack[Sampling]
) -> Result:
    """ABROCA: area between the ROC curves of two groups.

        ∫ |TPR_a(f) − TPR_b(f)| df,  f from 0 to 1 the false positive rate

    with straight lines between the points of each curve. It is 0 only where the curves are the
    same; equal areas under them (`roc_auc`) do not suffice. Chance alone makes it larger, most in
    small groups.

    Parameters
    ----------
    truth : (n,) of 0 and 1
        None, NaN or -1: unknown.
    scores : (n,) numbers
        Larger means surer. NaN: unknown.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns
        As in `selection_rate`.
    **sampling
        Rows and interval; see `Sampling`. Replicates are shifted so that their mean is the value.
        More than 10,000 images are drawn in 2,000 blocks taken at random, and curves go through 65
        points: the interval is the same within its noise.

    Returns
    -------
    Result
        In [0, 1]: of two groups; of more, of the two whose curves are furthest apart on the data,
        which are held fixed in the replicates. `pairs` has a row per two groups, called `group`.
        NaN where one has no image of a kind. n: the images of the two groups.

    Raises
    ------
    InputError
        Truth is not of 0 and 1, or scores have several columns.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    J. Gardner, C. Brooks and R. Baker, "Evaluating the Fairness of Predictive Student Models
    Through Slicing Analysis", LAK 2019, section 3.

    Examples
    --------
    >>> from fairvision import metrics
    >>> truth, groups = [1, 0] * 20, ["f"] * 20 + ["m"] * 20
    >>> scores = [0.9, 0.1] * 10 + [0.5, 0.5] * 10
    >>> float(metrics.abroca(truth, scores, groups))  # all right, and no better than chance
    0.5
    """
    if groups is None:
        raise InputError("abroca needs groups")
    rows, read = read_rows("truth", truth, scores, groups, sampling)
    if len(read.names) > 1:
        raise InputError("abroca takes one column of scores: give those of one label")
    holds, score = read.held[:, 0], read.scores[:, 0]
    grouping = read_grouping(groups, rows, read.valid)
    names = [name for name in grouping.names if name != UNKNOWN]
    members = [read.valid & (grouping.code == code) for code in range(len(names))]
    counts = np.array([rows.count(images) for images in members], int)
    warn_of_small({"abroca": {"group": names, "n": counts}})
    curves = [_curve(holds, score, images) for images in members]
    both = list(combinations(range(len(names)), 2))

    def areas(weights: Array) -> Floats:
        drawn = [[curve(one) for curve in curves] for one in weights.T]
        between = [[_between(each[a], each[b]) for each in drawn] for a, b in both]
        return np.reshape(np.array(between, float), (len(both), weights.shape[1]))

    base = areas(rows.sample.base)
    chosen = int(np.nanargmax(base)) if not np.isnan(base).all() else 0
    blocks, in_resamples = Blocks.of(rows.sample), areas
    if are_many(rows.sample):
        binned = areas_between(blocks, holds, score, members, both)
        missing = base - binned(blocks.sample.base)

        def in_resamples(weights: Array) -> Floats:
            return binned(weights) + missing

    def statistic(weights: Array) -> Floats:
        each = in_resamples(weights)
        return np.vstack([each[chosen] if both else np.full(weights.shape[1], np.nan), each])

    n = np.array([counts[a] + counts[b] for a, b in both], int)
    return summarise(
        blocks.sample,
        statistic,
        n[chosen] if both else 0,
        "abroca",
        pairs={"group": as_objects([(names[a], names[b]) for a, b in both]), "n": n},
        adjust=partial(centre_replicates, ends=(0, 1)),
    )


def _curve(holds: Bools, scores: Floats, valid: Bools) -> Callable[[Array], Floats | None]:
    """Return the ROC curve (2, points) as a function of weights (n,); None where it is undefined.

    False positive rates first, from 0 to 1.
    """
    image, starts = _in_order(scores, valid)
    with_it = np.stack([~holds[image], holds[image]])

    def of_weights(weights: Array) -> Floats | None:
        if not len(image):
            return None
        steps = np.add.reduceat(with_it * weights[image], starts, axis=1)
        reached = np.cumsum(np.hstack([np.zeros((2, 1)), steps]), axis=1)
        return reached / reached[:, -1:] if reached[:, -1].all() else None

    return of_weights


def _between(one: Floats | None, other: Floats | None) -> float:
    """Return the area between two curves, exactly: straight lines between all their points."""
    if one is None or other is None:
        return np.nan
    at = np.union1d(one[0], other[0])
    starts, ends = (
        _heights(one, at, side) - _heights(other, at, side) for side in ("right", "left")
    )
    low, high, width = np.abs(starts[:-1]), np.abs(ends[1:]), np.diff(at)
    cross = starts[:-1] * ends[1:] < 0
    total = low + high
    mean = np.where(cross, np.nan_to_num(ratio(low**2 + high**2, total)), total) / 2
    return float(mean @ width)


def _heights(curve: Floats, at: Floats, side: Any) -> Floats:
    """Return the heights of a curve just after (side "right") or before ("left") places `at`."""
    x, y = curve
    if side == "right":
        place = np.searchsorted(x, at, side="right") - 1
        following = np.minimum(place + 1, len(x) - 1)
    else:
        place = np.searchsorted(x, at, side="left")
        following = np.maximum(place - 1, 0)
    span = x[following] - x[place]
    along: Floats = y[place] + np.nan_to_num(ratio(at - x[place], span)) * (y[following] - y[place])
    return along
