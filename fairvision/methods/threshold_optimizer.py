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
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from fairvision.datasets import Dataset
from fairvision.errors import FairvisionWarning, InputError
from fairvision.methods.method import Method, Scores, chosen_attribute
from fairvision.runs.thresholds import ALWAYS, NEVER, Interpolation, Rule

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
class ThresholdOptimizer(Method):
    """Whose groups, in what they are to agree, and what is then maximised, named as by fairlearn.

    By default the paper's equalized odds, and accuracy.
    """

    summary: ClassVar[str] = "thresholds per group, which has to be known to answer (Hardt 2016)"

    domain: str = ""
    constraint: str = "equalized_odds"
    objective: str = "accuracy_score"

    def thresholds(self, dataset: Dataset, heads: Collection[str]) -> GroupThresholds:
        """Return what learns the thresholds when training has ended.

        Warns of labels and groups that will have none.

        Raises
        ------
        InputError
            If there is nothing to learn them from.
        """
        self._check_options()
        attribute = chosen_attribute(dataset, self.domain, "threshold post-processing")
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
                f"{attribute!r} is unknown for every validation picture of {dataset.root}: there "
                "is nothing to learn thresholds from"
            )
        learner = GroupThresholds(attribute, tasks, validation, self.constraint, self.objective)
        for task in tasks:
            learner.warn(task)
        return learner

    def _check_options(self) -> None:
        """Raise `InputError` if constraint and objective are unknown or not for each other."""
        for name, choices in (("constraint", CONSTRAINTS), ("objective", OBJECTIVES)):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} {getattr(self, name)!r} is not one of {', '.join(choices)}"
                )
        if self.constraint == "equalized_odds" and self.objective not in _OF_ODDS:
            raise InputError(
                f"equalized_odds takes the objective {' or '.join(_OF_ODDS)}, not {self.objective}"
            )


@dataclass(frozen=True)
class GroupThresholds:
    """Learns a rule from what the network says about the validation split.

    Attributes
    ----------
    attribute, tasks : whose groups have thresholds, and for what
    validation : the images with all their annotations
    constraint, objective : of the method
    """

    attribute: str
    tasks: list[str]
    validation: Dataset
    constraint: str
    objective: str

    def __call__(self, scores: Scores) -> Rule:
        """Return the rule, from the probabilities (n, labels) of every task."""
        groups = self.validation.codes(self.attribute)
        names = self.validation.attributes[self.attribute]
        tasks: dict[str, dict[str, dict[str, Interpolation]]] = {}
        for task in self.tasks:
            tasks[task] = {}
            for label in self._labels(task):
                if len(label.groups) < 2:
                    continue
                rows = np.isin(groups, label.groups) & label.labelled
                by_group = learn(
                    scores[task][rows, label.place],
                    label.holds[rows],
                    groups[rows],
                    constraint=self.constraint,
                    objective=self.objective,
                )
                tasks[task][label.name] = {names[code]: by_group[code] for code in by_group}
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
        for index, name in enumerate(labels):
            if not many and len(labels) == 2 and index == 0:
                continue
            holds = targets[:, index] == 1 if many else targets == index
            labelled = targets[:, index] >= 0 if many else targets >= 0
            with_it, without_it = (set(groups[labelled & rows]) - {-1} for rows in (holds, ~holds))
            yield _Label(index, name, holds, labelled, sorted(with_it & without_it))


class _Label(NamedTuple):
    """A label against the rest, on the validation images.

    Its place among the labels, its name, whether it holds (n,) and whether that is known (n,),
    and the groups that have images with and without it.
    """

    place: int
    name: str
    holds: npt.NDArray[np.bool_]
    labelled: npt.NDArray[np.bool_]
    groups: list[int]


def learn(
    scores: npt.NDArray[np.floating[Any]],
    holds: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.integer[Any]],
    *,
    constraint: str,
    objective: str,
) -> dict[int, Interpolation]:
    """Return each group's thresholds for a label, as `ThresholdOptimizer` finds them.

    Parameters
    ----------
    scores : (n,) probabilities of the label
    holds : (n,) whether it does; in every group some do and some do not
    groups : (n,) codes
    constraint, objective : as fairlearn names them

    Raises
    ------
    InputError
        If a score is not finite.

    Examples
    --------
    >>> scores = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    >>> holds = np.array([False, False, True, True] * 2)
    >>> by_group = learn(scores, holds, np.repeat([0, 1], 4), constraint="equalized_odds",
    ...                  objective="accuracy_score")
    >>> [by_group[group].threshold(np.array([0.5])).round(2).tolist() for group in by_group]
    [[0.25], [0.75]]
    """
    from fairlearn.postprocessing import ThresholdOptimizer as Optimizer

    if not np.isfinite(scores).all():
        raise InputError("thresholds cannot be learnt: a score of the network is not finite")
    optimizer = Optimizer(
        estimator=_scores_as_estimator(),
        constraints=constraint,
        objective=objective,
        prefit=True,
        predict_method="predict",
    )
    values = scores.astype(np.float64)[:, None]
    optimizer.fit(values, holds.astype(int), sensitive_features=groups)
    by_group = optimizer.interpolated_thresholder_.interpolation_dict
    return {int(group): _interpolation(values) for group, values in by_group.items()}


def _scores_as_estimator() -> Any:
    """Return what fairlearn takes for a fitted estimator: its input (n, 1) is the scores."""
    from sklearn.base import BaseEstimator

    class Scores(BaseEstimator):  # type: ignore[misc]
        def fit(self, scores: npt.NDArray[np.float64], holds: object = None) -> Scores:
            return self

        def predict(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return np.asarray(scores)[:, 0]

        def __sklearn_is_fitted__(self) -> bool:
            return True

    return Scores()


def _interpolation(values: Mapping[str, Any]) -> Interpolation:
    """Return a group's thresholds from fairlearn's."""
    numbers = {"p0": values["p0"], "p1": values["p1"]}
    optional = ("p_ignore", "prediction_constant")
    numbers |= {name: values[name] for name in optional if name in values}
    return Interpolation(
        # Beyond the ends, as probabilities are in [0, 1] and JSON has no infinity.
        threshold0=float(np.clip(values["operation0"].threshold, ALWAYS, NEVER)),
        threshold1=float(np.clip(values["operation1"].threshold, ALWAYS, NEVER)),
        **{name: float(np.clip(number, 0, 1)) for name, number in numbers.items()},
    )
