"""Rates of decisions: of all images, of each label, of each group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.metrics._engine.bootstrap import Sampling, ratio
from fairvision.metrics._engine.grouping import Groups, warn_of_small
from fairvision.metrics._engine.inputs import (
    UNKNOWN,
    check_rows,
    one_label_each,
    read_groups,
    read_labels,
    require,
)
from fairvision.metrics._engine.outcomes import read_outcomes
from fairvision.metrics._engine.result import Result, pair_keys, summarise
from fairvision.metrics._engine.rows import Rows
from fairvision.metrics.means import of_units


def selection_rate(
    truth: ArrayLike | None,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Share of images that are predicted positive: (TP + FP) / n.

    An image takes part where its prediction is known: truth is not needed, and where it is given
    only its labels count among the possible ones.

    Parameters
    ----------
    truth, predicted : (n,) names or codes, or (n, labels) of 0 and 1
        None, NaN or -1: unknown. Labels that are 0 and 1, or booleans: 1 is positive. Otherwise
        each label in turn is positive and all others are negative.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns, optional
        Or an array (n, attributes). None, NaN, -1 or "unknown": the group is not known. Of several
        attributes the intersections are the groups, named by tuples; an image is of unknown group
        where one attribute is.
    positive : label, optional
        The one label that is positive; of a table, the column.
    where : (n,) bool, optional
        The images that take part.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        In [0, 1]. Of all images, whether their group is known or not; with several labels the mean
        over the labels for which the rate is defined. NaN where the denominator is empty. `pairs`
        has a row per group, per label, or per group and label, with n, the images in the
        denominator. Images of unknown group, where there are any, are the group "unknown". All
        categories of a pandas Categorical are listed, and all intersections where every attribute
        is one; else those that occur.

    Raises
    ------
    InputError
        Lengths differ; truth is missing, which the selection rate alone does without; `positive` is
        a name and the labels are numbers, or the reverse, or it is no column of the table.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images in the denominator; `positive` occurs nowhere; the
        truth of the selection rate is given, and unknown for every image.

    References
    ----------
    fairlearn 0.12, `fairlearn.metrics`: the same rates; it returns 0 where there is no denominator.

    Examples
    --------
    >>> from fairvision import metrics
    >>> rate = metrics.selection_rate([1, 0, 0, 1], [1, 1, 0, 1], replicates=0)
    >>> rate
    selection_rate = 0.75 [nan, nan] (n = 4)
    """
    return rate_of("selection_rate", truth, predicted, groups, positive, where, sampling)


def true_positive_rate(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Share of truly positive images that are predicted so (recall): TP / (TP + FN).

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> truth, predicted = [1] * 20 + [0] * 10, [1] * 15 + [0] * 15
    >>> metrics.true_positive_rate(truth, predicted, ["f"] * 10 + ["m"] * 20).pairs[
    ...     ["group", "value", "n"]
    ... ]
      group  value   n
    0     f    1.0  10
    1     m    0.5  10
    """
    return rate_of("true_positive_rate", truth, predicted, groups, positive, where, sampling)


def false_positive_rate(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Share of truly negative images that are predicted positive: FP / (FP + TN).

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> round(float(metrics.false_positive_rate([0, 0, 0, 1], [1, 0, 0, 1])), 3)
    0.333
    """
    return rate_of("false_positive_rate", truth, predicted, groups, positive, where, sampling)


def true_negative_rate(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Share of truly negative images that are predicted so: TN / (FP + TN).

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> float(metrics.true_negative_rate([0, 0, 0, 0, 1], [1, 0, 0, 0, 1]))
    0.75
    """
    return rate_of("true_negative_rate", truth, predicted, groups, positive, where, sampling)


def false_negative_rate(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Share of truly positive images that are missed: FN / (TP + FN).

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> float(metrics.false_negative_rate([1, 1, 1, 1, 0], [0, 1, 1, 1, 0]))
    0.25
    """
    return rate_of("false_negative_rate", truth, predicted, groups, positive, where, sampling)


def precision(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Share of images predicted positive that truly are: TP / (TP + FP).

    It is also called positive predictive value. It falls with the frequency of the label, so equal
    precision in groups of different frequency is no sign of equal treatment.

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> result = metrics.precision(["cat", "dog"], ["cat", "cat"])
    >>> result.pairs[["label", "value", "n"]]
      label  value  n
    0   cat    0.5  2
    1   dog    NaN  0
    """
    return rate_of("precision", truth, predicted, groups, positive, where, sampling)


def balanced_accuracy(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Mean of the true positive and the true negative rate; of several classes, of their recalls.

    A model that always says the same has 1/2, or 1/K of K classes, whatever their frequency. It is
    NaN where one of the two rates is undefined; of several classes, those that never occur in truth
    are left out of the mean. In a table of many labels, each has the mean of its two rates.

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> float(metrics.balanced_accuracy([1, 0, 0, 0], [0, 0, 0, 0]))
    0.5
    """
    return rate_of("balanced_accuracy", truth, predicted, groups, positive, where, sampling)


def f1_score(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    positive: Any = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    NaN where the label is neither true nor predicted in any image; n counts the other images. It
    falls with the frequency of the label, so groups with different frequencies are not comparable.

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> round(float(metrics.f1_score([1, 1, 1, 0], [1, 1, 0, 1])), 3)
    0.667
    """
    return rate_of("f1_score", truth, predicted, groups, positive, where, sampling)


def rate_of(
    measure: str,
    truth: ArrayLike | None,
    predicted: ArrayLike,
    groups: Groups,
    positive: Any,
    where: ArrayLike | None,
    sampling: Sampling,
) -> Result:
    """Return a rate, with its groups and labels; arguments are those of `selection_rate`."""
    outcomes = read_outcomes([measure], truth, predicted, groups, positive, where, sampling)
    warn_of_small({measure: outcomes.pairs(measure)})
    return outcomes.result(measure)


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

    With many labels per image the decisions are the image–label pairs. An image whose truth or
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
