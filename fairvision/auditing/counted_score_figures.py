"""Figures of scores that were counted on grids.

Each model's scores are counted by themselves. So differences between models, which take both
scores of an image, are not among the figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from fairvision import metrics
from fairvision.auditing.counted_scores import GAP, LABEL, SUREST
from fairvision.auditing.inputs import Inputs
from fairvision.auditing.tables import Samples
from fairvision.metrics import BoundedResult, Result, Sampling, ScoreCounts
from fairvision.results.figures import Computed, Key

FIGURES = {
    *("average_precision", "calibration_error", "calibration_error_gap", "calibration_error_max"),
    *("hidden_probability_gap", "roc_auc", "roc_auc_gap"),
}
"""Metrics of counted scores."""
_NAMES: dict[Literal["l1", "max"], str] = {
    "l1": "calibration_error",
    "max": "calibration_error_max",
}
_NUMBERS = ["value", "low", "high", "n"]
_ENDS = ["lowest", "value", "highest"]
_BOUNDED = {"roc_auc": "areas under ROC curves", "average_precision": "average precision"}


def counted_score_figures(inputs: Inputs) -> Computed:
    """Yield the figures of an attribute or a task whose scores were counted."""
    task, head = inputs.task, inputs.task or inputs.attribute
    how = inputs.sampling.copy()  # cells have counts of their own, and go with nothing else
    how.pop("counts", None)
    how.pop("joint", None)
    of_head = {of: counted for of, counted in inputs.samples.grids.items() if of.head == head}
    of_kind = {
        kind: {of: counted for of, counted in of_head.items() if of.kind == kind}
        for kind in (SUREST, LABEL, GAP)
    }
    if inputs.truth.schema.is_many(head):
        of_labels = {of.label: counted for of, counted in of_kind[LABEL].items()}
        if of_labels:
            yield from _of_many(task, of_labels, how)
        return
    surest = {of.attribute: counted for of, counted in of_kind[SUREST].items()}
    for norm, name in _NAMES.items():
        errors = {by: of.calibration_error(norm=norm, **how) for by, of in surest.items()}
        yield from _by_groups(name, task, errors)
    areas = {of.attribute: counted.roc_auc(**how) for of, counted in of_kind[LABEL].items()}
    yield from _by_groups("roc_auc", task, areas)
    for counted in of_kind[GAP].values():
        rows = counted.rows()
        of_rows: Sampling = {**how, "counts": rows["counts"]}
        yield Key("hidden_probability_gap", head), metrics.mean(rows["scores"], **of_rows)
        for group, result in counted.mean_by_group(**how).items():
            yield Key("hidden_probability_gap", head, "", group), result


def bound(models: Sequence[Samples]) -> Iterator[str]:
    """Yield how far figures of counted scores are from those of the images, at most."""
    grids = [(of, counted, model) for model in models for of, counted in model.grids.items()]
    if not grids:
        return
    off: dict[str, list[float]] = {}
    for of, counted, model in grids:
        if of.kind == LABEL:
            many = model.truth.schema.is_many(of.head)
            name = "average_precision" if many else "roc_auc"
            off.setdefault(name, []).append(_furthest(getattr(counted, name)(replicates=0)))
    within = [f"{_BOUNDED[name]} {_rounded_up(max(each)):.1g}" for name, each in off.items()]
    yield (
        f"scores were counted on a grid of {grids[0][1].grid:,} cells: calibration errors and gaps "
        "between probabilities are those of the pictures"
        + (f"; off by at most: {', '.join(within)}" if within else "")
    )


def _rounded_up(number: float) -> float:
    """Return the next number of one digit.

    >>> _rounded_up(0.00031), _rounded_up(0)
    (0.0004, 0)
    """
    step = 10.0 ** math.floor(math.log10(number)) if number else 1
    return math.ceil(number / step) * step


def _furthest(result: BoundedResult) -> float:
    """Return how far a figure is from its bounds, of all images or any group; 0 if undefined."""
    pairs = result.pairs if result.pairs is not None else pd.DataFrame()
    of_all = pd.DataFrame([{name: getattr(result, name) for name in _ENDS}])
    each = pd.concat([of_all, pairs.reindex(columns=_ENDS)])
    lowest, value, highest = each.to_numpy(float).T
    return float(np.nan_to_num(np.maximum(highest - value, value - lowest)).max())


def _by_groups(name: str, task: str, results: Mapping[str, Result]) -> Computed:
    """Yield a figure of all images, if it is of a task, and by the groups of each attribute."""
    if task:
        yield from (
            (Key(name, "", task), replace(of, pairs=None)) for of in [*results.values()][:1]
        )
    for attribute, result in results.items():
        if attribute:
            yield Key(name, attribute, task), result
            if f"{name}_gap" in FIGURES:
                yield Key(f"{name}_gap", attribute, task), metrics.gap(result)


def _of_many(task: str, of_labels: Mapping[str, ScoreCounts], how: Sampling) -> Computed:
    """Yield the figures of a task of which many labels may hold: means over these."""
    for norm, name in _NAMES.items():
        errors = {label: of.calibration_error(norm=norm, **how) for label, of in of_labels.items()}
        result = _mean(errors)
        yield Key(name, "", task), result if norm == "l1" else replace(result, pairs=None)
    precision = {label: of.average_precision(**how) for label, of in of_labels.items()}
    yield Key("average_precision", "", task), _mean(precision)


def _mean(of_labels: Mapping[str, Result]) -> Result:
    """Return the mean over labels, of those that are defined, with the figure of each.

    Its interval reaches from the mean of lower to that of upper ends, as if all labels were off
    to the same side at once: which labels go together in an image, grids do not say.
    """
    table = pd.DataFrame(
        {"label": label, **{name: getattr(of, name) for name in _NUMBERS}}
        for label, of in of_labels.items()
    )
    numbers = table.loc[table["value"].notna(), _NUMBERS[:3]]
    value, low, high = numbers.mean(skipna=False).tolist()
    return Result(value, low, high, int(table["n"].max()), pairs=table)
