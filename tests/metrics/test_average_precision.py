from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics._engine.draws import draw_rows

# few distinct scores: mostly ties
tables = st.integers(1, 25).flatmap(
    lambda n: st.tuples(
        arrays(np.int8, (n, 2), elements=st.integers(0, 1)),
        arrays(float, (n, 2), elements=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0, -3.0])),
    )
)


@given(tables)
def test_values_are_those_of_scikit_learn(table: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = table
    result = metrics.average_precision(targets, scores, replicates=0)
    assert result.pairs is not None
    expected = [
        average_precision_score(target, score) if target.any() else np.nan
        for target, score in zip(targets.T, scores.T)
    ]
    np.testing.assert_allclose(result.pairs["value"], expected, rtol=1e-12)
    if not np.isnan(expected).all():
        assert float(result) == pytest.approx(np.nanmean(expected), rel=1e-12)


def test_replicates_are_those_of_scikit_learn_with_weights() -> None:
    random = np.random.default_rng(0)
    targets, scores = random.integers(0, 2, (60, 1)), np.round(random.random((60, 1)), 1)
    replicates = metrics.average_precision(targets, scores, replicates=20).replicates
    draws = next(draw_rows(rows=60, replicates=20, seed=0, size=20)).T
    expected = np.array(
        [average_precision_score(targets[:, 0], scores[:, 0], sample_weight=w) for w in draws]
    )
    value = average_precision_score(targets[:, 0], scores[:, 0])
    np.testing.assert_allclose(replicates, expected - expected.mean() + value, rtol=1e-12)


def test_the_interval_of_rare_labels_holds_the_value() -> None:
    random = np.random.default_rng(0)
    targets, scores = random.random((300, 40)) < 0.01, random.random((300, 40))
    result = metrics.average_precision(targets, scores)
    assert result.low < float(result) < result.high


def test_names_unknown_rows_and_one_label() -> None:
    targets = [[1, 0], [0, 1], [-1, -1], [1, 1]]
    scores = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [np.nan, 0.3]]
    result = metrics.average_precision(targets, scores, labels=["cat", "dog"])
    assert result.pairs is not None
    assert result.pairs[["label", "value", "n"]].to_numpy().tolist() == [
        ["cat", 1.0, 2],
        ["dog", 1.0, 2],
    ]
    assert float(metrics.average_precision([1, 0], [0.2, 0.8])) == 0.5


def test_numbers_of_labels_differ() -> None:
    with pytest.raises(InputError, match=r"scores has 1 labels \(columns\), but targets 2"):
        metrics.average_precision([[1, 0]], [[0.5]])


def test_columns_are_those_of_the_targets() -> None:
    targets = pd.DataFrame({"cup": [1, 0], "hat": [0, 1]})
    with pytest.raises(InputError, match="not named, or ordered"):
        metrics.average_precision(targets, pd.DataFrame({"hat": [0.1, 0.2], "cup": [0.3, 0.4]}))
    with pytest.raises(InputError, match="several columns of the name 'cup'"):
        metrics.average_precision(targets.set_axis(["cup", "cup"], axis=1), targets)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@given(table=tables)
def test_averages_are_those_of_scikit_learn(
    average: str, table: tuple[np.ndarray, np.ndarray]
) -> None:
    targets, scores = table
    held = targets if average == "micro" else targets[:, targets.any(axis=0)]
    if not targets.any():
        return
    score = scores if average == "micro" else scores[:, targets.any(axis=0)]
    result = metrics.average_precision(targets, scores, average=average, replicates=0)
    expected = average_precision_score(held, score, average=average)
    assert float(result) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("average", ["micro", "weighted"])
def test_averages_of_groups_and_in_resamples(average: str) -> None:
    random = np.random.default_rng(1)
    targets, scores = random.integers(0, 2, (60, 3)), np.round(random.random((60, 3)), 1)
    groups = np.where(np.arange(60) < 25, "f", "m")
    result = metrics.average_precision(targets, scores, groups, average=average, replicates=20)
    assert result.pairs is not None
    expected = [
        average_precision_score(targets[groups == group], scores[groups == group], average=average)
        for group in ("f", "m")
    ]
    assert result.pairs["value"].tolist() == pytest.approx(expected)
    assert result.pairs["n"].tolist() == [25, 35]
    overall = metrics.gap(result, method="to_overall")
    assert overall.value == pytest.approx(np.abs(np.array(expected) - result.value).max())
    draws = next(draw_rows(rows=60, replicates=20, seed=0, size=20)).T
    drawn = np.array(
        [average_precision_score(targets, scores, average=average, sample_weight=w) for w in draws]
    )
    shifted = drawn - drawn.mean() + result.value
    np.testing.assert_allclose(result.replicates, shifted, rtol=1e-12)


@given(tables)
def test_label_ranking_is_that_of_scikit_learn(table: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = table
    result = metrics.label_ranking_average_precision(targets, scores, replicates=0)
    has_label = targets.any(axis=1)
    assert result.n == has_label.sum()
    if has_label.any():
        expected = label_ranking_average_precision_score(targets[has_label], scores[has_label])
        assert float(result) == pytest.approx(expected)
    else:
        assert np.isnan(result.value)


def test_label_ranking_of_classes_is_the_mean_reciprocal_rank() -> None:
    scores = [[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.3, 0.2, 0.1]]
    result = metrics.label_ranking_average_precision([0, 1, 2], scores, ["f", "f", "m"])
    assert float(result) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert result.pairs is not None
    assert result.pairs["value"].tolist() == pytest.approx([3 / 4, 1 / 3])


def test_errors_of_averages() -> None:
    with pytest.raises(InputError, match="'macro', 'micro' or 'weighted', not 'samples'"):
        metrics.average_precision([1, 0], [0.2, 0.8], average="samples")
    with pytest.raises(InputError, match="two or more: scores has one column"):
        metrics.label_ranking_average_precision([1, 0], [0.2, 0.8])
