"""Inequality of benefits: against the published formulas, image by image."""

from __future__ import annotations

import numpy as np
import pytest

from fairvision import metrics
from fairvision.errors import InputError


def index(benefits: np.ndarray, alpha: float) -> float:
    """As in Speicher et al., section 3."""
    share = benefits / benefits.mean()
    if alpha == 1:
        return float(np.mean([b * np.log(b) if b else 0 for b in share]))
    if alpha == 0:
        return float(-np.mean(np.log(share)))
    return float(np.mean(share**alpha - 1) / (alpha * (alpha - 1)))


def draw(n: int = 200, seed: int = 0) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    groups = random.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    return random.integers(2, size=n), random.integers(2, size=n), groups


@pytest.mark.parametrize("alpha", [2, 1, 0.5, 3])
def test_the_published_formulas(alpha: float) -> None:
    truth, predicted, groups = draw()
    benefits = predicted - truth + 1.0
    result = metrics.generalized_entropy_index(truth, predicted, groups, alpha=alpha, replicates=50)
    assert result.value == pytest.approx(index(benefits, alpha))
    means, within = np.empty(200), 0.0
    for row in result.pairs.itertuples():
        of_group = benefits[groups == row.group]
        assert row.value == pytest.approx(index(of_group, alpha))
        assert row.n == len(of_group)
        means[groups == row.group] = of_group.mean()
        share = len(of_group) / 200 * (of_group.mean() / benefits.mean()) ** alpha
        within += share * index(of_group, alpha)
    assert result.between.value == pytest.approx(index(means, alpha))
    assert result.within.value == pytest.approx(within)
    for part in (result, result.between, result.within):
        assert part.low <= part.value <= part.high
        assert part.n == 200


def test_theil_and_the_coefficient_of_variation() -> None:
    truth, predicted, _ = draw()
    benefits = predicted - truth + 1.0
    theil = metrics.theil_index(truth, predicted)
    assert theil.value == metrics.generalized_entropy_index(truth, predicted, alpha=1).value
    square = metrics.generalized_entropy_index(truth, predicted)
    assert square.value == pytest.approx((benefits.std() / benefits.mean()) ** 2 / 2)
    assert (square.between, square.within) == (None, None)


def test_without_missed_images_alpha_may_be_0_or_less() -> None:
    truth, predicted, groups = draw()
    predicted = np.maximum(truth, predicted)
    benefits = predicted - truth + 1.0
    for alpha in (0, -1):
        result = metrics.generalized_entropy_index(truth, predicted, groups, alpha=alpha)
        assert result.value == pytest.approx(index(benefits, alpha))
    assert np.isnan(metrics.generalized_entropy_index([1, 0], [0, 0], alpha=0).value)


def test_all_alike_is_0_and_no_benefit_is_nan() -> None:
    assert metrics.generalized_entropy_index([1, 0, 1], [1, 0, 1]).value == 0
    assert metrics.theil_index([0, 0], [1, 1]).value == 0  # all wrongly positive
    missed = metrics.theil_index([1, 1], [0, 0])
    assert (np.isnan(missed.value), missed.n) == (True, 2)


def test_of_classes_the_mean_over_labels() -> None:
    random = np.random.default_rng(2)
    truth, predicted = random.choice(["x", "y", "z"], (2, 120))
    groups = random.choice(["a", "b"], 120)
    result = metrics.generalized_entropy_index(truth, predicted, groups, replicates=50)
    each = [
        metrics.generalized_entropy_index(truth, predicted, groups, positive=label, replicates=50)
        for label in ("x", "y", "z")
    ]
    assert result.value == pytest.approx(np.mean([float(of) for of in each]))
    assert result.between.pairs["label"].tolist() == ["x", "y", "z"]
    for part in ("between", "within"):
        expected = [float(getattr(of, part)) for of in each]
        assert getattr(result, part).pairs["value"].tolist() == pytest.approx(expected)
        assert getattr(result, part).value == pytest.approx(np.mean(expected))


def test_unknown_groups_are_a_row_and_in_no_part() -> None:
    truth, predicted, groups = draw()
    some = np.where(np.arange(200) < 40, None, groups)
    result = metrics.theil_index(truth, predicted, some)
    rest = metrics.theil_index(truth[40:], predicted[40:], groups[40:])
    assert result.value == metrics.theil_index(truth, predicted).value
    assert result.pairs["group"].tolist() == ["a", "b", "c", "unknown"]
    assert result.between.value + result.within.value == pytest.approx(rest.value)
    assert (result.n, result.between.n) == (200, 160)


def test_gaps_and_counts() -> None:
    truth, predicted, groups = draw()
    result = metrics.theil_index(truth, predicted, groups)
    gap = metrics.gap(result, reference="a")
    values = dict(zip(result.pairs["group"], result.pairs["value"]))
    assert gap.pairs["value"].tolist() == pytest.approx(
        [values["b"] - values["a"], values["c"] - values["a"]]
    )
    counts = metrics.Counts()
    counts.update(truth=truth, predicted=predicted, groups=groups)
    assert metrics.theil_index(**counts).within.value == pytest.approx(result.within.value)


@pytest.mark.parametrize("alpha", [None, "2", np.inf, True])
def test_alpha_must_be_a_number(alpha: object) -> None:
    with pytest.raises(InputError, match="alpha must be a number"):
        metrics.generalized_entropy_index([1, 0], [0, 0], alpha=alpha)
    with pytest.raises(InputError, match="theil_index needs truth"):
        metrics.theil_index(None, [0, 0])
