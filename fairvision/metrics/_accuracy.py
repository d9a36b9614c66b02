"""Right and wrong: per image, overall, and which group is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.metrics._bootstrap import ratio
from fairvision.metrics._grouping import Groups
from fairvision.metrics._inputs import (
    UNKNOWN,
    check_rows,
    one_label_each,
    read_groups,
    read_labels,
    require,
)
from fairvision.metrics._means import of_units
from fairvision.metrics._rates import rate_of
from fairvision.metrics._result import Result, pair_keys, summarise
from fairvision.metrics._rows import Rows
from fairvision.metrics._sampling import Sampling


def correct(truth: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Share of right decisions in each image.

    Parameters
    ----------
    truth, predicted : (n,) names or codes, or (n, labels) of 0 and 1
        None, NaN or -1: unknown.

    Returns
    -------
    (n,) ndarray
        With one label per image 1 (right) or 0 (wrong); with many, the share of labels decided
        rightly, in [0, 1]. NaN where truth or prediction is unknown.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.correct(["cat", "dog", None], ["cat", "cat", "cat"])
    array([ 1.,  0., nan])
    """
    require(truth=truth, predicted=predicted)
    names, read = read_labels(truth=truth, predicted=predicted)
    true, guess = read["truth"], read["predicted"]
    rows = check_rows(truth=true.known, predicted=guess.known)
    known = true.known & guess.known
    if true.many:
        differ = np.zeros((rows, len(names)), dtype=bool)
        for labels in (true, guess):
            differ[labels.row, labels.label] ^= True
        right = 1 - differ.mean(axis=1)
    else:
        codes = np.full((2, rows), -1)
        for code, labels in zip(codes, (true, guess)):
            code[labels.row] = labels.label
        right = (codes[0] == codes[1]).astype(float)
    return np.where(known, right, np.nan)


def accuracy(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Share of right decisions.

    With many labels per image the decisions are the picture–label pairs. An image whose truth or
    prediction is unknown takes no part. Misleads where one label is much more frequent than the
    others: guessing it is often right.

    Parameters
    ----------
    truth, predicted : (n,) names or codes, or (n, labels) of 0 and 1
        None, NaN or -1: unknown.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns, optional
        As in `selection_rate`.
    where : (n,) bool, optional
        The images that take part.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        In [0, 1]; NaN where nothing is known. With groups, `pairs` as those of `selection_rate`: a
        row per group, and of a table per group and label.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.accuracy(["cat", "dog", "dog", None], ["cat", "dog", "cat", "dog"], replicates=0)
    accuracy = 0.6667 [nan, nan] (n = 3)
    """
    if groups is not None:
        return rate_of("accuracy", truth, predicted, groups, None, where, sampling)
    rows = Rows({"truth": truth, "predicted": predicted, "where": where}, sampling)
    right = correct(rows["truth"], rows["predicted"])
    return of_units(rows, right, "accuracy")


def error_rate(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Share of wrong decisions: 1 − accuracy.

    Parameters and result are those of `accuracy`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> float(metrics.error_rate(["cat", "dog", "dog", "cat"], ["cat", "dog", "cat", "cat"]))
    0.25
    """
    if groups is not None:
        return rate_of("error_rate", truth, predicted, groups, None, where, sampling)
    rows = Rows({"truth": truth, "predicted": predicted, "where": where}, sampling)
    wrong = 1 - correct(rows["truth"], rows["predicted"])
    return of_units(rows, wrong, "error_rate")


def confusion(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Which group is taken for which: shares of predictions among the images of each true group.

    Parameters
    ----------
    truth, predicted : (n,) names or codes
        None, NaN, -1 or "unknown": unknown.
    groups : names, optional
        All groups, in order; the names of codes. By default the categories, or what occurs.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        The value is the accuracy. `pairs` has a row per true `group` and predicted `label`: the
        share of the group's images that are predicted so, and n, the images of the group. NaN for
        a group without images. Images of unknown group, where there are any, are the group
        "unknown"; they do not enter the value.

    Raises
    ------
    InputError
        A value is not among `groups`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> result = metrics.confusion([0, 0, 1, 1], [0, 1, 1, 1], groups=["female", "male"])
    >>> result.pairs[["group", "label", "value", "n"]]
        group   label  value  n
    0  female  female    0.5  2
    1  female    male    0.5  2
    2    male  female    0.0  2
    3    male    male    1.0  2
    """
    rows = Rows({"truth": truth, "predicted": predicted}, sampling)
    names, read = read_groups(groups, truth=rows["truth"], predicted=rows["predicted"])
    true, guess = read["truth"], read["predicted"]
    answered = guess >= 0
    listed = [*names, UNKNOWN] if (answered & (true < 0)).any() else names
    shape = len(listed), len(names)
    row = np.where(true < 0, len(names), true)
    cells = one_label_each(guess).cells(row, shape, answered)

    def counted(weights: np.ndarray) -> np.ndarray:
        return (cells @ weights).reshape(*shape, weights.shape[1])

    def images(weights: np.ndarray) -> np.ndarray:
        of_group = counted(weights).sum(axis=1)
        return np.vstack([of_group[: len(names)].sum(axis=0), of_group.repeat(shape[1], axis=0)])

    def statistic(weights: np.ndarray) -> np.ndarray:
        counts = counted(weights)
        known = counts[: len(names)]
        overall = ratio(np.trace(known), known.sum(axis=(0, 1)))
        shares = ratio(counts, counts.sum(axis=1, keepdims=True))
        return np.vstack([overall, shares.reshape(cells.shape[0], weights.shape[1])])

    n = images(rows.sample.counts[:, None])[:, 0].astype(int)
    return summarise(
        rows.sample,
        statistic,
        n[0],
        "confusion",
        pairs={**pair_keys(listed, names), "n": n[1:]},
        shares=rows.sample.effective(images),
    )
