"""Bias amplification of Zhao et al. (2017), "Men Also Like Shopping"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._bootstrap import Drawing, Sample, Statistic, mean_of_defined, ratio
from fairvision.metrics._inputs import check_rows, read_groups, read_labels, read_values
from fairvision.metrics._result import UNDIRECTED, Result, pair_keys, summarise
from fairvision.metrics._rows import Rows
from fairvision.metrics._sampling import Sampling


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
    train = Rows(
        {"train_labels": train_labels, "train_groups": train_groups}, {"counts": train_counts}
    )
    pred = Rows({"pred_labels": pred_labels, "pred_groups": pred_groups}, sampling)
    group_names, group = read_groups(
        train_groups=train["train_groups"], pred_groups=pred["pred_groups"]
    )
    label_names, label = read_labels(
        train_labels=train["train_labels"], pred_labels=pred["pred_labels"]
    )
    shape = len(group_names), len(label_names)

    known = label["train_labels"].known & (group["train_groups"] >= 0)
    train_cells = label["train_labels"].cells(group["train_groups"], shape, known)
    counts = (train_cells @ train.sample.counts).astype(int).reshape(shape)
    leans = counts * shape[0] > counts.sum(axis=0)
    reference = ratio(counts, counts.sum(axis=0))

    used = label["pred_labels"].known & (group["pred_groups"] >= 0)
    cells = label["pred_labels"].cells(group["pred_groups"], shape, used)

    def statistic(weights: np.ndarray) -> np.ndarray:
        predicted = (cells @ weights).astype(float).reshape(*shape, weights.shape[1])
        change = ratio(predicted, predicted.sum(axis=0)) - reference[..., None]
        return _amplification(change, leans, strict)

    weighed = (cells @ pred.sample.base).reshape(shape)
    of_label, of_predicted = counts.sum(axis=0), weighed.sum(axis=0)
    off = np.abs(weighed * of_label - counts * of_predicted) > margin * of_label * of_predicted
    images = (cells @ pred.sample.counts).astype(int).reshape(shape).sum(axis=0)
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
        what: read_values(what, values)
        for what, values in (("train_ratio", train_ratio), ("pred_ratio", pred_ratio))
    }
    check_rows(**first)
    names = _names_of(train_ratio, pred_ratio) or list(range(len(first["train_ratio"])))
    for what, ratios in first.items():
        if ((ratios < 0) | (ratios > 1)).any():
            raise InputError(f"{what} must lie between 0 and 1")
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


def _amplification(change: np.ndarray, leans: np.ndarray, strict: bool) -> np.ndarray:
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
    keys: dict[str, np.ndarray],
    of_label: np.ndarray,
    reference: np.ndarray,
    predicted: np.ndarray,
    off: np.ndarray,
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
