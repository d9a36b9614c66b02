"""What seeing the person does to the answers of a task: "says cook because it sees a woman"?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fairvision import metrics
from fairvision.auditing.inputs import Inputs, Values
from fairvision.metrics import Result
from fairvision.results.figures import Computed, Key
from fairvision.schema import UNKNOWN


def person_effect_figures(inputs: Inputs) -> Computed:
    """Yield by how much the visible person raises probabilities of a task.

    Of the true label, and of each label whoever is shown; of a task alone for all images, of a task
    and an attribute for each of its groups, with the gap between them. Images need a mask.
    """
    attribute, task = inputs.attribute, inputs.task
    for label, effect in _effects(inputs):
        if not attribute:
            yield Key("person_effect", "", task, "", label), inputs.mean(effect)
            continue
        means = _of_groups(inputs, effect)
        for group, result in means.items():
            yield Key("person_effect", attribute, task, group, label), result
        yield Key("person_effect_gap", attribute, task, "", label), metrics.gap(means)


def _of_groups(inputs: Inputs, effect: Values) -> dict[str, Result]:
    """Return the mean of each group that is known."""
    return {group: mean for group, mean in inputs.means(effect).items() if group != UNKNOWN}


def _effects(inputs: Inputs) -> Iterator[tuple[str, Values]]:
    """Yield p(person visible) − p(hidden), (n,), of the true label with "", then of each label.

    Where many labels may hold, the mean over an image's true labels. NaN where undefined.
    """
    model, task = inputs.samples, inputs.task
    visible, hidden = (model.probabilities(kind, task) for kind in ("score", "hidden"))
    if visible is None or hidden is None:
        return
    labels, change = inputs.truth.schema.labels(task), visible - hidden
    targets = inputs.truth.targets(task)
    is_true = targets == 1 if targets.ndim == 2 else targets[:, None] == np.arange(len(labels))
    count = is_true.sum(axis=1)
    of_true = np.where(is_true, change, 0.0).sum(axis=1)
    yield "", np.where(count > 0, of_true / np.maximum(count, 1), np.nan)
    yield from zip(labels, change.T)
