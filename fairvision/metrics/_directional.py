"""Directional bias amplification of Wang and Russakovsky (2021)."""

from __future__ import annotations

from functools import cache
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._bootstrap import mean_of_defined, ratio
from fairvision.metrics._inputs import Labels, one_label_each, read_groups, read_labels
from fairvision.metrics._result import Result, pair_keys, summarise
from fairvision.metrics._rows import Rows
from fairvision.metrics._sampling import Sampling


def directional_bias_amplification(
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    pred_labels: ArrayLike | None = None,
    pred_groups: ArrayLike | None = None,
    train_labels: ArrayLike | None = None,
    train_groups: ArrayLike | None = None,
    train_counts: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Directional bias amplification: does one true side make the other predicted too often?

    With `pred_labels` the direction is A->T, Δ(a, t) = P(T̂=t | A=a) − P(T=t | A=a); with
    `pred_groups` it is T->A, Δ(a, t) = P(Â=a | T=t) − P(A=a | T=t). The value is the mean over
    all pairs of y Δ, where y is the sign of P(a, t) − P(a) P(t): positive where predictions move
    further the way that group and label are correlated.

    Both conditionals of Δ come from the images given (the test set), as in the authors' program.
    The training arrays, where given, decide y and nothing else; otherwise the same test images
    decide it. The sign is taken of the integers c(a, t) n − c(a) c(t), so a pair that is exactly
    independent has y = 0: it adds 0 and stays in the mean. A pair whose condition never occurs is
    undefined and leaves the mean.

    Parameters
    ----------
    labels : names or codes (n,), or 0 and 1 (n, labels)
        True labels. None, NaN or -1: unknown. A row with anything unknown takes no part.
    groups : names or codes (n,)
        True groups. None, NaN, -1 or "unknown": unknown.
    pred_labels, pred_groups : as `labels`, `groups`
        Exactly one of them; it decides the direction.
    train_labels, train_groups : as `labels`, `groups`, of any number of rows
        Both or neither.
    train_counts : whole numbers, optional
        How many images each row of training stands for.
    **sampling
        Rows and interval; see `Sampling`. y is held fixed.

    Returns
    -------
    Result
        In [−1, 1]; NaN without a defined pair, or with fewer than two groups. n counts the rows
        used. `pairs`: y Δ of each pair, with `direction`; their n is the number of images that meet
        the condition.

    References
    ----------
    A. Wang and O. Russakovsky, "Directional Bias Amplification", ICML 2021, section 4.
    arXiv:2102.12594.

    Examples
    --------
    30 of 40 women paint, 10 of 40 men; the model sees women paint in 20 pictures only.

    >>> from fairvision import metrics
    >>> groups = ["woman"] * 40 + ["man"] * 40
    >>> paints = [1] * 30 + [0] * 10 + [1] * 10 + [0] * 30
    >>> predicted = [1] * 20 + [0] * 20 + [1] * 10 + [0] * 30
    >>> result = metrics.directional_bias_amplification(paints, groups, pred_labels=predicted)
    >>> float(result), result.name
    (-0.125, 'directional A->T')
    """
    if (pred_labels is None) == (pred_groups is None):
        raise InputError("give exactly one of pred_labels (A->T) and pred_groups (T->A)")
    if (train_labels is None) != (train_groups is None):
        raise InputError("give both train_labels and train_groups, or neither")
    to_task = pred_labels is not None
    rows = Rows(
        {
            "labels": labels,
            "groups": groups,
            "pred_labels": pred_labels,
            "pred_groups": pred_groups,
        },
        sampling,
    )
    train = Rows(
        {"train_labels": train_labels, "train_groups": train_groups}, {"counts": train_counts}
    )
    label_names, label = read_labels(
        labels=rows["labels"],
        pred_labels=rows.get("pred_labels"),
        train_labels=train.get("train_labels"),
    )
    group_names, group = read_groups(
        groups=rows["groups"],
        pred_groups=rows.get("pred_groups"),
        train_groups=train.get("train_groups"),
    )
    true_label, true_group = label["labels"], group["groups"]
    pred_label = label.get("pred_labels", true_label)
    pred_group = group.get("pred_groups", true_group)
    shape = len(group_names), len(label_names)

    used = true_label.known & pred_label.known & (true_group >= 0) & (pred_group >= 0)
    of = (shape[0], 1) if to_task else (1, shape[1])
    base, counts = rows.sample.base[:, 0], rows.sample.counts

    def in_groups(weights: np.ndarray) -> np.ndarray:
        return np.bincount(true_group[used], weights[used], minlength=shape[0])

    together, of_group = true_label.sums(true_group, shape, used, base), in_groups(base)
    said = pred_label.sums(true_group if to_task else pred_group, shape, used, base)
    if train_labels is None:
        sign = dependence(together, of_group, shape)
    else:
        sign = _dependence_in_training(label["train_labels"], group["train_groups"], shape, train)

    @cache
    def cells() -> tuple[Any, Any]:
        """Matrices that give change and condition of any weights."""
        nothing = np.zeros_like(true_group)
        if to_task:
            moved = true_label.change(pred_label, true_group, shape, used)
            return moved, one_label_each(true_group).cells(nothing, (1, shape[0]), used)
        wrong = used & (pred_group != true_group)
        right = true_label.cells(true_group, shape, wrong)
        moved = true_label.cells(pred_group, shape, wrong) - right
        return moved, true_label.cells(nothing, (1, shape[1]), used)

    def figures(change: np.ndarray, times: np.ndarray) -> np.ndarray:
        b = change.shape[1]
        delta = ratio(change.reshape(*shape, b), times.reshape(*of, b))
        pairs = (sign[..., None] * delta).reshape(sign.size, b)
        return np.vstack([mean_of_defined(pairs), pairs])

    def statistic(weights: np.ndarray) -> np.ndarray:
        return figures(*((part @ weights).astype(float) for part in cells()))

    def condition(weights: np.ndarray, together: np.ndarray) -> np.ndarray:
        return in_groups(weights) if to_task else together.reshape(shape).sum(axis=0)

    times = condition(base, together)
    meets = times
    if rows.sample.weight is not None:
        meets = condition(counts, true_label.sums(true_group, shape, used, counts))
    direction = "A->T" if to_task else "T->A"
    return summarise(
        rows.sample,
        statistic,
        rows.count(used),
        f"directional {direction}",
        pairs={
            **pair_keys(group_names, label_names),
            "direction": direction,
            "n": np.broadcast_to(meets.reshape(of), shape).astype(int).ravel(),
        },
        whole=True,
        value=figures(*(part[:, None].astype(float) for part in (said - together, times))),
    )


def _dependence_in_training(
    labels: Labels, groups: np.ndarray, shape: tuple[int, int], train: Rows
) -> np.ndarray:
    known, counts = labels.known & (groups >= 0), train.sample.counts
    of_group = np.bincount(groups[known], counts[known], minlength=shape[0])
    return dependence(labels.sums(groups, shape, known, counts), of_group, shape)


def dependence(together: np.ndarray, of_group: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the sign of P(a, t) − P(a) P(t), (groups, labels); NaN with fewer than two groups.

    `together` are the counts of pairs (groups · labels), and `of_group` of groups.
    Counts of images are exact; of weighted ones, differences below the precision of floats are 0.
    """
    if shape[0] < 2:
        return np.full(shape, np.nan)
    whole = bool((together % 1 == 0).all() and (of_group % 1 == 0).all())
    kind = np.int64 if whole else np.float64
    pairs, of_group = together.reshape(shape).astype(kind), of_group.reshape(-1, 1).astype(kind)
    joint, apart = pairs * of_group.sum(), of_group * pairs.sum(axis=0)
    noise = 0 if whole else 1e-12 * (joint + apart)
    return np.where(np.abs(joint - apart) <= noise, 0, np.sign(joint - apart))
