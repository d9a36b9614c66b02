"""What to know of figures that rest on masks which a network predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from fairvision.auditing.tables import Samples
from fairvision.results.words import listed
from fairvision.schema import UNKNOWN

RESTING = (
    *("hidden_accuracy", "hidden_probability_gap", "person_accuracy", "person_effect"),
    *("holds", "swapped_accuracy", "same_swapped_accuracy", "background_gap", "others_here"),
    *("pointing_game", "relevance_mass", "pointing_game_lift", "relevance_mass_lift"),
)
"""Figures by group that rest on masks of people."""
GAPS = (
    *("holds_gap", "pointing_game_gap", "relevance_mass_gap"),
    *("pointing_game_lift_gap", "relevance_mass_lift_gap"),
)
"""Gaps between groups of an attribute in such figures."""
OF_TASKS = ("person_effect_gap",)
"""The same of an attribute and a task."""


def with_gap_of_masks(models: Sequence[Samples], metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics table, in which gaps that rest on predicted masks allow for these.

    Masks that fit one group worse make figures of it differ for that alone. So the intervals of
    these gaps reach further, to both sides, by the gap of the masks' own IoU: a gap that is smaller
    is never shown. Differences between models, which are asked about the same masks, stay.

    Parameters
    ----------
    models : samples of the same images
    metrics : the metrics table
    """
    predicted = models[0].truth.predicted_masks
    if predicted is None:
        return metrics
    metrics, names = metrics.copy(), [model.model for model in models]
    rests = metrics["metric"].isin(GAPS) & (metrics["task"] == "")
    rests |= metrics["metric"].isin(OF_TASKS)
    rests &= metrics["model"].isin(names)
    for attribute in models[0].truth.attributes:
        gap = predicted.gap(attribute)
        if gap is not None:
            rows = rests & (metrics["attribute"] == attribute)
            metrics.loc[rows, "low"] -= gap.value
            metrics.loc[rows, "high"] += gap.value
    return metrics


def predicted_masks(models: Sequence[Samples], metrics: pd.DataFrame) -> Iterator[str]:
    """Yield that masks are predicted, and which gaps are smaller than the gap of the masks' own.

    Where masks fit one group worse, figures of this group differ for that alone: a smaller gap
    between groups is not shown.

    Parameters
    ----------
    models : samples of the same images
    metrics : the metrics table
    """
    predicted = models[0].truth.predicted_masks
    figures = metrics[metrics["metric"].isin(RESTING) & metrics["value"].notna()]
    if predicted is None or not len(figures):
        return
    yield from predicted.lines()
    figures = figures[(figures["label"] == "") & ~figures["group"].isin(["", UNKNOWN])]
    for attribute in models[0].truth.attributes:
        gap = predicted.gap(attribute)
        if gap is None:
            continue
        widened = metrics["metric"].isin([*GAPS, *OF_TASKS]) & (metrics["attribute"] == attribute)
        if widened.any():
            yield (
                f"{attribute}: intervals of gaps between groups in figures that rest on masks "
                f"reach {gap.value:.3f} further to both sides, as much as the masks' own IoU "
                "differs between groups"
            )
        for model in models:
            of_model = figures[
                (figures["model"] == model.model)
                & (figures["attribute"] == attribute)
                & (figures["task"] == "")
            ]
            values = of_model.groupby("metric", sort=False)["value"]
            apart = (values.max() - values.min())[values.count() > 1]
            small = apart[apart < gap.value]
            if len(small):
                named = listed([f"{metric} {value:.3f}" for metric, value in small.items()])
                yield (
                    f"{attribute}, {model.model}: gaps between groups that are smaller than that "
                    f"of the masks' own IoU, {gap}, are not shown by these masks: {named}"
                )
