"""What the metrics of an audit are computed from: a model's predictions beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision import metrics
from fairvision.auditing.tables import Samples
from fairvision.datasets import Dataset
from fairvision.metrics import Sampling
from fairvision.results.figures import Computed, Key
from fairvision.results.metric import Names

Codes = npt.NDArray[Any]
"""(n,) positions of groups or labels, -1 unknown; or (n, labels) 0 and 1, where many may hold."""
Values = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Training:
    """Truth of the training split, and how many images each of its rows stands for."""

    truth: Dataset
    counts: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Inputs:
    """One model's predictions beside the truth, for an attribute, a task, or both.

    It is what `fairvision.results.MetricInputs` describes.

    Attributes
    ----------
    samples : predictions and truth of n images
    training : truth of the training split, or None
    sampling : the keywords of every measure
    attribute, task : what the figures are about; "" for none
    noise : of attributes whose groups are observed with errors, what `metrics.noisy_groups` is told
        of these
    reference : group that others are compared with; "" for none
    """

    samples: Samples
    training: Training | None
    sampling: Sampling
    attribute: str = ""
    task: str = ""
    noise: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reference: str = ""

    def of(self, attribute: str = "", task: str = "") -> Inputs:
        """Return the inputs of another attribute and task."""
        return replace(self, attribute=attribute, task=task)

    @property
    def truth(self) -> Dataset:
        """The audited rows of the dataset."""
        return self.samples.truth

    @property
    def groups(self) -> Names:
        """True groups of the attribute, (n,) categorical; None without attribute."""
        return named(self.truth, self.attribute) if self.attribute else None

    @property
    def predicted_groups(self) -> Names:
        """Predicted groups of the attribute, (n,) categorical; None where there are none."""
        return self._predicted(self.attribute)

    @property
    def labels(self) -> Names:
        """True labels of the task, categorical or (n, labels); None without task."""
        return named(self.truth, self.task) if self.task else None

    @property
    def predicted_labels(self) -> Names:
        """Predicted labels of the task, categorical or (n, labels); None where there are none."""
        return self._predicted(self.task)

    @property
    def in_training(self) -> bool:
        """Whether the training split has the attribute, and the task if there is one."""
        return self.training is not None and all(
            head in self.training.truth.schema for head in filter(None, (self.attribute, self.task))
        )

    @property
    def training_groups(self) -> Names:
        """Groups of the training split, categorical; None where it has none."""
        return self._in_training(self.attribute)

    @property
    def training_labels(self) -> Names:
        """Labels of the training split, categorical or a table; None where it has none."""
        return self._in_training(self.task)

    @property
    def training_counts(self) -> npt.NDArray[np.int64] | None:
        """How many images each row of the training split stands for; None for one each."""
        return None if self.training is None else self.training.counts

    def sampling_of(self, rows: npt.NDArray[np.int64]) -> Sampling:
        """Return the keywords of every measure for things that are made of rows of images, (m,)."""
        sampling = self.sampling.copy()
        if (cluster := sampling.get("cluster")) is not None:
            sampling["cluster"] = np.asarray(cluster)[rows]
        return sampling

    def mean(self, values: Values, where: npt.NDArray[np.bool_] | None = None) -> metrics.Result:
        """Return the mean of a value of each image."""
        return metrics.mean(values, where=where, **self.sampling)

    def means(self, values: Values) -> dict[str, metrics.Result]:
        """Return the mean of a value of each image, of each group of the attribute."""
        return metrics.mean_by_group(values, self.groups, **self.sampling)

    def by_group(self, metric: str, values: Values, gap: str = "") -> Computed:
        """Yield the mean of all images, then that of each group, then, where named, their gap."""
        yield Key(metric, self.attribute, self.task), self.mean(values)
        means = self.means(values)
        for group, result in means.items():
            yield Key(metric, self.attribute, self.task, group), result
        if gap:
            yield Key(gap, self.attribute, self.task), metrics.gap(means)

    def _predicted(self, head: str) -> Names:
        """Return the predicted names of a head, and None without head or predictions."""
        codes = predicted(self.samples, head) if head else None
        return None if codes is None else named(self.truth, head, codes)

    def _in_training(self, head: str) -> Names:
        """Return the names of a head in the training data, and None if these do not have it."""
        if not head or self.training is None or not self.of(head).in_training:
            return None
        return named(self.training.truth, head)


def predicted(model: Samples, head: str, kind: str = "score") -> Codes | None:
    """Return predictions as `Dataset.codes` and `Dataset.targets` do; -1 where there are none."""
    for of_heads in (model.decided, model.answers):
        if (kind, head) in of_heads:
            return of_heads[kind, head]
    scores = model.probabilities(kind, head)
    if scores is None:
        return None
    many = model.truth.schema.is_many(head)
    answers = metrics.decide(scores, many)
    if not many:  # tables of labels are large, and made anew
        answers.flags.writeable = False
        model.answers[kind, head] = answers
    return answers


def tied(model: Samples, head: str) -> npt.NDArray[np.bool_] | None:
    """Return whether several groups or labels are the most probable, (n,).

    None where there are no probabilities, or many labels may hold.
    """
    scores = None if model.truth.schema.is_many(head) else model.probabilities("score", head)
    if scores is None:
        return None
    ties: npt.NDArray[np.bool_] = (scores == scores.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return ties


def correct(model: Samples, truth: Codes, predictions: Codes) -> Values:
    """Return whether predictions are right, (n,), NaN where the truth is not known.

    Where there is no prediction it is NaN too, or 0 if missing ones of the model count as wrong.
    """
    right = metrics.correct(truth, predictions)
    if not model.missing_wrong:
        return right
    has_truth, has_prediction = (
        codes.reshape(len(codes), -1)[:, 0] >= 0 for codes in (truth, predictions)
    )
    return np.where(has_truth & ~has_prediction, 0.0, right)


def named(dataset: Dataset, head: str, codes: Codes | None = None) -> Names:
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
