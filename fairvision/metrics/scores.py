"""Scores beside the truth, in every form in which truth is given: for all measures of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats, mean_of_defined, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import (
    check_rows,
    common_columns,
    is_table,
    read_indicators,
    read_labels,
    read_scores,
)
from fairvision.metrics._engine.outcomes import Groups, group_columns, read_grouping, warn_of_small
from fairvision.metrics._engine.result import Result, summarise
from fairvision.metrics._engine.rows import Rows


@dataclass(frozen=True, eq=False)
class Scored:
    """Which labels hold, and the score of each.

    Attributes
    ----------
    held : (rows, labels) bool
    scores : (rows, labels) floats
    valid : (rows,) bool, where neither truth nor a score is unknown
    names : of the labels; positions where they have none
    classes : whether truth holds one label per row, and scores a column for each
    """

    held: Bools
    scores: Floats
    valid: Bools
    names: list[Any]
    classes: bool

    def one_column(self, held: Bools, scores: Floats) -> Scored:
        """Return one figure of each row, (rows, 1), in place of those of all labels."""
        return replace(self, held=held, scores=scores, names=[0])


def read_scored(
    arg: str, truth: ArrayLike, scores: ArrayLike, labels: Sequence[Any] | None = None
) -> Scored:
    """Read truth, called `arg`, and scores.

    Truth is 0 and 1 for one column of scores; a name or code per row for a column per class; or a
    table of 0 and 1. `labels` name the columns.
    """
    table, columns = read_scores("scores", scores)
    names = columns if labels is None else list(labels)
    if table.shape[1] != len(names):
        raise InputError(f"scores has {table.shape[1]} columns, and {len(names)} labels are named")
    if is_table(arg, truth):
        held, valid, labels_of_truth = read_indicators(arg, truth)
        check_rows(**{arg: held, "scores": table})
        common = common_columns({arg: labels_of_truth, "scores": columns})
        return _scored(held, table, valid, common if labels is None else names, False)
    occurring, read = read_labels(**{arg: truth})
    true = read[arg]
    check_rows(**{arg: true.valid, "scores": table})
    if table.shape[1] == 1:
        if not set(occurring) <= {0, 1}:
            raise InputError(f"with one column of scores, {arg} must hold 0 and 1 (-1: unknown)")
        place = occurring.index(1) if 1 in occurring else -2
        return _scored((true.held == place)[:, None], table, true.valid, names, False)
    called = names if any(isinstance(name, str) for name in occurring) else columns
    absent = [name for name in occurring if name not in called]
    if absent:
        raise InputError(
            f"scores have no column for the label {shown(absent[0])}: give a DataFrame with the "
            f"labels as columns, or {arg} as the number of the column"
        )
    column = np.array([*(called.index(name) for name in occurring), -1])[true.held]
    held = column[:, None] == np.arange(len(names))
    return _scored(held, table, true.valid, names, True)


def _scored(held: Bools, table: Floats, valid: Bools, names: list[Any], classes: bool) -> Scored:
    """Return the scores, valid where neither truth nor a score is unknown."""
    return Scored(held, table, valid & ~np.isnan(table).any(axis=1), names, classes)


def average_precision(
    targets: ArrayLike,
    scores: ArrayLike,
    groups: Groups = None,
    *,
    labels: Sequence[str] | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Mean over labels of the average precision.

    For one label, with thresholds at the distinct scores in falling order,
    AP = Σ_k (recall_k − recall_{k−1}) precision_k, as in scikit-learn: equal scores are taken
    together and nothing is interpolated. It falls with the label's frequency; compare it with that,
    not with 0.5.

    Parameters
    ----------
    targets : (n, labels) of 0 and 1, (n,) of 0 and 1 for one label, or (n,) names or codes
        A row with NaN, None or -1 is unknown. Of names or codes, each class is a label that holds
        where it is the one (one against the rest).
    scores : (n, labels) numbers, or (n,)
        Larger means surer. A row with NaN is unknown. With a name or code per image, a column per
        class: of a DataFrame by name, else in the order of the codes, or of `labels`.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns, optional
        As in `selection_rate`. A label is rarer in one group than in another, and then has a lower
        average precision there without being found less well.
    labels : names, optional
        By default the columns of a DataFrame, else positions.
    **sampling
        Rows and interval; see `Sampling`. Replicates are corrected for the bias of the
        bootstrap (Efron & Tibshirani 1993, chapter 10): their mean is the value.

    Returns
    -------
    Result
        In [0, 1]. A label that never holds is NaN in `pairs` (a row per `label`; with groups per
        `group`, and `label` if there are several) and left out of the mean, in every resample too.
        n counts the known rows.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    Examples
    --------
    >>> from fairvision import metrics
    >>> result = metrics.average_precision([[1, 0], [0, 0], [1, 0]], [[.9, .1], [.8, .3], [.7, .2]])
    >>> result.pairs[["label", "value", "n"]]
       label     value  n
    0      0  0.833333  3
    1      1       NaN  3
    """
    rows = Rows({"targets": targets, "scores": scores, **group_columns(groups)}, sampling)
    read = read_scored("targets", rows["targets"], rows["scores"], labels)
    return figures_of_labels(
        "average_precision", rows, read, groups, _of_label, adjust=centre_replicates
    )


