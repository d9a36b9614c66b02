"""Multi-attribute bias amplification of Zhao, Andrews and Xiang (2023): sets of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any, Literal, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.errors import InputError, warn_caller
from fairvision.metrics._engine.arrays import (
    Array,
    Bools,
    Columns,
    Floats,
    Ints,
    Labels,
    mean_of_defined,
    one_label_each,
    ratio,
    tally,
)
from fairvision.metrics._engine.attacks import check_whole
from fairvision.metrics._engine.bootstrap import Sampling, Statistic
from fairvision.metrics._engine.result import UNDIRECTED, Result, pair_keys, summarise
from fairvision.metrics._engine.rows import Rows, read_labels_and_groups, training_rows
from fairvision.metrics.amplification import sign_of_dependence

_KEPT = 50_000_000  # figures of pairs in all resamples, kept for their intervals (400 MB)
_AT_ONCE = 4_000_000  # figures of pairs looked at together (32 MB)
_CANDIDATES = 30_000_000  # pairs of row and set looked at together (a GB)


@dataclass(frozen=True, eq=False, repr=False)
class MultiAttributeResult(Result):
    """A `Result` with what Zhao, Andrews and Xiang report beside the mean.

    Attributes
    ----------
    variance : float
        Of the changes Δ over all defined pairs of set and group, signed: how uneven they are.
    sets : int
        Sets of labels that occur both in training and in the test.
    undefined : int
        Sets among them that the model never predicts, or whose condition is never met.
    """

    variance: float = np.nan
    sets: int = 0
    undefined: int = 0


def multi_attribute_bias_amplification(
    train_labels: ArrayLike | None = None,
    train_groups: ArrayLike | None = None,
    pred_labels: ArrayLike | None = None,
    pred_groups: ArrayLike | None = None,
    *,
    labels: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    max_size: int | None = None,
    reference: Literal["test", "train"] = "test",
    strict: bool = False,
    train_counts: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> MultiAttributeResult:
    """Bias amplification over sets of labels that occur together, undirected or directed.

    M are the sets m of labels that hold together with some group in at least one training image and
    in at least one test image, singles among them. An image has a set if it has all its labels,
    and may have others. Which predictions are given decides the measure.

    Both, undirected (Multi_MALS): with b(m, g) = c(m, g) / Σ_g' c(m, g'), as in
    `bias_amplification_mals`, Δ(m, g) is b among the predictions less b in training if the latter
    is above 1/|G|, and else 0; the value is (1/|M|) Σ_m Σ_g |Δ(m, g)|.

    `pred_labels` only, A->T: Δ(m, g) = P(m̂ | g) − P(m | g); `pred_groups` only, T->A:
    Δ(m, g) = P(ĝ | m) − P(g | m). The value is the mean of |Δ(m, g)| over all pairs. (The paper's
    y |Δ| + (1 − y) |−Δ| is |Δ| whatever y is.)

    0 is ideal, and what is amplified and what is diminished do not cancel. But chance does not
    cancel either: rare sets differ by chance alone, so the value of a few images is always large,
    and values over different M cannot be compared.

    Parameters
    ----------
    train_labels, pred_labels : 0 and 1 (rows, labels), or names or codes (rows,)
        None, NaN or -1: unknown, the row takes no part.
    train_groups, pred_groups : names or codes (rows,)
        None, NaN, -1 or "unknown": unknown. Without a table of training, the test images are also
        those of training, as in `directional_bias_amplification`.
    labels, groups : as `pred_labels`, `pred_groups`
        The truth of the test images. Undirected it only decides M, and without it the predictions
        do. A direction needs it; without it the predictions are of the training images, and have to
        be as many.
    max_size : int, optional
        Labels in a set, at most; by default any number. 1 is the measure of single labels.
    reference : {"test", "train"}
        Directed, where P(m | g) and P(g | m) are taken: in the test, as in the authors' program,
        so that right predictions give 0; or in training, as in the paper.
    strict : bool
        Undirected, sets that are never predicted are left out of the mean. True keeps them: they
        add 0 to the sum and count in |M|, as in the authors' program.
    train_counts : (rows,) whole numbers, optional
        How many images each row of training stands for.
    **sampling
        Rows and interval; see `Sampling`. Test images are drawn again, training is not, and M and
        the signs of Δ are held fixed: the absolute value of a resample would grow with its noise.

    Returns
    -------
    MultiAttributeResult
        In [0, 1]; NaN without a set, or with fewer than two groups. n counts the test rows used.
        `variance`, `sets`, `undefined`. `pairs`: for each group and set (`label`, a tuple) Δ with
        its sign: undirected as it is, directed turned round where P(m, g) > P(m) P(g) does not hold
        in training, so that positive amplifies; and `n`, the images of its denominator. The result
        is the mean over sets of the sum over groups (undirected), or over pairs (directed), of
        |`value`|.

    Raises
    ------
    InputError
        Predictions or truth are missing, or there are millions of sets.

    Warns
    -----
    FairvisionWarning
        There are so many sets that the intervals of `pairs` are left out.

    References
    ----------
    D. Zhao, J. T. A. Andrews and A. Xiang, "Men Also Do Laundry: Multi-Attribute Bias
    Amplification", ICML 2023, section 4. arXiv:2210.11924. The authors' program looks at those sets
    only that are all the labels of some training image; the definition, and this, at all sets.

    Examples
    --------
    In training half of each group are indoors and half have a broom, but only women are seen with
    both. In the test all are, equally often; the model says so of women only.

    >>> from fairvision import metrics
    >>> both, none, one, other = [1, 1], [0, 0], [1, 0], [0, 1]
    >>> train = [both, none, both, none, one, other, one, other]
    >>> test = [both, none, one, other, both, none, one, other]
    >>> groups = ["woman"] * 4 + ["man"] * 4
    >>> result = metrics.multi_attribute_bias_amplification(
    ...     train, groups, pred_labels=train, labels=test, groups=groups, replicates=0)
    >>> round(float(result), 4), result.sets, result.name
    (0.0833, 3, 'multi-attribute A->T')
    >>> result.pairs[["group", "label", "value", "n"]]
       group   label  value  n
    0    man    (0,)   0.00  4
    1    man    (1,)   0.00  4
    2    man  (0, 1)   0.25  4
    3  woman    (0,)   0.00  4
    4  woman    (1,)   0.00  4
    5  woman  (0, 1)   0.25  4
    """
    to_task, to_group = pred_labels is not None, pred_groups is not None
    directed = not (to_task and to_group)
    if not (to_task or to_group):
        raise InputError("give pred_labels (A->T), pred_groups (T->A), or both (undirected)")
    if (labels is None) != (groups is None):
        raise InputError("give both labels and groups of the test, or neither")
    if train_labels is None and train_groups is None:
        train_labels, train_groups = labels, groups
    if train_labels is None or train_groups is None:
        raise InputError("give train_labels and train_groups, or labels and groups of the test")
    if labels is None and directed:
        labels, groups = train_labels, train_groups
        _check_same_images(train_labels, pred_labels if to_task else pred_groups)
    if max_size is not None:
        check_whole("max_size", max_size)
    if reference not in ("test", "train"):
        raise InputError(f"reference must be 'test' or 'train', not {reference!r}")
    train = training_rows(train_labels, train_groups, train_counts)
    predictions = {"pred_labels": pred_labels, "pred_groups": pred_groups}
    rows = Rows({**predictions, "labels": labels, "groups": groups}, sampling)
    names, label, group_names, group = read_labels_and_groups(train, rows)

    def valid_rows(*columns: str) -> Bools:
        of = [label[arg].valid if arg in label else group[arg] >= 0 for arg in columns]
        valid: Bools = np.logical_and.reduce(of)
        return valid

    trained, used = valid_rows(*train), valid_rows(*(rows if directed else predictions))
    sources = [(label["train_labels"], trained)]
    if labels is not None:
        sources.append((label["labels"], used if directed else valid_rows("labels", "groups")))
    if to_task:
        sources.append((label["pred_labels"], used))
    sets = common_sets(sources, 2, len(names), max_size)
    shape = len(group_names), len(sets.members)
    in_training = sets.indicator(0, group["train_groups"], shape[0])
    training = (in_training @ train.sample.counts).astype(int).reshape(shape)
    predicted = sets.indicator(-1, group["pred_groups" if to_group else "groups"], shape[0])
    if directed:
        of_group = group["train_groups"][trained]
        of_group = np.bincount(of_group, train.sample.counts[trained], minlength=shape[0])
        condition, of = sets.has[1], (1, shape[1])
        if to_task:
            nothing = np.zeros(len(used), int)
            condition = one_label_each(group["groups"]).indicator(nothing, (1, shape[0]), used)
            of = (shape[0], 1)
        before = ratio(training, of_group[:, None] if to_task else training.sum(axis=0))
        if reference == "test":
            predicted = predicted - sets.indicator(1, group["groups"], shape[0])
            before = np.zeros(shape)
        turned = np.where(sign_of_dependence(training, of_group, shape) > 0, 1.0, -1.0)
        changes = _Changes(partial(_directed, predicted, condition, of, before), turned)
    else:
        condition, of = sets.has[-1], (1, shape[1])
        changes = _Changes(partial(_undirected, predicted, training), np.ones(shape), strict)
    direction = ("A->T" if to_task else "T->A") if directed else UNDIRECTED
    images = np.broadcast_to((condition @ rows.sample.counts).reshape(of), shape)
    pairs = {
        **pair_keys(group_names, sets.named(names)),
        "direction": direction,
        "n": images.astype(int).ravel(),
    }
    return _summarise(rows, changes, sets, pairs, rows.count(used))


@dataclass(frozen=True, eq=False)
class _Changes:
    """How much the pairs of group and set are amplified.

    Attributes
    ----------
    of : maps weights (units, b) to Δ (groups, sets, b)
    turned : (groups, sets), 1 or −1: what makes Δ positive where it amplifies
    strict : bool or None
        Undirected, whether sets without Δ count in the mean over sets; None for the mean over pairs
        of the directed.
    """

    of: Statistic
    turned: Floats
    strict: bool | None = None

    def mean_size(self, sizes: Floats) -> Floats:
        """Return the mean of |Δ| (groups, sets, b), over pairs or over sets of sums over groups."""
        if self.strict is None:
            return mean_of_defined(sizes.reshape(-1, sizes.shape[-1]))
        of_sets = sizes.sum(axis=0)
        mean = mean_of_defined(np.nan_to_num(of_sets) if self.strict else of_sets)
        mean[np.isnan(of_sets).all(axis=0)] = np.nan
        return mean


def _summarise(
    rows: Rows, changes: _Changes, sets: LabelSets, pairs: Columns, n: int
) -> MultiAttributeResult:
    """Make the result; of very many sets without the intervals of pairs."""
    values, turned = changes.of(rows.sample.base)[..., 0], changes.turned
    if len(values) < 2:  # groups: nothing to lean to
        values = turned = np.full(values.shape, np.nan)
    side = np.sign(values)
    limit = _KEPT // (max(1, len(values)) * (1 + rows.sample.drawing.replicates))
    with_pairs = len(sets.members) <= limit
    if not with_pairs:
        warn_caller(
            f"{len(sets.members)} sets of labels occur in training and in the test: pairs have no "
            f"intervals; for them pass max_size={max(1, sets.up_to(limit))}, or fewer replicates"
        )

    def figures(weights: Array) -> Floats:
        change = changes.of(weights)
        mean = changes.mean_size(side[..., None] * change)
        return np.vstack([mean, *(turned[..., None] * change)]) if with_pairs else mean[None]

    def statistic(weights: Array) -> Floats:
        width = max(1, _AT_ONCE // max(1, values.size))
        starts = range(0, weights.shape[1], width)
        return np.hstack([figures(weights[:, start : start + width]) for start in starts])

    defined = values[~np.isnan(values)]
    direction = pairs["direction"]
    result = summarise(
        rows.sample,
        statistic,
        n,
        f"multi-attribute {'MALS' if direction == UNDIRECTED else direction}",
        pairs=pairs if with_pairs else None,
        whole=True,
        kind=MultiAttributeResult,
        variance=float(defined.var()) if len(defined) else np.nan,
        sets=len(sets.members),
        undefined=int(np.isnan(values).any(axis=0).sum()),
    )
    if with_pairs:
        return result
    without_intervals = {"value": (turned * values).ravel(), "low": np.nan, "high": np.nan}
    columns = ("group", "label", "direction", *without_intervals, "n")
    return replace(result, pairs=pd.DataFrame(pairs | without_intervals, columns=columns))


def _check_same_images(truth: Any, predicted: Any) -> None:
    """Raise if predictions cannot be of the training images, the only ones of known truth."""
    rows = [len(of) for of in (truth, predicted) if hasattr(of, "__len__")]
    if len(set(rows)) > 1:
        raise InputError(
            f"a direction needs the truth of the predicted images: give labels and groups (there "
            f"are {rows[1]} predictions, but {rows[0]} rows of training)"
        )


def _undirected(in_set: Any, training: Ints, weights: Array) -> Floats:
    """Return Δ (groups, sets, b) of the shares of groups in each set."""
    shape = training.shape
    predicted = tally(in_set, weights, shape)
    before = ratio(training, training.sum(axis=0))
    change = ratio(predicted, predicted.sum(axis=0)) - before[..., None]
    leans = training * shape[0] > training.sum(axis=0)
    return np.where(leans[..., None] | np.isnan(change), change, 0.0)


def _directed(
    moved: Any, condition: Any, of: tuple[int, int], before: Floats, weights: Array
) -> Floats:
    """Return Δ (groups, sets, b) of conditional probabilities, `before` among it."""
    change = tally(moved, weights, before.shape)
    return ratio(change, tally(condition, weights, of)) - before[..., None]


@dataclass(frozen=True)
class LabelSets:
    """Sets of labels, small ones first, and the rows of each source that have them.

    Attributes
    ----------
    members : labels of each set, rising
    has : per source, sparse (sets, rows) of ones
    """

    members: list[tuple[int, ...]]
    has: list[sparse.csc_array]

    def named(self, names: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the names of the labels of each set."""
        return [tuple(names[label] for label in labels) for labels in self.members]

    def up_to(self, limit: int) -> int:
        """Return the largest size of set such that those up to it are not more than the limit."""
        sizes = np.bincount([len(labels) for labels in self.members]).cumsum()
        return int((sizes <= limit).sum()) - 1

    def indicator(self, source: int, groups: Ints, number: int) -> sparse.csc_array:
        """Return pairs of group and set (groups · sets, rows) of a source, as `Labels` does."""
        has = self.has[source]
        sets, rows = has.shape
        group = np.repeat(groups, np.diff(has.indptr)).astype(np.int64)
        pairs = (has.data, group * sets + has.indices, has.indptr)
        return sparse.csc_array(pairs, shape=(number * sets, rows))


