"""What models make of a bias: context, amplification, what attackers guess of either side."""

from functools import partial
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from fairvision import metrics
from fairvision.metrics import Result
from fairvision.results.entries.groups import NEEDS_GROUPS
from fairvision.results.metric import LeaderboardEntry, Metric, MetricInputs, Names, Place
from fairvision.results.sections import (
    ALL_TASKS,
    BOARD_AMPLIFIES,
    CAPTIONED_OBJECTS,
    CHANGES,
    MORE_TOGETHER,
    TOGETHER,
)

NEEDS_COUNTS = "needs pictures with known groups and labels, in training and here"

DIRECTIONS = A_TO_T, T_TO_A = ("directional A->T", "directional T->A")
MALS = "bias_amplification_mals"
SPLIT = INSIDE, OUTSIDE, APART = (
    "directional T->A, evidence inside",
    "directional T->A, evidence outside",
    "directional T->A, outside minus inside",
)
"""T->A where the evidence lies on the person, where it lies elsewhere, and their difference."""


def _mals(inputs: MetricInputs) -> Result | None:
    """Return MALS amplification; None without training data or a kind of prediction."""
    if not inputs.in_training:
        return None
    if inputs.predicted_labels is None or inputs.predicted_groups is None:
        return None
    return metrics.bias_amplification_mals(
        **_of_training(inputs),
        pred_labels=inputs.predicted_labels,
        pred_groups=inputs.predicted_groups,
        **inputs.sampling,
    )


def _a_to_t(inputs: MetricInputs) -> Result | None:
    """Return the amplification from attribute to task, and None if it cannot be computed."""
    return _directional(inputs, pred_labels=inputs.predicted_labels)


def _t_to_a(inputs: MetricInputs) -> Result | None:
    """Return the amplification from task to attribute, and None if it cannot be computed."""
    return _directional(inputs, pred_groups=inputs.predicted_groups)


def _directional(inputs: MetricInputs, **predictions: Any) -> Result | None:
    """Return directional amplification of predictions; None without these or training data."""
    if not inputs.in_training or any(values is None for values in predictions.values()):
        return None
    return metrics.directional_bias_amplification(
        inputs.labels, inputs.groups, **predictions, **_of_training(inputs), **inputs.sampling
    )


class Training(TypedDict, total=False):
    """The arguments that give metrics of amplification the training data."""

    train_labels: Names
    train_groups: Names
    train_counts: npt.NDArray[np.int64] | None


def _of_training(inputs: MetricInputs) -> Training:
    """Return the arguments that give metrics of amplification the training data."""
    return {
        "train_labels": inputs.training_labels,
        "train_groups": inputs.training_groups,
        "train_counts": inputs.training_counts,
    }


_NEEDS_TYPICAL = "needs pictures whose labels are typical of one group in training"
_NEEDS_BOTH = "needs labels that pictures of both kinds have"
_KEYS = "attribute, task; +group, label"
_SETS = "attribute, task (many); attribute (all tasks together, of two or more)"

_in_context = partial(Metric, undefined=_NEEDS_TYPICAL, keys="attribute, task")

_amplification = partial(
    Metric, unit="difference", better="zero", undefined=NEEDS_COUNTS, keys=_KEYS
)

_by_evidence = partial(
    Metric, unit="difference", undefined=_NEEDS_BOTH, keys=_KEYS, places=(Place(TOGETHER, 2),)
)

_of_sets = partial(
    Metric,
    unit="difference",
    better="lower",
    undefined=NEEDS_COUNTS,
    keys=_SETS,
    definition="multi-attribute amplification over single labels and pairs",
    rows="whole",
    places=(Place(ALL_TASKS), Place(MORE_TOGETHER)),
)

_leakage = partial(
    Metric, undefined=NEEDS_GROUPS, keys="attribute, task; +group", places=(Place(MORE_TOGETHER),)
)

_predictability = partial(
    Metric,
    unit="difference",
    better="zero",
    undefined=NEEDS_COUNTS,
    definition="directional predictability amplification",
    places=(Place(MORE_TOGETHER),),
)

