from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairvision import metrics
from fairvision.errors import InputError


@given(arrays(float, st.tuples(st.just(4), st.integers(2, 5)), elements=st.floats(0, 1)))
def test_probability_gap_is_the_mean_over_pairs(table: np.ndarray) -> None:
    expected = [np.mean([abs(a - b) for a, b in combinations(row, 2)]) for row in table]
    assert metrics.probability_gap(table) == pytest.approx(expected, abs=1e-12)


def test_probability_gap_is_nan_where_unknown() -> None:
    assert np.isnan(metrics.probability_gap([[np.nan, 0.5]]))
    assert np.isnan(metrics.probability_gap([[1.0]]))
    assert metrics.probability_gap([[1.0, 0, 0, 0]]) == pytest.approx(2 / 4)


def test_decisions() -> None:
    assert metrics.decide([[0.5, 0.5]], many=False).tolist() == [0]
    assert metrics.decide([[0.5, 0.6, 0.4]], many=True, threshold=0.4).tolist() == [[1, 1, 0]]
    assert metrics.decide([[np.nan, 1]], many=True).tolist() == [[-1, -1]]
    with pytest.raises(InputError, match="scores must be a table"):
        metrics.decide(np.zeros((3, 0)), many=False)


def test_a_threshold_for_each_label() -> None:
    scores = [[0.5, 0.6, 0.4], [0.1, 0.9, np.nan]]
    found = metrics.decide(scores, many=True, threshold=[0.5, 0.5, 0.3])
    assert found.tolist() == [[0, 1, 1], [-1, -1, -1]]
    for wrong, said in (
        ([0.5, 0.5], "3, one per label"),
        ([0.5, np.nan, 0.5], "NaN for label 1"),
        (np.nan, "NaN: give"),
    ):
        with pytest.raises(InputError, match=said):
            metrics.decide(scores, many=True, threshold=wrong)


def test_abstention_is_the_other_of_outcome_divergence() -> None:
    scores = [[0.9, 0.1], [0.55, 0.45], [0.2, 0.8], [np.nan, 1], [0.4, 0.6]]
    decided = metrics.decide(scores, many=False, abstain_below=0.6)
    assert decided.tolist() == [0, 2, 1, -1, 1]
    result = metrics.outcome_divergence([0, 0, 1, 1, 1], decided, other=2)
    assert (result.n, 0 < result.value < 1) == (4, True)
    assert metrics.decide(scores, many=False, abstain_below=0.0).tolist() == [0, 0, 1, -1, 1]
    for wrong, keywords in (("abstain_below", {"many": True}), ("NaN", {"many": False})):
        with pytest.raises(InputError, match=wrong):
            metrics.decide(scores, abstain_below=0.5 if keywords["many"] else np.nan, **keywords)


@given(
    arrays(np.int8, 12, elements=st.integers(0, 1)),
    arrays(float, 12, elements=st.integers(0, 5).map(float)),
)
def test_as_many_predicted_as_true_or_as_near_as_ties_allow(
    targets: np.ndarray, scores: np.ndarray
) -> None:
    (threshold,) = metrics.calibrate_thresholds(targets, scores)
    predicted = int(metrics.decide(scores, many=True, threshold=[threshold]).sum())
    possible = {int((scores > t).sum()) for t in (-1, *scores)}
    off = min(abs(number - targets.sum()) for number in possible)
    assert predicted == min(n for n in possible if abs(n - targets.sum()) == off)
    if len(set(scores)) == 12:
        assert predicted == targets.sum()


def test_calibration_without_ties_is_exact_and_is_a_score() -> None:
    random = np.random.default_rng(0)
    targets = (random.random((500, 6)) < np.linspace(0, 1, 6)).astype(int)
    scores = random.random((500, 6))
    thresholds = metrics.calibrate_thresholds(targets, scores)
    decided = metrics.decide(scores, many=True, threshold=thresholds)
    assert (decided.sum(axis=0) == targets.sum(axis=0)).all()
    assert targets.sum(axis=0)[[0, 5]].tolist() == [0, 500]
    assert thresholds[0] == scores[:, 0].max()
    assert thresholds[2] == np.sort(scores[:, 2])[::-1][targets[:, 2].sum()]


def test_calibration_on_known_rows() -> None:
    targets, scores = [1, 0, -1, 1], [0.9, 0.1, 0.95, np.nan]
    assert metrics.calibrate_thresholds(targets, scores).tolist() == [0.1]
    assert np.isnan(metrics.calibrate_thresholds([-1], [0.5])).all()
    assert np.isnan(metrics.calibrate_thresholds(np.zeros((0, 2)), np.zeros((0, 2)))).all()
    with pytest.raises(InputError, match="scores has 2 labels"):
        metrics.calibrate_thresholds([[1]], [[0.5, 0.5]])
    with pytest.raises(InputError, match="scores has 1 rows"):
        metrics.calibrate_thresholds([[1], [0]], [[0.5]])


def test_a_mean_of_ones_has_the_exact_interval() -> None:
    labels = np.eye(3)[np.arange(30) % 3]
    ranked = metrics.label_ranking_average_precision(labels, labels, ["a", "b", "b"] * 10)
    assert ranked.low == pytest.approx(0.025 ** (1 / 30))
    assert ranked.pairs["low"].tolist() == pytest.approx([0.025 ** (1 / n) for n in (10, 20)])
    features = np.random.default_rng(0).normal(size=(75, 2))
    alike = metrics.consistency_score(features, [1] * 75, cluster=np.arange(75) // 3)
    assert (alike.low, alike.high) == pytest.approx((0.025 ** (1 / 25), 1))
