"""Gaps that can be shown: against simulation, and what may not matter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fairvision import metrics
from fairvision.errors import InputError

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("n", "other", "accuracy"), [(300, 300, 0.9), (1000, 1000, 0.7), (400, 400, 0.6)]
)
def test_the_gap_is_shown_as_often_as_it_says(n: int, other: int, accuracy: float) -> None:
    gap = float(metrics.detectable_gap(n, other, accuracy=accuracy))
    better = RANDOM.binomial(n, accuracy, 100_000) / n
    worse = RANDOM.binomial(other, accuracy - gap, 100_000) / other
    error = np.sqrt(better * (1 - better) / n + worse * (1 - worse) / other)
    assert ((better - worse) > stats.norm.ppf(0.975) * error).mean() == pytest.approx(
        0.8, abs=0.015
    )


def test_an_audit_shows_it_as_often_as_it_says() -> None:
    gap = float(metrics.detectable_gap(200, 200, accuracy=0.8))
    groups, shown = np.repeat([0, 1], 200), 0
    for seed in range(150):
        right = RANDOM.random(400) < np.where(groups == 0, 0.8, 0.8 - gap)
        means = metrics.mean_by_group(right, groups, replicates=300, seed=seed)
        shown += metrics.compare(means[1], means[0]).low > 0
    assert shown / 150 == pytest.approx(0.8, abs=0.1)


def test_unequal_groups_count_by_the_worse_case() -> None:
    gap = metrics.detectable_gap([100, 1000], [1000, 100])
    assert gap[0] == gap[1]
    assert gap[0] > metrics.detectable_gap(1000, 1000)
    for n, other in ((100, 1000), (1000, 100)):
        better = RANDOM.binomial(n, 0.9, 100_000) / n
        worse = RANDOM.binomial(other, 0.9 - gap[0], 100_000) / other
        error = np.sqrt(better * (1 - better) / n + worse * (1 - worse) / other)
        assert ((better - worse) > 1.96 * error).mean() > 0.79


def test_more_images_and_less_power_show_smaller_gaps() -> None:
    gaps = metrics.detectable_gap([50, 500, 5000, 50_000], [50, 500, 5000, 50_000])
    assert (np.diff(gaps) < 0).all()
    many = 2.8016 * np.sqrt(2 * 0.09 / 1e8)
    assert float(metrics.detectable_gap(1e8, 1e8)) == pytest.approx(many, rel=0.001)
    assert metrics.detectable_gap(500, 500, power=0.5) < gaps[1]
    assert metrics.detectable_gap(500, 500, confidence=0.99) > gaps[1]


def test_nothing_is_shown_without_images() -> None:
    gaps = metrics.detectable_gap([0, 3, 500], [500, 3, 500], accuracy=[0.9, 0.7, 0.9])
    assert np.isnan(gaps).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"accuracy": 1.0}, "accuracy must be between 0 and 1"),
        ({"power": 0}, "power must be between 0 and 1"),
        ({"confidence": 95}, "confidence must be between 0 and 1"),
        ({"other": -1}, "0 or more"),
        ({"other": float("nan")}, "0 or more"),
    ],
)
def test_what_is_out_of_range_is_refused(keywords: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        metrics.detectable_gap(**{"n": 100, "other": 100, **keywords})


def test_effective_images_are_those_of_the_variance_of_a_mean() -> None:
    person = np.repeat(np.arange(300), RANDOM.integers(1, 8, 300))
    correlation, means = 0.4, []
    for _ in range(4000):
        shared = RANDOM.normal(size=300)[person]
        own = RANDOM.normal(size=len(person))
        means.append((np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own).mean())
    assert 1 / np.var(means) == pytest.approx(metrics.effective_images(person, 0.4), rel=0.06)


def test_effective_images_lie_between_clusters_and_images() -> None:
    assert metrics.effective_images(np.arange(50) // 5, 1) == 10
    assert metrics.effective_images(np.arange(50), 1) == 50
    assert metrics.effective_images([None, None, "a", "a"], 1) == pytest.approx(4 / 1.5)
    assert metrics.effective_images([]) == 0
    with pytest.raises(InputError, match="from 0 to 1"):
        metrics.effective_images([1, 1], -0.1)
