from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics._engine import bootstrap
from fairvision.metrics._engine.arrays import mean_of_defined, ratio
from fairvision.metrics._engine.bootstrap import Drawing, Sample
from fairvision.metrics._engine.draws import _picked


def test_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(size=2000)
    result = metrics.mean(values, replicates=4000)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert [result.low, result.high] == pytest.approx(
        [values.mean() - half, values.mean() + half], abs=0.1 * half
    )
    assert metrics.mean(values, confidence=0.5).high < result.high


def test_interval_of_a_share_is_the_binomial_one() -> None:
    result = metrics.accuracy([1] * 400, [1] * 300 + [0] * 100, replicates=20000)
    exact = stats.binom(400, 0.75).ppf([0.025, 0.975]) / 400
    assert [result.low, result.high] == pytest.approx(exact, abs=0.004)


def test_a_difference_is_paired() -> None:
    random = np.random.default_rng(1)
    a = random.random(300)
    b = a + 0.01
    difference = metrics.compare(metrics.mean(a), metrics.mean(b))
    assert [difference.low, difference.high] == pytest.approx([0.01, 0.01])


def test_resamples_are_of_rows() -> None:
    weights = []

    def keep(block: np.ndarray) -> np.ndarray:
        weights.append(block)
        return block.sum(axis=0)

    totals = Sample(np.ones(40, int), Drawing(replicates=500)).estimate(keep)
    assert (totals == 40).all()
    assert (weights[0] == 1).all()
    drawn = weights[1]
    assert drawn.mean() == 1
    assert drawn.var() == pytest.approx(1 - 1 / 40, abs=0.05)  # binomial(40, 1/40)


def test_blocks_and_memory_do_not_change_the_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random(37)
    whole = metrics.mean(values, replicates=50).replicates
    monkeypatch.setattr(bootstrap, "_BLOCK", 37 * 7)
    in_blocks = metrics.mean(values, replicates=50).replicates
    monkeypatch.setattr(bootstrap, "_KEPT", 0)
    not_kept = metrics.mean(values, replicates=50).replicates
    np.testing.assert_allclose(whole, in_blocks, rtol=1e-13)
    np.testing.assert_array_equal(in_blocks, not_kept)


def test_interval_over_the_defined_replicates() -> None:
    sample = Sample(np.ones(1, int), Drawing(replicates=4))
    estimates = np.array([[0, 1, 2, np.nan, np.nan], [0, 1, np.nan, np.nan, np.nan]])
    low, high = sample.interval(estimates)
    assert (low[0], high[0]) == pytest.approx((1.025, 1.975))
    assert np.isnan([low[1], high[1]]).all()
    assert np.isnan(sample.interval(np.array([np.nan, 1, 1, 1, 1]))).all()


def test_a_rare_group_has_no_interval() -> None:
    by_group = metrics.mean_by_group([1.0] * 99 + [0.0], ["a"] * 99 + ["b"])
    assert by_group["b"].value == 0
    assert np.isnan(by_group["b"].replicates).mean() == pytest.approx(np.exp(-1), abs=0.05)
    assert by_group["b"].low == 0  # defined in 63% of the resamples, and 0 in each
    assert by_group["b"].high == pytest.approx(0.975)  # one image that is wrong says little


def test_a_share_at_the_edge_has_the_exact_interval() -> None:
    result = metrics.accuracy([1] * 20, [1] * 20)
    exact = stats.binomtest(20, 20).proportion_ci(0.95, method="exact")
    assert (result.low, result.high) == pytest.approx((exact.low, exact.high))
    never = metrics.error_rate([1] * 20, [1] * 20, confidence=0.9)
    exact = stats.binomtest(0, 20).proportion_ci(0.9, method="exact")
    assert (never.low, never.high) == pytest.approx((exact.low, exact.high))


