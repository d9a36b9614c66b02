"""Areas of ROC curves and log-loss: against scikit-learn, also in resamples and by group."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics._engine.result import recipe_of

RANDOM = np.random.default_rng(0)
N = 300
TRUTH = RANDOM.integers(0, 2, N)
SCORES = np.round(np.clip(0.25 * TRUTH + 0.7 * RANDOM.random(N), 0, 1), 2)  # with ties
GROUP = RANDOM.choice(["f", "m", "x"], N)
CLASS = RANDOM.integers(0, 3, N)
CLASSES = RANDOM.dirichlet([1, 1, 1], N)
TABLE = (RANDOM.random((N, 4)) < 0.3).astype(int)
OF_TABLE = RANDOM.random((N, 4))
TIMES = RANDOM.integers(0, 4, N)


def test_one_label_as_scikit_learn() -> None:
    auc, loss = metrics.roc_auc(TRUTH, SCORES, GROUP), metrics.log_loss(TRUTH, SCORES, GROUP)
    assert auc.value == pytest.approx(sklearn_metrics.roc_auc_score(TRUTH, SCORES))
    assert loss.value == pytest.approx(sklearn_metrics.log_loss(TRUTH, SCORES))
    for result, oracle in ((auc, sklearn_metrics.roc_auc_score), (loss, sklearn_metrics.log_loss)):
        for row in result.pairs.itertuples():
            images = row.group == GROUP
            assert row.value == pytest.approx(oracle(TRUTH[images], SCORES[images]))
            assert row.n == images.sum()
        assert result.low < result.value < result.high


def test_classes_and_tables_as_scikit_learn() -> None:
    ours = metrics.roc_auc(CLASS, CLASSES, replicates=0)
    assert ours == pytest.approx(
        sklearn_metrics.roc_auc_score(CLASS, CLASSES, multi_class="ovr", average="macro")
    )
    assert metrics.log_loss(CLASS, CLASSES) == pytest.approx(
        sklearn_metrics.log_loss(CLASS, CLASSES)
    )
    by_label = metrics.roc_auc(TABLE, OF_TABLE, replicates=0)
    each = sklearn_metrics.roc_auc_score(TABLE, OF_TABLE, average=None)
    np.testing.assert_allclose(by_label.pairs["value"], each)
    losses = metrics.log_loss(TABLE, OF_TABLE, replicates=0).pairs["value"]
    for label, loss in enumerate(losses):
        assert loss == pytest.approx(sklearn_metrics.log_loss(TABLE[:, label], OF_TABLE[:, label]))


@pytest.mark.parametrize("measure", [metrics.roc_auc, metrics.log_loss])
def test_weights_as_scikit_learn(measure) -> None:
    oracle = getattr(
        sklearn_metrics, {"roc_auc": "roc_auc_score"}.get(measure.__name__, "log_loss")
    )
    weighted = measure(TRUTH, SCORES, weights=TIMES / 3, replicates=0)
    assert weighted == pytest.approx(oracle(TRUTH, SCORES, sample_weight=TIMES))


def test_probability_of_0_is_clipped() -> None:
    result = metrics.log_loss([1, 1], [0.0, 1.0])
    assert result.value == pytest.approx(
        sklearn_metrics.log_loss([1, 1], [0.0, 1.0], labels=[0, 1])
    )
    assert np.isfinite(result.value)
    with pytest.raises(InputError, match="between 0 and 1"):
        metrics.log_loss([1, 0], [3.0, -2.0])


def test_area_of_one_kind_of_image_is_undefined() -> None:
    for measure in (metrics.roc_auc([1, 1, 1], [0.1, 0.2, 0.3]), metrics.roc_auc([0], [0.5])):
        assert np.isnan(measure.value)


def curve(images):
    return sklearn_metrics.roc_curve(TRUTH[images], SCORES[images], drop_intermediate=False)[:2]


def test_abroca_is_the_area_between_curves_of_scikit_learn() -> None:
    grid = (np.arange(200_000) + 0.5) / 200_000
    result = metrics.abroca(TRUTH, SCORES, GROUP, replicates=50)
    for row in result.pairs.itertuples():
        one, other = (np.interp(grid, *curve(name == GROUP)) for name in row.group)
        assert row.value == pytest.approx(np.abs(one - other).mean(), abs=1e-4)
        assert row.n == np.isin(GROUP, row.group).sum()
    assert result.value == result.pairs["value"].max()
    assert 0 <= result.low <= result.value <= result.high


def test_abroca_is_at_least_the_difference_of_areas() -> None:
    two = np.isin(GROUP, ["f", "m"])
    columns = TRUTH[two], SCORES[two], GROUP[two]
    areas = metrics.roc_auc(*columns, replicates=0).pairs["value"]
    assert metrics.abroca(*columns, replicates=0) >= abs(areas[0] - areas[1]) - 1e-12


def test_abroca_of_crossing_curves_by_hand() -> None:
    """Steps: (0, 0) (0, .5) (1, .5) (1, 1), and (0, 0) (.5, 0) (.5, 1) (1, 1); and a diagonal."""
    up = [1, 0, 0, 1], [4, 3, 2, 1]
    late = [0, 1, 1, 0], [4, 3, 2, 1]
    even = [1, 0, 1, 0], [1, 1, 1, 1]
    groups = ["a"] * 4 + ["b"] * 4

    def between(one, other) -> float:
        columns = ([*x, *y] for x, y in zip(one, other))
        with pytest.warns(UserWarning, match="fewer than 10"):
            return float(metrics.abroca(*columns, groups, replicates=0))

    assert between(up, late) == pytest.approx(0.5)
    assert between(up, even) == pytest.approx(0.25)  # the diagonal crosses .5 in the middle
    assert between(late, even) == pytest.approx(0.25)
    assert between(up, up) == 0


def test_abroca_in_a_resample() -> None:
    columns = TRUTH, SCORES, np.where(GROUP == "x", "f", GROUP)
    result = metrics.abroca(*columns, replicates=0)
    repeated = metrics.abroca(*(np.repeat(column, TIMES) for column in columns), replicates=0)
    counted = metrics.abroca(*columns, counts=TIMES, replicates=0)
    assert counted == pytest.approx(repeated.value)
    assert recipe_of(result).statistic(recipe_of(result).sample.base)[0, 0] == result.value


def test_what_abroca_refuses() -> None:
    with pytest.raises(InputError, match="needs groups"):
        metrics.abroca(TRUTH, SCORES, None)
    with pytest.raises(InputError, match="one column"):
        metrics.abroca(CLASS, CLASSES, GROUP)


def test_predictive_values() -> None:
    said = (SCORES > 0.5).astype(int)
    columns = TRUTH, said, GROUP
    for name, opposite in (
        ("false_discovery_rate", "precision"),
        ("false_omission_rate", "negative_predictive_value"),
    ):
        one, other = (getattr(metrics, of)(*columns, replicates=0) for of in (name, opposite))
        np.testing.assert_allclose(one.pairs["value"] + other.pairs["value"], 1)
    negative = metrics.negative_predictive_value(*columns, replicates=0)
    assert negative == pytest.approx(sklearn_metrics.precision_score(1 - TRUTH, 1 - said))


def test_without_a_wrong_pair_the_interval_is_that_of_pairs_without_a_common_image() -> None:
    truth = np.array([1] * 12 + [0] * 30)
    for scores, ends in ((truth, (0.025 ** (1 / 12), 1)), (1 - truth, (0, 1 - 0.025 ** (1 / 12)))):
        for how in ({}, {"weights": [3] * 42}, {"cluster": np.arange(42)}):
            area = metrics.roc_auc(truth, scores, **how)
            assert (area.low, area.high) == pytest.approx(ends)
    by_group = metrics.roc_auc(truth, truth, ["a", "b"] * 21)
    assert by_group.pairs["low"].tolist() == pytest.approx([0.025 ** (1 / 6)] * 2)
    gap = metrics.gap(by_group)
    assert gap.low < 0 == float(gap) < gap.high
    of_pairs = metrics.roc_auc(truth, truth, cluster=np.arange(42) // 2)  # 6 and 15 clusters
    assert of_pairs.low == pytest.approx(0.025 ** (1 / 6))
    labels = np.eye(3)[np.arange(30) % 3]
    assert metrics.roc_auc(labels, labels).low == pytest.approx(0.025 ** (1 / 10))


def test_an_area_of_one_covers_what_it_may_hide() -> None:
    random, area, holds = np.random.default_rng(0), 0.9, []
    for seed in range(150):
        truth = np.arange(12) % 3 == 0
        scores = random.normal(size=12) + truth * np.sqrt(2) * 1.2815515655446004
        result = metrics.roc_auc(truth.astype(int), scores, seed=seed)
        if result == 1:
            holds.append(result.low <= area)
    assert len(holds) > 20
    assert all(holds)
