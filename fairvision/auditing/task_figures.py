"""Figures of tasks: how often they are right, for whom, and how far the groups lie apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fairvision import metrics
from fairvision.auditing.answers import Chance, correct, named, predicted
from fairvision.auditing.tables import Samples
from fairvision.datasets import Dataset
from fairvision.metrics import Result
from fairvision.results.table import Computed, Key
from fairvision.schema import UNKNOWN


def task_figures(model: Samples, task: str, chance: Chance) -> Computed:
    """Yield accuracy, precision, calibration and parity of one task."""
    guess = predicted(model, task)
    if guess is None:
        return
    truth = model.truth.targets(task)
    right = correct(model, truth, guess)
    yield Key("accuracy", "", task), metrics.mean(right, **chance)
    yield Key("error", "", task), metrics.mean(1 - right, **chance)
    for attribute in model.truth.attributes:
        yield from accuracy_by_group(model, attribute, right, chance, task=task)
        yield from _parity_figures(model, attribute, task, guess, chance)
        yield from _version_figures(model, attribute, task, guess, chance)
    scores = model.probabilities("score", task)
    if scores is None:
        return
    labels = model.truth.schema.labels(task)
    if model.truth.schema.is_many(task):
        yield (
            Key("average_precision", "", task),
            metrics.average_precision(truth, scores, labels=labels, **chance),
        )
    yield from calibration_figures(model, task, chance)


def accuracy_by_group(
    model: Samples, attribute: str, right: np.ndarray, chance: Chance, *, task: str = ""
) -> Computed:
    """Yield accuracy and error of each group, the gap between groups, and the worst of them."""
    groups = named(model.truth, attribute)
    means = metrics.mean_by_group(right, groups, **chance)
    for group, result in means.items():
        yield Key("accuracy", attribute, task, group), result
    yield Key("accuracy_gap", attribute, task), metrics.gap(means)
    yield Key("worst_group_accuracy", attribute, task), _worst(means)
    for group, result in metrics.mean_by_group(1 - right, groups, **chance).items():
        yield Key("error", attribute, task, group), result


def calibration_figures(model: Samples, head: str, chance: Chance) -> Computed:
    """Yield the calibration error of a task or an attribute, where there are probabilities.

    Of an attribute, and of a task with one label per image, also that of each group and the gap
    between them. Where many labels may hold, images of one group and label are too few for that.
    """
    probabilities = model.probabilities("score", head)
    if probabilities is None:
        return
    truth = named(model.truth, head)
    scores = pd.DataFrame(probabilities, columns=list(model.truth.schema.labels(head)))
    own = head in model.truth.attributes
    if not own:
        yield Key("calibration_error", "", head), metrics.calibration_error(truth, scores, **chance)
    if model.truth.schema.is_many(head):
        return
    for attribute in [head] if own else model.truth.attributes:
        groups = named(model.truth, attribute)
        result = metrics.calibration_error(truth, scores, groups, **chance)
        task = "" if own else head
        yield Key("calibration_error", attribute, task), result
        yield Key("calibration_error_gap", attribute, task), metrics.gap(result)


def _parity_figures(
    model: Samples, attribute: str, task: str, guess: np.ndarray, chance: Chance
) -> Computed:
    """Yield how far the rates of the groups lie apart, as a mean over labels and of each label.

    Demographic parity is of answers and groups: of all images that have both, whatever their
    truth.
    """
    groups = named(model.truth, attribute)
    given = named(model.truth, task), named(model.truth, task, guess), groups
    selected = metrics.selection_rate(None, *given[1:], **chance)
    yield Key("demographic_parity_difference", attribute, task), metrics.gap(selected)
    yield Key("demographic_parity_ratio", attribute, task), metrics.group_ratio(selected)
    for measure in (metrics.equalized_odds_difference, metrics.equalized_odds_ratio):
        yield Key(measure.__name__, attribute, task), measure(*given, **chance)


def _version_figures(
    model: Samples, attribute: str, task: str, guess: np.ndarray, chance: Chance
) -> Computed:
    """Yield how far answers depend on the group where it is all that images differ in."""
    if model.counts is not None or model.truth.schema.is_many(task):
        return
    images = images_of_versions(model.truth, attribute)
    if images is not None:
        said, groups = named(model.truth, task, guess), named(model.truth, attribute)
        result = metrics.cifar10s_bias(said, groups, images=images, **chance)
        yield Key("cifar10s_bias", attribute, task), result


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
    if not all(own.endswith(ending) for own, ending in zip(ids, endings)):
        return None
    images = pd.Series([own.removesuffix(ending) for own, ending in zip(ids, endings)])
    return images if (images.value_counts() == len(groups)).all() else None


def _worst(means: dict[Any, Result]) -> Result:
    """Return the mean of the known group that fares worst; which it is, is held fixed."""
    known = [mean for group, mean in means.items() if group != UNKNOWN]
    return min(known, key=lambda mean: (np.isnan(mean), mean))
