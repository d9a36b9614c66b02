"""What the figures of an audit are made of: a model's answers beside the truth, and their keys."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fairvision import metrics
from fairvision.auditing.tables import Samples
from fairvision.datasets import Dataset
from fairvision.results.table import Computed, Key


class Training(NamedTuple):
    """Truth of the training split, and how many images each of its rows stands for."""

    truth: Dataset
    counts: np.ndarray | None


Chance = dict[str, Any]  # the keywords of `metrics.Sampling`


def predicted(model: Samples, head: str, kind: str = "score") -> np.ndarray | None:
    """Return predictions as `Dataset.codes` and `Dataset.targets` do; -1 where there are none."""
    if model.decided is not None:
        return model.decided.get((kind, head))
    scores = model.probabilities(kind, head)
    if scores is None:
        return None
    return metrics.decide(scores, many=model.truth.schema.is_many(head))


def tied(model: Samples, head: str) -> np.ndarray | None:
    """Return whether several answers have the highest probability, (n,) bool.

    None where there are no probabilities, or many labels may hold.
    """
    scores = None if model.truth.schema.is_many(head) else model.probabilities("score", head)
    if scores is None:
        return None
    ties: np.ndarray = (scores == scores.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return ties


def correct(model: Samples, truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Return whether answers are right, (n,), NaN where the truth is not known.

    Where there is no answer it is NaN too, or 0 if missing answers of the model count as wrong.
    """
    right = metrics.correct(truth, guess)
    if not model.missing_wrong:
        return right
    known, there = (codes.reshape(len(codes), -1)[:, 0] >= 0 for codes in (truth, guess))
    return np.where(known & ~there, 0.0, right)


def named(dataset: Dataset, head: str, codes: np.ndarray | None = None) -> Any:
    """Return the truth, or predicted codes, with the names of groups or labels.

    Returns
    -------
    (n,) categorical, or (n, labels) data frame where many labels may hold
    """
    names = dataset.schema.labels(head)
    if codes is None:
        codes = dataset.encoded(head)
    if dataset.schema.is_many(head):
        return pd.DataFrame(codes, columns=list(names))
    return pd.Categorical.from_codes(codes.astype(np.int64), pd.Index(names))


def by_group(
    model: Samples,
    attribute: str,
    metric: str,
    values: np.ndarray,
    chance: Chance,
    *,
    gap: str = "",
) -> Computed:
    """Yield the mean of per-image values, then that of each group, then, where named, their gap."""
    yield Key(metric, attribute), metrics.mean(values, **chance)
    means = metrics.mean_by_group(values, named(model.truth, attribute), **chance)
    for group, result in means.items():
        yield Key(metric, attribute, "", group), result
    if gap:
        yield Key(gap, attribute), metrics.gap(means)
