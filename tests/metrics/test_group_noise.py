"""Groups that were observed with errors: exact cases, invariances, intervals that carry them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics import NoisyGroups

RANDOM = np.random.default_rng(0)
MIXED = np.array([[0.9, 0.1], [0.2, 0.8]])


def counted(confusion: Any, accuracies: Any, sizes: Any) -> dict[str, Any]:
    """Return images in proportion, whose errors have nothing to do with the answers."""
    confusion = np.asarray(confusion)
    true, observed, right = (axis.ravel() for axis in np.indices((*confusion.shape, 2)))
    accuracy = np.asarray(accuracies)[true]
    share = np.where(right == 1, accuracy, 1 - accuracy)
    counts = np.rint(np.asarray(sizes)[true] * confusion[true, observed] * share).astype(int)
    return {"values": right, "groups": observed, "counts": counts, "true": true}


def noisy(data: dict[str, Any], **keywords: Any) -> NoisyGroups:
    given = {name: data[name] for name in ("values", "groups", "counts")}
    return metrics.noisy_groups(**given, **keywords)


@pytest.mark.parametrize(
    ("confusion", "accuracies", "sizes"),
    [
        (MIXED, [0.9, 0.7], [3000, 2000]),
        ([[0.8, 0.1, 0.1], [0, 1, 0], [0.1, 0.2, 0.7]], [0.9, 0.7, 0.5], [1000, 4000, 2000]),
    ],
)
def test_what_errors_have_mixed_is_told_apart(confusion: Any, accuracies: Any, sizes: Any) -> None:
    data = counted(confusion, accuracies, sizes)
    result = noisy(data, confusion=np.rint(np.asarray(confusion) * 1000).astype(int))
    assert [*result.by_group.values()] == pytest.approx(accuracies)
    assert result.gap == pytest.approx(max(accuracies) - min(accuracies))
    assert metrics.gap(result.observed) < result.gap
    chosen = counted(confusion, accuracies, np.asarray(sizes) / 10)
    both = {name: np.concatenate([data[name], chosen[name]]) for name in data}
    validated = np.concatenate([np.full(len(data["true"]), -1), chosen["true"]])
    for differential in (False, True):
        result = noisy(both, validated=validated, differential=differential)
        assert [*result.by_group.values()] == pytest.approx(accuracies, abs=2e-3)


def test_errors_that_go_with_the_answers_are_told_apart_where_that_was_validated() -> None:
    true, observed, right = (axis.ravel() for axis in np.indices((2, 2, 2)))
    often = np.where(right == 1, 0.02, 0.2)
    share = np.where(true == observed, 1 - often, often) * np.where(right == 1, 0.8, 0.2)
    counts = np.rint(10_000 * share).astype(int)
    twice = {"values": [*right] * 2, "groups": [*observed] * 2, "counts": [*counts, *counts // 10]}
    given: dict[str, Any] = {**twice, "validated": [*[-1] * 8, *true]}
    assert metrics.noisy_groups(**given, differential=True).gap == pytest.approx(0, abs=1e-9)
    assert metrics.noisy_groups(**given).dependence < 1e-9
    least, most = metrics.noisy_groups(**given).gap_bounds
    assert least <= 0 <= most


def test_without_errors_nothing_changes() -> None:
    right, groups = RANDOM.random(500) < 0.8, RANDOM.integers(0, 3, 500)
    plain = metrics.mean_by_group(right, groups)
    ways: list[dict[str, Any]]
    ways = [{"confusion": np.eye(3, dtype=int) * 10**8}, {"validated": groups}]
    for given in ways:
        result = metrics.noisy_groups(right, groups, **given)
        for group, mean in plain.items():
            for name in ("value", "low", "high", "n"):
                expected = getattr(mean, name)
                assert getattr(result.by_group[group], name) == pytest.approx(expected, abs=1e-3)
            least, most = result.bounds[group]
            assert least == pytest.approx(mean, abs=1e-6) == most


def test_fewer_validated_images_make_wider_intervals() -> None:
    data = counted(MIXED, [0.9, 0.7], [3000, 2000])
    widths = [
        (of := noisy(data, confusion=np.rint(MIXED * n).astype(int)).gap).high - of.low
        for n in (10, 100, 10_000)
    ]
    assert widths[0] > 1.5 * widths[1] > 1.5 * widths[2]


def test_that_nobody_was_mistaken_does_not_say_that_nobody_ever_is() -> None:
    data = counted(np.eye(2), [0.9, 0.7], [100_000, 100_000])
    sure, unsure = (noisy(data, confusion=np.eye(2, dtype=int) * n).gap for n in (10**7, 50))
    assert unsure.high - unsure.low > 2 * (sure.high - sure.low)


def test_a_gap_is_not_shown_once_the_errors_are_carried() -> None:
    data = counted([[0.6, 0.4], [0.4, 0.6]], [0.9, 0.6], [2000, 2000])
    result = noisy(data, confusion=[[12, 8], [8, 12]])
    assert metrics.gap(result.observed).low > 0
    assert not result.shown
    assert noisy(data, confusion=[[6000, 4000], [4000, 6000]]).shown
    assert not result.shown_anyway


def test_bounds_hold_whatever_goes_with_the_errors() -> None:
    for seed in range(50):
        random = np.random.default_rng(seed)
        counts = random.integers(0, 500, (2, 2, 2))  # true, observed, right
        _, observed, right = (axis.ravel() for axis in np.indices(counts.shape))
        result = metrics.noisy_groups(
            right, observed, counts=counts.ravel(), confusion=counts.sum(axis=2), replicates=0
        )
        for group in range(2):
            least, most = result.bounds[group]
            mean = counts[group, :, 1].sum() / counts[group].sum()
            assert least - 1e-9 <= mean <= most + 1e-9


def test_bounds_are_reached() -> None:
    """Ten of a hundred who were taken for men are women; all may be right, or all wrong."""
    result = metrics.noisy_groups(
        [1] * 80 + [0] * 20 + [1] * 100,
        ["men"] * 100 + ["women"] * 100,
        confusion={"men": {"men": 90}, "women": {"men": 10, "women": 100}},
    )
    least, most = result.bounds["men"]
    assert least == pytest.approx(70 / 90)
    assert most == pytest.approx(80 / 90)
    assert [float(of) for of in result.bounds["women"]] == pytest.approx([100 / 110, 1])


def test_results_are_paired() -> None:
    data = counted(MIXED, [0.9, 0.7], [300, 200])
    other = {**data, "values": 1 - data["values"]}
    a, b = (noisy(of, confusion=[[90, 10], [20, 80]]).by_group[0] for of in (data, other))
    change = metrics.compare(a, b)
    np.testing.assert_allclose(change.replicates, 1 - 2 * a.replicates, atol=1e-9)
    rows = RANDOM.random((2, 400)) < 0.7
    groups = RANDOM.integers(0, 2, 400)
    one, two = (metrics.noisy_groups(of, groups, confusion=[[9, 1], [2, 8]]) for of in rows)
    joint = metrics.compare(one.by_group[0], two.by_group[0])
    assert joint.low < joint.value < joint.high


def test_values_of_any_range_and_images_that_take_no_part() -> None:
    data = counted(MIXED, [0.9, 0.7], [3000, 2000])
    scaled = {**data, "values": 10 * data["values"] - 3}
    of = noisy(scaled, confusion=(MIXED * 100).astype(int))
    assert [*of.by_group.values()] == pytest.approx([6, 4])
    plain = noisy(data, confusion=(MIXED * 100).astype(int))
    for bound, other in zip(of.gap_bounds, plain.gap_bounds):
        assert bound == pytest.approx(10 * other)
    more = {name: np.concatenate([column, column]) for name, column in data.items()}
    where = np.arange(16) < 8
    assert noisy(more, confusion=(MIXED * 100).astype(int), where=where).gap == pytest.approx(
        plain.gap
    )
    more["values"] = np.where(where, more["values"], np.nan)
    assert noisy(more, confusion=(MIXED * 100).astype(int)).gap == pytest.approx(plain.gap)


def test_unknown_groups_are_a_row() -> None:
    groups = np.array(["a", "a", "b", "b", None, None], object)
    validated = np.array(["a", "a", "b", "b", "a", None], object)
    result = metrics.noisy_groups([1, 0, 1, 1, 0, 1], groups, validated=validated)
    assert float(result.by_group["unknown"]) == 1
    assert [of.n for of in result.by_group.values()] == [3, 2, 1]
    assert result.observed["a"] == 0.5


def test_clusters_count_as_wholes() -> None:
    person = np.repeat(np.arange(200), 5)
    true = np.repeat(RANDOM.integers(0, 2, 200), 5)
    seen = true ^ np.repeat(RANDOM.random(200) < 0.1, 5)
    right = RANDOM.random(1000) < RANDOM.beta(2, 0.5, 200)[person]
    validated = np.where(person < 60, true, -1)
    plain, clustered = (
        metrics.noisy_groups(right, seen, validated=validated, cluster=cluster).gap
        for cluster in (None, person)
    )
    assert plain.value == clustered.value
    assert clustered.high - clustered.low > 1.3 * (plain.high - plain.low)


def test_all_right_has_the_exact_interval() -> None:
    result = metrics.noisy_groups([1] * 60, ["a", "b"] * 30, confusion=[[9, 1], [1, 9]])
    plain = metrics.mean_by_group([1] * 60, ["a", "b"] * 30)
    assert result.by_group["a"].low == pytest.approx(plain["a"].low)
    assert result.gap.low < 0 < result.gap.high


def test_groups_observed_by_chance_are_undefined() -> None:
    result = metrics.noisy_groups([1, 0, 1, 1], list("aabb"), confusion=[[5, 5], [5, 5]])
    assert all(np.isnan(of) for of in result.by_group.values())
    assert np.isnan(result.gap)
    assert not result.shown


def test_intervals_hold_the_truth() -> None:
    holds = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        true = random.integers(0, 2, 1200)
        right = random.random(1200) < np.array([0.9, 0.75])[true]
        seen = true ^ (random.random(1200) < 0.1)
        table = np.zeros((2, 2), int)
        np.add.at(table, (true[:200], seen[:200]), 1)
        result = metrics.noisy_groups(
            right[200:], seen[200:], confusion=table, seed=seed, replicates=400
        )
        holds.append(result.gap.low <= 0.15 <= result.gap.high)
    assert 0.9 <= np.mean(holds) <= 0.99


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give either confusion or validated"),
        ({"confusion": [[1]]}, "has shape"),
        ({"confusion": [[0.9, 0.1], [0.1, 0.9]]}, "numbers of images, not shares"),
        ({"confusion": [[0, 0], [1, 9]]}, "no image that is truly 'a'"),
        ({"confusion": [["x", 0], [1, 9]]}, "must hold numbers of images"),
        ({"confusion": {"a": {"a": 1}, "c": {"c": 1}}}, "groups hold 'b'"),
        ({"confusion": {"a": 1, "b": 2}}, "dictionary of observed ones"),
        ({"confusion": {"a": {"a": 1, "b": 2}}}, "two true groups"),
        ({"confusion": pd.DataFrame({"a": [1, 2], "c": [1, 2]}, index=["a", "b"])}, "only one of"),
        ({"confusion": [[9, 1], [1, 9]], "differential": True}, "differential needs validated"),
        ({"validated": ["a", None, None, None]}, "observed as 'b' is validated"),
        ({"validated": ["a", None]}, "rows"),
    ],
)
def test_what_cannot_be_is_said(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        metrics.noisy_groups([1, 0, 1, 1], list("aabb"), **given)


def test_differential_needs_values_of_0_and_1() -> None:
    with pytest.raises(InputError, match="values of 0 and 1"):
        metrics.noisy_groups([1, 0.5], list("ab"), validated=list("ab"), differential=True)
