"""Thresholds per group from scores and truth, by fairlearn."""

from __future__ import annotations

import numpy as np
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator

from fairvision.errors import InputError
from fairvision.runs.thresholds import ALWAYS, NEVER, Interpolation


def learn(
    scores: np.ndarray, holds: np.ndarray, groups: np.ndarray, *, constraint: str, objective: str
) -> dict[int, Interpolation]:
    """Return each group's thresholds for a label, as `ThresholdOptimizer` finds them.

    Parameters
    ----------
    scores : (n,) probabilities of the label
    holds : (n,) whether it does; in every group some do and some do not
    groups : (n,) codes
    constraint, objective : as fairlearn names them

    Raises
    ------
    InputError
        If a score is not finite.

    Examples
    --------
    >>> scores = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    >>> holds = np.array([False, False, True, True] * 2)
    >>> found = learn(scores, holds, np.repeat([0, 1], 4), constraint="equalized_odds",
    ...               objective="accuracy_score")
    >>> [found[group].threshold(np.array([0.5])).round(2).tolist() for group in found]
    [[0.25], [0.75]]
    """
    if not np.isfinite(scores).all():
        raise InputError("thresholds cannot be learnt: a score of the network is not finite")
    optimizer = ThresholdOptimizer(
        estimator=_Scores(),
        constraints=constraint,
        objective=objective,
        prefit=True,
        predict_method="predict",
    )
    values = scores.astype(np.float64)[:, None]
    optimizer.fit(values, holds.astype(int), sensitive_features=groups)
    found = optimizer.interpolated_thresholder_.interpolation_dict
    return {int(group): _interpolation(told) for group, told in found.items()}


class _Scores(BaseEstimator):
    """What fairlearn takes for a fitted estimator: its input is the scores already."""

    def fit(self, scores: np.ndarray, holds: np.ndarray | None = None) -> _Scores:
        """Learn nothing."""
        return self

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """Return the scores (n,) of a table with one column."""
        return np.asarray(scores)[:, 0]

    def __sklearn_is_fitted__(self) -> bool:
        return True


def _interpolation(told: dict) -> Interpolation:
    numbers = {"p0": told["p0"], "p1": told["p1"]}
    numbers |= {name: told[name] for name in ("p_ignore", "prediction_constant") if name in told}
    return Interpolation(
        # Beyond the ends, as probabilities are in [0, 1] and JSON has no infinity.
        threshold0=float(np.clip(told["operation0"].threshold, ALWAYS, NEVER)),
        threshold1=float(np.clip(told["operation1"].threshold, ALWAYS, NEVER)),
        **{name: float(np.clip(number, 0, 1)) for name, number in numbers.items()},
    )
