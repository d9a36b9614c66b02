"""Which group an image's labels are typical of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fairvision.metrics._engine.arrays import Array, ratio
from fairvision.metrics._engine.containers import require
from fairvision.metrics._engine.inputs import read_groups, read_labels
from fairvision.metrics._engine.rows import training_rows

TIE = 1e-12  # shares of one label that differ do so by more, up to 700,000 images per group


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
    ties = (sums >= largest * (1 - TIE)).sum(axis=1) > 1
    none = ties | (largest[:, 0] == 0)
    if all(isinstance(name, int) for name in group_names):
        codes = np.array([*group_names, -1])
    else:
        codes = np.array([*group_names, None], dtype=object)
    return codes[np.where(none, -1, sums.argmax(axis=1) if group_names else -1)]
