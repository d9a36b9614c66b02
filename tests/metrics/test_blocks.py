"""Many images drawn in blocks: figures of scores as if images were drawn one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fairvision import metrics
from fairvision.metrics import Result
from fairvision.metrics._engine import blocks
from fairvision.metrics._engine.blocks import BLOCKS, Blocks
from fairvision.metrics._engine.placements import area_by_placements, ranks
from fairvision.metrics._engine.result import recipe_of
from fairvision.metrics._engine.rows import Rows
from fairvision.metrics.roc import _area

ROWS = 12_000
MEASURES = [metrics.roc_auc, metrics.log_loss, metrics.abroca]
Columns = tuple[np.ndarray, list[np.ndarray], np.ndarray]


def draw(rows: int = ROWS, share: float = 0.3, digits: int = 17, seed: int = 0) -> Columns:
    """Return truth, scores of two models that are much alike, and two groups."""
    random = np.random.default_rng(seed)
    truth = (random.random(rows) < share).astype(int)
    groups = random.choice(["f", "m"], rows, p=[0.3, 0.7])
    common = random.normal(size=rows) + truth * np.where(groups == "f", 1.0, 1.6)
    noise = 0.3 * random.normal(size=(2, rows))
    scores = [np.round(1 / (1 + np.exp(-common - off)), digits) for off in noise]
    return truth, scores, groups


def by_rows(monkeypatch: pytest.MonkeyPatch, measure: Any, *given: Any, **how: Any) -> Result:
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "MANY", 1 << 60)
        result: Result = measure(*given, **how)
        return result


def assert_alike(ours: Result, theirs: Result, rel: float = 0.1) -> None:
    assert ours.value == pytest.approx(theirs.value, abs=1e-12)
    assert ours.n == theirs.n
    assert ours.replicates.std() == pytest.approx(theirs.replicates.std(), rel=rel)
    width = theirs.high - theirs.low
    assert [ours.low, ours.high] == pytest.approx([theirs.low, theirs.high], abs=rel * width)


@pytest.mark.parametrize(("share", "digits"), [(0.3, 17), (0.01, 17), (0.05, 1)])
@pytest.mark.parametrize("measure", MEASURES)
def test_intervals_are_those_of_rows(
    monkeypatch: pytest.MonkeyPatch, measure: Any, share: float, digits: int
) -> None:
    """Also of rare labels, and of scores with many ties."""
    truth, scores, groups = draw(3500, share, digits)
    how: Any = {"replicates": 500 if measure is metrics.abroca else 4000}
    plain = [by_rows(monkeypatch, measure, truth, of, groups, **how) for of in scores]
    monkeypatch.setattr(blocks, "MANY", 100)
    ours = [measure(truth, of, groups, **how) for of in scores]
    rel = 0.2 if measure is metrics.abroca else 0.08
    for each, other in zip(
        [*ours, metrics.compare(*ours)], [*plain, metrics.compare(*plain)], strict=True
    ):
        assert_alike(each, other, rel)
    assert ours[0].pairs["value"].tolist() == pytest.approx(plain[0].pairs["value"].tolist())
    assert ours[0].pairs["n"].tolist() == plain[0].pairs["n"].tolist()
    if measure is not metrics.abroca:
        apart = [metrics.gap(ours[0]), metrics.gap(ours[1])]
        beside = [metrics.gap(plain[0]), metrics.gap(plain[1])]
        assert_alike(metrics.compare(*apart), metrics.compare(*beside), rel)


def test_areas_vary_as_delong_says() -> None:
    """The variance of an area, and of the difference of two, from covariances of placements."""
    truth, scores, _ = draw()
    placed = []
    for score in scores:
        positive, negative = np.sort(score[truth == 1]), np.sort(score[truth == 0])
        above = np.searchsorted(negative, score[truth == 1]) / len(negative)
        below = 1 - np.searchsorted(positive, score[truth == 0]) / len(positive)
        placed.append((above, below))

    def deviation(of_positive: np.ndarray, of_negative: np.ndarray) -> float:
        parts = [of.var(ddof=1) / len(of) for of in (of_positive, of_negative)]
        return float(np.sqrt(sum(parts)))

    a, b = (metrics.roc_auc(truth, score, replicates=4000) for score in scores)
    assert a == pytest.approx(roc_auc_score(truth, scores[0]))
    assert a.replicates.std() == pytest.approx(deviation(*placed[0]), rel=0.05)
    change = metrics.compare(a, b)
    apart = deviation(*(other - one for one, other in zip(*placed)))
    assert change.replicates.std() == pytest.approx(apart, rel=0.05)


def test_losses_of_models_that_are_alike_differ_by_as_much_as_their_difference() -> None:
    truth, scores, _ = draw()
    losses = [-np.log(np.where(truth == 1, score, 1 - score)) for score in scores]
    change = metrics.compare(*(metrics.log_loss(truth, of, replicates=4000) for of in scores))
    assert change == pytest.approx(np.mean(losses[1] - losses[0]))
    expected = (losses[1] - losses[0]).std() / np.sqrt(ROWS)
    assert change.replicates.std() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_switch_is_not_seen(measure: Any) -> None:
    truth, (score, _), groups = draw(10_001)
    few, many = (
        measure(truth[:rows], score[:rows], groups[:rows], replicates=300)
        for rows in (10_000, 10_001)
    )
    assert len(recipe_of(few).sample.counts) > BLOCKS == len(recipe_of(many).sample.counts)
    assert few == pytest.approx(many, abs=1e-3)
    assert few.high - few.low == pytest.approx(many.high - many.low, rel=0.2)


@pytest.mark.parametrize("people", [500, 5000])
@pytest.mark.parametrize("measure", [metrics.roc_auc, metrics.log_loss])
def test_clusters_are_drawn_as_wholes(
    monkeypatch: pytest.MonkeyPatch, measure: Any, people: int
) -> None:
    random = np.random.default_rng(3)
    truth, scores, groups = draw()
    person = random.integers(people, size=ROWS)
    scores = [1 / (1 + np.exp(-3 * of - random.normal(size=people)[person])) for of in scores]
    how: Any = {"cluster": person, "replicates": 1000}
    plain = [by_rows(monkeypatch, measure, truth, of, groups, **how) for of in scores]
    ours = [measure(truth, of, groups, **how) for of in scores]
    assert len(recipe_of(ours[0]).sample.counts) == min(people, BLOCKS)
    assert_alike(ours[0], plain[0], 0.15)
    assert_alike(metrics.compare(*ours), metrics.compare(*plain), 0.15)
    bca = measure(truth, scores[0], groups, **how, interval="bca")
    assert [bca.low, bca.high] == pytest.approx(
        [ours[0].low, ours[0].high], abs=0.15 * (bca.high - bca.low)
    )


def test_weights_counts_strata_and_joint_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MANY", 100)
    truth, (score, _), groups = draw(2000)
    weights = np.random.default_rng(4).integers(1, 5, len(truth))
    for how in (
        {"weights": weights / 2},
        {"counts": weights},
        {"strata": groups},
        {"joint": True},
        {"weights": weights / 2, "joint": True},
    ):
        plain = by_rows(monkeypatch, metrics.roc_auc, truth, score, groups, **how)
        ours = metrics.roc_auc(truth, score, groups, **how)
        assert_alike(ours, plain, 0.12)
    assert metrics.roc_auc(truth, score, weights=weights) == pytest.approx(
        roc_auc_score(truth, score, sample_weight=weights)
    )


def test_other_measures_of_the_same_rows_are_drawn_in_the_same_blocks() -> None:
    """Right where the score is above one half: accuracy and loss fall and rise together."""
    truth, (score, _), _ = draw(11_000)
    loss = metrics.log_loss(truth, score)
    right = metrics.accuracy(truth, (score > 0.5).astype(int))
    change = metrics.compare(loss, right)
    of_image = (truth == (score > 0.5)) + np.log(np.where(truth == 1, score, 1 - score))
    assert change == pytest.approx(of_image.mean())
    assert change.replicates.std() == pytest.approx(of_image.std() / np.sqrt(11_000), rel=0.1)
    assert metrics.compare(right, loss) == pytest.approx(-change.value)


def test_many_labels_are_many_figures() -> None:
    random = np.random.default_rng(5)
    truth, scores = (random.random((500, 30)) < 0.2).astype(int), random.random((500, 30))
    truth[:, 7] = 0  # never holds
    for measure in (metrics.roc_auc, metrics.log_loss):
        result = measure(truth, scores, replicates=100)
        assert len(recipe_of(result).sample.counts) == 500  # a block is an image
        assert result.low < result < result.high
        assert len(result.pairs) == 30
    area = metrics.roc_auc(truth, scores, replicates=100)
    assert np.isnan(area.pairs["value"][7])
    assert area.value == pytest.approx(
        np.mean([roc_auc_score(truth[:, i], scores[:, i]) for i in range(30) if i != 7])
    )


def test_blocks_hold_every_image_once() -> None:
    random = np.random.default_rng(6)
    place, values = random.integers(-1, 3, ROWS), random.normal(size=ROWS)
    cluster = random.integers(5000, size=ROWS)
    for how in ({}, {"cluster": cluster}):
        of_rows = Blocks.of(Rows({"scores": values}, how).sample)
        sums = of_rows.sums(place, values, 3)
        assert sums.shape == (3, BLOCKS)
        expected = [values[place == at].sum() for at in range(3)]
        assert (sums @ of_rows.sample.base)[:, 0] == pytest.approx(expected)
        assert of_rows.sample.counts.sum() == ROWS
    block = of_rows.sample.block
    assert all(len(np.unique(block[cluster == one])) == 1 for one in cluster[:100])


@pytest.mark.parametrize("apart", [0, 1, 3, 50, -3])
def test_areas_by_placements_are_near_those_of_resamples(apart: float) -> None:
    """Also where nearly all pairs, or all, are in the right order, and in the wrong one."""
    random = np.random.default_rng(7)
    truth = np.arange(60) % 4 == 0
    score, valid = random.normal(size=60) + apart * truth, random.random(60) < 0.9
    sample = Rows({"scores": score}, {}).sample
    weights = random.multinomial(60, np.full(60, 1 / 60), size=3000).T.astype(float)
    exact = _area(truth, score, valid)(weights)
    near = area_by_placements(Blocks.of(sample), truth, ranks(score), valid)
    assert near(sample.base) == pytest.approx(_area(truth, score, valid)(sample.base))
    found = near(weights)
    assert ((found >= 0) & (found <= 1)).all()
    assert np.abs(found - exact).mean() <= 0.2 * exact.std()
    assert found.std() == pytest.approx(exact.std(), rel=0.05)


def test_without_a_wrong_pair_the_interval_is_exact() -> None:
    truth, _, groups = draw()
    area = metrics.roc_auc(truth, truth, groups)
    assert (area.low, area.high) == pytest.approx((0.025 ** (1 / truth.sum()), 1))
    assert metrics.gap(area).low < 0 < metrics.gap(area).high


def test_a_group_of_one_kind_is_undefined() -> None:
    truth, (score, _), groups = draw()
    groups = np.where((truth == 1) & (groups == "m"), "f", groups)
    area = metrics.roc_auc(truth, score, groups, replicates=20)
    assert np.isnan(area.pairs[["value", "low", "high"]].to_numpy()[1]).all()
    assert np.isnan(metrics.abroca(truth, score, groups, replicates=20))
