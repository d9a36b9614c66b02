"""Figures of tasks: how often they are right, for whom, and how far the groups lie apart."""

from __future__ import annotations

import pandas as pd

from fairvision import metrics
from fairvision.auditing.inputs import Inputs, correct, named, predicted
from fairvision.auditing.true_groups import accuracy_by_group
from fairvision.datasets import Dataset
from fairvision.results.figures import Computed, Key


def task_figures(inputs: Inputs) -> Computed:
    """Yield accuracy, precision, calibration and parity of one task."""
    model, task = inputs.samples, inputs.task
    predictions = predicted(model, task)
    if predictions is None:
        return
    truth = inputs.truth.targets(task)
    right = correct(model, truth, predictions)
    yield Key("accuracy", "", task), inputs.mean(right)
    yield Key("error", "", task), inputs.mean(1 - right)
    for attribute in inputs.truth.attributes:
        both = inputs.of(attribute, task)
        yield from accuracy_by_group(both, right)
        yield from _parity_figures(both)
        yield from _version_figures(both)
    scores = model.probabilities("score", task)
    if scores is None:
        return
    if inputs.truth.schema.is_many(task):
        labels = inputs.truth.schema.labels(task)
        yield (
            Key("average_precision", "", task),
            metrics.average_precision(truth, scores, labels=labels, **inputs.sampling),
        )
    yield from calibration_figures(inputs)


def calibration_figures(inputs: Inputs) -> Computed:
    """Yield the calibration error of a task or an attribute, where there are probabilities.

    Of an attribute, and of a task with one label per image, also that of each group and the gap
    between them. Where many labels may hold, images of one group and label are too few for that.
    """
    truth, task, sampling = inputs.truth, inputs.task, inputs.sampling
    head = task or inputs.attribute
    probabilities = inputs.samples.probabilities("score", head)
    if probabilities is None:
        return
    targets = named(truth, head)
    scores = pd.DataFrame(probabilities, columns=list(truth.schema.labels(head)))
    if task:
        result = metrics.calibration_error(targets, scores, **sampling)
        yield Key("calibration_error", "", task), result
    if truth.schema.is_many(head):
        return
    for attribute in truth.attributes if task else [head]:
        groups = named(truth, attribute)
        by_group = metrics.calibration_error(targets, scores, groups, **sampling)
        yield Key("calibration_error", attribute, task), by_group
        yield Key("calibration_error_gap", attribute, task), metrics.gap(by_group)


def _parity_figures(inputs: Inputs) -> Computed:
    """Yield how far the rates of the groups lie apart, as a mean over labels and of each label.

    Demographic parity is of predictions and groups: of all images that have both, whatever their
    truth.
    """
    about = inputs.attribute, inputs.task
    predictions, groups = inputs.predicted_labels, inputs.groups
    selected = metrics.selection_rate(None, predictions, groups, **inputs.sampling)
    yield Key("demographic_parity_difference", *about), metrics.gap(selected)
    yield Key("demographic_parity_ratio", *about), metrics.group_ratio(selected)
    for measure in (metrics.equalized_odds_difference, metrics.equalized_odds_ratio):
        result = measure(inputs.labels, predictions, groups, **inputs.sampling)
        yield Key(measure.__name__, *about), result


def _version_figures(inputs: Inputs) -> Computed:
    """Yield how far answers depend on the group where it is all that images differ in."""
    if inputs.samples.counts is not None or inputs.truth.schema.is_many(inputs.task):
        return
    images = images_of_versions(inputs.truth, inputs.attribute)
    if images is not None:
        result = metrics.cifar10s_bias(
            inputs.predicted_labels, inputs.groups, images=images, **inputs.sampling
        )
        yield Key("cifar10s_bias", inputs.attribute, inputs.task), result


def images_of_versions(truth: Dataset, attribute: str) -> pd.Series | None:
    """Return which image each row shows, where each is there once for every group; else None.

    The `id` of every row then is the image's name, "-" and the row's group, such as
    "test-00012-grey" and "test-00012-colour" of CIFAR-10S.
    """
    groups = truth.attributes[attribute]
    ids, group = truth.samples["id"].astype(str), truth.samples[attribute]
    if len(groups) < 2 or not len(ids) or pd.isna(group.iloc[0]):
        return None
    if not ids.iloc[0].endswith(f"-{group.iloc[0]}") or group.isna().any():
        return None
    endings = "-" + group.astype(str)
    if not all(name.endswith(ending) for name, ending in zip(ids, endings)):
        return None
    images = pd.Series([name.removesuffix(ending) for name, ending in zip(ids, endings)])
    return images if (images.value_counts() == len(groups)).all() else None
