from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from fairvision import metrics
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:figures that rest on fewer")

probabilities = st.one_of(
    st.floats(0, 1), st.integers(0, 20).map(lambda twentieths: twentieths / 20)
)


def brute(right: Any, scores: Any, bins: int) -> float:
    """Bin by bin over the images of each."""
    held: dict[int, list[tuple[float, float]]] = {}
    for true, score in zip(right, scores):
        bin_ = next(m for m in range(1, bins + 1) if m == bins or score <= m / bins)
        held.setdefault(bin_, []).append((float(true), float(score)))
    if not held:
        return float("nan")
    off = [abs(sum(t for t, _ in some) - sum(s for _, s in some)) for some in held.values()]
    return sum(off) / len(right)


@settings(max_examples=200)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([0, 1]), probabilities, st.sampled_from(["f", "m", None])),
        max_size=40,
    ),
    bins=st.integers(1, 25),
)
def test_of_one_score_it_is_the_definition(rows: list[tuple], bins: int) -> None:
    right, scores, groups = (
        (np.array(list(of), dtype=object) for of in zip(*rows)) if rows else ([],) * 3
    )
    scores = np.asarray(scores, float)
    result = metrics.calibration_error(right, scores, groups, bins=bins, replicates=0)
    assert float(result) == pytest.approx(brute(right, scores, bins), abs=1e-12, nan_ok=True)
    assert result.n == len(rows)
    assert result.pairs is not None
    for group, value, n in result.pairs[["group", "value", "n"]].itertuples(index=False):
        kept = [(g or "unknown") == group for g in groups]
        expected = brute(np.array(right)[kept], scores[kept], bins)
        assert value == pytest.approx(expected, abs=1e-12)
        assert n == sum(kept)


@settings(max_examples=50)
@given(
    rows=st.lists(st.tuples(st.integers(0, 1), probabilities), min_size=1, max_size=60),
    bins=st.integers(1, 20),
)
def test_of_one_score_it_follows_from_the_curve_of_scikit_learn(
    rows: list[tuple[int, float]], bins: int
) -> None:
    truth, scores = (np.array(of) for of in zip(*rows))
    edges = np.linspace(0, 1, bins + 1)
    if np.isclose(scores[:, None], edges, rtol=0, atol=1e-12).any():
        return  # the last digit of theirs decides
    frequency, mean = calibration_curve(truth, scores, n_bins=bins)
    number = np.bincount(np.digitize(scores, edges[1:-1]), minlength=bins)
    expected = (number[number > 0] / len(scores) * abs(frequency - mean)).sum()
    result = metrics.calibration_error(truth, scores, bins=bins, replicates=0)
    assert float(result) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50)
@given(data=st.data())
def test_of_classes_the_highest_score_is_set_against_being_right(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 25))
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    scores = random.dirichlet([0.5] * 3, n).round(data.draw(st.integers(1, 6)))
    truth = random.choice([0, 1, 2, -1], n)
    known = truth >= 0
    expected = brute((scores.argmax(axis=1) == truth)[known], scores.max(axis=1)[known], 10)
    result = metrics.calibration_error(truth, scores, bins=10, replicates=0)
    assert float(result) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert result.n == known.sum()
    names = np.array(["ant", "bee", "cat", None], dtype=object)
    shuffled = pd.DataFrame(scores, columns=["bee", "cat", "ant"])
    by_name = metrics.calibration_error(names[[1, 2, 0, 3]][truth], shuffled, bins=10, replicates=0)
    assert (by_name.value, by_name.n) == (pytest.approx(result.value, nan_ok=True), result.n)


def test_of_many_labels_each_has_its_error_and_the_value_is_the_mean() -> None:
    random = np.random.default_rng(0)
    scores = random.random((80, 3))
    truth = (random.random((80, 3)) < scores**2).astype(float)
    truth[:5, 1] = np.nan  # five images unknown
    groups = random.choice(["f", "m"], 80)
    result = metrics.calibration_error(truth, scores, groups, bins=5)
    assert result.pairs is not None
    for row in result.pairs.itertuples():
        kept = (groups == row.group) & (np.arange(80) >= 5)
        expected = brute(truth[kept, row.label], scores[kept, row.label], 5)
        assert (row.value, row.n) == (pytest.approx(expected), kept.sum())
    of_labels = [brute(truth[5:, label], scores[5:, label], 5) for label in range(3)]
    assert (result.value, result.n) == (pytest.approx(np.mean(of_labels)), 75)


def test_with_one_bin_it_is_the_distance_of_the_means() -> None:
    random = np.random.default_rng(0)
    scores, truth = random.random(50), random.integers(0, 2, 50)
    result = metrics.calibration_error(truth, scores, bins=1)
    assert float(result) == pytest.approx(abs(truth.mean() - scores.mean()))


def test_who_is_sure_and_right_is_calibrated_and_who_is_sure_and_wrong_is_not() -> None:
    assert float(metrics.calibration_error([0, 1], [0.0, 1.0])) == 0
    assert float(metrics.calibration_error([1, 0], [0.0, 1.0])) == 1
    assert float(metrics.calibration_error([1, 0], [0.5, 0.5])) == 0


