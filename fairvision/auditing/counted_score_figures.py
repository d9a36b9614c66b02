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
from fairvision.auditing.counted_scores import GAP, LABEL, LOSS, SUREST, WORST
from fairvision.auditing.inputs import Inputs
from fairvision.auditing.score_figures import MOST_GROUPS
from fairvision.auditing.tables import Samples
from fairvision.metrics import BoundedResult, Result, Sampling, ScoreCounts
from fairvision.results.figures import Computed, Key

FIGURES = {
    *("abroca", "average_precision", "calibration_error", "calibration_error_gap"),
    *("calibration_error_max", "hidden_probability_gap", "log_loss", "roc_auc", "roc_auc_gap"),
}
"""Metrics of counted scores."""
_NAMES: dict[Literal["l1", "max"], str] = {
    "l1": "calibration_error",
    "max": "calibration_error_max",
}
_NUMBERS = ["value", "low", "high", "n"]
_ENDS = ["lowest", "value", "highest"]
_BOUNDED = {
    "roc_auc": "areas under ROC curves",
    "average_precision": "average precision",
    "abroca": "areas between them",
}


def counted_score_figures(inputs: Inputs) -> Computed:
    """Yield the figures of an attribute or a task whose scores were counted."""
    task, head = inputs.task, inputs.task or inputs.attribute
    how = inputs.sampling.copy()  # cells have counts of their own, and go with nothing else
    how.pop("counts", None)
    how.pop("joint", None)
    of_head = {of: counted for of, counted in inputs.samples.grids.items() if of.head == head}
    of_kind = {
        kind: {of: counted for of, counted in of_head.items() if of.kind == kind}
        for kind in (SUREST, LABEL, GAP, LOSS)
    }
    if inputs.truth.schema.is_many(head):
        of_labels = {of.label: counted for of, counted in of_kind[LABEL].items()}
        if of_labels:
            losses = {of.label: _loss(counted, how) for of, counted in of_kind[LOSS].items()}
            yield Key("log_loss", "", task), replace(_mean(losses), pairs=None)
            yield from _of_many(task, of_labels, how)
        return
    surest = {of.attribute: counted for of, counted in of_kind[SUREST].items()}
    for norm, name in _NAMES.items():
        errors = {by: of.calibration_error(norm=norm, **how) for by, of in surest.items()}
        yield from _by_groups(name, task, errors)
    losses = {of.attribute: _loss(counted, how) for of, counted in of_kind[LOSS].items()}
    yield from _by_groups("log_loss", task, losses)
    areas: dict[str, dict[str, Result]] = {}
    for of, counted in of_kind[LABEL].items():
        areas.setdefault(of.attribute, {})[of.label] = counted.roc_auc(**how)
    yield from _areas(task, areas)
    two = len(inputs.truth.schema.labels(head)) == 2
    for of, counted in of_kind[LABEL].items():
        if two and of.attribute and len(inputs.truth.attributes[of.attribute]) <= MOST_GROUPS:
            between = counted.abroca(**how)
            yield Key("abroca", of.attribute, task), replace(between, pairs=None)
    for counted in of_kind[GAP].values():
        rows = counted.rows()
        of_rows: Sampling = {**how, "counts": rows["counts"]}
        yield Key("hidden_probability_gap", head), metrics.mean(rows["scores"], **of_rows)
        for group, result in counted.mean_by_group(**how).items():
            yield Key("hidden_probability_gap", head, "", group), result


def _loss(counted: ScoreCounts, how: Sampling) -> Result:
    """Return the mean loss of all images, with that of each group."""
    rows = counted.rows()
    of_rows: Sampling = {**how, "counts": rows["counts"]}
    losses = rows["scores"] * WORST
    if rows["groups"] is None:
        return metrics.mean(losses, **of_rows)
    return metrics.score_gap(losses, rows["groups"], **of_rows).by_group


def bound(models: Sequence[Samples]) -> Iterator[str]:
    """Yield how far figures of counted scores are from those of the images, at most."""
    grids = [(of, counted, model) for model in models for of, counted in model.grids.items()]
    if not grids:
        return
    off: dict[str, list[float]] = {}
    for of, counted, model in grids:
        if of.kind == LABEL:
            many = model.truth.schema.is_many(of.head)
            for name in ("average_precision", "roc_auc") if many else ("roc_auc",):
                result = getattr(counted, name)(replicates=0)
                off.setdefault(name, []).append(_furthest(result))
            if of.attribute and len(model.truth.schema.labels(of.head)) == 2:
                off.setdefault("abroca", []).append(_of_two_groups(result))
    within = [f"{_BOUNDED[name]} {_rounded_up(max(each)):.1g}" for name, each in off.items()]
    yield (
        f"scores were counted on a grid of {max(counted.grid for _, counted, _ in grids):,} cells: "
        "calibration errors, log loss and gaps between probabilities are those of the pictures"
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


def _of_two_groups(areas: BoundedResult) -> float:
    """Return how far the bounds of areas of two groups are apart, taken together, at most."""
    if areas.pairs is None:
        return 0
    apart = np.nan_to_num((areas.pairs["highest"] - areas.pairs["lowest"]).to_numpy(float))
    return float(np.sort(apart)[-2:].sum())


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
    areas = {label: of.roc_auc(**how) for label, of in of_labels.items()}
    yield Key("roc_auc", "", task), replace(_mean(areas), pairs=None)


def _areas(task: str, by_attribute: Mapping[str, Mapping[str, Result]]) -> Computed:
    """Yield areas of all images, by the groups of each attribute, and the gaps between these."""
    for place, (attribute, areas) in enumerate(by_attribute.items()):
        whole = _mean(areas)
        if len(areas) == 1:
            (whole,) = areas.values()
        else:
            tables = [
                of.pairs.assign(label=label) for label, of in areas.items() if of.pairs is not None
            ]
            whole = replace(whole, pairs=pd.concat(tables))
        if not place:
            yield Key("roc_auc", "", task), replace(whole, pairs=None)
        if attribute:
            yield Key("roc_auc", attribute, task), whole
            gaps = {label: metrics.gap(of) for label, of in areas.items()}
            gap = _mean(gaps) if len(gaps) > 1 else next(iter(gaps.values()))
            yield Key("roc_auc_gap", attribute, task), gap


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
