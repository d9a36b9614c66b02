"""Scores beside the truth, in every form in which truth is given: for all measures of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats, mean_of_defined, ratio, tally
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
    return summarise(rows.sample, statistic, rows.count(valid), name, pairs=pairs, adjust=adjust)


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


def calibration_error(
    truth: ArrayLike,
    scores: ArrayLike,
    groups: Groups = None,
    *,
    bins: int = 15,
    norm: Literal["l1", "l2", "max"] = "l1",
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Expected calibration error, ECE: how far scores are from the frequency of being right.

    The scores are put into bins of equal width, ((m − 1) / M, m / M], the first with 0. With n_m
    images in bin m, of n in all,

        ECE = Σ_m (n_m / n) |frequency of truth in m − mean score in m|

    It depends on the bins, and it is never negative: chance alone makes it up to about 0.4/√n_m in
    each bin, so that small groups look worse calibrated than large ones. Compare groups of equal
    size, or with fewer bins.

    Parameters
    ----------
    truth : (n,) of 0 and 1, (n,) names or codes, or (n, labels) of 0 and 1
        None, NaN or -1: unknown.
    scores : (n,) or (n, labels) probabilities
        One column: that of the label 1. With a code per image, a column per class, in their order
        (of a DataFrame, by name): the highest score of an image is set against being right, the
        first of equal ones. With a table of truth, each label has its own error. NaN: unknown.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns, optional
        As in `selection_rate`.
    bins : int
        M, 15 as in Guo et al.
    norm : {"l1", "l2", "max"}
        "l1" for ECE; "l2" for its root mean square, √(Σ_m (n_m / n) (…)²); "max" for the largest of
        all bins (MCE), which one image in a bin can decide.
    where : (n,) bool, optional
        The images that take part.
    **sampling
        Rows and interval; see `Sampling`. Replicates are shifted so that their mean is the value:
        resamples are further from calibration than the images that they are drawn from.

    Returns
    -------
    Result
        In [0, 1], of all images; in a table the mean over labels. `pairs` has a row per group, per
        label of a table, or per group and label. NaN with n = 0 where nothing is known.

    Raises
    ------
    InputError
        Scores are not between 0 and 1, or their columns are not those of the labels, in number or
        in name.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.

    Examples
    --------
    >>> from fairvision import metrics
    >>> result = metrics.calibration_error([1, 1, 1, 0], [0.9, 0.9, 0.2, 0.2], bins=10)
    >>> round(float(result), 3), result.n
    (0.2, 4)
    """
    if not isinstance(bins, (int, np.integer)) or bins < 1:
        raise InputError(f"bins must be a whole number, 1 or more, not {bins!r}")
    if not isinstance(norm, str) or norm not in ("l1", "l2", "max"):
        raise InputError(f"norm must be 'l1', 'l2' or 'max', not {shown(norm)}")
    columns = {"truth": truth, "scores": scores, "where": where, **group_columns(groups)}
    rows = Rows(columns, sampling)
    right, score, valid, labels = _read(rows["truth"], rows["scores"])
    keep = valid & rows.mask
    grouping = read_grouping(groups, rows, keep)
    edges = np.arange(1, bins) / bins
    (unit,) = np.nonzero(keep)
    size = grouping.size, right.shape[1], bins
    label = np.arange(size[1])
    cell = (grouping.code[unit, None] * size[1] + label) * bins
    cell = cell + np.searchsorted(edges, score[unit], side="left")
    excess = right[unit] - score[unit]
    shape = int(np.prod(size)), len(keep)
    places = cell.ravel(), np.repeat(unit, size[1])
    sums = sparse.csr_array((excess.ravel(), places), shape=shape)
    ones = sparse.csr_array((np.ones(excess.size), places), shape=shape)
    members = sparse.csr_array(
        (np.ones(len(unit)), (grouping.code[unit], unit)), shape=(size[0], len(keep))
    )

    def error(off: Floats, inside: Floats | None, images: Floats) -> Floats:
        if inside is None:
            return ratio(np.abs(off).sum(axis=-2), images)
        if norm == "l2":
            return np.sqrt(ratio(np.nan_to_num(ratio(off**2, inside)).sum(axis=-2), images))
        largest = np.nan_to_num(ratio(np.abs(off), inside)).max(axis=-2)
        return np.where(images > 0, largest, np.nan)

    def statistic(weights: Array) -> Floats:
        off = tally(sums, weights, size)
        inside = None if norm == "l1" else tally(ones, weights, size)
        images = np.asarray(members @ weights)
        of_all = None if inside is None else inside.sum(axis=0)
        overall = error(off.sum(axis=0), of_all, images.sum(axis=0))
        if grouping.attributes:
            each = error(off, inside, images[:, None]).reshape(-1, weights.shape[1])
        else:
            each = overall[: 0 if labels is None else None]
        return np.vstack([mean_of_defined(overall), each])

    keys = grouping.keys(labels)
    n = np.rint(members @ rows.sample.counts).astype(int)
    pairs = None if keys is None else {**keys, "n": np.repeat(n, size[1])}
    warn_of_small({"calibration_error": pairs})
    return summarise(
        rows.sample,
        statistic,
        rows.count(keep),
        "calibration_error",
        pairs=pairs,
        adjust=centre_replicates,
    )


def check_probabilities(table: Floats) -> None:
    """Raise unless scores lie between 0 and 1."""
    if (np.abs(table[~np.isnan(table).any(axis=1)] - 0.5) > 0.5 + _ROUNDING).any():
        raise InputError("scores must be probabilities, between 0 and 1")


def _read(truth: Any, scores: Any) -> tuple[Array, Floats, Bools, list[Any] | None]:
    """Return right and score (units, labels), which units are valid, and the labels if many."""
    read = read_scored("truth", truth, scores)
    table, valid = read.scores, read.valid
    check_probabilities(table)
    if not read.classes:
        return read.held, table, valid, read.names if len(read.names) > 1 else None
    rows = np.arange(len(table))
    surest = np.where(valid[:, None], table, 0).argmax(axis=1)
    return read.held[rows, surest][:, None], table[rows, surest][:, None], valid, None