OfLabel = Callable[[Bools, Floats, Bools], Callable[[Array], Floats]]


def figures_of_labels(
    name: str,
    rows: Rows,
    read: Scored,
    groups: Groups,
    of_label: OfLabel,
    adjust: Callable[[Floats], Floats] | None = None,
) -> Result:
    """Return the mean over labels of a figure, with that of each label, of all or of each group.

    Parameters
    ----------
    name : of the measure
    rows, read, groups : the images
    of_label : maps where a label holds, its scores and which images take part, (units,) each, to
        the figure as a function of weights (units, b) → (b,)
    adjust : what is done to estimates
    """
    holds, table, valid, names = read.held, read.scores, read.valid, read.names
    grouping = read_grouping(groups, rows, valid)
    sets = [valid]
    if grouping.attributes:
        sets += [valid & (grouping.code == code) for code in range(grouping.size)]
    of_sets = [
        [of_label(hold & images, score, images) for hold, score in zip(holds.T, table.T)]
        for images in sets
    ]

    def statistic(weights: Array) -> Floats:
        shape = len(names), weights.shape[1]
        first, *others = [np.reshape([one(weights) for one in each], shape) for each in of_sets]
        return np.vstack([mean_of_defined(first), *(others if grouping.attributes else [first])])

    one_label = grouping.attributes and len(names) == 1
    keys = grouping.keys(None if one_label else names) or {}
    each_n = [rows.count(images) for images in sets[bool(grouping.attributes) :]]
    pairs = {**keys, "n": np.repeat(each_n, len(names))}
    warn_of_small({name: pairs})
    return summarise(
        rows.sample,
        statistic,
        rows.count(valid),
        name,
        pairs=pairs,
        adjust=adjust,
        overall=lambda: figures_of_labels(name, rows, read, None, of_label, adjust),
    )


def centre_replicates(estimates: Floats, ends: tuple[float, float] = (0, 1)) -> Floats:
    """Shift replicates (…, 1 + replicates) so that their mean is the value, between `ends`.

    Resamples repeat rows, and a rare label that is drawn twice is found with twice the precision:
    without the shift the interval of rare labels lies above the value.
    """
    value, replicates = estimates[..., :1], estimates[..., 1:]
    if not replicates.shape[-1]:
        return estimates
    defined = np.isfinite(replicates)
    mean = ratio(
        np.where(defined, replicates, 0).sum(axis=-1, keepdims=True),
        defined.sum(axis=-1, keepdims=True),
    )
    return np.concatenate([value, np.clip(replicates + (value - mean), *ends)], axis=-1)


def _of_label(holds: Bools, scores: Floats, valid: Bools) -> Callable[[Array], Floats]:
    """Return the average precision of one label as a function of weights (n, b) → (b,).

    Precision is only ever needed at the scores of images for which the label holds, so each image
    is filed once under the largest of these that it reaches; weighted counts by threshold follow.
    """
    thresholds = np.unique(scores[holds])[::-1]
    step = np.searchsorted(-thresholds, -scores)

    def by_step(images: Bools) -> sparse.csr_array:
        (image,) = np.nonzero(images & (step < len(thresholds)))
        ones = np.ones(len(image))
        return sparse.csr_array((ones, (step[image], image)), shape=(len(thresholds), len(scores)))

    positive, either = by_step(holds), by_step(valid)

    def of_weights(weights: Array) -> Floats:
        right = positive @ weights
        precision = ratio(np.cumsum(right, axis=0), np.cumsum(either @ weights, axis=0))
        return ratio(np.nansum(right * precision, axis=0), right.sum(axis=0))

    return of_weights


_ROUNDING = 1e-6  # of scores that came from float32


def check_probabilities(table: Floats) -> None:
    """Raise unless scores lie between 0 and 1."""
    if (np.abs(table[~np.isnan(table).any(axis=1)] - 0.5) > 0.5 + _ROUNDING).any():
        raise InputError("scores must be probabilities, between 0 and 1")
