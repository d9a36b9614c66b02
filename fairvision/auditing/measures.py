"""From samples tables to the metrics table: which measures there are, and their rows' names."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from fairvision import metrics
from fairvision.auditing.amplification_figures import (
    amplification_figures,
    attack_figures,
    context_figures,
    set_figures,
)
from fairvision.auditing.answers import Chance, Training, by_group, correct, predicted
from fairvision.auditing.coverage import coverage_figures
from fairvision.auditing.evidence_figures import evidence_figures, judged
from fairvision.auditing.tables import Samples
from fairvision.auditing.task_figures import accuracy_by_group, calibration_figures, task_figures
from fairvision.datasets import Dataset
from fairvision.errors import FairvisionWarning
from fairvision.results.table import (
    CONFIDENCE,
    Computed,
    Key,
    difference_of,
    differences,
    tabulate,
)


def measure(
    models: Sequence[Samples],
    reference: Dataset | None,
    *,
    train_counts: np.ndarray | None = None,
    replicates: int = 1000,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute every figure that the samples allow, and the differences from the first model.

    Parameters
    ----------
    models : samples of the same images in the same order, or counted jointly
    reference : truth of the training split, or None, and amplification is left out
    train_counts : images that each row of `reference` stands for; None for one each
    replicates, confidence, seed : of the bootstrap; one seed pairs the models

    Returns
    -------
    the metrics table of docs/design.md, with empty keys as "". Undefined figures are NaN.
    """
    first = models[0]
    chance: Chance = {"replicates": replicates, "confidence": confidence, "seed": seed}
    if first.counts is not None:
        chance["counts"] = first.counts
    training = None if reference is None else Training(reference, train_counts)
    with warnings.catch_warnings():  # of small groups: `absences.cautions` says it once
        warnings.filterwarnings("ignore", "figures that rest on fewer", FairvisionWarning)
        warnings.filterwarnings("ignore", "labels are the texts", FairvisionWarning)  # each is told
        return _table(models, training, chance)


def _table(models: Sequence[Samples], training: Training | None, chance: Chance) -> pd.DataFrame:
    first, *others = models
    computed = {model.model: dict(_figures(model, training, chance)) for model in models}
    for model in others:
        ours, theirs = dict(computed[first.model]), dict(computed[model.model])
        for attribute in model.truth.attributes:
            both = judged(first, attribute) & judged(model, attribute)
            for samples, results in ((first, ours), (model, theirs)):
                if (both != judged(samples, attribute)).any():
                    results |= dict(
                        evidence_figures(samples, attribute, training, chance, where=both)
                    )
        computed[difference_of(first.model, model.model)] = dict(differences(ours, theirs))
    return tabulate(
        (name, key, result) for name, results in computed.items() for key, result in results.items()
    )


def _figures(model: Samples, training: Training | None, chance: Chance) -> Computed:
    for attribute in model.truth.attributes:
        yield from _attribute_figures(model, attribute, chance)
        yield from evidence_figures(model, attribute, training, chance)
        if training is None or attribute not in training.truth.attributes:
            continue
        tasks = [task for task in model.truth.tasks if task in training.truth.tasks]
        for task in tasks:
            yield from context_figures(model, attribute, task, training, chance)
            yield from amplification_figures(model, attribute, task, training, chance)
            yield from attack_figures(model, attribute, task, chance)
        yield from set_figures(model, attribute, tasks, training, chance)
    for task in model.truth.tasks:
        yield from task_figures(model, task, chance)
    yield from coverage_figures(model, chance)


def _attribute_figures(model: Samples, attribute: str, chance: Chance) -> Computed:
    truth = model.truth.codes(attribute)
    guess = predicted(model, attribute)
    if guess is not None:
        right = correct(model, truth, guess)
        yield Key("accuracy", attribute), metrics.mean(right, **chance)
        yield Key("error", attribute), metrics.mean(1 - right, **chance)
        yield from accuracy_by_group(model, attribute, right, chance)
        groups = model.truth.attributes[attribute]
        yield (
            Key("confusion", attribute),
            metrics.confusion(truth, guess, groups=groups, **chance),
        )
        yield from calibration_figures(model, attribute, chance)
    for kind in ("hidden", "person"):
        guess = predicted(model, attribute, kind)
        if guess is not None:
            right = metrics.correct(truth, guess)
            yield from by_group(model, attribute, f"{kind}_accuracy", right, chance)
    scores = model.probabilities("hidden", attribute)
    if scores is not None:
        gaps = metrics.probability_gap(scores)
        yield from by_group(model, attribute, "hidden_probability_gap", gaps, chance)
