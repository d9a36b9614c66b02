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
