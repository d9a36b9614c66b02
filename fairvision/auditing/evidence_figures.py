"""Figures of evidence: where it lies, in which group, for which reasons, and what it amplifies."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fairvision import metrics
from fairvision.auditing.answers import Chance, Training, by_group, named, predicted
from fairvision.auditing.tables import CHANCE, MEASURES, Samples
from fairvision.results.entries.amplification import APART, INSIDE, OUTSIDE
from fairvision.results.table import Computed, Key


def judged(model: Samples, attribute: str) -> np.ndarray:
    """Return (n,) bool, whether an image has evidence that can be held against the mask."""
    inside = model.evidence(MEASURES[0], attribute)
    return np.zeros(len(model.truth), bool) if inside is None else ~np.isnan(inside)


def evidence_figures(
    model: Samples,
    attribute: str,
    training: Training | None,
    chance: Chance,
    *,
    where: np.ndarray | None = None,
) -> Computed:
    """Yield the figures of evidence, on all images that have any, or on those of `where`.

    Models find evidence on different images, so they are compared where both do.
    """
    level = model.scores[CHANCE].to_numpy() if CHANCE in model.scores else None
    inside = model.evidence(MEASURES[0], attribute)
    if inside is not None and where is not None:
        inside = np.where(where, inside, np.nan)
    for measure in MEASURES:
        values = model.evidence(measure, attribute)
        if values is None:
            continue
        if where is not None:
            values = np.where(where, values, np.nan)
        yield from by_group(model, attribute, measure, values, chance, gap=f"{measure}_gap")
        if level is not None:
            lift = f"{measure}_lift"
            yield from by_group(model, attribute, lift, values - level, chance, gap=f"{lift}_gap")
            if measure == MEASURES[0]:
                same = np.where(np.isnan(values), np.nan, level)
                yield from by_group(model, attribute, "chance_level", same, chance)
    guess = predicted(model, attribute)
    if guess is None or inside is None:
        return
    truth = model.truth.codes(attribute)
    right = metrics.correct(truth, guess)
    yield Key("reasons", attribute), metrics.reasons(right, inside, **chance)
    for code, group in enumerate(model.truth.attributes[attribute]):
        own = metrics.reasons(right, inside, where=truth == code, **chance)
        yield Key("reasons", attribute, "", group), own
    if training is not None and attribute in training.truth.attributes:
        for task in model.truth.tasks:
            if task in training.truth.tasks:
                yield from _split_figures(model, attribute, task, training, inside, guess, chance)


def _split_figures(
    model: Samples,
    attribute: str,
    task: str,
    training: Training,
    inside: np.ndarray,
    guess: np.ndarray,
    chance: Chance,
) -> Computed:
    """Yield T->A of the images with their evidence on the person, of the others, the difference.

    The group of an image is unknown in the part that it does not belong to, so that both parts
    are drawn in the same resamples. Labels that only one part has are left out of both: the
    figures are means over the same pairs.
    """
    codes = model.truth.codes(attribute)
    parts = {INSIDE: inside > 0.5, OUTSIDE: inside <= 0.5}  # NaN is in neither
    used = (codes >= 0) & (guess >= 0)
    labels = _shared_labels(model, task, [used & part for part in parts.values()])
    found = []
    for name, part in parts.items():
        result = metrics.directional_bias_amplification(
            labels,
            named(model.truth, attribute, np.where(part, codes, -1)),
            pred_groups=named(model.truth, attribute, guess),
            train_labels=named(training.truth, task),
            train_groups=named(training.truth, attribute),
            train_counts=training.counts,
            **chance,
        )
        yield Key(name, attribute, task), result
        found.append(result)
    yield Key(APART, attribute, task), metrics.compare(*found)


def _shared_labels(
    model: Samples, task: str, parts: list[np.ndarray]
) -> pd.Categorical | pd.DataFrame:
    """Return the true labels without those that some part has in no image."""
    held = model.truth.targets(task)
    names = model.truth.tasks[task].labels
    if model.truth.schema.is_many(task):
        shared = np.logical_and.reduce([(held[part] == 1).any(axis=0) for part in parts])
        return named(model.truth, task, np.where(shared, held, np.minimum(held, 0)))
    there = [np.isin(np.arange(len(names)), held[part]) for part in parts]
    shared = np.append(np.logical_and.reduce(there), False)  # the last one for unknown
    return named(model.truth, task, np.where(shared[held], held, -1))
