"""What scores and decisions say beyond accuracy, and groups beside all pictures or a chosen group.

They stand in the metrics table only, but for what is asked for by an option.
"""

from collections.abc import Callable
from functools import partial

from fairvision import metrics
from fairvision.metrics import Result
from fairvision.results.entries.groups import NEEDS_GROUPS
from fairvision.results.metric import Metric, MetricInputs, Place
from fairvision.results.sections import MORE_TOGETHER, PROBABILITIES

_OF_SCORES = "task; +label; attribute+task; +group, label"


def _of_decisions(name: str) -> Callable[[MetricInputs], Result | None]:
    """Return what computes a rate of decisions by group, for the register."""

    def compute(inputs: MetricInputs) -> Result | None:
        labels, predictions = inputs.labels, inputs.predicted_labels
        if labels is None or predictions is None:
            return None
        rate: Result = getattr(metrics, name)(labels, predictions, inputs.groups, **inputs.sampling)
        return rate

    return compute


_rate = partial(Metric, unit="fraction", keys="attribute, task; +group, label")

METRICS = (
    Metric(
        name="accuracy_to_overall",
        unit="difference",
        better="lower",
        title="Gap to all pictures, {subject}",
        meaning="how far the accuracy of the group furthest away is from that of all pictures; 0 = "
        "alike",
        undefined=NEEDS_GROUPS,
        keys="attribute; attribute+task; +group",
        definition="largest difference between a group's accuracy and that of all pictures, as "
        "fairlearn's `to_overall`; of a group with its sign",
    ),
    Metric(
        name="accuracy_to_reference",
        unit="difference",
        better="zero",
        title="Accuracy beside the reference group, {subject}",
        meaning="accuracy of the group furthest from the reference minus that of the reference",
        undefined="needs pictures of the reference and of another group",
        keys="attribute; attribute+task; +group",
        definition="with `--reference`: a group's accuracy minus that of the reference group; "
        "without group that of the group furthest away",
        places=(Place(PROBABILITIES), Place(MORE_TOGETHER)),
    ),
    Metric(
        name="roc_auc",
        unit="fraction",
        better="higher",
        title="Area under the ROC curve, {task}",
        meaning="how often a picture with a label has a higher score for it than one without",
        undefined="needs pictures with and without a label",
        keys=_OF_SCORES,
        definition="of two labels that of the second, else mean over labels",
    ),
    Metric(
        name="roc_auc_gap",
        unit="difference",
        better="lower",
        title="Area under the ROC curve, gap between groups, {task}",
        meaning="largest minus smallest group; 0 = alike",
        undefined=NEEDS_GROUPS,
        keys="attribute, task; +label",
        definition="largest minus smallest group",
    ),
    Metric(
        name="abroca",
        unit="fraction",
        better="lower",
        title="Area between ROC curves of groups, {task}",
        meaning="how far the curves of the two groups furthest apart are from each other; chance "
        "alone makes it more than 0, most in small groups",
        undefined="needs pictures of two groups with and without a label",
        keys="attribute, task",
        definition="of two labels and up to five groups",
    ),
    Metric(
        name="log_loss",
        unit="number",
        better="lower",
        title="Log loss, {subject}",
        meaning="mean of −ln of the probability given to what is true; 0 is sure and right",
        keys="task; +label (many); attribute; attribute+task; +group",
        definition="natural logarithms; of a task of many labels the mean over these",
    ),
    Metric(
        name="calibration_error_max",
        unit="fraction",
        better="lower",
        title="Largest calibration error of a bin, {subject}",
        meaning="how far probabilities are from how often they are right where they are furthest; "
        "one picture in a bin can decide it",
        keys="task; task+label (many); attribute; attribute+task (one label); +group",
        definition="of 15 bins",
    ),
    _rate(
        name="false_discovery_rate",
        better="lower",
        title="False discovery rate, {task}",
        meaning="share of the pictures answered with a label that do not have it, mean over labels",
        undefined="no picture is answered so",
        definition="FP / (TP + FP); of two labels as of more",
        compute=_of_decisions("false_discovery_rate"),
    ),
    _rate(
        name="false_omission_rate",
        better="lower",
        title="False omission rate, {task}",
        meaning="share of the pictures not answered with a label that have it, mean over labels",
        undefined="all pictures are answered so",
        definition="FN / (TN + FN)",
        compute=_of_decisions("false_omission_rate"),
    ),
    _rate(
        name="negative_predictive_value",
        better="higher",
        title="Negative predictive value, {task}",
        meaning="share of the pictures not answered with a label that do not have it, mean over "
        "labels",
        undefined="all pictures are answered so",
        definition="TN / (TN + FN)",
        compute=_of_decisions("negative_predictive_value"),
    ),
)
