"""Intervals that hold together, and p-values corrected for their number."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics._engine import draws
from fairvision.metrics._engine.joint import widening
from fairvision.metrics.together import factor_of

RANDOM = np.random.default_rng(0)


def of_independent(figures: int, confidence: float = 0.95) -> float:
    """By what the intervals of independent normal figures are wider: Šidák's rule."""
    single, each = (1 + confidence) / 2, (1 + confidence ** (1 / figures)) / 2
    return float(stats.norm.ppf(each) / stats.norm.ppf(single))


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("figures", [2, 10, 100])
def test_independent_figures_need_as_much_as_sidak_says(figures: int, confidence: float) -> None:
    drawn = RANDOM.normal(1, RANDOM.random((figures, 1)) + 0.1, (figures, 20_000))
    estimates = np.hstack([np.ones((figures, 1)), drawn])
    assert widening(estimates, confidence) == pytest.approx(
        of_independent(figures, confidence), rel=0.01
    )


def test_figures_that_are_one_need_nothing() -> None:
    drawn = RANDOM.normal(size=5000)
    estimates = np.vstack([np.append(0, drawn * scale) for scale in (1, -2, 0.1)])
    assert widening(estimates, 0.95) == pytest.approx(1, abs=0.02)
    assert widening(estimates[:1], 0.95) == 1
    still = np.vstack([estimates[:1], np.zeros((1, 5001)), np.full((1, 5001), np.nan)])
    assert widening(still, 0.95) == 1


def test_all_intervals_hold_together() -> None:
    """Of data sets in which all means are 0, in how many every interval holds it."""
    together, alone = 0, 0
    for _ in range(200):
        values = RANDOM.normal(size=(100, 12)) + RANDOM.normal(size=(100, 1))
        results = {
            i: metrics.mean(column, joint=True, replicates=300) for i, column in enumerate(values.T)
        }
        for kind in (results, metrics.simultaneous(results)):
            hold = all(of.low <= 0 <= of.high for of in kind.values())
            together += hold and kind is not results
            alone += hold and kind is results
    assert 180 <= together <= 198
    assert alone < together - 15


def test_joint_results_vary_together() -> None:
    groups, right = np.repeat(["a", "b"], 100), RANDOM.integers(2, size=200)
    also = np.where(np.arange(200) % 10 == 0, 1 - right, right)
    ones = np.ones(200, int)
    for cluster in (None, np.arange(200) // 4):
        first, second = (
            metrics.accuracy(ones, of, groups, joint=True, cluster=cluster) for of in (right, also)
        )
        drawn = np.corrcoef(first.replicates, second.replicates)[0, 1]
        assert drawn > 0.6
        change = metrics.compare(first, second)
        by_hand = second.replicates - first.replicates
        assert np.std(change.replicates) == pytest.approx(np.std(by_hand), rel=0.15)


def test_joint_draws_are_of_rows() -> None:
    right = RANDOM.integers(2, size=50)
    drawn = np.hstack([*draws.draw_rows(50, 1000, 3, 100)])
    joint = metrics.mean(right, seed=3, joint=True)
    np.testing.assert_allclose(joint.replicates, right @ drawn.astype(float) / 50)


def test_pairs_hold_together() -> None:
    groups, right = np.arange(600) % 12, RANDOM.integers(2, size=600)
    plain = metrics.accuracy(np.ones(600, int), right, groups)
    wide = metrics.accuracy(np.ones(600, int), right, groups, simultaneous=True)
    assert plain.pairs is not None
    assert wide.pairs is not None
    widths = [(of.pairs["high"] - of.pairs["low"]).to_numpy() for of in (plain, wide)]
    assert (widths[1] / widths[0]).max() == pytest.approx(of_independent(13), rel=0.05)
    assert wide.pairs[["low", "high"]].to_numpy().min() >= 0
    assert (wide.pairs["value"] == plain.pairs["value"]).all()
    by_group = metrics.mean_by_group(right, groups, simultaneous=True)
    alone = metrics.mean_by_group(right, groups)
    stretched = {
        (by_group[g].high - by_group[g].low) / (alone[g].high - alone[g].low) for g in alone
    }
    assert min(stretched) > 1.3


def test_what_cannot_hold_together_is_told() -> None:
    a, b = metrics.mean([1.0, 2, 3]), metrics.mean([1.0, 2, 3], replicates=10)
    with pytest.raises(InputError, match="same replicates"):
        metrics.simultaneous({"a": a, "b": b})
    with pytest.raises(InputError, match="joint must be True or False"):
        metrics.mean([1.0, 2], joint="yes")
    assert factor_of({}) == 1
    assert metrics.simultaneous({}) == {}


def test_holm_multiplies_the_smallest_most() -> None:
    results = {
        name: metrics.mean(RANDOM.normal(size=400) + shift, replicates=4000)
        for name, shift in {"none": 0, "some": 0.12, "much": 0.2}.items()
    }
    alone = {name: next(iter(metrics.holm({name: of}).values())) for name, of in results.items()}
    for name, of in results.items():
        exact = 2 * stats.norm.sf(abs(of.value) / np.std(of.replicates))
        assert alone[name] == pytest.approx(exact, rel=0.2, abs=0.001)
        assert (alone[name] < 0.05) == (not of.low <= 0 <= of.high)
    order = sorted(alone, key=alone.__getitem__)
    corrected = metrics.holm(results)
    expected = np.maximum.accumulate([min(1, alone[n] * k) for n, k in zip(order, (3, 2, 1))])
    assert [corrected[name] for name in order] == pytest.approx(expected)


def test_what_is_undefined_is_not_counted() -> None:
    some = metrics.mean(RANDOM.normal(0.5, size=50))
    p = metrics.holm({"some": some, "nothing": metrics.mean([np.nan, np.nan])})
    assert np.isnan(p["nothing"])
    assert p["some"] == metrics.holm({"some": some})["some"]
    assert metrics.holm({"still": metrics.mean([0.3, 0.3])}) == {"still": 1.0}
