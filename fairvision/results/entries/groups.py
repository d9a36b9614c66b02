"""How often answers are right, for whom, and how far groups lie apart."""

from functools import partial

import numpy as np
import numpy.typing as npt

from fairvision import metrics
from fairvision.metrics import Result
from fairvision.results.metric import LeaderboardEntry, Metric, MetricInputs, Names, Place
from fairvision.results.sections import (
    BOARD_RIGHT,
    CAPTION_CHANGES,
    CAPTIONED_PERSON,
    CHANGES,
    MORE_TOGETHER,
    PROBABILITIES,
    RIGHT,
    TASK,
    TOGETHER,
)

NEEDS_GROUPS = "needs pictures of two groups"
BALANCED = "balanced_accuracy"

_EVERYWHERE = "attribute; attribute+group; task; attribute+task+group"
_BETWEEN = "attribute; attribute+task"
_NOISY = "attribute; attribute+task (groups observed with errors)"
_PAIR = "attribute, task; +label"

_parity = partial(Metric, keys=_PAIR, places=(Place(MORE_TOGETHER),))


def _balanced_accuracy(inputs: MetricInputs) -> Result | None:
    """Return how well labels of a task are told from their absence, mean over labels; or None."""
    if inputs.labels is None or inputs.predicted_labels is None:
        return None
    tables = (_each_label(inputs.labels), _each_label(inputs.predicted_labels))
    return metrics.balanced_accuracy(*tables, **inputs.sampling)


def _each_label(names: Names) -> npt.NDArray[np.int64]:
    """Return 0 and 1 for each label, (n, labels), -1 where it is not known."""
    if np.ndim(names) == 2:
        return np.asarray(names)
    codes = names.codes[:, None]
    return np.where(codes < 0, -1, codes == np.arange(len(names.categories)))


