"""Figures of evidence: where it lies, in which group, for which reasons, and what it amplifies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fairvision import metrics
from fairvision.auditing.inputs import Codes, Inputs, Values, named, predicted
from fairvision.auditing.tables import CHANCE, MEASURES, Samples
from fairvision.results.entries.amplification import APART, INSIDE, OUTSIDE
from fairvision.results.figures import Computed, Key

Rows = npt.NDArray[np.bool_]


def judged(model: Samples, attribute: str) -> Rows:
    """Return (n,) bool, whether an image has evidence that can be held against the mask."""
    inside = model.evidence(MEASURES[0], attribute)
    return np.zeros(len(model.truth), bool) if inside is None else ~np.isnan(inside)


def has_place(model: Samples, attribute: str) -> Rows:
    """Return (n,) bool, whether there is a person, and something else, for evidence to lie on.

    Where a table does not say how large the persons are, it is where there is evidence.
    """
    if CHANCE not in model.scores:
        return judged(model, attribute)
    share = model.scores[CHANCE].to_numpy(np.float64)
    return (share > 0) & (share < 1)


def evidence_figures(inputs: Inputs, rows: Rows | None = None) -> Computed:
    """Yield the figures of evidence, on all images that have any, or on some rows (n,).

    Models have evidence on different images, so they are compared where both do.
    """
    model, attribute = inputs.samples, inputs.attribute
    level = model.scores[CHANCE].to_numpy() if CHANCE in model.scores else None
    for measure in MEASURES:
        values = _evidence(inputs, measure, rows)
        if values is None:
            continue
        yield from inputs.by_group(measure, values, gap=f"{measure}_gap")
        if level is not None:
            lift = f"{measure}_lift"
            yield from inputs.by_group(lift, values - level, gap=f"{lift}_gap")
            if measure == MEASURES[0]:
                same_rows = np.where(np.isnan(values), np.nan, level)
                yield from inputs.by_group("chance_level", same_rows)
    predictions, inside = predicted(model, attribute), _evidence(inputs, MEASURES[0], rows)
    if predictions is None or inside is None:
        return
    for task in inputs.truth.tasks:
        both = inputs.of(attribute, task)
        if both.in_training:
            yield from _split_figures(both, inside, predictions)


def cell_figures(inputs: Inputs) -> Computed:
    """Yield right and wrong by where the evidence lies, of all images with a place for it."""
    model, attribute = inputs.samples, inputs.attribute
    predictions, inside = predicted(model, attribute), model.evidence(MEASURES[0], attribute)
    if predictions is None or inside is None:
        return
    truth = inputs.truth.codes(attribute)
    right = metrics.correct(truth, predictions)
    rows = {"": has_place(model, attribute)}
    for code, group in enumerate(inputs.truth.attributes[attribute]):
        rows[group] = rows[""] & (truth == code)
    for group, of_group in rows.items():
        result = metrics.evidence_cells(right, inside, where=of_group, **inputs.sampling)
        yield Key("evidence_cells", attribute, "", group), result


def _evidence(inputs: Inputs, measure: str, rows: Rows | None) -> Values | None:
    """Return a measure of evidence per image (n,), NaN outside `rows`; None if not measured."""
    values = inputs.samples.evidence(measure, inputs.attribute)
    return values if values is None or rows is None else np.where(rows, values, np.nan)


def _split_figures(inputs: Inputs, inside: Values, predictions: Codes) -> Computed:
    """Yield T->A of the images with their evidence on the person, of the others, the difference.

    The group of an image is unknown in the part that it does not belong to, so that both parts
    are drawn in the same resamples. Labels that only one part has are left out of both: the
    figures are means over the same pairs.
    """
    attribute, task = inputs.attribute, inputs.task
    codes = inputs.truth.codes(attribute)
    parts = {INSIDE: inside > 0.5, OUTSIDE: inside <= 0.5}  # NaN is in neither
    used = (codes >= 0) & (predictions >= 0)
    labels = _shared_labels(inputs, [used & part for part in parts.values()])
    results = {
        name: metrics.directional_bias_amplification(
            labels,
            named(inputs.truth, attribute, np.where(part, codes, -1)),
            pred_groups=inputs.predicted_groups,
            train_labels=inputs.training_labels,
            train_groups=inputs.training_groups,
            train_counts=inputs.training_counts,
            **inputs.sampling,
        )
        for name, part in parts.items()
    }
    for name, result in results.items():
        yield Key(name, attribute, task), result
    yield Key(APART, attribute, task), metrics.compare(results[INSIDE], results[OUTSIDE])


def _shared_labels(inputs: Inputs, parts: list[Rows]) -> Any:
    """Return the true labels without those that some part has in no image."""
    truth, task = inputs.truth, inputs.task
    targets = truth.targets(task)
    if truth.schema.is_many(task):
        shared = np.logical_and.reduce([(targets[part] == 1).any(axis=0) for part in parts])
        return named(truth, task, np.where(shared, targets, np.minimum(targets, 0)))
    labels = np.arange(len(truth.tasks[task].labels))
    in_all = np.logical_and.reduce([np.isin(labels, targets[part]) for part in parts])
    shared = np.append(in_all, False)  # the last one for unknown
    return named(truth, task, np.where(shared[targets], targets, -1))
