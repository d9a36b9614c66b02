"""Figures of scores by group, and accuracies beside all pictures or a chosen group.

They are there at every size. Values are exact: from scores that are put in order once. Intervals of
up to 10,000 pictures times labels are from resamples that put scores in order again; of more, from
resamples of what the figures are means of: placements among the pictures of the other kind, losses,
and of areas between curves the numbers of pictures in bins (`metrics/_engine/blocks.py`,
`placements.py`, `binned_curves.py`). So they cost time in proportion to pictures and labels, models
are paired, and clusters hold. Tables too large to be held are counted: `counted_score_figures.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from fairvision import metrics
from fairvision.auditing.inputs import Inputs, correct, named, predicted
from fairvision.core.suggestions import did_you_mean
from fairvision.datasets import Dataset
from fairvision.errors import InputError, shown
from fairvision.metrics import Result
from fairvision.results.figures import Computed, Key
from fairvision.results.metric import Names

MOST_GROUPS = 5  # each two of which have an area between their curves in every resample


def check_reference(reference: str, truth: Dataset) -> None:
    """Raise unless a reference group, "" for none, is a group of an attribute."""
    groups = [group for of in truth.attributes.values() for group in of]
    if reference and reference not in groups:
        meant = did_you_mean(reference, groups)
        listed = "" if meant else f": they are {', '.join(groups)}" if groups else ""
        raise InputError(
            f"reference {shown(reference)} is no group of these pictures{meant or listed}"
        )


def beside_figures(inputs: Inputs) -> Computed:
    """Yield accuracies of groups beside that of all pictures, and of the reference group."""
    head = inputs.task or inputs.attribute
    predictions = predicted(inputs.samples, head)
    if predictions is None:
        return
    codes = inputs.truth.targets(head) if inputs.task else inputs.truth.codes(head)
    right = correct(inputs.samples, codes, predictions)
    by_group = metrics.score_gap(right, inputs.groups, **inputs.sampling).by_group
    about = inputs.attribute, inputs.task
    yield Key("accuracy_to_overall", *about), metrics.gap(by_group, method="to_overall")
    if inputs.reference in inputs.truth.attributes[inputs.attribute]:
        result = metrics.gap(by_group, reference=inputs.reference)
        yield Key("accuracy_to_reference", *about), result


def score_figures(inputs: Inputs) -> Computed:
    """Yield areas under ROC curves, log loss and the largest calibration error.

    Of a task, of all pictures and by the groups of each attribute, and of two labels also the area
    between the curves of groups; of an attribute by its groups, without areas: each of these has
    pictures of one kind only.
    """
    truth, head = inputs.truth, inputs.task or inputs.attribute
    probabilities = inputs.samples.probabilities("score", head)
    if probabilities is None:
        return
    labels, many = list(truth.schema.labels(head)), truth.schema.is_many(head)
    targets, scores = named(truth, head), pd.DataFrame(probabilities, columns=labels)
    two = len(labels) == 2 and not many
    yield from _by_groups(
        "calibration_error_max",
        lambda groups: metrics.calibration_error(
            targets, scores, groups, norm="max", **inputs.sampling
        ),
        inputs,
        alone=many,
    )

    def log_loss(groups: Names) -> Result:
        return metrics.log_loss(targets, scores, groups, **inputs.sampling)

    yield from _by_groups("log_loss", log_loss, inputs)
    if not inputs.task:
        return
    against = (truth.targets(head), scores[labels[1]]) if two else (targets, scores)

    def roc_auc(groups: Names) -> Result:
        return metrics.roc_auc(against[0], against[1], groups, **inputs.sampling)

    for key, result in _by_groups("roc_auc", roc_auc, inputs):
        yield key, result
        if key.attribute:
            yield key._replace(metric="roc_auc_gap"), metrics.gap(result)
            if two and len(truth.attributes[key.attribute]) <= MOST_GROUPS:
                groups = named(truth, key.attribute)
                between = metrics.abroca(against[0], against[1], groups, **inputs.sampling)
                yield key._replace(metric="abroca"), replace(between, pairs=None)


def _by_groups(
    name: str, measure: Callable[[Names], Result], inputs: Inputs, *, alone: bool = False
) -> Computed:
    """Yield a figure of all pictures, and by the groups of each attribute unless it is alone."""
    attributes = (
        [] if alone else list(inputs.truth.attributes if inputs.task else [inputs.attribute])
    )
    results = [measure(named(inputs.truth, attribute)) for attribute in attributes]
    if inputs.task:
        whole = results[0] if results else measure(None)
        yield Key(name, "", inputs.task), replace(whole, pairs=None)
    for attribute, result in zip(attributes, results):
        yield Key(name, attribute, inputs.task), result
