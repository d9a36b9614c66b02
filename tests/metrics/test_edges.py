"""Intervals of every measure on few images, where much is undefined, 0 or 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from every_measure import MEASURES, Columns, rows

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics import Result

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")

_ROUNDING = 1e-9


TAIL = 0.025  # of a 95% interval, on either side


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


def _exact(images: float) -> float:
    """The lower end of a share of 1 by Clopper and Pearson."""
    return TAIL ** (1 / images)


def test_one_image_tells_a_share_and_no_mean() -> None:
    assert metrics.mean([1]).low == pytest.approx(TAIL)
    result = metrics.mean([0.4])
    assert float(result) == 0.4
    assert np.isnan([result.low, result.high]).all()
    pairs = metrics.log_loss([1, 0, 1], [0.9, 0.2, 0.7], ["f", "m", "m"]).pairs
    assert pairs["low"].isna().tolist() == [True, False]


@pytest.mark.parametrize("positives", [4, 10, 60])
def test_perfect_precision_reaches_down_to_the_least_that_can_look_so(positives: int) -> None:
    """Of images with the label 1 − ρ come last; c others for each of them stand above all."""
    truth = [1] * positives + [0] * 5 * positives
    result = metrics.average_precision(truth, np.linspace(1, 0, 6 * positives), replicates=20)
    assert (float(result), result.high) == (1, 1)
    precisions = []
    for above in np.linspace(0, 1, 200) * -np.log(TAIL) / positives:
        seen = np.exp(above) * _exact(positives)
        assert seen**positives * np.exp(-above * positives) == pytest.approx(TAIL)
        recall = (np.arange(20_000) + 0.5) / 20_000 * seen
        precisions.append(seen * np.mean(recall / (recall + above)))
    assert result.low == pytest.approx(min(precisions), abs=1e-3)
    assert result.low < _exact(positives)


def test_perfect_precision_of_groups_labels_clusters_and_weights() -> None:
    truth = np.array([[1, 0], [0, 1], [1, 0], [0, 0]] * 20)
    groups = ["f", "f", "m", "m"] * 20
    alone = metrics.average_precision([1] * 20 + [0] * 60, [1] * 20 + [0] * 60, replicates=20)
    for average in ("macro", "weighted", "micro"):
        result = metrics.average_precision(truth, truth, average=average, replicates=20)
        if average == "micro":  # decisions on an image say no more than one
            assert 0.5 < result.low < 1
        else:
            assert result.low == pytest.approx(alone.low)
        pairs = metrics.average_precision(truth, truth, groups, average=average, replicates=20)
        assert (pairs.pairs["low"].dropna() < 1).all()
    one = truth[:, 0]
    heavy = metrics.average_precision(one, one, weights=np.arange(1, 81), replicates=20)
    person = metrics.average_precision(one, one, cluster=np.arange(80) // 4, replicates=20)
    every = metrics.average_precision(one, one, replicates=20)
    assert max(heavy.low, person.low) < every.low < 1


@pytest.mark.parametrize("groups", ["ab", "abc"])
def test_searches_that_show_one_group_only(groups: str) -> None:
    names = [*groups] * 30
    scores = np.array([name == "b" for name in names], float)
    share, others = _exact(12), len(groups) - 1
    bias = metrics.bias_at_k(scores, names, 12)
    toward = metrics.bias_at_k(scores, names, 12, toward="b")
    assert float(bias) == float(toward) == 1
    assert bias.low == toward.low == pytest.approx(share - (1 - share) / others)
    assert bias.pairs["low"][0] == bias.low
    for skew in (metrics.skew_at_k, metrics.max_skew):
        of_fixed = skew(scores, names, 12, desired=dict.fromkeys(groups, 1))
        assert float(of_fixed) == pytest.approx(np.log(len(groups)))
        assert of_fixed.low == pytest.approx(np.log(len(groups) * share))
        assert of_fixed.high == pytest.approx(of_fixed.value)


def test_searches_that_show_one_group_for_one_text_and_the_other_for_another() -> None:
    names = ["a", "b"] * 30
    scores = np.array([[name == "a", name == "b"] for name in names], float)
    assert metrics.bias_at_k(scores[:, 0], names, 12).high == pytest.approx(1 - 2 * _exact(12))
    both = metrics.bias_at_k(scores, names, 12)
    assert float(both) == 0
    assert (both.low, both.high) == pytest.approx((_exact(12) - 1, 1 - _exact(12)))


@pytest.mark.parametrize("norm", ["l1", "max"])
def test_differences_have_intervals_where_both_figures_do(norm: Literal["l1", "max"]) -> None:
    """The largest error of a bin may rest on one cluster."""
    without = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        truth, group = random.integers(0, 2, 40), random.choice(["f", "m"], 40)
        sampling: Any = {"cluster": random.integers(0, 5, 40), "replicates": 40}
        first, second = (
            metrics.calibration_error(truth, random.random(40), group, norm=norm, **sampling)
            for _ in range(2)
        )
        difference = metrics.compare(first, second)
        ends = [
            np.append(of.low, of.pairs["low"])
            for of in (first, second, difference)
            if of.pairs is not None
        ]
        np.testing.assert_array_equal(np.isnan(ends[0]) | np.isnan(ends[1]), np.isnan(ends[2]))
        without += np.isnan(ends[2]).sum()
        _check(difference)
    assert (without > 0) == (norm == "max")


def test_a_gap_to_a_group_without_interval_has_none() -> None:
    values, groups = [0.4, *np.linspace(0, 1, 20)], ["a"] + ["b"] * 20
    of_scores = metrics.score_gap(values, groups)
    of_dict = metrics.gap(metrics.mean_by_group(values, groups))
    against = metrics.gap(metrics.mean_by_group(values, groups), reference="b")
    for result in (of_scores, of_dict, against):
        assert np.isnan([result.low, result.high]).all()
        assert not np.isnan(result.value)


def test_rates_that_are_no_share_reach_as_far_as_the_shares_behind_them() -> None:
    truth, groups = [1] * 10 + [0] * 30, ["a"] * 20 + ["b"] * 20
    reach = _exact(10)
    f1 = metrics.f1_score(truth, truth)
    assert (f1.low, f1.high) == pytest.approx((2 * reach / (1 + reach), 1))
    none = metrics.f1_score(truth, 1 - np.array(truth))  # true positives are none of 40
    assert none.high == pytest.approx(2 * (1 - _exact(40)) / (2 - _exact(40)))
    balanced = metrics.balanced_accuracy(truth, truth)
    assert (balanced.low, balanced.high) == pytest.approx((reach, 1))
    for rate in (metrics.f1_score, metrics.balanced_accuracy):
        by_group = rate(truth * 2, truth * 2, groups + groups[::-1])
        gap = metrics.gap(by_group)
        assert float(gap) == 0
        assert gap.low < 0 < gap.high


def test_the_worst_group_has_its_own_interval() -> None:
    groups = ["a"] * 20 + ["b"] * 30
    for predicted in ([1] * 50, [0] * 20 + [1] * 30):
        rate = metrics.true_positive_rate([1] * 50, predicted, groups)
        worst = metrics.worst_group(rate)
        (own,) = rate.pairs[rate.pairs["group"] == worst.groups[0]].itertuples()
        assert (worst.value, worst.low, worst.high) == (own.value, own.low, own.high)
        assert worst.low < worst.high


def test_the_mean_of_groups_that_are_all_right_has_width() -> None:
    by_group = metrics.mean_by_group([1] * 50, ["a"] * 20 + ["b"] * 30)
    mean = metrics.mean_of_groups(by_group)
    assert (mean.low, mean.high) == pytest.approx(((_exact(20) + _exact(30)) / 2, 1))