METRICS = (
    _in_context(
        name="accuracy_context_agrees",
        unit="fraction",
        better="higher",
        title="Accuracy where the context agrees",
        meaning="{task} are typical, in training, of the person’s group",
        definition="accuracy where the picture's labels are typical of its group in training",
        places=(Place(TOGETHER),),
    ),
    _in_context(
        name="accuracy_context_disagrees",
        unit="fraction",
        better="higher",
        title="Accuracy where the context disagrees",
        meaning="{task} are typical, in training, of another group",
        noun="accuracy where the context ({task}) disagrees",
        definition="accuracy where the picture's labels are typical of another group",
        places=(Place(TOGETHER), Place(CHANGES, 4)),
    ),
    _in_context(
        name="context_gap",
        unit="difference",
        better="zero",
        title="Agrees minus disagrees",
        meaning="what is lost when the context points to another group; 0 = the context does not "
        "matter",
        noun="accuracy lost where {task} disagrees",
        definition="accuracy where the context agrees minus accuracy where it disagrees",
        places=(Place(TOGETHER), Place(CHANGES, 4)),
    ),
    Metric(
        name="cifar10s_bias",
        unit="difference",
        better="lower",
        title="The same pictures in every {attribute}",
        meaning="of a predicted {task}, the largest share that falls to one {attribute}, less an "
        "equal share; mean over {task}; 0 = {attribute} makes no difference",
        undefined="needs every picture in every {attribute}",
        keys="attribute, task (one label); +label",
        definition="where every picture is there once for each group, `id` = picture, `-`, group: "
        "the largest share of a predicted label that falls to one group, less the equal share "
        "([cifar10s.md](cifar10s.md))",
        places=(Place(TOGETHER),),
        leaderboard=LeaderboardEntry(
            BOARD_AMPLIFIES, ("attribute and task",), only_where_defined=True
        ),
    ),
    _amplification(
        name=MALS,
        title="Amplification, undirected (MALS)",
        meaning="how much further predictions lean to each label’s majority group than training "
        "did; above 0 amplifies",
        noun="amplification by MALS ({task})",
        definition="MALS",
        places=(Place(TOGETHER, 1), Place(CAPTIONED_OBJECTS, 2), Place(CHANGES, 2)),
        leaderboard=LeaderboardEntry(BOARD_AMPLIFIES, ("attribute and task",), rank=1),
        compute=_mals,
    ),
    _amplification(
        name=A_TO_T,
        title="Amplification, {attribute} → {task} (A→T)",
        meaning="dependence of predicted {task} on {attribute} less that of the true; above 0 "
        "amplifies",
        noun="amplification A->T ({task})",
        definition="directional amplification",
        places=(Place(TOGETHER), Place(CAPTIONED_OBJECTS, 1), Place(CHANGES, 1)),
        leaderboard=LeaderboardEntry(BOARD_AMPLIFIES, ("attribute and task",)),
        compute=_a_to_t,
    ),
    _amplification(
        name=T_TO_A,
        title="Amplification, {task} → {attribute} (T→A)",
        meaning="dependence of predicted {attribute} on {task} less that of the true; above 0 "
        "amplifies",
        noun="amplification T->A ({task})",
        definition="directional amplification",
        places=(Place(TOGETHER), Place(CAPTIONED_OBJECTS), Place(CHANGES)),
        leaderboard=LeaderboardEntry(BOARD_AMPLIFIES, ("attribute and task",)),
        compute=_t_to_a,
    ),
    _by_evidence(
        name=INSIDE,
        better="zero",
        title="Amplification T→A, evidence on the person",
        meaning="amplification of the pictures whose strongest evidence lies on the person",
        definition="T->A of the pictures whose evidence lies on the person (as in `reasons`); "
        "labels that both kinds have",
    ),
    _by_evidence(
        name=OUTSIDE,
        better="zero",
        title="Amplification T→A, evidence elsewhere",
        meaning="amplification of the pictures whose strongest evidence lies outside the person",
        definition="T->A of the others; labels that both kinds have",
    ),
    _by_evidence(
        name=APART,
        title="Amplification T→A, elsewhere minus on the person",
        meaning="above 0, pictures with their evidence outside the person amplify more",
        definition="their difference, in the same resamples",
    ),
    _of_sets(
        name="multi-attribute T->A",
        title="Sets of labels, labels → {attribute}",
        meaning="as T→A over single labels and pairs; compare models only",
    ),
    _of_sets(
        name="multi-attribute A->T",
        title="Sets of labels, {attribute} → labels",
        meaning="as A→T over single labels and pairs; compare models only",
    ),
    _of_sets(
        name="multi-attribute MALS",
        title="Sets of labels, undirected",
        meaning="as MALS over single labels and pairs, without letting signs cancel: chance alone "
        "makes it positive, so compare models only",
    ),
    _leakage(
        name="leakage_amplification",
        unit="difference",
        better="zero",
        title="Leakage amplification",
        meaning="predictions minus truth; above 0, predictions give the group away more",
        definition="`model_leakage` minus `perturbed_leakage`",
    ),
    _leakage(
        name="model_leakage",
        unit="fraction",
        title="Leakage of predictions",
        meaning="how often an attacker names the group from the predicted {task}",
        definition="how often attackers tell the group from predicted labels",
    ),
    _leakage(
        name="perturbed_leakage",
        unit="fraction",
        title="Leakage of the truth",
        meaning="the same from true {task} with as many errors as the model makes, at random",
        definition="the same from true labels with as many errors",
    ),
    _predictability(
        name="predictability T->A",
        title="Predictability, {task} → {attribute}",
        meaning="above 0, predicted {attribute} can be guessed from {task} better than errors at "
        "random leave it",
        keys="attribute, task",
    ),
    _predictability(
        name="predictability A->T",
        title="Predictability, {attribute} → {task}",
        meaning="above 0, predicted {task} can be guessed from {attribute} better than errors at "
        "random leave them",
        keys="attribute, task (one label)",
    ),
)