METRICS = (
    Metric(
        name="accuracy",
        unit="fraction",
        better="higher",
        title="Accuracy on {subject}",
        meaning="share of pictures that are answered right",
        noun="accuracy on {attribute}",
        keys=_EVERYWHERE,
        definition="share of pictures right (for a task where many labels may hold: share of "
        "picture–label decisions)",
        places=(Place(RIGHT), Place(TASK), Place(CHANGES)),
        leaderboard=LeaderboardEntry(BOARD_RIGHT, ("attribute", "task")),
    ),
    Metric(
        name="error",
        unit="fraction",
        better="lower",
        title="Error on {subject}",
        meaning="share of pictures that are answered wrong",
        noun="error",
        keys=_EVERYWHERE,
        definition="share of pictures wrong, as for `accuracy`",
        places=(Place(CAPTIONED_PERSON), Place(CAPTION_CHANGES)),
    ),
    Metric(
        name="accuracy_gap",
        unit="difference",
        better="lower",
        title="Gap between groups, {subject}",
        meaning="accuracy of the best served group minus that of the worst served; 0 = alike",
        undefined="needs two groups with known pictures",
        keys=_BETWEEN,
        definition="largest minus smallest group accuracy",
        places=(Place(RIGHT), Place(TOGETHER, 3)),
    ),
    Metric(
        name="observed_accuracy",
        unit="fraction",
        better="higher",
        title="Accuracy on {subject}, groups as observed",
        meaning="what the accuracy of a group looks like where its pictures were taken for it with "
        "errors",
        undefined=NEEDS_GROUPS,
        keys="attribute+group; attribute+task+group (groups observed with errors)",
        definition="accuracy of groups as annotated or predicted, where `accuracy` is of the true "
        "ones ([uncertainty.md](uncertainty.md#groups-that-are-predicted))",
    ),
    Metric(
        name="observed_accuracy_gap",
        unit="difference",
        better="lower",
        title="Gap between groups as observed, {subject}",
        meaning="what the gap looks like where groups are observed with errors: mostly too small",
        undefined=NEEDS_GROUPS,
        keys=_NOISY,
        definition="largest minus smallest group of `observed_accuracy`",
        places=(Place(PROBABILITIES), Place(MORE_TOGETHER)),
    ),
    Metric(
        name="accuracy_gap_least",
        unit="difference",
        title="Gap between groups, {subject}, at least",
        meaning="whatever the errors in groups have to do with the answers",
        undefined=NEEDS_GROUPS,
        keys=_NOISY,
        definition="lower bound of `accuracy_gap`, whatever errors have to do with answers",
        places=(Place(PROBABILITIES), Place(MORE_TOGETHER)),
    ),
    Metric(
        name="accuracy_gap_most",
        unit="difference",
        title="Gap between groups, {subject}, at most",
        meaning="whatever the errors in groups have to do with the answers",
        undefined=NEEDS_GROUPS,
        keys=_NOISY,
        definition="upper bound of `accuracy_gap`, whatever errors have to do with answers",
        places=(Place(PROBABILITIES), Place(MORE_TOGETHER)),
    ),
    Metric(
        name="worst_group_accuracy",
        unit="fraction",
        better="higher",
        title="Accuracy of the worst served group, {subject}",
        meaning="the group answered right least often; with many groups, chance lowers it",
        undefined=NEEDS_GROUPS,
        keys=_BETWEEN,
        definition="accuracy of the known group that fares worst",
        places=(Place(PROBABILITIES), Place(MORE_TOGETHER)),
        leaderboard=LeaderboardEntry(
            BOARD_RIGHT,
            ("attribute", "attribute and task"),
            title="Worst group, {subject}",
            meaning="accuracy of the group of {attribute} that is served worst",
            undefined="needs pictures of known groups",
        ),
    ),
    Metric(
        name="coverage",
        unit="fraction",
        better="higher",
        title="Pictures with an answer, {subject}",
        meaning="share of pictures that the model answers at all; what it leaves out is in no "
        "accuracy",
        keys=_EVERYWHERE,
        definition="share of pictures for which the model has an answer",
        places=(Place(PROBABILITIES), Place(TASK)),
    ),
    Metric(
        name="coverage_gap",
        unit="difference",
        better="lower",
        title="Pictures with an answer, gap between groups, {subject}",
        meaning="group with the most answers minus the one with the fewest; 0 = alike",
        undefined="needs two groups with known pictures",
        keys=_BETWEEN,
        definition="largest minus smallest group",
        places=(Place(PROBABILITIES), Place(MORE_TOGETHER)),
    ),
    Metric(
        name="average_precision",
        unit="fraction",
        better="higher",
        title="Average precision on {subject}",
        meaning="how well true labels are ranked above others, mean over labels",
        keys="task (many); +label",
        definition="mean over labels",
        places=(Place(TASK),),
    ),
    Metric(
        name=BALANCED,
        unit="fraction",
        better="higher",
        title="Balanced accuracy on {task}",
        meaning="how well each label is told from all others, mean over labels; 50% = answers that "
        "do not depend on the picture",
        undefined="needs pictures with and without a label",
        keys="task",
        definition="mean of true positive and true negative rate, of each label against all "
        "others, mean over labels: 50% for answers that do not depend on the picture",
        rows="whole",
        scope="task",
        compute=_balanced_accuracy,
    ),
    _parity(
        name="demographic_parity_difference",
        unit="difference",
        title="Demographic parity difference",
        meaning="how much more often a label is predicted for one group than for another, mean "
        "over labels; a model that is always right has the difference of the truth",
        undefined=NEEDS_GROUPS,
        definition="fairlearn's, for each label as the positive one; without label their mean",
    ),
    _parity(
        name="demographic_parity_ratio",
        unit="fraction",
        title="Demographic parity ratio",
        meaning="the same as the smallest share divided by the largest; 100% = alike",
        undefined=NEEDS_GROUPS,
        definition="fairlearn's, as for the difference",
    ),
    _parity(
        name="equalized_odds_difference",
        unit="difference",
        better="lower",
        title="Equalized odds difference",
        meaning="largest gap between groups in true or in false positive rates, mean over labels; "
        "0 = errors do not depend on the group",
        undefined=NEEDS_GROUPS,
        definition="fairlearn's, as for demographic parity",
    ),
    _parity(
        name="equalized_odds_ratio",
        unit="fraction",
        better="higher",
        title="Equalized odds ratio",
        meaning="the same as the smallest ratio of rates; 100% = alike, 0% once a group has no "
        "error of a kind",
        undefined="needs errors in some group",
        definition="fairlearn's, as for demographic parity",
    ),
    Metric(
        name="calibration_error",
        unit="fraction",
        better="lower",
        title="Calibration error, {subject}",
        meaning="how far probabilities are from how often they are right; never below 0",
        keys="task; task+label (many); attribute; attribute+task (one label); +group",
        definition="expected calibration error, 15 bins",
        places=(Place(PROBABILITIES), Place(TASK)),
    ),
    Metric(
        name="calibration_error_gap",
        unit="difference",
        better="lower",
        title="Calibration error, gap between groups, {subject}",
        meaning="largest minus smallest; small groups look worse calibrated than they are",
        undefined=NEEDS_GROUPS,
        keys="attribute; attribute+task (one label)",
        definition="largest minus smallest group",
        places=(Place(PROBABILITIES), Place(MORE_TOGETHER)),
    ),
    Metric(
        name="confusion",
        unit="fraction",
        title="Confusion of {attribute}",
        meaning="share of the pictures of a group that are answered with each group",
        keys="attribute, group = true, label = predicted",
        definition="share of the group's pictures",
        rows="pairs",
    ),
)
