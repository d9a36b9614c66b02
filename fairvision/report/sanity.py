"""What sanity checks of evidence expect, whether a figure meets it, and how the page shows that."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from fairvision.results.figures import Figure, Figures, read

FEW = 5
"""From fewer images, or networks, nothing is concluded."""


class Check(NamedTuple):
    """What a figure is and what is expected of it.

    Attributes
    ----------
    name, meaning : in words
    expected : "zero" (the interval includes 0, or the value is off by no more than the margin),
        "above" or "below" (the interval lies above or below 0); "" where nothing is
    margin : of "zero"
    unit : of the figure
    """

    name: str
    meaning: str
    expected: str = ""
    margin: float = 0.0
    unit: str = "difference"


CHECKS = {
    "sanity_random_maps": Check(
        "Random maps",
        "each map moved to random places: evidence on the person minus the person’s area",
        "zero",
        0.05,
    ),
    "sanity_shuffled_masks": Check(
        "Shuffled masks",
        "each map against the people of all other pictures, minus their area; above 0, maps and "
        "people favour the same places, such as the middle",
        "zero",
        0.05,
    ),
    "sanity_own_masks": Check(
        "Own masks beyond shuffled ones",
        "how much more evidence lies on the person than would by favouring the same places alone",
    ),
    "sanity_randomised_localisation": Check(
        "Randomised networks",
        "all weights shuffled: evidence on the person minus that on the people of other pictures; "
        "n counts networks",
        "zero",
        0.05,
    ),
    "sanity_randomised_correlation": Check(
        "Maps depend on the weights",
        "rank correlation with the maps of the network after all its weights were shuffled",
        "zero",
        0.5,
        "number",
    ),
    "sanity_cascade": Check(
        "Cascade",
        "rank correlation with the maps after only the upper layers were shuffled",
        unit="number",
    ),
    "sanity_insertion": Check(
        "Insertion",
        "area under the probability as pixels come in, most evidence first, minus that of the same "
        "map moved to a random place",
        "above",
    ),
    "sanity_deletion": Check(
        "Deletion",
        "area under the probability as pixels go, most evidence first, minus that of the same map "
        "moved to a random place",
        "below",
    ),
    "sanity_infidelity": Check(
        "Infidelity",
        "mean squared error of the map’s account of hidden squares, in squared logits; 0 is exact",
        unit="number",
    ),
    "sanity_sensitivity": Check(
        "Sensitivity",
        "largest change of the map under small noise, over its size; 0 is steady",
        unit="number",
    ),
}
_EXPECTED = {
    "zero": "0, or within ±{margin:g}",
    "above": "above 0",
    "below": "below 0",
    "": "",
}


def status(check: Check, figure: Figure) -> str:
    """Return "pass", "fail", "unclear" (undefined, or too few), or "" where nothing is expected.

    >>> status(CHECKS["sanity_random_maps"], Figure(0.2, 0.1, 0.3, 50))
    'fail'
    >>> status(CHECKS["sanity_random_maps"], Figure(0.2, -0.1, 0.3, 50))
    'pass'
    """
    if not check.expected:
        return ""
    if not figure.defined or figure.n < FEW:
        return "unclear"
    if check.expected == "zero":
        met = figure.low <= 0 <= figure.high or abs(figure.value) <= check.margin
        return "pass" if met else "fail"
    sign = 1 if check.expected == "above" else -1
    low, high = sorted((sign * figure.low, sign * figure.high))
    return "pass" if low > 0 else "fail" if high < 0 else "unclear"


def section(figures: Figures) -> list[dict[str, Any]]:
    """Return the checks of each attribute and model that an audit made, for the page."""
    parts = []
    for attribute in figures.attributes:
        for model in figures.models:
            rows = [
                {
                    "name": check.name,
                    "label": key[5].replace("_", " "),
                    "meaning": check.meaning,
                    "expected": _EXPECTED[check.expected].format(margin=check.margin),
                    "figure": figure,
                    "status": status(check, figure),
                }
                for metric, check in CHECKS.items()
                for key, figure in figures.table.items()
                if key[:4] == (model, metric, attribute, "")
            ]
            if rows:
                parts.append({"attribute": attribute, "model": model, "rows": rows})
    return parts


def lines(metrics: pd.DataFrame) -> list[str]:
    """Return the checks as lines for a terminal, without those of which nothing is expected.

    Parameters
    ----------
    metrics : the metrics table of an audit; without checks there are no lines
    """
    models = list(metrics.loc[metrics["metric"].isin(CHECKS), "model"].unique())
    return [
        f"{row['status']:<8}{part['model']}, {part['attribute']}: {row['name']}"
        + (f" ({row['label']})" if row["label"] else "")
        + f" {row['figure']} ({row['figure'].interval}, n = {row['figure'].n}); expected: "
        + row["expected"]
        for part in section(read(metrics, models))
        for row in part["rows"]
        if row["status"]
    ]
