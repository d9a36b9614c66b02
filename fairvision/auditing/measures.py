"""From samples tables to the metrics table: which figures are computed, and in which order."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision import metrics
from fairvision.auditing.amplification_figures import attack_figures, context_figures, set_figures
from fairvision.auditing.cause_figures import cause_figures
from fairvision.auditing.counted_score_figures import FIGURES, counted_score_figures
from fairvision.auditing.counterfactual_figures import counterfactual_figures
from fairvision.auditing.coverage import coverage_figures
from fairvision.auditing.evidence_figures import cell_figures, evidence_figures, judged
from fairvision.auditing.inputs import Inputs, Training, correct, predicted
from fairvision.auditing.person_effect import person_effect_figures, without_person_figures
from fairvision.auditing.score_figures import beside_figures, score_figures
from fairvision.auditing.tables import Samples
from fairvision.auditing.task_evidence_figures import judged_objects, task_evidence_figures
from fairvision.auditing.task_figures import calibration_figures, task_figures
from fairvision.auditing.true_groups import accuracy_by_group
from fairvision.datasets import Dataset
from fairvision.errors import FairvisionWarning, InputError, is_of_memory
from fairvision.metrics import Sampling
from fairvision.results.figures import (
    CONFIDENCE,
    Computed,
    Key,
    difference_of,
    differences,
    tabulate,
)
from fairvision.results.metric import Compute
from fairvision.results.registry import registered
from fairvision.results.sections import Scope
from fairvision.results.together import Figures, Together, hold_together


def measure(models: Sequence[Samples], reference: Dataset | None, **how: Any) -> pd.DataFrame:
    """Return the metrics table; see `measure_together`, without intervals that hold together."""
    table, _ = measure_together(models, reference, **how)
    return table


def measure_together(
    models: Sequence[Samples],
    reference: Dataset | None,
    *,
    train_counts: npt.NDArray[np.int64] | None = None,
    replicates: int = 1000,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    cluster: npt.NDArray[np.int64] | None = None,
    simultaneous: bool = False,
    noise: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    reference_group: str = "",
) -> tuple[pd.DataFrame, Together | None]:
    """Compute every figure that the samples allow, and the differences from the first model.

    Parameters
    ----------
    models : samples of the same images in the same order, or counted jointly
    reference : truth of the training split, or None, and amplification is left out
    train_counts : images that each row of `reference` stands for; None for one each
    replicates, confidence, seed : of the bootstrap; one seed pairs the models
    cluster : (n,) codes, what is resampled instead of images; None for these
    simultaneous : whether the intervals behind findings hold together
    noise : of attributes whose groups are observed with errors, what `metrics.noisy_groups` is told
        of these
    reference_group : whose accuracy those of others are compared with; "" for none

    Returns
    -------
    the metrics table of docs/design.md, with empty keys as "", where undefined figures are NaN; and
    how intervals were made to hold together
    """
    sampling: Sampling = {"replicates": replicates, "confidence": confidence, "seed": seed}
    if models[0].counts is not None:
        sampling["counts"] = models[0].counts
    if cluster is not None:
        sampling["cluster"] = cluster
    if simultaneous:
        sampling["joint"] = True
    training = None if reference is None else Training(reference, train_counts)
    with warnings.catch_warnings():  # of small groups: `cautions` says it once
        warnings.filterwarnings("ignore", "figures that rest on fewer", FairvisionWarning)
        warnings.filterwarnings("ignore", "there are only", FairvisionWarning)  # clusters, too
        warnings.filterwarnings("ignore", "labels are the texts", FairvisionWarning)  # each is told
        also: Any = {"noise": noise, "reference": reference_group}
        computed = _computed_of([Inputs(model, training, sampling, **also) for model in models])
    together = None
    if simultaneous:
        computed, together = hold_together(computed, [model.model for model in models])
    table = tabulate(
        (model, key, result)
        for model, results in computed.items()
        for key, result in results.items()
    )
    return table, together


def _computed_of(models: Sequence[Inputs]) -> Figures:
    """Return all models' figures and their differences to the first."""
    first, *others = models
    computed = {inputs.samples.model: dict(_figures(inputs)) for inputs in models}
    name = first.samples.model
    for other in others:
        ours, theirs = dict(computed[name]), dict(computed[other.samples.model])
        for attribute in first.truth.attributes:
            both = judged(first.samples, attribute) & judged(other.samples, attribute)
            for inputs, results in ((first, ours), (other, theirs)):
                if (both != judged(inputs.samples, attribute)).any():
                    results |= dict(evidence_figures(inputs.of(attribute), both))
        for task in first.truth.tasks:
            both = judged_objects(first.samples, task) & judged_objects(other.samples, task)
            for inputs, results in ((first, ours), (other, theirs)):
                if (both != judged_objects(inputs.samples, task)).any():
                    for attribute in ("", *first.truth.attributes):
                        results |= dict(task_evidence_figures(inputs.of(attribute, task), both))
        if first.samples.grids:  # which do not say what both models make of an image
            ours = {key: result for key, result in ours.items() if key.metric not in FIGURES}
        change = difference_of(name, other.samples.model)
        computed[change] = dict(differences(ours, theirs))
    return computed