def common_sets(
    sources: Sequence[tuple[Labels, Bools]],
    common_to: int,
    labels: int,
    max_size: int | None = None,
) -> LabelSets:
    """Find the sets of labels that occur in each of the first sources, and where all have them.

    Sets grow by one label at a time, and only those grow that are common: what holds a set holds
    its parts (Agrawal & Srikant 1994).

    Parameters
    ----------
    sources : labels and the rows of them that count, (rows,) bool
    common_to : number of sources in which a set has to occur
    labels : number of labels
    max_size : labels in a set, at most; None for any number
    """
    held = []
    for label, keep in sources:
        kept = keep[label.row]
        held.append((label.row[kept], label.label[kept]))
    ends = [np.bincount(row, minlength=len(of[1])).cumsum() for (row, _), of in zip(held, sources)]
    # per source, each row that has a set of the size looked at: the place of the set's last label,
    # and the number of the set without it
    places = [np.arange(len(row)) for row, _ in held]
    parents = [np.zeros(len(row), np.int64) for row, _ in held]
    members: list[tuple[int, ...]] = [()]
    smaller, size = 0, 0
    entries: list[list[tuple[Ints, Ints]]] = [[] for _ in sources]  # rows and sets, per size
    while max_size is None or size < max_size:
        keys = [of * labels + label[at] for of, at, (_, label) in zip(parents, places, held)]
        common = reduce(np.intersect1d, keys[:common_to])
        if not len(common):
            break
        size += 1
        start = len(members)
        members += [(*members[smaller + k // labels], k % labels) for k in common.tolist()]
        candidates = 0
        for i, key in enumerate(keys):
            number = np.minimum(np.searchsorted(common, key), len(common) - 1)
            is_common = common[number] == key
            number, at = number[is_common], places[i][is_common]
            row = held[i][0][at]
            entries[i].append((row, number + start - 1))
            times = ends[i][row] - at - 1
            candidates += int(times.sum())
            if candidates > _CANDIDATES and size != max_size:
                raise InputError(
                    f"more than {len(members) - 1} sets of labels occur in training and in the "
                    f"test; pass max_size={size} or less"
                )
            first = np.repeat(times.cumsum() - times, times)
            places[i] = np.repeat(at + 1, times) + np.arange(len(first)) - first
            parents[i] = np.repeat(number, times)
        smaller = start
    return LabelSets(
        members[1:],
        [_incidence(of, (len(members) - 1, len(keep))) for of, (_, keep) in zip(entries, sources)],
    )


def _incidence(entries: Sequence[tuple[Ints, Ints]], shape: tuple[int, int]) -> sparse.csc_array:
    """Return ones (sets, rows) at pairs of row and set."""
    if not entries:
        return sparse.csc_array(shape, dtype=np.float32)
    row, number = (np.concatenate(parts) for parts in zip(*entries))
    return sparse.csc_array((np.ones(len(row), np.float32), (number, row)), shape=shape)
