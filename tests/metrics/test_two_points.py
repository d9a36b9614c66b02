"""Many images: resamples of bins instead of rows, with the same figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairvision import metrics
from fairvision.metrics._engine import two_points

Images = tuple[np.ndarray, np.ndarray, np.ndarray]
ROWS = 12_000


@pytest.fixture
def images() -> Images:
    """Scores of two models, over-confident, beside what is true; and groups, some unknown."""
    random = np.random.default_rng(0)
    common, own = random.normal(size=ROWS), random.normal(size=(2, ROWS))
    logit = 1.5 * common + 0.7 * own
    truth = (random.random(ROWS) < 1 / (1 + np.exp(-1.3 * common))).astype(int)
    groups = random.choice(["f", "m", "unknown"], ROWS, p=[0.4, 0.5, 0.1])
    return truth, 1 / (1 + np.exp(-logit)), groups


def by_rows(monkeypatch: pytest.MonkeyPatch, *given: Any, **how: Any) -> metrics.Result:
    with monkeypatch.context() as patch:
        patch.setattr(two_points, "MANY", 1 << 60)
        return metrics.calibration_error(*given, **how)


@settings(max_examples=100)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.floats(-1, 1), st.integers(1, 5)), min_size=1, max_size=40
    )
)
def test_two_values_have_mean_and_variance_of_all(rows: list[tuple[int, float, int]]) -> None:
    cell, values, counts = (np.array(column) for column in zip(*rows))
    code, points = two_points.two_points(cell, values, counts, 5)
    assert (code // 2 == cell).all()
    for each in np.unique(cell):
        inside = cell == each
        all_values = np.repeat(values[inside], counts[inside])
        in_place = np.repeat(points[code[inside]], counts[inside])
        assert in_place.mean() == pytest.approx(all_values.mean(), abs=1e-9)
        assert in_place.var() == pytest.approx(all_values.var(), abs=1e-9)
        assert len(np.unique(code[inside])) == min(2, len(np.unique(values[inside])))


def test_right_and_wrong_are_told_apart() -> None:
    scores = np.linspace(0.94, 0.99, 100)
    right = np.arange(100) % 20 > 0  # so many that their mean lies among those that are right
    code, _ = two_points.two_points(np.zeros(100, int), right - scores, np.ones(100), 1)
    assert (code == right).all()


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_intervals_are_those_of_rows(
    monkeypatch: pytest.MonkeyPatch, images: Images, norm: Any
) -> None:
    truth, (a, b), groups = images
    how: Any = {"norm": norm, "replicates": 2000, "bins": 8}
    merged = [metrics.calibration_error(truth, s, groups, **how) for s in (a, b)]
    plain = [by_rows(monkeypatch, truth, s, groups, **how) for s in (a, b)]
    figures = [[*each, metrics.compare(*each), metrics.gap(each[0])] for each in (merged, plain)]
    for ours, theirs in zip(*figures):
        assert ours.value == pytest.approx(theirs.value, abs=1e-12)
        assert ours.n == theirs.n
        assert ours.replicates.std() == pytest.approx(theirs.replicates.std(), rel=0.08)
    for ours, theirs in zip(merged, plain):
        assert ours.pairs is not None
        assert theirs.pairs is not None
        assert list(ours.pairs["group"]) == list(theirs.pairs["group"])
        assert list(ours.pairs["n"]) == list(theirs.pairs["n"])
        assert ours.pairs["value"].to_numpy() == pytest.approx(theirs.pairs["value"].to_numpy())
        wide = ours.pairs["high"] - ours.pairs["low"]
        assert wide.to_numpy() == pytest.approx(
            (theirs.pairs["high"] - theirs.pairs["low"]).to_numpy(), rel=0.15
        )


def test_models_that_are_always_right_have_an_interval_from_their_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = 1 - np.random.default_rng(0).exponential(0.02, ROWS).clip(0, 0.5)
    merged = metrics.calibration_error(np.ones(ROWS), scores)
    plain = by_rows(monkeypatch, np.ones(ROWS), scores)
    assert merged.replicates.std() == pytest.approx(plain.replicates.std(), rel=0.08)


def test_the_order_of_images_changes_nothing(images: Images) -> None:
    truth, (scores, _), groups = images
    order = np.random.default_rng(1).permutation(ROWS)
    one = metrics.calibration_error(truth, scores, groups, replicates=50)
    other = metrics.calibration_error(truth[order], scores[order], groups[order], replicates=50)
    ends = [(of.value, of.low, of.high) for of in (one, other)]
    assert ends[0] == pytest.approx(ends[1], abs=1e-12)
    assert one.pairs is not None
    pd.testing.assert_frame_equal(one.pairs, other.pairs, rtol=1e-9)


def test_counts_are_repetitions(images: Images) -> None:
    truth, (scores, _), groups = (column[..., : ROWS // 2] for column in images)
    times = np.arange(len(truth)) % 4
    how: Any = {"replicates": 50, "bins": 8}
    counted = metrics.calibration_error(truth, scores, groups, counts=times, **how)
    repeated = metrics.calibration_error(
        *(np.repeat(column, times) for column in (truth, scores, groups)), **how
    )
    assert times.sum() < two_points.MANY  # neither is merged
    assert counted.value == pytest.approx(repeated.value, abs=1e-12)
    counted = metrics.calibration_error(truth, scores, groups, counts=3 * times, **how)
    repeated = metrics.calibration_error(
        *(np.repeat(column, 3 * times) for column in (truth, scores, groups)), **how
    )
    assert (counted.low, counted.high) == pytest.approx((repeated.low, repeated.high), abs=1e-12)


def test_strata_keep_their_sizes(images: Images) -> None:
    truth, (scores, _), groups = images
    strata = np.where(scores > 0.5, "high", "low")
    result = metrics.calibration_error(truth, scores, groups, strata=strata, replicates=50)
    plain = metrics.calibration_error(truth, scores, groups, replicates=50)
    assert result.value == pytest.approx(plain.value, abs=1e-12)
    by_bin = metrics.calibration_error(truth, scores, bins=1, strata=strata, replicates=200)
    free = metrics.calibration_error(truth, scores, bins=1, replicates=200)
    assert by_bin.replicates.std() < free.replicates.std()


def test_rows_are_drawn_where_they_are_not_alike(images: Images) -> None:
    truth, (scores, _), groups = images
    weights = np.where(groups == "f", 2.0, 1.0)
    options: Any = {"weights": weights}, {"cluster": np.arange(ROWS) // 2}, {"joint": True}
    for how in options:
        result = metrics.calibration_error(truth, scores, groups, replicates=20, **how)
        assert result.low < result.value < result.high
