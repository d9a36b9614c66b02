"""Gaps whose groups never vary in resamples have the interval of both groups' own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fairvision import metrics

pytestmark = pytest.mark.filterwarnings("ignore:figures that rest on fewer")


def newcombe(right: int, of: int, other_right: int, of_other: int) -> tuple[float, float]:
    """Newcombe's method 10 with the exact intervals of both."""
    (a, low_a, high_a), (b, low_b, high_b) = (
        (k / n, *stats.binomtest(k, n).proportion_ci(0.95, method="exact"))
        for k, n in ((right, of), (other_right, of_other))
    )
    below, above = np.hypot(a - low_a, high_b - b), np.hypot(high_a - a, b - low_b)
    return a - b - below, a - b + above


@pytest.mark.parametrize(("n", "other"), [(20, 20), (2, 90), (500, 30)])
def test_all_against_none(n: int, other: int) -> None:
    truth, predicted = [1] * (n + other), [1] * n + [0] * other
    groups = ["a"] * n + ["b"] * other
    expected = newcombe(n, n, 0, other)
    for result in (
        metrics.gap(metrics.mean_by_group(predicted, groups)),
        metrics.gap(metrics.accuracy(truth, predicted, groups)),
        metrics.accuracy_difference(truth, predicted, groups),
    ):
        assert float(result) == 1
        assert (result.low, result.high) == pytest.approx(expected)


def test_a_tiny_group_that_is_all_right_says_little() -> None:
    result = metrics.gap(
        metrics.mean_by_group([1] * 2 + [0, 1, 1, 1] * 50, ["a"] * 2 + ["b"] * 200)
    )
    assert float(result) == 0.25
    assert result.low < 0 < 0.25 < result.high


def test_equal_perfection_is_not_shown_to_be_equal() -> None:
    groups = ["a"] * 20 + ["b"] * 20
    apart = metrics.gap(metrics.mean_by_group([1] * 40, groups))
    assert (apart.low, apart.high) == pytest.approx(newcombe(20, 20, 20, 20))
    alike = metrics.demographic_parity_ratio(None, [1] * 40, groups)
    exact = 0.025 ** (1 / 20)
    assert (alike.low, alike.high) == pytest.approx((exact, 1 / exact))


def test_ratio_to_zero_has_no_certain_end() -> None:
    result = metrics.demographic_parity_ratio(None, [1] * 20 + [0] * 20, ["a"] * 20 + ["b"] * 20)
    assert float(result) == result.low == 0
    assert 0.16 < result.high < 0.2  # above 1 − .025 ** (1 / 20) over at most 1


@pytest.mark.parametrize("base", [{}, {"reference": "a"}, {"method": "to_overall"}])
def test_ratio_by_what_may_be_zero_has_no_interval(base: dict[str, str]) -> None:
    """None of 20 by one of 20: in a third of the resamples this is none, too."""
    predicted, groups = [1] + [0] * 39, ["a"] * 20 + ["b"] * 20
    result = metrics.demographic_parity_ratio(None, predicted, groups, **base)
    assert float(result) == 0
    assert np.isnan([result.low, result.high]).all()
    if base:
        row = result.pairs[result.pairs["group"] == "b"]
        assert row["value"].item() == 0
        assert row[["low", "high"]].isna().all(axis=None)


def test_the_mean_over_labels_has_no_interval_where_one_has_none() -> None:
    groups = ["a"] * 20 + ["b"] * 20
    nearly, apart = [1] + [0] * 39, [1] * 20 + [0] * 20
    result = metrics.demographic_parity_ratio(None, np.stack([nearly, apart], axis=1), groups)
    assert float(result) == 0
    assert result.pairs["high"].isna().tolist() == [True, False]
    assert np.isnan([result.low, result.high]).all()


def test_what_varies_is_as_drawn() -> None:
    right = np.random.default_rng(0).integers(2, size=100)
    by_group = metrics.mean_by_group(right, ["a", "b"] * 50)
    result = metrics.gap(by_group)
    drawn = np.abs(by_group["a"].replicates - by_group["b"].replicates * 1.0)
    assert len(drawn) == 1000
    assert (result.low, result.high) == pytest.approx(
        np.quantile(result.replicates, [0.025, 0.975])
    )


def test_of_several_labels_each_has_its_own() -> None:
    predicted = [[1, label] for label in [1] * 10 + [0] * 10 + [1] * 5 + [0] * 15]
    groups = ["a"] * 20 + ["b"] * 20
    result = metrics.accuracy_difference([[1, 1]] * 40, predicted, groups)
    low, high = (result.pairs[name] for name in ("low", "high"))
    assert (low[0], high[0]) == pytest.approx(newcombe(20, 20, 20, 20))
    assert low[1] < 0.25 < high[1]
    every = metrics.accuracy_difference([[1, 1]] * 40, [[1, 1]] * 40, groups)
    assert (every.low, every.high) == pytest.approx(newcombe(20, 20, 20, 20))
