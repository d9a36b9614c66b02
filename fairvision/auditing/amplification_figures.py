"""Figures of amplification: of labels, of sets of labels, and by what attackers can guess."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fairvision import metrics
from fairvision.auditing.answers import Chance, Training, correct, named, predicted
from fairvision.auditing.tables import Samples
from fairvision.datasets import Dataset
from fairvision.results.table import Computed, Key

SET_SIZE = 2  # labels in a set: the number of larger sets grows without bound
ATTACKED = 2000  # images that attackers see, so that their time does not grow with the audit
ATTACKED_LABELS = 100  # of a task where many may hold; each is attacked
FEWEST = 40  # images of each group: attackers are tested on a quarter of them


def context_figures(
    model: Samples, attribute: str, task: str, training: Training, chance: Chance
) -> Computed:
    """Accuracy where the labels are typical of the image's group in training, or of another."""
    guess = predicted(model, attribute)
    if guess is None:
        return
    truth = model.truth.codes(attribute)
    typical = metrics.context_typical_group(
        training.truth.targets(task),
        training.truth.codes(attribute),
        model.truth.targets(task),
        train_counts=training.counts,
    )
    right = correct(model, truth, guess)
    agrees = metrics.mean(right, where=(typical >= 0) & (typical == truth), **chance)
    disagrees = metrics.mean(right, where=(typical >= 0) & (typical != truth), **chance)
    yield Key("accuracy_context_agrees", attribute, task), agrees
    yield Key("accuracy_context_disagrees", attribute, task), disagrees
    yield Key("context_gap", attribute, task), metrics.compare(disagrees, agrees)


def amplification_figures(
    model: Samples, attribute: str, task: str, training: Training, chance: Chance
) -> Computed:
    """Yield MALS and both directions for one task."""
    truth = {"labels": named(model.truth, task), "groups": named(model.truth, attribute)}
    trained = _trained(named(training.truth, task), attribute, training)
    said = _said(model, attribute, task)
    if len(said) == 2:
        yield (
            Key("bias_amplification_mals", attribute, task),
            metrics.bias_amplification_mals(**trained, **said, **chance),
        )
    for argument, direction in (("pred_labels", "A->T"), ("pred_groups", "T->A")):
        if argument in said:
            one = {argument: said[argument]}
            yield (
                Key(f"directional {direction}", attribute, task),
                metrics.directional_bias_amplification(**truth, **one, **trained, **chance),
            )


def set_figures(
    model: Samples, attribute: str, tasks: list[str], training: Training, chance: Chance
) -> Computed:
    """Yield amplification over sets of labels: of tasks with many, and of all tasks together."""
    together = [[task] for task in tasks if model.truth.schema.is_many(task)]
    if len(tasks) > 1:
        together.append(tasks)
    guess = predicted(model, attribute)
    groups = named(model.truth, attribute)
    for some in together:
        task = some[0] if len(some) == 1 else ""
        trained = _trained(_table(training.truth, some), attribute, training)
        said: dict[str, Any] = {}
        guesses = {task: predicted(model, task) for task in some}
        if all(guess is not None for guess in guesses.values()):
            said["pred_labels"] = _table(model.truth, some, guesses)
        if guess is not None:
            said["pred_groups"] = named(model.truth, attribute, guess)
        labels = _table(model.truth, some)
        asked = {"A->T": ["pred_labels"], "T->A": ["pred_groups"], "MALS": list(said)}
        for way, arguments in asked.items():
            if set(arguments) <= set(said) and (way != "MALS" or len(said) == 2):
                yield (
                    Key(f"multi-attribute {way}", attribute, task),
                    metrics.multi_attribute_bias_amplification(
                        **trained,
                        **{argument: said[argument] for argument in arguments},
                        labels=labels,
                        groups=groups,
                        max_size=SET_SIZE,
                        **chance,
                    ),
                )


def attack_figures(model: Samples, attribute: str, task: str, chance: Chance) -> Computed:
    """Yield what attackers guess of the group from labels, and of either side from the other.

    Attackers learn from images, which counts are not. They see `ATTACKED` images at most, drawn
    by the seed; the group of the others is unknown to them, so that the rows stay paired.
    """
    said = _said(model, attribute, task)
    if (
        model.counts is not None
        or "pred_labels" not in said
        or not_attacked(model, attribute, task)
    ):
        return
    order = np.random.default_rng(chance["seed"]).permutation(len(model.truth))
    codes = model.truth.codes(attribute).copy()
    codes[order[ATTACKED:]] = -1
    labels, groups = named(model.truth, task), named(model.truth, attribute, codes)
    leaked = metrics.leakage_amplification(labels, groups, said["pred_labels"], **chance)
    if leaked.model is not None and leaked.data is not None:
        yield Key("model_leakage", attribute, task), leaked.model
        yield Key("perturbed_leakage", attribute, task), leaked.data
    yield Key("leakage_amplification", attribute, task), leaked
    if "pred_groups" in said:
        yield (
            Key("predictability T->A", attribute, task),
            metrics.directional_predictability_amplification(
                labels, groups, pred_groups=said["pred_groups"], **chance
            ),
        )
    if not model.truth.schema.is_many(task):  # of many labels each would be attacked by itself
        yield (
            Key("predictability A->T", attribute, task),
            metrics.directional_predictability_amplification(
                labels, groups, pred_labels=said["pred_labels"], **chance
            ),
        )


def not_attacked(model: Samples, attribute: str, task: str) -> str:
    """Return why no attackers are trained; empty where they are."""
    if model.truth.schema.is_many(task) and len(model.truth.tasks[task].labels) > ATTACKED_LABELS:
        return f"more than {ATTACKED_LABELS} labels, which would take long"
    codes = model.truth.codes(attribute)
    known = (codes >= 0) & (np.atleast_2d(model.truth.targets(task).T)[0] >= 0)
    images = np.bincount(codes[known])
    if (images > 0).sum() < 2 or images[images > 0].min() < FEWEST:
        return f"fewer than {FEWEST} pictures of some group with known labels"
    return ""


def _trained(labels: Any, attribute: str, training: Training) -> dict[str, Any]:
    return {
        "train_labels": labels,
        "train_groups": named(training.truth, attribute),
        "train_counts": training.counts,
    }


def _said(model: Samples, attribute: str, task: str) -> dict[str, Any]:
    """Return what is predicted, by the name of the argument of a measure."""
    guesses = {"pred_labels": (task, predicted(model, task))}
    guesses["pred_groups"] = (attribute, predicted(model, attribute))
    return {
        argument: named(model.truth, head, codes)
        for argument, (head, codes) in guesses.items()
        if codes is not None
    }


def _table(
    truth: Dataset, tasks: list[str], codes: dict[str, np.ndarray | None] | None = None
) -> pd.DataFrame:
    """Return the labels of all tasks as one table of 0 and 1; -1 where any of them is unknown."""
    columns: dict[tuple[str, str], np.ndarray] = {}
    unknown = np.zeros(len(truth), bool)
    for task in tasks:
        held = truth.targets(task) if codes is None else codes[task]
        assert held is not None
        if held.ndim == 1:
            unknown |= held < 0
            held = held[:, None] == np.arange(len(truth.tasks[task].labels))
        unknown |= held[:, 0] < 0
        columns |= {(task, label): held[:, i] for i, label in enumerate(truth.tasks[task].labels)}
    table = np.column_stack(list(columns.values())).astype(np.int8)
    table[unknown] = -1
    return pd.DataFrame(table, columns=[f"{task}/{label}" for task, label in columns])
