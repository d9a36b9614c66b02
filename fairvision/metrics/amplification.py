"""Bias amplification of single labels, and which group labels are typical of in training.

The measures of Zhao et al. (2017), "Men Also Like Shopping", undirected (MALS), and of Wang and
Russakovsky (2021), directional.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import (
    Array,
    Bools,
    Floats,
    Ints,
    Labels,
    mean_of_defined,
    one_label_each,
    ratio,
    tally,
)
from fairvision.metrics._engine.bootstrap import Drawing, Sample, Sampling, Statistic
from fairvision.metrics._engine.inputs import (
    check_rows,
    read_groups,
    read_labels,
    read_values,
    require,
)
from fairvision.metrics._engine.result import UNDIRECTED, Result, pair_keys, summarise
from fairvision.metrics._engine.rows import Rows, read_labels_and_groups, training_rows

_TIE = 1e-12  # shares of one label that differ do so by more, up to 700,000 images per group


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
    30 of 40 women paint, 10 of 40 men; the model sees women paint in 20 images only.

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
    require(labels=labels, groups=groups)
    to_task = pred_labels is not None
    predictions = {"pred_labels": pred_labels, "pred_groups": pred_groups}
    rows = Rows({"labels": labels, "groups": groups, **predictions}, sampling)
    train = training_rows(train_labels, train_groups, train_counts)
    label_names, label, group_names, group = read_labels_and_groups(rows, train)
    true_label, true_group = label["labels"], group["groups"]
    pred_label = label.get("pred_labels", true_label)
    pred_group = group.get("pred_groups", true_group)
    shape = len(group_names), len(label_names)

    used = true_label.valid & pred_label.valid & (true_group >= 0) & (pred_group >= 0)
    of = (shape[0], 1) if to_task else (1, shape[1])
    base, counts = rows.sample.base[:, 0], rows.sample.counts

    def in_groups(weights: Array) -> Array:
        return np.bincount(true_group[used], weights[used], minlength=shape[0])

    together, of_group = true_label.sums(true_group, shape, used, base), in_groups(base)
    predicted = pred_label.sums(true_group if to_task else pred_group, shape, used, base)
    if train_labels is None:
        sign = sign_of_dependence(together, of_group, shape)
    else:
        sign = _dependence_in_training(label["train_labels"], group["train_groups"], shape, train)

    @cache
    def matrices() -> tuple[Any, Any]:
        """Return what gives change and condition of any weights."""
        nothing = np.zeros_like(true_group)
        if to_task:
            moved = true_label.change(pred_label, true_group, shape, used)
            return moved, one_label_each(true_group).indicator(nothing, (1, shape[0]), used)
        wrong = used & (pred_group != true_group)
        right = true_label.indicator(true_group, shape, wrong)
        moved = true_label.indicator(pred_group, shape, wrong) - right
        return moved, true_label.indicator(nothing, (1, shape[1]), used)

    def figures(change: Floats, times: Floats) -> Floats:
        b = change.shape[1]
        delta = ratio(change.reshape(*shape, b), times.reshape(*of, b))
        pairs = (sign[..., None] * delta).reshape(sign.size, b)
        return np.vstack([mean_of_defined(pairs), pairs])

    def statistic(weights: Array) -> Floats:
        return figures(*((part @ weights).astype(float) for part in matrices()))

    def condition(weights: Array, together: Array) -> Array:
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
        value=figures(*(part[:, None].astype(float) for part in (predicted - together, times))),
    )


def _dependence_in_training(
    labels: Labels, groups: Ints, shape: tuple[int, int], train: Rows
) -> Floats:
    """Return the sign of dependence in training, (groups, labels)."""
    used, counts = labels.valid & (groups >= 0), train.sample.counts
    of_group = np.bincount(groups[used], counts[used], minlength=shape[0])
    return sign_of_dependence(labels.sums(groups, shape, used, counts), of_group, shape)


def sign_of_dependence(together: Array, of_group: Array, shape: tuple[int, int]) -> Floats:
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


@dataclass(frozen=True, eq=False, repr=False)
class MalsResult(Result):
    """A `Result` with what Zhao et al. report beside the mean.

    Attributes
    ----------
    violations : int
        Labels for which the predicted ratio of some group is off by more than `margin`.
    undefined : int
        Labels without a ratio in training or in the predictions.
    """

    violations: int = 0
    undefined: int = 0


def bias_amplification_mals(
    train_labels: ArrayLike,
    train_groups: ArrayLike,
    pred_labels: ArrayLike,
    pred_groups: ArrayLike,
    *,
    margin: float = 0.05,
    strict: bool = False,
    train_counts: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> MalsResult:
    """Bias amplification between training and predictions, undirected.

    b*(t, a) = c(t, a) / Σ_a' c(t, a') is the share of group a among the training images with label
    t, and b~(t, a) the same among the *predictions*. Summed over the pairs with b* > 1/|A| (the
    groups that a label leans to in training), divided by the number of labels:

        (1/|T|) Σ_t Σ_{a: b*(t,a) > 1/|A|} b~(t, a) − b*(t, a)

    Positive: the predictions lean further the way that training leans. Which pairs count is decided
    on integer counts; a label whose ratio is exactly 1/|A| adds 0 and stays in |T|. It does not
    tell labels wrongly predicted from groups wrongly predicted
    (`directional_bias_amplification` does), and it compares training with test: where these differ
    in truth, it is not 0 even for perfect predictions.

    Parameters
    ----------
    train_labels, pred_labels : names or codes (rows,), or 0 and 1 (rows, labels)
        None, NaN or -1: unknown, the row takes no part.
    train_groups, pred_groups : names or codes (rows,)
        The predicted group, where the model predicts it. None, NaN, -1 or "unknown": unknown.
        |A| counts all groups that occur in either, or the categories of a pandas Categorical.
    margin : float
        For `violations`.
    strict : bool
        Labels without a ratio (never predicted, or never in training) are left out of the mean.
        True keeps them: they add 0 to the sum and count in |T|, as in the program of Wang and
        Russakovsky (2021) for this measure.
    train_counts : (rows,) whole numbers, optional
        How many images each row of training stands for.
    **sampling
        Rows and interval; see `Sampling`. Predictions are drawn again, training is not.

    Returns
    -------
    MalsResult
        In [−1, 1]; NaN without a label that has both ratios, or with fewer than two groups. n
        counts the predictions used. `pairs`: what each pair adds to its label's sum; `n`, the
        predictions of the label; `reference` and `predicted`, b* and b~. A pair of an undefined
        label is NaN. The mean over labels of the sums of `value` is the result.

    References
    ----------
    J. Zhao et al., "Men Also Like Shopping", EMNLP 2017, section 3. arXiv:1707.09457.

    Examples
    --------
    In training two of three cooks are women; the model predicts a woman for each.

    >>> from fairvision import metrics
    >>> result = metrics.bias_amplification_mals(
    ...     ["cooking"] * 3, ["woman", "woman", "man"], ["cooking"] * 2, ["woman"] * 2)
    >>> round(float(result), 4)
    0.3333
    """
    require(train_labels=train_labels, train_groups=train_groups)
    require(pred_labels=pred_labels, pred_groups=pred_groups)
    train = training_rows(train_labels, train_groups, train_counts)
    pred = Rows({"pred_labels": pred_labels, "pred_groups": pred_groups}, sampling)
    label_names, label, group_names, group = read_labels_and_groups(train, pred)
    shape = len(group_names), len(label_names)

    trained = label["train_labels"].valid & (group["train_groups"] >= 0)
    in_training = label["train_labels"].indicator(group["train_groups"], shape, trained)
    counts = (in_training @ train.sample.counts).astype(int).reshape(shape)
    leans = counts * shape[0] > counts.sum(axis=0)
    reference = ratio(counts, counts.sum(axis=0))

    used = label["pred_labels"].valid & (group["pred_groups"] >= 0)
    in_predictions = label["pred_labels"].indicator(group["pred_groups"], shape, used)

    def statistic(weights: Array) -> Floats:
        predicted = tally(in_predictions, weights, shape)
        change = ratio(predicted, predicted.sum(axis=0)) - reference[..., None]
        return _amplification(change, leans, strict)

    weighed = (in_predictions @ pred.sample.base).reshape(shape)
    of_label, of_predicted = counts.sum(axis=0), weighed.sum(axis=0)
    off = np.abs(weighed * of_label - counts * of_predicted) > margin * of_label * of_predicted
    images = (in_predictions @ pred.sample.counts).astype(int).reshape(shape).sum(axis=0)
    return _summarise(
        pred.sample,
        statistic,
        n=pred.count(used),
        keys=pair_keys(group_names, label_names),
        of_label=images,
        reference=reference,
        predicted=ratio(weighed, of_predicted),
        off=off,
    )


def bias_amplification_mals_from_ratios(
    train_ratio: ArrayLike,
    pred_ratio: ArrayLike,
    *,
    margin: float = 0.05,
    strict: bool = False,
) -> MalsResult:
    """Bias amplification from published ratios of one of two groups.

    Parameters
    ----------
    train_ratio, pred_ratio : (labels,) numbers in [0, 1]
        Per label, the share of the first of two groups in training and in the predictions.
        NaN: the label has none. Of two Series the indices have to be the same, in their order.
    margin, strict
        As in `bias_amplification_mals`.

    Returns
    -------
    MalsResult
        As from `bias_amplification_mals`, but n counts the labels used, and there is no interval:
        ratios do not say how many images they rest on. The groups are 0 (the one whose ratios are
        given) and 1; labels are positions, or the index of a Series.

    Raises
    ------
    InputError
        A ratio is outside [0, 1], or the two differ in length or in their labels.

    Examples
    --------
    >>> from fairvision import metrics
    >>> result = metrics.bias_amplification_mals_from_ratios([0.75, 0.5, 0.25], [1, 0, 0.25])
    >>> round(float(result), 4), result.violations
    (0.0833, 2)
    """
    first = {
        arg: read_values(arg, values)
        for arg, values in (("train_ratio", train_ratio), ("pred_ratio", pred_ratio))
    }
    check_rows(**first)
    names = _names_of(train_ratio, pred_ratio) or list(range(len(first["train_ratio"])))
    for arg, ratios in first.items():
        if ((ratios < 0) | (ratios > 1)).any():
            raise InputError(f"{arg} must lie between 0 and 1")
    reference, predicted = (np.stack([ratios, 1 - ratios]) for ratios in first.values())
    change = predicted - reference
    defined = ~np.isnan(change[0])
    return _summarise(
        Sample(np.ones(0, int), Drawing(replicates=0)),
        lambda _: _amplification(change[..., None], reference > 0.5, strict),
        n=int(defined.sum()),
        keys=pair_keys([0, 1], names),
        of_label=defined.astype(int),
        reference=reference,
        predicted=predicted,
        off=np.abs(change) > margin,
    )


def _names_of(*ratios: ArrayLike) -> list[Any]:
    """Return the labels of ratios by those that are Series; none where these are mere positions."""
    indices = [of.index for of in ratios if isinstance(of, pd.Series)]
    if len(indices) == 2 and not indices[0].equals(indices[1]):
        raise InputError("the labels (index) of pred_ratio are not those of train_ratio, in order")
    return list(indices[0]) if indices else []


def _amplification(change: Floats, leans: Bools, strict: bool) -> Floats:
    """Return the mean over labels, then what each pair adds, of changes (groups, labels, b)."""
    added = np.where(leans[..., None] | np.isnan(change), change, 0.0)
    of_labels = added.sum(axis=0)
    if len(change) < 2:  # nothing to lean to
        added[:] = of_labels[:] = np.nan
    if strict:
        of_labels = np.where(np.isnan(of_labels).all(axis=0), np.nan, np.nan_to_num(of_labels))
    return np.vstack([mean_of_defined(of_labels), added.reshape(leans.size, change.shape[-1])])


def _summarise(
    sample: Sample,
    statistic: Statistic,
    *,
    n: int,
    keys: dict[str, Array],
    of_label: Ints,
    reference: Floats,
    predicted: Floats,
    off: Bools,
) -> MalsResult:
    """Make the result of a statistic that ends in `_amplification`; arrays are (groups, labels)."""
    figures = {
        "n": np.tile(of_label, len(reference)),
        "reference": reference.ravel(),
        "predicted": predicted.ravel(),
    }
    return summarise(
        sample,
        statistic,
        n,
        "bias_amplification_mals",
        pairs={**keys, "direction": UNDIRECTED, **figures},
        whole=True,
        kind=MalsResult,
        violations=int(off.any(axis=0).sum()),
        undefined=int(np.isnan(predicted - reference).any(axis=0).sum()),
    )


def context_typical_group(
    train_labels: ArrayLike,
    train_groups: ArrayLike,
    labels: ArrayLike,
    *,
    train_counts: ArrayLike | None = None,
) -> Array:
    """Group whose training images are most typical of each image's labels.

    share(t, a) = P(t | a) / Σ_a' P(t | a') in training; the group with the largest mean of the
    shares over the image's labels. Group sizes cancel, so a large group is not typical by size.

    Parameters
    ----------
    train_labels, labels : names or codes (rows,), or 0 and 1 (rows, labels)
        None, NaN or -1: unknown.
    train_groups : names or codes (rows,)
        None, NaN, -1 or "unknown": unknown.
    train_counts : (rows,) whole numbers, optional
        How many images each row of training stands for.

    Returns
    -------
    (n,) ndarray
        Groups as `train_groups` has them: codes, -1 for no one group, or names (dtype object), None
        for no one group. That is where groups tie, where the image's labels are unknown or none,
        and where training does not have them.

    Examples
    --------
    >>> from fairvision import metrics
    >>> train_labels = ["kite", "kite", "tie", "tie", "dog", "dog"]
    >>> train_groups = ["f", "f", "m", "m", "f", "m"]
    >>> metrics.context_typical_group(train_labels, train_groups, ["kite", "tie", "dog", None])
    array(['f', 'm', None, None], dtype=object)
    """
    rows = training_rows(train_labels, train_groups, train_counts)
    group_names, group = read_groups(train_groups=rows["train_groups"])
    require(labels=labels)
    label_names, label = read_labels(train_labels=rows["train_labels"], labels=labels)
    train_group, train, new = group["train_groups"], label["train_labels"], label["labels"]
    shape = len(group_names), len(label_names)
    used = train.valid & (train_group >= 0)
    images = rows.sample.counts
    counts = (train.indicator(train_group, shape, used) @ images).reshape(shape)
    sizes = ((used & (train_group == np.arange(shape[0])[:, None])) @ images)[:, None]
    frequency = np.nan_to_num(ratio(counts, sizes))
    share = np.nan_to_num(ratio(frequency, frequency.sum(axis=0)))  # 0: not in training

    sums = np.zeros((len(new.valid), shape[0]))
    np.add.at(sums, new.row, share.T[new.label])
    largest = sums.max(axis=1, keepdims=True, initial=0)
    ties = (sums >= largest * (1 - _TIE)).sum(axis=1) > 1
    none = ties | (largest[:, 0] == 0)
    if all(isinstance(name, int) for name in group_names):
        codes = np.array([*group_names, -1])
    else:
        codes = np.array([*group_names, None], dtype=object)
    return codes[np.where(none, -1, sums.argmax(axis=1) if group_names else -1)]
