from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, confusion_matrix

from fairvision import metrics
from fairvision.errors import InputError

codes = st.integers(1, 30).flatmap(
    lambda n: st.tuples(*(arrays(np.int64, n, elements=st.integers(0, 3)) for _ in range(2)))
)


@given(codes)
def test_single_labels_against_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = pair
    assert float(metrics.accuracy(truth, predicted, replicates=0)) == pytest.approx(
        accuracy_score(truth, predicted)
    )
    result = metrics.confusion(truth, predicted, groups=list("abcd"), replicates=0)
    assert result.pairs is not None
    counts = confusion_matrix(truth, predicted, labels=range(4))
    np.testing.assert_allclose(
        result.pairs["value"] * result.pairs["n"].where(lambda n: n > 0),
        np.where(counts.sum(1, keepdims=True) > 0, counts, np.nan).ravel(),
    )
    assert float(result) == pytest.approx(accuracy_score(truth, predicted))


@given(arrays(np.int8, (2, 5, 3), elements=st.integers(0, 1)))
def test_many_labels_are_image_label_decisions(tables: np.ndarray) -> None:
    truth, predicted = tables
    accuracy = metrics.accuracy(truth, predicted, replicates=0)
    assert float(accuracy) == pytest.approx((truth == predicted).mean())
    assert float(metrics.error_rate(truth, predicted, replicates=0)) == pytest.approx(
        1 - accuracy.value
    )


def test_unknown_truth_or_prediction_takes_no_part() -> None:
    result = metrics.accuracy(["a", None, "a", "b"], ["a", "a", None, "a"])
    assert (result.value, result.n) == (0.5, 2)
    assert metrics.correct([[1, 0], [-1, 0]], [[1, 1], [0, 0]]).tolist()[0] == 0.5
    assert np.isnan(metrics.correct([[1, 0], [-1, 0]], [[1, 1], [0, 0]])[1])


def test_a_rate_without_denominator_is_nan_not_zero() -> None:
    result = metrics.confusion([0, 0], [0, 0], groups=["f", "m"])
    assert result.pairs is not None
    of = result.pairs.set_index(["group", "label"])
    assert of.loc[("f", "m"), "value"] == 0  # never predicted: a rate of 0
    assert np.isnan(of.loc[("m", "m"), ["value", "low", "high"]].astype(float)).all()
    assert of.loc[("m", "m"), "n"] == 0


def test_unknown_group_is_a_row_but_not_in_the_value() -> None:
    result = metrics.confusion(["f", "m", None, None, "m"], ["f", "f", "m", "f", None])
    assert result.pairs is not None
    of = result.pairs.set_index(["group", "label"])["value"]
    assert of["unknown"].to_dict() == {"f": 0.5, "m": 0.5}
    assert of["m"].to_dict() == {"f": 1, "m": 0}
    assert (result.value, result.n) == (0.5, 2)


@pytest.mark.parametrize("measure", ["accuracy", "error_rate"])
def test_accuracy_by_group(measure: str) -> None:
    random = np.random.default_rng(0)
    groups, other = random.choice(["f", "m"], 80), random.choice(["x", "y"], 80)
    for truth, said in (
        random.integers(0, 2, (2, 80)),
        random.choice(["cat", "dog", "elk"], (2, 80)),
        random.integers(0, 2, (2, 80, 3)),
    ):
        whole = getattr(metrics, measure)(truth, said, replicates=0)
        result = getattr(metrics, measure)(truth, said, groups, replicates=0)
        assert result == pytest.approx(whole)
        assert result.n == whole.n
        for group, of in result.pairs.groupby("group"):
            own = getattr(metrics, measure)(truth, said, where=groups == group, replicates=0)
            assert of["value"].mean() == pytest.approx(own)
        both = getattr(metrics, measure)(truth, said, np.column_stack([groups, other]))
        named = getattr(metrics, measure)(truth, said, {"sex": groups, "place": other})
        assert both.pairs.equals(named.pairs)


def test_a_list_of_attributes_is_told() -> None:
    with pytest.raises(InputError, match="give several attributes as"):
        metrics.accuracy([1, 0], [1, 1], [["f", "m"], ["x", "y"]])
