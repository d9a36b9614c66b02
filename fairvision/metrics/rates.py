"""Rates of decisions: of all images, of each label, of each group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.metrics._engine.arrays import Array, Floats, one_label_each, ratio, tally
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import check_rows, read_groups, read_labels, require
from fairvision.metrics._engine.outcomes import Decisions, Groups, read_outcomes
from fairvision.metrics._engine.result import Result, pair_keys, summarise
from fairvision.metrics._engine.rows import Rows
from fairvision.metrics.contrasts import mean_of_units
from fairvision.schema import UNKNOWN


class RateFunction(Protocol):
    """A rate of decisions; arguments and result are those of `selection_rate`."""

    __name__: str
    __qualname__: str

    def __call__(
        self,
        truth: ArrayLike | None,
        predicted: ArrayLike,
        groups: Groups = None,
        *,
        positive: Any = None,
        where: ArrayLike | None = None,
        **sampling: Unpack[Sampling],
    ) -> Result:
        """Measure."""
        ...


def _rate(described: Callable[[], None]) -> RateFunction:
    """Make the function of a rate: name and description are given, `RATES` says how it is made."""
    measure = described.__name__

    def rate(
        truth: ArrayLike | None,
        predicted: ArrayLike,
        groups: Groups = None,
        *,
        positive: Any = None,
        where: ArrayLike | None = None,
        **sampling: Unpack[Sampling],
    ) -> Result:
        decisions = Decisions(truth, predicted, groups, positive, where, sampling)
        return read_outcomes([measure], decisions).result(measure)

    rate.__name__ = rate.__qualname__ = measure
    rate.__doc__ = described.__doc__
    return rate


@_rate
def selection_rate() -> None:
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


@_rate
def true_positive_rate() -> None:
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


@_rate
def false_positive_rate() -> None:
    """Share of truly negative images that are predicted positive: FP / (FP + TN).

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> round(float(metrics.false_positive_rate([0, 0, 0, 1], [1, 0, 0, 1])), 3)
    0.333
    """


@_rate
def true_negative_rate() -> None:
    """Share of truly negative images that are predicted so: TN / (FP + TN).

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> float(metrics.true_negative_rate([0, 0, 0, 0, 1], [1, 0, 0, 0, 1]))
    0.75
    """


@_rate
def false_negative_rate() -> None:
    """Share of truly positive images that are missed: FN / (TP + FN).

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> float(metrics.false_negative_rate([1, 1, 1, 1, 0], [0, 1, 1, 1, 0]))
    0.25
    """


@_rate
def precision() -> None:
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


@_rate
def false_discovery_rate() -> None:
    """Share of images predicted positive that truly are negative: FP / (TP + FP), 1 − precision.

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> float(metrics.false_discovery_rate([1, 1, 1, 0], [1, 1, 1, 1]))
    0.25
    """


@_rate
def negative_predictive_value() -> None:
    """Share of images predicted negative that truly are: TN / (TN + FN).

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> float(metrics.negative_predictive_value([0, 0, 0, 1], [0, 0, 0, 0]))
    0.75
    """


@_rate
def false_omission_rate() -> None:
    """Share of images predicted negative that truly are positive: FN / (TN + FN).

    Parameters and result are those of `selection_rate`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> float(metrics.false_omission_rate([0, 0, 0, 1], [0, 0, 0, 0]))
    0.25
    """


@_rate
def balanced_accuracy() -> None:
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


@_rate
def f1_score() -> None:
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


def correct(truth: ArrayLike, predicted: ArrayLike) -> Floats:
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
    _, read = read_labels(truth=truth, predicted=predicted)
    true, guess = read["truth"], read["predicted"]
    check_rows(truth=true.valid, predicted=guess.valid)
    wrong = true.held != guess.held
    right = 1 - (wrong.mean(axis=1) if true.many else wrong.astype(float))
    return np.where(true.valid & guess.valid, right, np.nan)


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
    return _right_or_wrong("accuracy", truth, predicted, groups, where, sampling)


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
    return _right_or_wrong("error_rate", truth, predicted, groups, where, sampling)


def _right_or_wrong(
    measure: Literal["accuracy", "error_rate"],
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Groups,
    where: ArrayLike | None,
    sampling: Sampling,
) -> Result:
    """Return a rate of decisions: by group of their counts, else the mean over images."""
    if groups is not None:
        decisions = Decisions(truth, predicted, groups, None, where, sampling)
        return read_outcomes([measure], decisions).result(measure)
    rows = Rows({"truth": truth, "predicted": predicted, "where": where}, sampling)
    right = correct(rows["truth"], rows["predicted"])
    return mean_of_units(rows, right if measure == "accuracy" else 1 - right, measure)


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
    predictions = one_label_each(guess)
    listed = [*names, UNKNOWN] if (predictions.valid & (true < 0)).any() else names
    shape = len(listed), len(names)
    row = np.where(true < 0, len(names), true)
    pairs = predictions.indicator(row, shape, predictions.valid)

    def images(weights: Array) -> Floats:
        of_group = tally(pairs, weights, shape).sum(axis=1)
        return np.vstack([of_group[: len(names)].sum(axis=0), of_group.repeat(shape[1], axis=0)])

    def statistic(weights: Array) -> Floats:
        counts = tally(pairs, weights, shape)
        of_names = counts[: len(names)]
        overall = ratio(np.trace(of_names), of_names.sum(axis=(0, 1)))
        shares = ratio(counts, counts.sum(axis=1, keepdims=True))
        return np.vstack([overall, shares.reshape(pairs.shape[0], weights.shape[1])])

    n = images(rows.sample.counts[:, None])[:, 0].astype(int)
    return summarise(
        rows.sample,
        statistic,
        n[0],
        "confusion",
        pairs={**pair_keys(listed, names), "n": n[1:]},
        shares=rows.sample.effective(images),
    )
