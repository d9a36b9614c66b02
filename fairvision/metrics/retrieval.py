"""How well labels are found: average precision, over labels and within an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.outcomes import Groups
from fairvision.metrics._engine.result import Result
from fairvision.metrics.scores import (
    Average,
    Images,
    centre_replicates,
    figures_of_labels,
    images_alone,
    mean_of_scores,
    read_rows,
)

_STEPS = 1001  # between 0 and the most images that can stand above


def average_precision(
    targets: ArrayLike,
    scores: ArrayLike,
    groups: Groups = None,
    *,
    labels: Sequence[str] | None = None,
    average: Average = "macro",
    **sampling: Unpack[Sampling],
) -> Result:
    """Average precision: mean over labels, or of all decisions together.

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
    average : {"macro", "micro", "weighted"}
        "macro": the mean over labels, each of which counts alike. "weighted": by how often each
        holds. "micro": all decisions, of each image on each label, as if of one label; scores of
        different labels must be comparable then.
    **sampling
        Rows and interval; see `Sampling`. Replicates are corrected for the bias of the
        bootstrap (Efron & Tibshirani 1993, chapter 10): their mean is the value. Where no image
        without the label stands above one with it, the lower end is exact: the least average
        precision with which that still happens in one of 40 samples (of 95%), whatever the curve.

    Returns
    -------
    Result
        In [0, 1]. A label that never holds is NaN in `pairs` (a row per `label`; with groups per
        `group`, and `label` if there are several) and left out of the mean, in every resample too.
        n counts the known rows. Of "micro" and "weighted", groups have one figure each; "micro" has
        none of labels.

    Raises
    ------
    InputError
        `average` is none of the three.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    Examples
    --------
    >>> from fairvision import metrics
    >>> targets, scores = [[1, 0], [0, 0], [1, 0]], [[.9, .1], [.8, .3], [.7, .2]]
    >>> result = metrics.average_precision(targets, scores)
    >>> result.pairs[["label", "value", "n"]]
       label     value  n
    0      0  0.833333  3
    1      1       NaN  3
    >>> float(metrics.average_precision([[1, 0], [0, 1]], [[5, 3], [4, 1]], average="micro"))
    0.75
    """
    if not isinstance(average, str) or average not in get_args(Average):
        raise InputError(f"average must be 'macro', 'micro' or 'weighted', not {shown(average)}")
    rows, read = read_rows("targets", targets, scores, groups, sampling, labels)
    return figures_of_labels(
        *("average_precision", rows, read, groups, _of_label),
        adjust=centre_replicates,
        average=average,
        shares=_of_images,
        of_share=_least_precision,
    )


def _of_images(holds: Bools, images: Bools, of: Images) -> float:
    """Return of how many images with the label an average precision of 1 is found: `Shares`.

    Of those without it, and of clusters that have both, as many in proportion. Of all labels
    together, the decisions on an image say no more than one of them.
    """
    among = np.reshape(images, (-1, *[1] * (holds.ndim - 1)))
    kinds = [(kind & among).reshape(len(images), -1).sum(axis=1) for kind in (holds, ~holds)]
    positive, negative, either = of.effective(np.stack([kinds[0] > 0, kinds[1] > 0, images]))
    with_it, without, *in_images = of.weight(np.stack([*kinds, *(kind > 0 for kind in kinds)]))
    even = [
        float(weight / sum_of_images / kind.max()) if sum_of_images > 0 else 1.0
        for weight, sum_of_images, kind in zip((with_it, without), in_images, kinds)
    ]
    numbers = [positive * even[0], either * min(even) * with_it / (with_it + without)]
    if without > 0:
        numbers.append(negative * even[1] * with_it / without)
    return float(min(numbers))


def _least_precision(share: Floats) -> Floats:
    """Return the least average precision with which all P images are found so often, (k,).

    `share` is the P-th root of how often. Images without the label that stand above all others, c
    for each image with it, leave none before them with probability e^(−c P), and images with it
    that stand below everything, 1 − ρ of them, are missed with probability ρ^P: the worst with
    ρ e^(−c) = share has precision ρ − c ln(1 + ρ / c).
    """
    reach = np.clip(np.asarray(share, float), np.finfo(float).tiny, 1)
    above = np.linspace(0, 1, _STEPS)[:, None] * -np.log(reach)
    reached = reach * np.exp(above)
    lost = above * np.log1p(np.divide(reached, above, where=above > 0, out=np.zeros_like(above)))
    least: Floats = np.where(share > 0, (reached - lost).min(axis=0), 0)
    return np.maximum(least, 0)


def _of_label(holds: Bools, scores: Floats, valid: Bools) -> Callable[[Array], Floats]:
    """Return the average precision of one label, or of all together, as a function of weights.

    Precision is only ever needed at the scores of images for which the label holds, so each image
    is filed once under the largest of these that it reaches; weighted counts by threshold follow.
    """
    among = valid if holds.ndim == 1 else valid[:, None]
    holds = holds & among
    thresholds = np.unique(scores[holds])[::-1]
    step = np.searchsorted(-thresholds, -scores)

    def by_step(decisions: Bools) -> sparse.csr_array:
        decisions = decisions & (step < len(thresholds))
        at = step[decisions], np.nonzero(decisions)[0]
        return sparse.csr_array((np.ones(len(at[0])), at), shape=(len(thresholds), len(scores)))

    positive, either = by_step(holds), by_step(among)

    def of_weights(weights: Array) -> Floats:
        right = positive @ weights
        precision = ratio(np.cumsum(right, axis=0), np.cumsum(either @ weights, axis=0))
        return ratio(np.nansum(right * precision, axis=0), right.sum(axis=0))

    return of_weights


def label_ranking_average_precision(
    targets: ArrayLike,
    scores: ArrayLike,
    groups: Groups = None,
    *,
    labels: Sequence[str] | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Label-ranking average precision, LRAP: how high each image's labels stand in its ranking.

    Of one image with the labels Y it is the mean over j in Y of

        number of k in Y with s_k ≥ s_j  /  number of all k with s_k ≥ s_j

    1 where all labels that hold stand above all others. Of one label per image it is the mean
    reciprocal rank. Unlike `average_precision`, images are not compared with each other.

    Parameters
    ----------
    targets, scores, groups, labels
        As in `average_precision`, of two labels or more.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        Above 0, at most 1: the mean over images. `pairs` has a row per group. An image without a
        label is undefined, is left out and is not in n; scikit-learn counts it as 1.

    Raises
    ------
    InputError
        There is one column of scores.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    G. Tsoumakas, I. Katakis and I. Vlahavas, "Mining Multi-label Data", Data Mining and Knowledge
    Discovery Handbook, 2010, section 7.2; scikit-learn, `label_ranking_average_precision_score`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> targets, scores = [[1, 0, 0], [0, 0, 1]], [[0.75, 0.5, 1], [1, 0.2, 0.1]]
    >>> round(float(metrics.label_ranking_average_precision(targets, scores)), 3)  # 1/2 and 1/3
    0.417
    """
    rows, read = read_rows("targets", targets, scores, groups, sampling, labels)
    if len(read.names) < 2:
        raise InputError("labels are ranked where there are two or more: scores has one column")
    from scipy.stats import rankdata  # slow to import, and rarely asked for

    valid = read.valid & read.held.any(axis=1)
    score = np.where(valid[:, None], -read.scores, 0)
    among_all = rankdata(score, "max", axis=1)
    among_held = rankdata(np.where(read.held, score, np.inf), "max", axis=1)
    precision = np.where(read.held, among_held / among_all, 0).sum(axis=1)
    of_image = ratio(precision, read.held.sum(axis=1))[:, None]
    one = replace(read.one_column(read.held[:, :1], np.nan_to_num(of_image)), valid=valid)
    name = "label_ranking_average_precision"
    return figures_of_labels(
        *(name, rows, one, groups, mean_of_scores), average="micro", shares=images_alone
    )
