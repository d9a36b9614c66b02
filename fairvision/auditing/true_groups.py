"""Accuracy of groups: as they are annotated, or of the true ones where annotations err."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairvision import metrics
from fairvision.auditing.inputs import Inputs, Values, correct, predicted
from fairvision.metrics import NoisyGroups, Result
from fairvision.metrics.group_noise import gap_bounds
from fairvision.results.figures import Computed, Key
from fairvision.schema import UNKNOWN


def accuracy_by_group(inputs: Inputs, right: Values) -> Computed:
    """Yield accuracy and error of each group, the gap between groups, and the worst of them.

    Parameters
    ----------
    right : (n,) whether each image is answered right, NaN where that is not known
    """
    attribute, task = inputs.attribute, inputs.task
    plain = inputs.means(right)
    noisy = _noisy(inputs, right) if attribute in inputs.noise else {}
    means = plain if not noisy else _true(plain, noisy)
    for group, result in means.items():
        yield Key("accuracy", attribute, task, group), result
    yield Key("accuracy_gap", attribute, task), metrics.gap(means)
    yield Key("worst_group_accuracy", attribute, task), _worst(means)
    errors = inputs.means(1 - right)
    if noisy:
        errors = _true(errors, _noisy(inputs, 1 - right, of_errors=True))
    for group, result in errors.items():
        yield Key("error", attribute, task, group), result
    if not noisy:
        return
    for group, result in plain.items():
        yield Key("observed_accuracy", attribute, task, group), result
    yield Key("observed_accuracy_gap", attribute, task), metrics.gap(plain)
    bounds = {group: of.bounds[group] for group, of in noisy.items() if group in of.bounds}
    least, most = gap_bounds(means, bounds)
    yield Key("accuracy_gap_least", attribute, task), least
    yield Key("accuracy_gap_most", attribute, task), most


def _noisy(inputs: Inputs, values: Values, of_errors: bool = False) -> dict[str, NoisyGroups]:
    """Return for each group what corrects the mean of its values, right answers or errors.

    Whether the attribute itself is answered right depends on the true group: of those who are truly
    of a group, answers that name it are right.
    """
    attribute = inputs.attribute
    keywords: dict[str, Any] = {**inputs.noise[attribute], **inputs.sampling}
    groups = inputs.truth.attributes[attribute]
    if inputs.task:
        return dict.fromkeys(groups, metrics.noisy_groups(values, inputs.groups, **keywords))
    answers = predicted(inputs.samples, attribute)
    assert answers is not None  # otherwise there is no accuracy
    corrected = {}
    for code, group in enumerate(groups):
        right = correct(inputs.samples, np.full(len(answers), code), answers)
        values = 1 - right if of_errors else right
        corrected[group] = metrics.noisy_groups(values, inputs.groups, **keywords)
    return corrected


def _true(observed: Mapping[str, Result], noisy: Mapping[str, NoisyGroups]) -> dict[str, Result]:
    """Return means of the true groups; of a group that is nowhere, and the unknown, as observed."""
    return {
        group: noisy[group].by_group.get(group, mean) if group in noisy else mean
        for group, mean in observed.items()
    }


def _worst(means: Mapping[str, Result]) -> Result:
    """Return the mean of the known group that fares worst; which it is, is held fixed."""
    of_groups = [mean for group, mean in means.items() if group != UNKNOWN]
    return min(of_groups, key=lambda mean: (np.isnan(mean), mean))
