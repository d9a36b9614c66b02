"""Thresholds per group, learnt when training has ended, on the validation split.

Hardt, Price & Srebro, "Equality of Opportunity in Supervised Learning", NIPS 2016 (arXiv
1610.02413), section 3, by fairlearn's `ThresholdOptimizer`: the network is the baseline's, and
each label's scores get a threshold, or a mixture of two, for every perceived group, such that the
groups agree in a rate and the objective is as large as it can then be.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fairvision.datasets import Batch, Dataset
from fairvision.errors import FairvisionWarning, InputError
from fairvision.methods import baseline
from fairvision.methods.heads import Terms
from fairvision.methods.subgroups import the_attribute
from fairvision.models import Network
from fairvision.runs.thresholds import Interpolation, Rule

CONSTRAINTS = (
    "equalized_odds",
    "demographic_parity",
    "selection_rate_parity",
    "true_positive_rate_parity",
    "false_positive_rate_parity",
    "true_negative_rate_parity",
    "false_negative_rate_parity",
)
OBJECTIVES = (
    "accuracy_score",
    "balanced_accuracy_score",
    "selection_rate",
    "true_positive_rate",
    "true_negative_rate",
)
_OF_ODDS = OBJECTIVES[:2]
_MOST_NAMED = 8


@dataclass(frozen=True)
class Settings:
    """Whose groups, in what they are to agree, and what is then maximised, named as by fairlearn.

    By default the paper's equalized odds, and accuracy.
    """

    domain: str = ""
    constraint: str = "equalized_odds"
    objective: str = "accuracy_score"


def terms(network: Network, batch: Batch, settings: Settings) -> Terms:
    """Return the cross entropy of every head."""
    return baseline.terms(network, batch, baseline.Settings())


def after(dataset: Dataset, heads: Collection[str], settings: Settings) -> Thresholds:
    """Return what learns the thresholds when training has ended.

    Warns of labels and groups that will have none.

    Raises
    ------
    InputError
        If there is nothing to learn them from.
    """
    for name, choices in (("constraint", CONSTRAINTS), ("objective", OBJECTIVES)):
        if getattr(settings, name) not in choices:
            raise InputError(
                f"{name} {getattr(settings, name)!r} is not one of {', '.join(choices)}"
            )
    if settings.constraint == "equalized_odds" and settings.objective not in _OF_ODDS:
        raise InputError(
            f"equalized_odds takes the objective {' or '.join(_OF_ODDS)}, not {settings.objective}"
        )
    attribute = the_attribute(dataset, settings.domain, "threshold post-processing")
    tasks = [name for name in heads if name in dataset.tasks]
    if not tasks:
        raise InputError(
            "thresholds are for the labels of tasks, and none is learnt: add a task, or use "
            "--method baseline"
        )
    if not (dataset.samples["split"] == "val").any():
        raise InputError(
            f"thresholds are learnt on the validation split, and {dataset.root} has none: "
            "use another method"
        )
    validation = dataset.split("val")
    if (validation.codes(attribute) < 0).all():
        raise InputError(
            f"{attribute!r} is unknown for every validation picture of {dataset.root}: there is "
            "nothing to learn thresholds from"
        )
    found = Thresholds(attribute, tasks, validation, settings)
    for task in tasks:
        found.warn(task)
    return found


@dataclass(frozen=True)
class Thresholds:
    """Learns a rule from what the network says about the validation split.

    Attributes
    ----------
    attribute, tasks : whose groups have thresholds, and for what
    validation : the images with all their annotations
    settings : of the method
    """

    attribute: str
    tasks: list[str]
    validation: Dataset
    settings: Settings

    def __call__(self, scores: Mapping[str, np.ndarray]) -> Rule:
        """Return the rule, from the probabilities (n, labels) of every task."""
        from fairvision.methods.thresholds import learn

        groups = self.validation.codes(self.attribute)
        names = self.validation.attributes[self.attribute]
        tasks: dict[str, dict[str, dict[str, Interpolation]]] = {}
        for task in self.tasks:
            tasks[task] = {}
            for label in self._labels(task):
                if len(label.groups) < 2:
                    continue
                some = np.isin(groups, label.groups) & label.known
                found = learn(
                    scores[task][some, label.place],
                    label.holds[some],
                    groups[some],
                    constraint=self.settings.constraint,
                    objective=self.settings.objective,
                )
                tasks[task][label.name] = {names[code]: own for code, own in found.items()}
        return Rule(self.attribute, tasks, int((groups >= 0).sum()), len(groups))

    def warn(self, task: str) -> None:
        """Warn of the labels and groups that the validation split cannot give thresholds."""
        names = self.validation.attributes[self.attribute]
        lacking = []
        for label in self._labels(task):
            without = [name for code, name in enumerate(names) if code not in label.groups]
            if len(label.groups) < 2:
                lacking.append(label.name)
            elif without:
                lacking.append(f"{label.name} ({self.attribute} {', '.join(without)})")
        if lacking:
            more = len(lacking) - _MOST_NAMED
            warnings.warn(
                f"no thresholds of {task!r} for {', '.join(lacking[:_MOST_NAMED])}"
                f"{f' and {more} more' if more > 0 else ''}: a group needs validation pictures "
                "with and without the label, and a label two such groups; scores stay as they are",
                FairvisionWarning,
                stacklevel=4,
            )

    def _labels(self, task: str) -> Iterator[_Label]:
        """Yield the labels that are to have thresholds: of one label of two, only the second."""
        labels, many = self.validation.tasks[task].labels, self.validation.tasks[task].many
        groups, targets = self.validation.codes(self.attribute), self.validation.targets(task)
        for place, name in enumerate(labels):
            if not many and len(labels) == 2 and place == 0:
                continue
            holds = targets[:, place] == 1 if many else targets == place
            known = targets[:, place] >= 0 if many else targets >= 0
            with_it, without_it = (set(groups[known & some]) - {-1} for some in (holds, ~holds))
            yield _Label(place, name, holds, known, sorted(with_it & without_it))


class _Label(NamedTuple):
    """A label against the rest, on the validation images.

    Where it stands among the labels, its name, whether it holds (n,) and whether that is known
    (n,), and the groups that have images with and without it.
    """

    place: int
    name: str
    holds: np.ndarray
    known: np.ndarray
    groups: list[int]