def _figures(inputs: Inputs) -> Computed:
    """Yield all figures of one model: by attribute, by task, by both, and of the whole."""
    attributes, tasks = inputs.truth.attributes, inputs.truth.tasks
    for attribute in attributes:
        yield from _compute("attribute", inputs.of(attribute))
        for task in tasks:
            yield from _compute("attribute and task", inputs.of(attribute, task))
        yield from set_figures(inputs.of(attribute))
    for task in tasks:
        yield from _compute("task", inputs.of(task=task))
    yield from coverage_figures(inputs)


def attribute_figures(inputs: Inputs) -> Computed:
    """Yield how often an attribute is right: as it is, with the person hidden, and alone."""
    model, attribute = inputs.samples, inputs.attribute
    truth = inputs.truth.codes(attribute)
    predictions = predicted(model, attribute)
    if predictions is not None:
        right = correct(model, truth, predictions)
        yield Key("accuracy", attribute), inputs.mean(right)
        yield Key("error", attribute), inputs.mean(1 - right)
        yield from accuracy_by_group(inputs, right)
        groups = inputs.truth.attributes[attribute]
        result = metrics.confusion(truth, predictions, groups=groups, **inputs.sampling)
        yield Key("confusion", attribute), result
        yield from calibration_figures(inputs)
    for kind in ("hidden", "person"):
        predictions = predicted(model, attribute, kind)
        if predictions is not None:
            yield from inputs.by_group(f"{kind}_accuracy", metrics.correct(truth, predictions))
    scores = model.probabilities("hidden", attribute)
    if scores is not None:
        yield from inputs.by_group("hidden_probability_gap", metrics.probability_gap(scores))


def registered_figures(inputs: Inputs) -> Computed:
    """Yield the metrics of this scope that say in the register how they are computed."""
    scope: Scope = "task" if inputs.task else "attribute"
    if inputs.attribute and inputs.task:
        scope = "attribute and task"
    for metric in registered().values():
        if metric.compute is not None and metric.scope == scope:
            result = _computed(metric.name, metric.compute, inputs)
            if result is not None:
                yield Key(metric.name, inputs.attribute, inputs.task), result


def _computed(name: str, compute: Compute, inputs: Inputs) -> metrics.Result | None:
    """Return what a metric computes; `InputError` names one that fails."""
    try:
        result = compute(inputs)
    except Exception as error:
        if isinstance(error, InputError) or is_of_memory(error):
            raise
        raise InputError(
            f"metric {name!r} cannot be computed: {type(error).__name__}: {error}: mend it, or do "
            "not register it"
        ) from error
    if result is not None and not isinstance(result, metrics.Result):
        raise InputError(
            f"metric {name!r} is computed as a {type(result).__name__}: return a "
            "fairvision.metrics.Result, or None"
        )
    return result


FAMILIES: dict[Scope, tuple[Callable[[Inputs], Computed], ...]] = {
    "attribute": (
        attribute_figures,
        cause_figures,
        evidence_figures,
        cell_figures,
        counterfactual_figures,
        beside_figures,
        score_figures,
        counted_score_figures,
        registered_figures,
    ),
    "attribute and task": (
        beside_figures,
        context_figures,
        counterfactual_figures,
        task_evidence_figures,
        person_effect_figures,
        without_person_figures,
        registered_figures,
        attack_figures,
    ),
    "task": (
        task_figures,
        score_figures,
        counted_score_figures,
        counterfactual_figures,
        task_evidence_figures,
        person_effect_figures,
        without_person_figures,
        registered_figures,
    ),
}
"""What is computed for each attribute, task, or pair of both, in the order of the table."""


def _compute(scope: Scope, inputs: Inputs) -> Computed:
    """Yield the figures of every family that belongs to a scope."""
    for figures in FAMILIES[scope]:
        yield from figures(inputs)
