"""Many figures at once: intervals that all hold together, and p-values that allow for their number.

About one in twenty 95% intervals misses the truth, so of many some do. Intervals that are wide
enough hold the truth all together in 95 of 100 data sets.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np

from fairvision.errors import InputError
from fairvision.metrics._engine.joint import corrected, p_values, stretched, widening
from fairvision.metrics._engine.result import Result, recipe_of

_Name = TypeVar("_Name", bound=Hashable)


def simultaneous(results: Mapping[_Name, Result]) -> dict[_Name, Result]:
    """Widen the intervals of results so that all of them hold together.

    With t the largest deviation of any of the figures from its value in a resample, each divided by
    its standard deviation over the resamples, all intervals are stretched by the `confidence`
    quantile of t over that of a single figure (max-t; a single-step procedure). Where figures vary
    together, as those of one model do, that is less than by the rule of Bonferroni. Figures that do
    not vary, or are undefined, take no part in t; their intervals are stretched too.

    Parameters
    ----------
    results : of the same rows, by any names
        Drawn with `joint=True`: otherwise measures of different columns are drawn independently of
        each other, and the intervals are somewhat wider than they need to be.

    Returns
    -------
    dict
        The same results; `low` and `high` are stretched by the same factor, at least 1. `pairs` are
        as they were.

    Raises
    ------
    InputError
        Results have different numbers of replicates, or different confidence.

    References
    ----------
    P. H. Westfall and S. S. Young, "Resampling-Based Multiple Testing", 1993, section 2.6;
    T. Hothorn, F. Bretz and P. Westfall, "Simultaneous Inference in General Parametric Models",
    Biometrical Journal 50, 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from fairvision import metrics
    >>> right = np.random.default_rng(0).integers(2, size=(200, 10))
    >>> results = {i: metrics.mean(column, joint=True) for i, column in enumerate(right.T)}
    >>> wide = metrics.simultaneous(results)
    >>> widths = [(of[0].high - of[0].low) for of in (results, wide)]
    >>> round(widths[1] / widths[0], 1)
    1.4
    """
    factor = factor_of(results)
    wide: dict[_Name, Result] = {}
    for name, of in results.items():
        low, high = stretched(np.array(of.value), np.array(of.low), np.array(of.high), factor)
        wide[name] = replace(of, low=float(low), high=float(high))
    return wide


def factor_of(results: Mapping[_Name, Result]) -> float:
    """Return by what `simultaneous` stretches intervals, 1 or more.

    Examples
    --------
    >>> from fairvision import metrics
    >>> factor_of({"alone": metrics.mean([0, 1, 1, 0])})
    1.0
    """
    recipes = [recipe_of(result) for result in results.values()]
    if len({(r.sample.drawing.replicates, r.sample.drawing.confidence) for r in recipes}) > 1:
        raise InputError("results hold together with the same replicates and the same confidence")
    if not recipes:
        return 1.0
    together = np.concatenate([recipe.estimates[:1] for recipe in recipes])
    return widening(together, recipes[0].sample.drawing.confidence)


def holm(results: Mapping[_Name, Result], *, against: float = 0.0) -> dict[_Name, float]:
    """Return p-values that each figure is not `against`, corrected for their number by Holm.

    The p-value of one figure is two-sided, and is what its interval says: that of a normal
    distribution whose interval reaches as far towards `against`. The k-th smallest of m is
    multiplied by m − k + 1. Whatever the dependence, the probability that any figure that truly is
    `against` has one below 0.05 is at most 0.05.

    Parameters
    ----------
    results : by any names, with intervals that are not simultaneous
    against : the figure that would show nothing

    Returns
    -------
    dict
        In [0, 1]; NaN where a figure is undefined or has no interval. Those are not counted in m.

    References
    ----------
    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 6, 1979.

    Examples
    --------
    >>> from fairvision import metrics
    >>> rng = __import__("numpy").random.default_rng(0)
    >>> p = metrics.holm({name: metrics.mean(rng.normal(name, 1, 50)) for name in (0, 0.4, 1)})
    >>> {name: round(value, 2) for name, value in p.items()}
    {0: 0.31, 0.4: 0.0, 1: 0.0}
    """
    each = [_p_value(result, against) for result in results.values()]
    return dict(zip(results, map(float, corrected(np.array(each, float)))))


def _p_value(result: Result, against: float) -> float:
    """Return the two-sided p-value that the interval of a result says."""
    value, low, high = (np.array(end, float) for end in (result.value, result.low, result.high))
    confidence = recipe_of(result).sample.drawing.confidence if np.isfinite(result.low) else 0.95
    return float(p_values(value, low, high, confidence=confidence, against=against))
