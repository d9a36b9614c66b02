"""Clusters are drawn as wholes: against formulas, brute force, and what may not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from fairvision import metrics
from fairvision.errors import FairvisionWarning, InputError
from fairvision.metrics._engine import bootstrap, clusters
from fairvision.metrics._engine.bootstrap import Drawing, Sample

PEOPLE = 60
RANDOM = np.random.default_rng(0)
PERSON = np.repeat(np.arange(PEOPLE), RANDOM.integers(1, 9, PEOPLE))
RIGHT = (RANDOM.random(len(PERSON)) < RANDOM.beta(1.5, 0.5, PEOPLE)[PERSON]).astype(int)
GROUP = np.array(["f", "m"])[PERSON % 2]
ONES = np.ones(len(PERSON), int)


def spread(result: metrics.Result) -> float:
    return float(np.std(result.replicates))


def test_spread_of_a_mean_is_that_of_the_means_of_equal_clusters() -> None:
    values = np.repeat(RANDOM.normal(size=200), 5) + 0.1 * RANDOM.normal(size=1000)
    person = np.repeat(np.arange(200), 5)
    result = metrics.mean(values, cluster=person, replicates=4000)
    of_person = values.reshape(200, 5).mean(axis=1)
    assert spread(result) == pytest.approx(of_person.std() / np.sqrt(200), rel=0.04)
    assert spread(metrics.mean(values)) < 0.6 * spread(result)


def test_spread_of_a_share_is_that_of_the_ratio_of_cluster_sums() -> None:
    result = metrics.accuracy(ONES, RIGHT, cluster=PERSON, replicates=20_000)
    of_person = np.bincount(PERSON, RIGHT - RIGHT.mean())  # linearised: Cochran, section 2.11
    assert spread(result) == pytest.approx(np.sqrt((of_person**2).sum()) / len(RIGHT), rel=0.03)


def test_it_is_what_drawing_clusters_one_by_one_gives() -> None:
    result = metrics.gap(metrics.mean_by_group(RIGHT, GROUP, cluster=PERSON, replicates=4000))
    rows = [np.flatnonzero(person == PERSON) for person in range(PEOPLE)]
    random, gaps = np.random.default_rng(1), []
    for _ in range(2000):
        drawn = np.concatenate([rows[person] for person in random.integers(PEOPLE, size=PEOPLE)])
        by_group = [RIGHT[drawn][GROUP[drawn] == group].mean() for group in "fm"]
        gaps.append(abs(by_group[1] - by_group[0]) if result < 0 else by_group[1] - by_group[0])
    assert spread(result) == pytest.approx(np.std(gaps), rel=0.06)


def test_few_clusters_widen_the_percentiles() -> None:
    values, person = np.repeat(stats.norm.ppf((np.arange(20) + 0.5) / 20), 3), np.arange(60) // 3
    result = metrics.mean(values, cluster=person, replicates=20_000)
    half = stats.t.ppf(0.975, 19) * np.std(values[::3], ddof=1) / np.sqrt(20)
    assert [result.low, result.high] == pytest.approx([-half, half], rel=0.04)
    many = clusters.tails(np.array([0.025, 0.025]), np.array([1e9, 20]))
    assert many == pytest.approx(
        [0.025, stats.norm.cdf(-np.sqrt(20 / 19) * stats.t.ppf(0.975, 19))]
    )


@pytest.mark.parametrize("often", [1, 3])
def test_unequal_clusters_count_as_fewer(often: int) -> None:
    size = np.arange(1, 41.0)
    parts = clusters.Parts(np.full(40, often), size ** np.arange(1, 5)[:, None])
    alike, apart = size * (-1) ** np.arange(40), np.sqrt(size)
    moved = np.ones((3, 40), bool)
    number = parts.as_equal(1e-6 * np.stack([alike, apart, np.sqrt(size + 0.5 * size**2)]), moved)
    least, most = (often * of.sum() ** 2 / (of**2).sum() for of in (size**2, size))
    assert number[:2] == pytest.approx([least, np.sqrt(least * most)])
    assert least < number[2] < number[1]
    few = np.arange(40) < 2
    assert parts.as_equal(np.where(few, apart, 0), few) == pytest.approx(max(2, often * 2), rel=0.3)
    even = clusters.Parts(np.full(40, often), 7.0 ** np.arange(1, 5)[:, None] * np.ones(40))
    changes = RANDOM.normal(size=40)
    assert even.as_equal(changes, np.ones(40, bool)) == pytest.approx(40 * often)


def test_intervals_of_unequal_clusters_are_wider() -> None:
    person = np.repeat(np.arange(40), np.arange(1, 41))
    values = RANDOM.normal(size=40)[person]
    result = metrics.mean(values, cluster=person, replicates=4000)
    plain = np.quantile(result.replicates, [0.025, 0.975])
    assert result.low < plain[0]
    assert result.high > plain[1]


def test_many_unequal_clusters_are_left_out_in_parts() -> None:
    size = 1 + np.arange(3000) % 7
    person = np.repeat(np.arange(3000), size)
    values = RANDOM.normal(size=len(person))
    result = metrics.mean(values, cluster=person, replicates=2000)
    plain = np.quantile(result.replicates, [0.025, 0.975])
    assert [result.low, result.high] == pytest.approx(plain, abs=0.02 * (plain[1] - plain[0]))


def test_one_cluster_of_nearly_all_is_as_uncertain_as_can_be() -> None:
    person = np.concatenate([np.zeros(500, int), np.arange(1, 40)])
    values = (person % 2 == 0) + 0.1 * (person > 20)
    result = metrics.mean(values, cluster=person)
    assert (result.low, result.high) == pytest.approx(
        (result.replicates.min(), result.replicates.max())
    )
    accelerated = metrics.mean(values, cluster=person, interval="bca")
    assert accelerated.low < float(result) < accelerated.high


def test_a_figure_of_one_cluster_has_no_interval() -> None:
    result = metrics.mean_by_group(
        [*RIGHT, 0.2, 0.4], [*GROUP, "x", "x"], cluster=[*PERSON, -7, -7]
    )
    assert np.isnan([result["x"].low, result["x"].high]).all()
    assert result["f"].low < result["f"].high


MEASURES = {
    "mean": lambda order, **more: metrics.mean((RIGHT + 0.25 * (GROUP == "f"))[order], **more),
    "accuracy": lambda order, **more: metrics.accuracy(ONES[order], RIGHT[order], **more),
    "by group": lambda order, **more: metrics.accuracy(
        ONES[order], RIGHT[order], GROUP[order], **more
    ),
    "parity": lambda order, **more: metrics.demographic_parity_difference(
        None, RIGHT[order], GROUP[order], **more
    ),
    "calibration": lambda order, **more: metrics.calibration_error(
        ONES[order], 0.2 + 0.6 * RIGHT[order], GROUP[order], **more
    ),
    "confusion": lambda order, **more: metrics.confusion(GROUP[order], GROUP[::-1][order], **more),
    "amplification": lambda order, **more: metrics.directional_bias_amplification(
        RIGHT[order], GROUP[order], pred_groups=GROUP[::-1][order], **more
    ),
}
ORDER = np.arange(len(PERSON))


@pytest.mark.parametrize("interval", ["percentile", "bca"])
@pytest.mark.parametrize("measure", MEASURES)
def test_neither_names_nor_order_matter(measure: str, interval: str) -> None:
    sampling = {"replicates": 200, "interval": interval}
    plain = MEASURES[measure](ORDER, cluster=PERSON, **sampling)
    shuffled = np.random.default_rng(3).permutation(len(PERSON))
    named = np.random.default_rng(4).permutation(PEOPLE).astype(str)[PERSON]
    other = MEASURES[measure](shuffled, cluster=list(named[shuffled]), **sampling)
    assert (other.value, other.low, other.high) == pytest.approx(
        (plain.value, plain.low, plain.high)
    )
    if plain.pairs is not None:
        pd.testing.assert_frame_equal(plain.pairs, other.pairs)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_cluster_for_each_image_is_none(measure: str) -> None:
    result = MEASURES[measure](ORDER, cluster=ORDER[::-1], replicates=100)
    plain = MEASURES[measure](ORDER, replicates=100)
    np.testing.assert_array_equal(result.replicates, plain.replicates)
    assert (result.low, result.high) == (plain.low, plain.high)


def test_blocks_do_not_change_the_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = metrics.mean(RIGHT, cluster=PERSON, replicates=50).replicates
    monkeypatch.setattr(bootstrap, "_BLOCK", 60 * 7)
    np.testing.assert_allclose(metrics.mean(RIGHT, cluster=PERSON, replicates=50).replicates, whole)


def test_counts_are_rows_repeated() -> None:
    cells = pd.DataFrame({"right": RIGHT, "person": PERSON}).value_counts().reset_index()
    rows = cells.loc[cells.index.repeat(cells["count"])]
    counted = metrics.accuracy(
        np.ones(len(cells)), cells["right"], cluster=cells["person"], counts=cells["count"]
    )
    repeated = metrics.accuracy(np.ones(len(rows)), rows["right"], cluster=rows["person"])
    np.testing.assert_allclose(counted.replicates, repeated.replicates)


def test_differences_are_paired() -> None:
    better = np.maximum(RIGHT, (ORDER % 7 == 0).astype(int))
    two = [metrics.accuracy(ONES, of, cluster=PERSON, replicates=2000) for of in (RIGHT, better)]
    change = metrics.compare(*two)
    by_image = metrics.mean(better - RIGHT, cluster=PERSON, replicates=2000)
    assert float(change) == pytest.approx(float(by_image))
    assert spread(change) == pytest.approx(spread(by_image), rel=0.1)
    assert spread(change) < 0.7 * spread(two[0])
    with pytest.raises(InputError, match="clusters"):
        metrics.compare(metrics.accuracy(ONES, RIGHT), two[1])


def test_a_share_at_the_edge_rests_on_clusters() -> None:
    person = np.arange(200) // 5
    result = metrics.accuracy([1] * 200, [1] * 200, cluster=person)
    assert result.low == pytest.approx(0.025 ** (1 / 40))  # not 1/200
    uneven = np.repeat(np.arange(24), [50] * 4 + [1] * 20)
    result = metrics.accuracy([1] * 220, [1] * 220, cluster=uneven)
    assert result.low == pytest.approx(0.025 ** (1 / (220**2 / (4 * 50**2 + 20))))
    table = metrics.accuracy(np.eye(200, 3, dtype=int), np.eye(200, 3, dtype=int), cluster=person)
    assert table.low == pytest.approx(0.025 ** (1 / 40))


def test_an_unknown_cluster_is_one_image() -> None:
    some = [None if person == 3 else person for person in PERSON]
    for unknown in (None, float("nan"), -1, "unknown"):
        given = [unknown if person is None else person for person in some]
        with pytest.warns(FairvisionWarning, match=f"unknown in {sum(PERSON == 3)} of"):
            result = metrics.accuracy(ONES, RIGHT, cluster=given, replicates=50)
        alone = np.where(PERSON == 3, 1000 + ORDER, PERSON)
        expected = metrics.accuracy(ONES, RIGHT, cluster=alone, replicates=50)
        np.testing.assert_allclose(result.replicates, expected.replicates)


def test_few_clusters_are_told() -> None:
    with pytest.warns(FairvisionWarning, match="only 4 clusters"):
        metrics.mean([1.0, 2, 3, 4, 5], cluster=[1, 1, 2, 3, 4], replicates=10)


def test_strata_hold_whole_clusters() -> None:
    sampling = {"cluster": PERSON, "replicates": 300}
    result = metrics.mean_by_group(GROUP == "f", GROUP, strata=GROUP, **sampling)["f"]
    assert (result.replicates == 1).all()
    with pytest.raises(InputError, match="cluster 0 has rows in several strata"):
        metrics.mean(RIGHT, strata=ORDER % 2, **sampling)


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        ([1, 2], "cluster has 2 rows"),
        (np.zeros((len(PERSON), 2)), "one name or code per row"),
        ([[1]] * len(PERSON), "one name or code per row"),
    ],
)
def test_what_is_no_column_is_refused(cluster: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        metrics.accuracy(ONES, RIGHT, cluster=cluster)


def test_originals_lie_within_clusters() -> None:
    original, columns = ORDER // 2, [["a"] * len(ORDER)] * 3
    changed = ["b" if right else "a" for right in RIGHT]
    person = original // 4
    result = metrics.counterfactual_flips(
        *columns, changed, originals=original, cluster=person, replicates=100
    )
    of_original = np.bincount(original, RIGHT) / np.bincount(original)
    of_person = person[::2][: len(of_original)]
    expected = metrics.mean(of_original, cluster=of_person, replicates=100)
    np.testing.assert_allclose(result.replicates, expected.replicates)
    with pytest.raises(InputError, match="originals must lie in one cluster"):
        metrics.counterfactual_flips(*columns, changed, originals=original, cluster=ORDER)


def test_alike_clusters_are_one_kind() -> None:
    units = np.array([0, 1, 1, 0, 0, 1, 1, 1])
    person = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    sample = Sample(np.array([3, 5]), Drawing(), (units, np.arange(2)), cluster=person)
    kinds = sample.clusters
    assert kinds is not None
    assert sorted(kinds.times) == [1, 3]
    drawn = kinds.members @ kinds.times
    assert list(drawn) == [3, 5]


def test_kinds_with_one_mark_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros:
        def integers(self, *_: object, size: int, **__: object) -> np.ndarray:
            return np.zeros(size, np.uint64)

    members = sparse.csc_array(np.array([[2.0, 0, 1], [0, 2, 1]]))
    assert list(clusters._alike(members)[0]) == [1, 1, 1]
    monkeypatch.setattr(clusters.np.random, "default_rng", lambda _: Zeros())
    times, kinds = clusters._alike(members)
    assert list(times) == [1, 1, 1]
    assert (kinds.toarray() == members.toarray()).all()
