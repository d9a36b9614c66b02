"""The mean over groups, against scikit-learn's balanced accuracy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from fairvision import metrics
from fairvision.errors import InputError


def test_of_right_answers_it_is_the_balanced_accuracy():
    random = np.random.default_rng(0)
    truth = random.choice(3, 300, p=[0.7, 0.2, 0.1])
    predicted = np.where(random.random(300) < 0.6, truth, random.integers(0, 3, 300))
    by_group = metrics.mean_by_group(truth == predicted, truth)
    result = metrics.mean_of_groups(by_group)
    assert float(result) == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert result.n == 300
    assert result.low < float(result) < result.high


def test_a_constant_answer_reaches_one_over_the_number_of_groups_in_every_resample():
    truth = np.repeat([0, 1, 2], [50, 20, 10])
    result = metrics.mean_of_groups(metrics.mean_by_group(truth == 0, truth))
    assert float(result) == pytest.approx(1 / 3)
    assert (result.low, result.high) == pytest.approx((1 / 3, 1 / 3))


def test_groups_that_are_unknown_or_undefined_take_no_part():
    by_group = metrics.mean_by_group([1, 0, np.nan, 1], ["a", "b", "c", None])
    assert float(metrics.mean_of_groups(by_group)) == 0.5
    unknown = metrics.mean_of_groups(metrics.mean_by_group([0.7], [None]))
    assert np.isnan([unknown.value, unknown.low, unknown.high]).all()
    assert unknown.n == 0
    nothing = metrics.mean_of_groups(metrics.mean_by_group([np.nan], ["a"]))
    assert np.isnan(nothing.value)
    assert nothing.n == 0
    with pytest.raises(InputError, match="no group"):
        metrics.mean_of_groups({})


def test_two_models_are_paired():
    groups = ["a"] * 30 + ["b"] * 10
    first, other = (
        metrics.mean_of_groups(metrics.mean_by_group(right, groups))
        for right in ([1] * 20 + [0] * 20, [1] * 30 + [0] * 10)
    )
    change = metrics.compare(first, other)
    assert float(change) == pytest.approx(1 / 6)
    assert change.low > 0
