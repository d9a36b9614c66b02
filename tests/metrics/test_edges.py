"""Intervals of every measure on few images, where much is undefined, 0 or 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from every_measure import MEASURES, Columns, rows

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics import Result

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")

_ROUNDING = 1e-9


def _few(seed: int) -> Columns:
    train = {f"train_{name}": column for name, column in rows(seed=seed + 100, n=20).items()}
    return rows(seed=seed, n=(3, 6, 12, 25)[seed % 4]) | train


def _check(result: Result) -> None:
    """Raise unless each interval holds its figure, or is NaN."""
    ends = ["value", "low", "high"]
    table = pd.DataFrame([{name: getattr(result, name) for name in ends}])
    pairs = pd.DataFrame() if result.pairs is None else result.pairs.reindex(columns=ends)
    value, low, high = pd.concat([table, pairs]).to_numpy(float).T
    assert not np.isinf([low, high]).any()
    np.testing.assert_array_equal(np.isnan(low), np.isnan(high))
    assert np.isnan(low[np.isnan(value)]).all()
    defined = ~np.isnan(low)
    assert (low[defined] <= value[defined] + _ROUNDING).all()
    assert (value[defined] <= high[defined] + _ROUNDING).all()


@pytest.mark.parametrize("case", MEASURES)
def test_intervals_hold_their_figure_or_are_undefined(case: str) -> None:
    measure, arguments = MEASURES[case]
    for seed in range(4 if "multi" in case else 12):
        columns = _few(seed)
        try:
            result = measure(**{name: columns[of] for name, of in arguments.items()}, replicates=40)
        except InputError:  # k of so few images, no group
            continue
        _check(result)


@pytest.mark.parametrize("contrast", [metrics.gap, metrics.group_ratio])
@pytest.mark.parametrize("base", [{}, {"reference": "m"}, {"method": "to_overall"}])
@pytest.mark.parametrize("rate", ["precision", "false_positive_rate", "accuracy", "f1_score"])
def test_intervals_of_groups_hold_their_figure_or_are_undefined(
    contrast: Callable[..., Result], base: dict[str, str], rate: str
) -> None:
    for seed in range(12):
        columns = _few(seed)
        if "m" not in {*columns["group"]}:
            continue
        given = columns["label"], columns["pred_label"], columns["group"]
        _check(contrast(getattr(metrics, rate)(*given, replicates=40), **base))
