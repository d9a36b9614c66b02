"""What seeing the person does to the answers of a task: "says cook because it sees a woman"?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fairvision import metrics
from fairvision.auditing.inputs import Inputs, Values, predicted
from fairvision.results.figures import Computed, Key
from fairvision.schema import UNKNOWN


def person_effect_figures(inputs: Inputs) -> Computed:
    """Yield by how much the visible person raises probabilities of a task.

    Of the true label, and of each label whoever is shown; of a task alone for all images, of a task
    and an attribute for each of its groups, with the gap between them. Images need a mask.

    In the gap each group counts as if it showed the labels as often as all images do: otherwise
    groups that are shown with other things differ, however little the person matters.
    """
    attribute, task = inputs.attribute, inputs.task
    for label, effect, strata in _effects(inputs):
        if not attribute:
            yield Key("person_effect", "", task, "", label), inputs.mean(effect)
            continue
        for group, result in inputs.means(effect).items():
            if group != UNKNOWN:
                yield Key("person_effect", attribute, task, group, label), result
        if strata is not None:
            groups = inputs.truth.codes(attribute)
            weights = weights_of_strata(groups, strata, ~np.isnan(effect))
            sampling = inputs.sampling.copy()
            sampling["weights"] = weights
            cell = groups * (strata.max(initial=0) + 1) + strata
            if sampling.get("cluster") is None:  # clusters reach across strata
                sampling["strata"] = np.where(weights > 0, cell, -1)  # the weights hold for these
            effect = np.where(weights > 0, effect, np.nan)
            means = metrics.mean_by_group(effect, inputs.groups, **sampling)
            yield Key("person_effect_gap", attribute, task, "", label), metrics.gap(means)


def without_person_figures(inputs: Inputs) -> Computed:
    """Yield how often a task is right with the person hidden, and with only the person visible.

    Of a task alone for all images, of a task and an attribute for each of its groups.
    """
    attribute, task = inputs.attribute, inputs.task
    for kind in ("hidden", "person"):
        predictions = predicted(inputs.samples, task, kind)
        if predictions is None:
            continue
        right = metrics.correct(inputs.truth.targets(task), predictions)
        if not attribute:
            yield Key(f"{kind}_task_accuracy", "", task), inputs.mean(right)
            continue
        for group, result in inputs.means(right).items():
            yield Key(f"{kind}_task_accuracy", attribute, task, group), result


def weights_of_strata(
    groups: npt.NDArray[np.integer], strata: npt.NDArray[np.integer], used: npt.NDArray[np.bool_]
) -> Values:
    """Return weights (n,) with which every group has the strata as often as all images together.

    Direct standardisation. Only strata of which every group has an image count, of groups that have
    any; all else weighs 0.

    Parameters
    ----------
    groups, strata : (n,) codes, -1 unknown
    used : (n,) bool, the images that count

    Examples
    --------
    Of the first group two images of three are of stratum 0, of the second one of three.

    >>> groups, strata = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 0, 1, 1])
    >>> weights_of_strata(groups, strata, np.ones(6, bool))
    array([0.75, 0.75, 1.5 , 1.5 , 0.75, 0.75])
    """
    used = used & (groups >= 0) & (strata >= 0)
    counts = np.zeros((groups.max(initial=0) + 1, strata.max(initial=0) + 1))
    np.add.at(counts, (groups[used], strata[used]), 1)
    there = counts[counts.any(axis=1)]
    counts[:, ~(there > 0).all(axis=0)] = 0
    of_groups, of_strata = counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = of_strata / of_strata.sum() * of_groups[:, None] / counts
    return np.where(used & (counts[groups, strata] > 0), weights[groups, strata], 0.0)


def _effects(
    inputs: Inputs,
) -> Iterator[tuple[str, Values, npt.NDArray[np.integer] | None]]:
    """Yield p(person visible) − p(hidden), (n,), of the true label with "", then of each label.

    Where many labels may hold, the first is the mean over an image's true labels. NaN where
    undefined. With each comes what images should be alike in to be compared, (n,) codes: the true
    label, or whether the label is true; None for the mean over several.
    """
    model, task = inputs.samples, inputs.task
    visible, hidden = (model.probabilities(kind, task) for kind in ("score", "hidden"))
    if visible is None or hidden is None:
        return
    labels, change = inputs.truth.schema.labels(task), visible - hidden
    targets = inputs.truth.targets(task)
    many = targets.ndim == 2
    is_true = targets == 1 if many else targets[:, None] == np.arange(len(labels))
    count = is_true.sum(axis=1)
    of_true = np.where(is_true, change, 0.0).sum(axis=1) / np.maximum(count, 1)
    yield "", np.where(count > 0, of_true, np.nan), None if many else targets
    for code, label in enumerate(labels):
        yield label, change[:, code], targets[:, code] if many else targets
