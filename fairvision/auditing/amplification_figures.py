"""Figures of amplification: by context, of sets of labels, and by what attackers can guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fairvision import metrics
from fairvision.auditing.inputs import Codes, Inputs, correct, named, predicted
from fairvision.auditing.tables import Samples
from fairvision.datasets import Dataset
from fairvision.results.figures import Computed, Key

SET_SIZE = 2  # labels in a set: the number of larger sets grows without bound
ATTACKED = 2000  # images that attackers see, so that their time does not grow with the audit
ATTACKED_LABELS = 100  # of a task where many may hold; each is attacked
FEWEST = 40  # images of each group: attackers are tested on a quarter of them


def context_figures(inputs: Inputs) -> Computed:
    """Yield accuracy where the labels are typical, in training, of the image's group or another."""
    attribute, task, training = inputs.attribute, inputs.task, inputs.training
    predictions = predicted(inputs.samples, attribute)
    if predictions is None or training is None or not inputs.in_training:
        return
    truth = inputs.truth.codes(attribute)
    typical = metrics.context_typical_group(
        training.truth.targets(task),
        training.truth.codes(attribute),
        inputs.truth.targets(task),
        train_counts=training.counts,
    )
    right = correct(inputs.samples, truth, predictions)
    agrees = inputs.mean(right, (typical >= 0) & (typical == truth))
    disagrees = inputs.mean(right, (typical >= 0) & (typical != truth))
    yield Key("accuracy_context_agrees", attribute, task), agrees
    yield Key("accuracy_context_disagrees", attribute, task), disagrees
    yield Key("context_gap", attribute, task), metrics.compare(disagrees, agrees)


def set_figures(inputs: Inputs) -> Computed:
    """Yield amplification over sets of labels: of tasks with many, and of all tasks together."""
    training = inputs.training
    if training is None or not inputs.in_training:
        return
    tasks = [task for task in inputs.truth.tasks if task in training.truth.tasks]
    sets = [[task] for task in tasks if inputs.truth.schema.is_many(task)]
    if len(tasks) > 1:
        sets.append(tasks)
    for together in sets:
        task = together[0] if len(together) == 1 else ""
        shared = {
            "train_labels": label_table(training.truth, together),
            "train_groups": inputs.training_groups,
            "train_counts": training.counts,
            "labels": label_table(inputs.truth, together),
            "groups": inputs.groups,
            "max_size": SET_SIZE,
        }
        predictions: dict[str, Any] = {}
        by_task = {name: predicted(inputs.samples, name) for name in together}
        if all(codes is not None for codes in by_task.values()):
            predictions["pred_labels"] = label_table(inputs.truth, together, by_task)
        if (groups := inputs.predicted_groups) is not None:
            predictions["pred_groups"] = groups
        arguments = {"A->T": ["pred_labels"], "T->A": ["pred_groups"], "MALS": [*predictions]}
        for direction, names in arguments.items():
            if set(names) <= set(predictions) and (direction != "MALS" or len(predictions) == 2):
                of_direction = {name: predictions[name] for name in names}
                yield (
                    Key(f"multi-attribute {direction}", inputs.attribute, task),
                    metrics.multi_attribute_bias_amplification(
                        **shared, **of_direction, **inputs.sampling
                    ),
                )


def attack_figures(inputs: Inputs) -> Computed:
    """Yield what attackers guess of the group from labels, and of either side from the other.

    Attackers learn from images, which counts are not. They see `ATTACKED` images at most, drawn
    by the seed; the group of the others is unknown to them, so that the rows stay paired.
    """
    model, attribute, task = inputs.samples, inputs.attribute, inputs.task
    predicted_labels, predicted_groups = inputs.predicted_labels, inputs.predicted_groups
    if (
        not inputs.in_training
        or model.counts is not None
        or predicted_labels is None
        or not_attacked(model, attribute, task)
    ):
        return
    sampling = inputs.sampling
    order = np.random.default_rng(sampling["seed"]).permutation(len(inputs.truth))
    codes = inputs.truth.codes(attribute).copy()
    codes[order[ATTACKED:]] = -1
    labels, groups = inputs.labels, named(inputs.truth, attribute, codes)
    leaked = metrics.leakage_amplification(labels, groups, predicted_labels, **sampling)
    if leaked.model is not None and leaked.data is not None:
        yield Key("model_leakage", attribute, task), leaked.model
        yield Key("perturbed_leakage", attribute, task), leaked.data
    yield Key("leakage_amplification", attribute, task), leaked
    predictability = metrics.directional_predictability_amplification
    if predicted_groups is not None:
        result = predictability(labels, groups, pred_groups=predicted_groups, **sampling)
        yield Key("predictability T->A", attribute, task), result
    if not inputs.truth.schema.is_many(task):  # of many labels each would be attacked by itself
        result = predictability(labels, groups, pred_labels=predicted_labels, **sampling)
        yield Key("predictability A->T", attribute, task), result


def not_attacked(model: Samples, attribute: str, task: str) -> str:
    """Return why no attackers are trained; empty where they are."""
    if model.truth.schema.is_many(task) and len(model.truth.tasks[task].labels) > ATTACKED_LABELS:
        return f"more than {ATTACKED_LABELS} labels, which would take long"
    codes = model.truth.codes(attribute)
    has_both = (codes >= 0) & (np.atleast_2d(model.truth.targets(task).T)[0] >= 0)
    images = np.bincount(codes[has_both])
    if (images > 0).sum() < 2 or images[images > 0].min() < FEWEST:
        return f"fewer than {FEWEST} pictures of some group with known labels"
    return ""


def label_table(
    truth: Dataset, tasks: list[str], codes: Mapping[str, Codes | None] | None = None
) -> pd.DataFrame:
    """Return the labels of all tasks as one table of 0 and 1; -1 where any of them is unknown."""
    columns: dict[str, Codes] = {}
    unknown = np.zeros(len(truth), bool)
    for task in tasks:
        held = truth.targets(task) if codes is None else codes[task]
        assert held is not None
        labels = truth.tasks[task].labels
        if held.ndim == 1:
            unknown |= held < 0
            held = held[:, None] == np.arange(len(labels))
        unknown |= held[:, 0] < 0
        columns |= {f"{task}/{label}": held[:, i] for i, label in enumerate(labels)}
    table = np.column_stack(list(columns.values())).astype(np.int8)
    table[unknown] = -1
    return pd.DataFrame(table, columns=list(columns))
