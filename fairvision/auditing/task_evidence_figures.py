"""Figures of evidence of tasks: how much of it lies on the objects of the true label."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fairvision import metrics
from fairvision.auditing.inputs import Inputs, Values
from fairvision.auditing.tables import CHANCE, MEASURES, Samples
from fairvision.results.figures import Computed, Key

Rows = npt.NDArray[np.bool_]


def judged_objects(model: Samples, task: str) -> Rows:
    """Return (n,) bool, whether an image has evidence that can be held against its objects."""
    values = model.evidence(MEASURES[0], task)
    return np.zeros(len(model.truth), bool) if values is None else ~np.isnan(values)


def task_evidence_figures(inputs: Inputs, rows: Rows | None = None) -> Computed:
    """Yield the figures of a task's evidence: of all images, or by the groups of an attribute.

    Those of `rows` (n,) where given: models have evidence on different images, so they are compared
    where both do.
    """
    model, task = inputs.samples, inputs.task
    column = f"{CHANCE}/{task}"
    level = model.scores[column].to_numpy() if column in model.scores else None
    for measure in MEASURES:
        values = model.evidence(measure, task)
        if values is None:
            continue
        if rows is not None:
            values = np.where(rows, values, np.nan)
        yield from _means(inputs, measure, values, gap=f"{measure}_gap")
        if level is not None:
            lift = f"{measure}_lift"
            yield from _means(inputs, lift, values - level, gap=f"{lift}_gap")
            if measure == MEASURES[0]:
                yield from _means(inputs, "chance_level", np.where(np.isnan(values), np.nan, level))


def _means(inputs: Inputs, metric: str, values: Values, gap: str = "") -> Computed:
    """Yield the mean of all images without attribute, else that of each group, and their gap."""
    attribute, task = inputs.attribute, inputs.task
    if not attribute:
        yield Key(metric, "", task), inputs.mean(values)
        return
    means = inputs.means(values)
    for group, result in means.items():
        yield Key(metric, attribute, task, group), result
    if gap:
        yield Key(gap, attribute, task), metrics.gap(means)