def test_an_edge_belongs_to_the_bin_below() -> None:
    apart = metrics.calibration_error([1, 0], [0.2, 0.3], bins=5)  # (0, .2] and (.2, .4]
    assert float(apart) == pytest.approx((0.8 + 0.3) / 2)
    together = metrics.calibration_error([1, 0], [0.4, 0.3], bins=5)
    assert float(together) == pytest.approx(0.3 / 2)
    first = metrics.calibration_error([1, 0], [0.0, 0.2], bins=5)  # 0 is in the first
    assert float(first) == pytest.approx(0.8 / 2)


def test_a_bias_that_depends_on_the_group_cancels_in_all_images() -> None:
    truth, scores = [1] * 80 + [0] * 20 + [1] * 40 + [0] * 60, [0.6] * 200
    result = metrics.calibration_error(truth, scores, ["f"] * 100 + ["m"] * 100)
    assert result.pairs is not None
    assert float(result) == pytest.approx(0, abs=1e-12)
    assert result.pairs["value"].tolist() == pytest.approx([0.2, 0.2])


def test_chance_alone_makes_an_error_and_the_interval_is_shifted_to_the_value() -> None:
    random = np.random.default_rng(0)
    scores = random.random(200)
    truth = random.random(200) < scores  # calibrated
    result = metrics.calibration_error(truth, scores)
    assert 0.02 < result.value < 0.15
    assert result.low < result.value < result.high
    assert result.replicates.mean() == pytest.approx(result.value, abs=0.003)
    scores = np.tile(scores, 100)
    truth = random.random(20_000) < scores
    assert float(metrics.calibration_error(truth, scores, replicates=0)) < 0.02


def test_weights_are_repetitions() -> None:
    random = np.random.default_rng(0)
    scores, truth = random.random(50), random.integers(0, 2, 50)
    times = random.integers(0, 4, 50)
    weighted = metrics.calibration_error(truth, scores, weights=times / 2, replicates=0)
    repeated = metrics.calibration_error(np.repeat(truth, times), np.repeat(scores, times))
    counted = metrics.calibration_error(truth, scores, counts=times, replicates=0)
    assert weighted.value == pytest.approx(repeated.value)
    assert counted.value == pytest.approx(repeated.value)
    assert (weighted.n, counted.n) == (50, times.sum())


def test_unknown_scores_take_no_part_and_float32_may_be_rounded() -> None:
    some = metrics.calibration_error([1, 0, 1, None], [0.5, np.nan, 0.7, 0.2])
    assert (some.value, some.n) == (pytest.approx(0.4), 2)
    where = metrics.calibration_error([1, 0, 1], [0.5, 0.1, 0.7], where=[True, False, True])
    assert (where.value, where.n) == (some.value, 2)
    rounded = np.array([1 + 1e-7, -1e-8], dtype=np.float32)
    assert float(metrics.calibration_error([1, 0], rounded)) == pytest.approx(0, abs=1e-6)


def test_what_is_not_a_score_is_told() -> None:
    table = pd.DataFrame({"hat": [1, 0], "tie": [0, 1]})
    for match, truth, scores, bins in (
        ("between 0 and 1", [1, 0], [1.2, 0.3], 15),
        ("between 0 and 1", [1, 0], [np.inf, 0.3], 15),
        ("truth must hold 0 and 1", [1, 2], [0.2, 0.3], 15),
        ("no column for the label 3", [1, 3], [[0.2, 0.8], [0.4, 0.6]], 15),
        ("no column for the label 'cat'", ["cat", "dog"], [[0.2, 0.8], [0.4, 0.6]], 15),
        ("scores has 3 labels .* but truth 2", table, np.full((2, 3), 0.5), 15),
        ("not named, or ordered, as those of truth", table, table[["tie", "hat"]], 15),
        ("whole number, 1 or more, not 0", [1, 0], [0.2, 0.3], 0),
        ("whole number, 1 or more, not 2.5", [1, 0], [0.2, 0.3], 2.5),
    ):
        with pytest.raises(InputError, match=match):
            metrics.calibration_error(truth, scores, bins=bins)  # type: ignore[arg-type]


@pytest.mark.parametrize("grouped", [False, True])
def test_root_mean_square_and_largest_bin(grouped) -> None:
    random = np.random.default_rng(4)
    truth, scores = random.integers(0, 2, 400), random.random(400)
    group = np.repeat(["f", "m"], [150, 250])
    parts = [group == name for name in "fm"] if grouped else [np.ones(400, bool)]
    for part, row in zip(parts, range(len(parts))):
        right, score = truth[part], scores[part]
        place = np.ceil(score * 10).astype(int)
        off = {m: abs(np.mean((right - score)[place == m])) for m in {*place}}
        share = {m: np.mean(place == m) for m in off}
        expected = {
            "l1": sum(share[m] * off[m] for m in off),
            "l2": np.sqrt(sum(share[m] * off[m] ** 2 for m in off)),
            "max": max(off.values()),
        }
        for norm, value in expected.items():
            groups = group if grouped else None
            result = metrics.calibration_error(truth, scores, groups, bins=10, norm=norm)
            found = result.pairs["value"][row] if grouped else result.value
            assert found == pytest.approx(value)


def test_norm_that_there_is_not() -> None:
    with pytest.raises(InputError, match="norm must be"):
        metrics.calibration_error([1, 0], [0.2, 0.4], norm="l3")