SHARES = {
    "accuracy": lambda **more: metrics.accuracy(ONES, ONES, **more),
    "accuracy of a group": lambda **more: metrics.accuracy(ONES, ONES, GROUPS, **more),
    "accuracy of a table": lambda **more: metrics.accuracy(TABLE, TABLE, GROUPS, **more),
    "accuracy of classes": lambda **more: metrics.accuracy(NAMES, NAMES, GROUPS, **more),
    "precision of classes": lambda **more: metrics.precision(NAMES, NAMES, GROUPS, **more),
    "selection_rate": lambda **more: metrics.selection_rate(None, ONES, **more),
    "mean": lambda **more: metrics.mean(ONES, **more),
    "confusion": lambda **more: metrics.confusion(NAMES, NAMES, **more),
    "reasons": lambda **more: metrics.reasons(ONES, ONES, ONES, **more),
    "evidence_cells": lambda **more: metrics.evidence_cells(ONES, ONES, **more),
    "captions": lambda **more: metrics.caption_report(NAMES, NAMES, **more).error,
}
ONES, TABLE = [1] * 60, [[1, 0]] * 60
NAMES, GROUPS = ["man", "woman", "woman"] * 20, ["f", "m"] * 30


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("weight", [1, 0.1, 3])
def test_equal_weights_are_no_weights(share: str, weight: float) -> None:
    weighted, plain = SHARES[share](weights=[weight] * 60), SHARES[share]()
    assert (weighted.value, weighted.low, weighted.high, weighted.n) == (
        plain.value,
        plain.low,
        plain.high,
        plain.n,
    )
    assert weighted.low < weighted.high
    if plain.pairs is not None:
        pd.testing.assert_frame_equal(weighted.pairs, plain.pairs)


@pytest.mark.parametrize("share", SHARES)
def test_a_weighted_share_at_the_edge_has_the_interval_of_its_effective_images(share: str) -> None:
    weights = np.tile([0.1, 0.7, 0, 1.3, 0.2, 0.3], 10)
    result = SHARES[share](weights=weights)
    assert result.n == 60
    assert result.low <= result.value <= result.high
    effective = weights.sum() ** 2 / (weights**2).sum()
    reach = 0.025 ** (1 / effective)
    if share == "precision of classes":  # the fewest of a label decide
        assert result.low < reach
    else:
        low_or_high = result.low if result.value > 0.5 else 1 - result.high
        assert low_or_high == pytest.approx(reach)
    if result.pairs is not None:
        edges = result.pairs[result.pairs["value"].round(9).isin([0, 1])]
        assert (edges["high"] - edges["low"] > 1 - reach - 1e-12).all()


def test_one_heavy_image_says_as_much_as_one() -> None:
    result = metrics.accuracy([1] * 20, [1] * 20, weights=[1] + [1e-12] * 19)
    assert (result.low, result.high, result.n) == (pytest.approx(0.025), 1, 20)


def test_an_image_that_weighs_nothing_is_an_image() -> None:
    result = metrics.accuracy(["a", "b"], ["a", "a"], weights=[1, 0])
    assert (result.value, result.n) == (1, 2)
    assert metrics.selection_rate(None, ["a", "b"], weights=[1, 0], replicates=0).value == 0.5
    assert np.isnan(metrics.accuracy([1, 1], [1, 1], weights=[0, 0]).value)


def test_alike_images_are_drawn_as_their_number_says() -> None:
    drawn = Sample(np.array([30, 60, 10]), Drawing(replicates=20000)).estimate(lambda w: w)
    assert (drawn.sum(axis=0) == 100).all()
    assert drawn[:, 0].tolist() == [30, 60, 10]
    share = np.array([0.3, 0.6, 0.1])
    assert drawn.mean(axis=1) == pytest.approx(100 * share, abs=0.2)
    assert np.cov(drawn) == pytest.approx(100 * (np.diag(share) - np.outer(share, share)), abs=0.8)


def test_strata_keep_their_sizes() -> None:
    groups = np.array(["a"] * 30 + ["b"] * 5 + [None] * 2, dtype=object)
    sizes = metrics.mean((groups == "b") * 1.0, strata=groups)
    assert (sizes.replicates == 5 / 37).all()
    varied = metrics.mean(np.arange(37.0), strata=groups)
    assert varied.replicates.std() > 0
    assert varied.high - varied.low < (lambda r: r.high - r.low)(metrics.mean(np.arange(37.0)))


def test_bca_is_that_of_scipy() -> None:
    values = np.random.default_rng(5).exponential(size=60)
    ours = metrics.mean(values, interval="bca", replicates=20000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20000, method="BCa", rng=1)
    expected = theirs.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=0.01)
    plain = metrics.mean(values, replicates=20000)
    assert ours.high > plain.high + 0.004


