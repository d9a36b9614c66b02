"""What sanity checks of evidence expect, and whether a figure meets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fairvision.results.figures import Figure, Figures, read
from fairvision.results.metric import Expectation, Metric
from fairvision.results.registry import registered

FEW = 5
"""From fewer images, or networks, nothing is concluded."""

CheckStatus = Literal["pass", "fail", "unclear", ""]

_WORDS = {"zero": "0, or within ±{margin:g}", "above": "above 0", "below": "below 0"}


@dataclass(frozen=True)
class Check:
    """A sanity check of one model.

    Attributes
    ----------
    metric : what was measured, and what is expected of it
    label : of which measure, or of how many layers
    figure : what was found
    """

    metric: Metric
    label: str
    figure: Figure

    @property
    def expected(self) -> str:
        """What is expected, in words; empty where nothing is."""
        expected = self.metric.expected
        return _WORDS[expected.sign].format(margin=expected.margin) if expected else ""

    @property
    def status(self) -> CheckStatus:
        """Whether the figure is as expected."""
        return status(self.metric.expected, self.figure)


@dataclass(frozen=True)
class Checks:
    """The sanity checks of one model for one attribute."""

    attribute: str
    model: str
    rows: list[Check]


def status(expected: Expectation | None, figure: Figure) -> CheckStatus:
    """Return "pass", "fail", "unclear" (undefined, or too few), or "" where nothing is expected.

    >>> status(Expectation("zero", 0.05), Figure(0.2, 0.1, 0.3, 50))
    'fail'
    >>> status(Expectation("zero", 0.05), Figure(0.2, -0.1, 0.3, 50))
    'pass'
    """
    if expected is None:
        return ""
    if not figure.defined or figure.n < FEW:
        return "unclear"
    if expected.sign == "zero":
        met = figure.low <= 0 <= figure.high or abs(figure.value) <= expected.margin
        return "pass" if met else "fail"
    sign = 1 if expected.sign == "above" else -1
    low, high = sorted((sign * figure.low, sign * figure.high))
    return "pass" if low > 0 else "fail" if high < 0 else "unclear"


def checks(figures: Figures) -> list[Checks]:
    """Return the checks of each attribute and model that an audit made."""
    made = [
        Checks(
            attribute,
            model,
            [
                Check(metric, key.label.replace("_", " "), figure)
                for metric in _sanity_metrics()
                for (of_model, key), figure in figures.table.items()
                if (of_model, *key[:3]) == (model, metric.name, attribute, "")
            ],
        )
        for attribute in figures.attributes
        for model in figures.models
    ]
    return [part for part in made if part.rows]


def check_lines(metrics: pd.DataFrame, *, passed: bool = True) -> list[str]:
    """Return the checks as lines for a terminal, without those of which nothing is expected.

    Parameters
    ----------
    metrics : the metrics table of an audit; without checks there are no lines
    passed : also those that were passed or are unclear; else only those that failed
    """
    names = [metric.name for metric in _sanity_metrics()]
    models = list(metrics.loc[metrics["metric"].isin(names), "model"].unique())
    return [
        f"{row.status:<8}{part.model}, {part.attribute}: {row.metric.title}"
        + (f" ({row.label})" if row.label else "")
        + f" {row.figure.sentence()}; expected: {row.expected}"
        for part in checks(read(metrics, models))
        for row in part.rows
        if row.status and (passed or row.status == "fail")
    ]


def _sanity_metrics() -> list[Metric]:
    """Return the registered metrics that check the maps themselves."""
    return [metric for name, metric in registered().items() if name.startswith("sanity_")]
