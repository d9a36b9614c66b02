"""The figures behind all findings of an audit, with intervals that hold together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fairvision import metrics
from fairvision.metrics import Result
from fairvision.metrics.together import factor_of
from fairvision.results.figures import CONFIDENCE, Key
from fairvision.results.findings import ANSWERING, id_of

Figures = dict[str, dict[Key, Result]]
"""Results of each model, and of differences between models."""


@dataclass(frozen=True)
class Together:
    """How intervals were made to hold together.

    Attributes
    ----------
    figures : how many of them
    factor : by what each interval is wider than by itself
    p : of each finding, by its id, the p-value that it is not zero, corrected by Holm
    """

    figures: int
    factor: float
    p: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Return the form in which `audit.json` holds it; what is undefined is null."""
        p = {name: None if math.isnan(value) else value for name, value in self.p.items()}
        return {"figures": self.figures, "factor": self.factor, "p": p}

    @property
    def caution(self) -> str:
        """What to know of the intervals.

        >>> Together(12, 1.361).caution
        'the intervals of the 12 figures behind the findings hold together in 95% of cases: ...'
        """
        return (
            f"the intervals of the {self.figures} figures behind the findings hold together in "
            f"{CONFIDENCE:.0%} of cases: each is {self.factor:.2f} times as wide as by itself. "
            "All other intervals are by themselves"
        )


def hold_together(computed: Figures, models: Sequence[str]) -> tuple[Figures, Together]:
    """Return results, those behind findings with intervals that hold together, and how.

    Parameters
    ----------
    computed : drawn with `joint=True`
    models : names, without differences between models
    """
    family = {
        (model, key): result
        for model in models
        for key, result in computed[model].items()
        if key.metric in ANSWERING and not key.group and not key.label and result == result
    }
    wide = metrics.simultaneous(family)
    changed = {
        model: {key: wide.get((model, key), result) for key, result in results.items()}
        for model, results in computed.items()
    }
    p = {
        id_of(model, key.metric, key.attribute, key.task): value
        for (model, key), value in metrics.holm(family).items()
    }
    return changed, Together(len(family), factor_of(family), p)
