"""Scores counted on a grid: exact sums, and rankings inside their bounds."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from fairvision import metrics
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:figures that rest on fewer")

scores_of_images = st.one_of(
    st.floats(0, 1),
    st.integers(0, 40).map(lambda part: part / 40),  # ties, some on the edges of the grid
    st.floats(0, 1e-300),
)
images = st.lists(
    st.tuples(st.integers(0, 1), scores_of_images, st.sampled_from(["f", "m", None])),
    min_size=1,
    max_size=40,
)


def columns(rows: list[tuple]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, scores, groups = zip(*rows)
    return np.array(truth), np.array(scores, float), np.array(groups, dtype=object)


@settings(max_examples=200)
@given(rows=images, grid=st.sampled_from([1, 2, 15, 60]))
def test_exact_figures_lie_inside_the_bounds(rows: list[tuple], grid: int) -> None:
    truth, scores, groups = columns(rows)
    counted = metrics.ScoreCounts(grid)
    counted.update(truth, scores, groups)
    for name in ("roc_auc", "average_precision"):
        exact = getattr(metrics, name)(truth, scores, groups, replicates=0)
        bounded = getattr(counted, name)(replicates=0)
        assert exact.pairs is not None and bounded.pairs is not None  # noqa: PT018
        each = [(exact.value, bounded.value, bounded.lowest, bounded.highest)]
        of_groups = exact.pairs.merge(bounded.pairs, on="group", suffixes=("", "_counted"))
        assert len(of_groups) == len(exact.pairs)
        each += of_groups[["value", "value_counted", "lowest", "highest"]].values.tolist()
        for value, as_counted, lowest, highest in each:
            assert np.isnan(value) == np.isnan(lowest) == np.isnan(highest)
            if not np.isnan(value):
                assert lowest <= value <= highest
                assert lowest <= as_counted <= highest
        assert bounded.n == exact.n


@settings(max_examples=100)
@given(rows=images, norm=st.sampled_from(["l1", "l2", "max"]))
def test_calibration_and_means_are_those_of_the_rows(rows: list[tuple], norm: Any) -> None:
    truth, scores, groups = columns(rows)
    counted = metrics.ScoreCounts(60)
    counted.update(truth, scores, groups)
    ours = counted.calibration_error(bins=15, norm=norm, replicates=0)
    exact = metrics.calibration_error(truth, scores, groups, norm=norm, replicates=0)
    assert float(ours) == pytest.approx(float(exact), abs=1e-14)
    assert ours.pairs is not None
    assert exact.pairs is not None
    assert ours.pairs["value"].tolist() == pytest.approx(exact.pairs["value"].tolist(), abs=1e-14)
    means = counted.mean_by_group(replicates=0)
    for group, mean in metrics.mean_by_group(scores, groups, replicates=0).items():
        assert float(means[group]) == pytest.approx(float(mean), abs=1e-15)
        assert means[group].n == mean.n


@settings(max_examples=50)
@given(rows=images, order=st.randoms(use_true_random=False), cut=st.integers(0, 40))
def test_order_and_batches_change_nothing(rows: list[tuple], order: Any, cut: int) -> None:
    together = metrics.ScoreCounts(60)
    together.update(*columns(rows))
    shuffled = order.sample(rows, len(rows))
    parts = []
    for part in (shuffled[:cut], shuffled[cut:]):
        parts.append(metrics.ScoreCounts(60))
        if part:
            parts[-1].update(*columns(part))
    for one, other in (parts, parts[::-1]):
        merged = metrics.ScoreCounts(60)
        merged.merge(one)
        merged.merge(other)
        ours, theirs = merged.rows(), together.rows()
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("grid", [20, 2000])
def test_bounds_are_reached_and_close_in(grid: int) -> None:
    random = np.random.default_rng(0)
    scores = random.random(3000)
    truth = (random.random(3000) < scores).astype(int)
    counted = metrics.ScoreCounts(grid)
    counted.update(truth, scores)
    area, precision = counted.roc_auc(), counted.average_precision()
    assert area.lowest < roc_auc_score(truth, scores) < area.highest
    assert precision.lowest < average_precision_score(truth, scores) < precision.highest
    assert area.highest - area.lowest < 1 / grid
    assert precision.highest - precision.lowest < 2.5 / grid
    cell = np.ceil(scores * grid)
    for worst, bounds in ((cell - truth / 2, -1), (cell + truth / 2, 1)):
        reached = (area.lowest, area.highest)[bounds > 0]
        assert roc_auc_score(truth, worst) == pytest.approx(reached, abs=1e-11)
    apart = cell - truth / 2 + random.random(3000) / 4  # the others first, no two equal
    assert average_precision_score(truth, apart) == pytest.approx(precision.lowest, abs=1e-3 / grid)
    assert average_precision_score(truth, cell + truth / 2) == pytest.approx(precision.highest)
    assert area.low < area.value < area.high


def test_sums_are_exact_however_many_images() -> None:
    counted = metrics.ScoreCounts(15)
    counted.update([1, 0], [0.1, 1.0], counts=[10**10, 3])
    assert counted.total == 10**10 + 3
    assert counted.rows()["scores"].tolist() == pytest.approx([1.0, 0.1], abs=2.0**-54)
    with pytest.raises(InputError, match="at most"):
        counted.update([1], [0.5], counts=[1 << 36])


def test_what_is_unknown_is_not_counted() -> None:
    counted = metrics.ScoreCounts()
    counted.update([1, None, 0, 1, -1], [0.5, 0.5, np.nan, 0.25, 0.1], ["a", "a", "a", None, "b"])
    assert counted.total == 2
    assert counted.roc_auc(replicates=0).n == 2
    assert np.isnan(counted.roc_auc(replicates=0).lowest)  # there is none without the label
    empty = metrics.ScoreCounts()
    assert np.isnan(empty.average_precision())
    assert np.isnan(empty.calibration_error())
    assert empty.roc_auc().n == 0


def test_streams_are_counted_all_or_none() -> None:
    truth, scores, groups = [1, 0, 1, 0], [0.9, 0.2, 0.4, 0.4], ["f", "m", None, "f"]
    rows = {"truth": truth, "scores": scores, "groups": groups}
    expected = metrics.ScoreCounts()
    expected.update(**rows)
    for stream in (pa.table(rows), pl.DataFrame(rows), pa.table({**rows, "counts": [1] * 4})):
        counted = metrics.ScoreCounts()
        counted.update(stream)
        ours, theirs = counted.rows(), expected.rows()
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
        with pytest.raises(InputError):
            counted.update(pa.table({**rows, "scores": [0.1, 0.2, 0.3, 7.0]}))
        assert counted.total == 4


def test_wrong_use_is_told() -> None:
    counted = metrics.ScoreCounts(100)
    for wrong, message in (
        (lambda: metrics.ScoreCounts(0), "grid"),
        (lambda: counted.calibration_error(bins=15), "divide the grid"),
        (lambda: counted.merge(metrics.ScoreCounts(10)), "same grid"),
        (lambda: counted.update([1, 0], [0.5, 1.5]), "between 0 and 1"),
        (lambda: counted.update([2, 0], [0.5, 0.5]), "0 and 1"),
        (lambda: counted.update([1, 0], [[0.5, 0.1], [0.5, 0.1]]), "one column|label"),
        (lambda: counted.update("rows.parquet"), "__arrow_c_stream__"),
        (lambda: counted.update(pa.table({"score": [0.1]})), "columns truth and scores"),
        (lambda: counted.update([1, 0], [0.5, 0.5], ["a"]), "groups has 1 rows"),
    ):
        with pytest.raises(InputError, match=message):
            wrong()
    counted.update([1, 0], [0.5, 0.25])
    with pytest.raises(InputError, match="for all images"):
        counted.update([1], [0.5], ["a"])
    with pytest.raises(InputError, match="no groups"):
        counted.mean_by_group()


def test_results_are_copied_with_their_bounds() -> None:
    counted = metrics.ScoreCounts(10)
    counted.update([1, 0, 1, 0] * 5, [0.9, 0.2, 0.41, 0.43] * 5)
    area = counted.roc_auc()
    copied = copy.deepcopy(area)
    assert (copied.lowest, copied.highest, copied.low) == (area.lowest, area.highest, area.low)
    assert (area.lowest, area.highest) == pytest.approx((0.75, 1))


def test_rows_are_counted_again() -> None:
    random = np.random.default_rng(0)
    scores, groups = random.random(500), random.choice(["f", "m", "unknown"], 500)
    counted, again = metrics.ScoreCounts(90), metrics.ScoreCounts(90)
    counted.update(random.integers(0, 2, 500), scores, groups)
    again.update(pa.table(counted.rows()))
    ours, theirs = counted.roc_auc(replicates=0), again.roc_auc(replicates=0)
    assert (ours.lowest, ours.highest, ours.n) == (theirs.lowest, theirs.highest, theirs.n)
    errors = [float(of.calibration_error(replicates=0)) for of in (counted, again)]
    assert errors[0] == pytest.approx(errors[1], abs=1e-14)


def test_areas_between_curves_are_within_both_bounds() -> None:
    random = np.random.default_rng(8)
    truth, groups = random.integers(0, 2, 600), random.choice(["f", "m"], 600)
    scores = np.clip(0.3 * truth * (groups == "f") + 0.7 * random.random(600), 0, 1)
    exact = metrics.abroca(truth, scores, groups, replicates=200)
    for grid in (5, 50):
        counted = metrics.ScoreCounts(grid)
        counted.update(truth, scores, groups)
        ours = counted.abroca(replicates=200)
        pairs = counted.roc_auc(replicates=0).pairs
        assert abs(ours - exact) <= (pairs["highest"] - pairs["lowest"]).sum()
        assert ours.n == exact.n
        assert ours.high - ours.low == pytest.approx(exact.high - exact.low, rel=0.25)