def test_bca_of_alike_images_leaves_out_one_of_each() -> None:
    right = np.repeat([1.0, 0.0], [46, 4])
    ours = metrics.mean(right, interval="bca", replicates=20000)
    by_hand = stats.bootstrap((right,), np.mean, n_resamples=20000, method="BCa", rng=1)
    expected = by_hand.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=0.021)


def test_bca_of_many_images_leaves_out_parts() -> None:
    values = np.random.default_rng(5).exponential(size=3000)
    ours = metrics.mean(values, interval="bca")
    assert ours.low < 1 < ours.high
    assert ours.high - ours.low == pytest.approx(2 * 1.96 * values.std() / 3000**0.5, rel=0.1)


def test_counts_stand_for_images() -> None:
    long = metrics.mean(np.repeat([0.0, 1.0, 1.0], [3, 5, 0]))
    short = metrics.mean([0.0, 1.0, 1.0], counts=[3, 5, 0])
    assert (short.value, short.n) == (long.value, long.n) == (5 / 8, 8)
    assert short.replicates.std() == pytest.approx(long.replicates.std(), rel=0.1)


def test_weights_weigh_and_are_not_counted() -> None:
    result = metrics.mean([0.0, 1.0], weights=[1.0, 3.0])
    assert (result.value, result.n) == (0.75, 2)
    by_group = metrics.mean_by_group([0.0, 1.0, 1.0], ["a", "a", "b"], weights=[1, 3, 2])
    assert (by_group["a"].value, by_group["b"].value) == (0.75, 1)


def test_a_difference_of_alike_images_is_paired() -> None:
    truth = np.repeat(["f", "m"], 500)
    baseline = np.where(np.arange(1000) % 4, truth, "m")
    equalizer = np.where(np.arange(1000) % 20, baseline, "x")
    a, b = metrics.accuracy(truth, baseline), metrics.accuracy(truth, equalizer)
    difference = metrics.compare(a, b)
    assert difference.value == pytest.approx(b - a)
    per_image = metrics.correct(truth, equalizer) - metrics.correct(truth, baseline)
    assert difference.replicates.std() == pytest.approx(per_image.std() / 1000**0.5, rel=0.15)


def test_results_of_other_rows_are_not_paired() -> None:
    a, b = metrics.mean([1.0, 0.0]), metrics.mean([1.0, 0.0, 1.0])
    with pytest.raises(InputError, match="not paired"):
        metrics.compare(a, b)
    with pytest.raises(InputError, match="not paired"):
        metrics.compare(a, metrics.mean([1.0, 0.0], seed=1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicates": -1},
        {"confidence": 1},
        {"confidence": 95},
        {"seed": -1},
        {"interval": "normal"},
        {"counts": [-1]},
        {"counts": [0.5]},
        {"weights": [-1]},
        {"weights": [np.nan]},
    ],
)
def test_settings_out_of_range(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        metrics.mean([1.0], **wrong)


def test_no_denominator_is_nan() -> None:
    np.testing.assert_equal(ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])), [0.5, np.nan])
    columns = np.array([[1, np.nan], [np.nan, np.nan], [3, np.nan]])
    np.testing.assert_equal(mean_of_defined(columns), [2, np.nan])


@pytest.mark.parametrize("rows", [1, 5, 255, 256, 257, 700])
def test_rows_are_drawn_as_from_a_multinomial(rows):
    """Mean 1, variance 1 − 1/n, covariance −1/n: in blocks of 256, across them, and in the last."""
    generator = np.random.default_rng(0)
    drawn = np.array([np.bincount(_picked(generator, rows), minlength=rows) for _ in range(20_000)])
    assert drawn.shape == (20_000, rows)
    assert (drawn.sum(axis=1) == rows).all()
    assert np.abs(drawn.mean(axis=0) - 1).max() < 0.05
    assert np.abs(drawn.var(axis=0) - (1 - 1 / rows)).max() < 0.1
    if rows > 1:
        ends = np.cov(drawn[:, [0, -1]].T)[0, 1]
        assert ends == pytest.approx(-1 / rows, abs=0.02)
