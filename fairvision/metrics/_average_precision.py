"""Average precision of many labels, its resamples without sorting again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.metrics._bootstrap import mean_of_defined, ratio
from fairvision.metrics._grouping import Groups, columns_of, read_grouping, warn_of_small
from fairvision.metrics._result import Result, summarise
from fairvision.metrics._rows import Rows
from fairvision.metrics._sampling import Sampling
from fairvision.metrics._scored import read_scored


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
    rows = Rows({"targets": targets, "scores": scores, **columns_of(groups)}, sampling)
    read = read_scored("targets", rows["targets"], rows["scores"], labels)
    holds, table, known, names = read.held, read.scores, read.known, read.names
    grouping = read_grouping(groups, rows, known)
    sets = [known]
    if grouping.attributes:
        sets += [known & (grouping.code == code) for code in range(grouping.size)]
    of_sets = [
        [_of_label(hold & images, score, images) for hold, score in zip(holds.T, table.T)]
        for images in sets
    ]

    def statistic(weights: np.ndarray) -> np.ndarray:
        shape = len(names), weights.shape[1]
        first, *others = [np.reshape([one(weights) for one in each], shape) for each in of_sets]
        return np.vstack([mean_of_defined(first), *(others if grouping.attributes else [first])])

    one_label = grouping.attributes and len(names) == 1
    keys = grouping.keys(None if one_label else names) or {}
    each_n = [rows.count(images) for images in sets[bool(grouping.attributes) :]]
    pairs = {**keys, "n": np.repeat(each_n, len(names))}
    warn_of_small({"average_precision": pairs}, depth=3)
    n = rows.count(known)
    return summarise(rows.sample, statistic, n, "average_precision", pairs=pairs, adjust=centred)


def centred(estimates: np.ndarray) -> np.ndarray:
    """Shift replicates (…, 1 + replicates) so that their mean is the value itself.

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
    return np.concatenate([value, np.clip(replicates + (value - mean), 0, 1)], axis=-1)


def _of_label(
    holds: np.ndarray, scores: np.ndarray, known: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the average precision of one label as a function of weights (n, b) → (b,).

    Precision is only ever needed at the scores of images for which the label holds, so each image
    is filed once under the largest of these that it reaches; weighted counts by threshold follow.
    """
    thresholds = np.unique(scores[holds])[::-1]
    step = np.searchsorted(-thresholds, -scores)

    def by_step(images: np.ndarray) -> sparse.csr_array:
        (image,) = np.nonzero(images & (step < len(thresholds)))
        ones = np.ones(len(image))
        return sparse.csr_array((ones, (step[image], image)), shape=(len(thresholds), len(scores)))

    positive, all_known = by_step(holds), by_step(known)

    def of_weights(weights: np.ndarray) -> np.ndarray:
        right = positive @ weights
        precision = ratio(np.cumsum(right, axis=0), np.cumsum(all_known @ weights, axis=0))
        return ratio(np.nansum(right * precision, axis=0), right.sum(axis=0))

    return of_weights
