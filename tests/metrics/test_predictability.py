from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from fairvision.errors import FairvisionWarning, InputError
from fairvision.metrics import compare
from fairvision.metrics.predictability import directional_predictability_amplification as dpa

QUALITIES: list[Any] = ["accuracy", "inverse_error", "inverse_cross_entropy"]


def biased(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """70% of group 1 have label 1, and 30% of group 0."""
    random = np.random.default_rng(seed)
    groups = random.integers(2, size=n)
    return (random.random(n) < np.where(groups == 1, 0.7, 0.3)).astype(int), groups, random


def halved(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The labels changed in as few rows as make them independent of the group: half in each."""
    labels = labels.copy()
    for group in (0, 1):
        (rows,) = np.nonzero((groups == group) & (labels == group))
        labels[rows[(groups == group).sum() // 2 :]] = 1 - group
    return labels


@pytest.mark.parametrize("quality", QUALITIES)
def test_signs(quality: Any) -> None:
    labels, groups, random = biased()
    more = np.where(random.random(len(labels)) < 0.5, groups, labels)
    wrong = np.where(random.random(len(labels)) < 0.2, 1 - labels, labels)
    results = {
        name: dpa(labels, groups, pred_labels=predicted, quality=quality)
        for name, predicted in {
            "more": more,
            "wrong": wrong,
            "independent": halved(labels, groups),
            "perfect": labels,
        }.items()
    }
    assert results["more"].low > 0
    assert results["independent"].high < 0
    assert abs(results["wrong"]) < 0.03
    assert (results["perfect"].value, results["perfect"].std) == (0, 0)


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_other_direction_exchanges_the_sides(quality: Any) -> None:
    labels, groups, random = biased()
    predicted = np.where(random.random(len(labels)) < 0.4, labels, groups)
    to_group = dpa(labels, groups, pred_groups=predicted, quality=quality)
    exchanged = dpa(groups, labels, pred_labels=predicted, quality=quality)
    assert to_group.name == "predictability T->A"
    assert exchanged.name == "predictability A->T"
    np.testing.assert_allclose(to_group.rounds, exchanged.rounds, atol=1e-12)
    assert to_group.low > 0


def test_formula_and_the_majority_of_each_group() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], [200, 300, 500])
    labels = random.integers(3, size=1000)
    predicted = np.where(random.random(1000) < 0.9, groups, labels)
    result = dpa(labels, groups, pred_labels=predicted, rounds=3)
    assert result.model is not None
    assert result.data is not None
    model, data = result.model.rounds, result.data.rounds
    np.testing.assert_allclose(result.rounds, (model - data) / (model + data))
    for number in range(3):
        test, train = np.split(np.random.default_rng([0, number]).permutation(1000), [250])
        guess = [np.bincount(predicted[train][groups[train] == g]).argmax() for g in range(3)]
        assert model[number] == np.mean(np.array(guess)[groups[test]] == predicted[test])
    errors = dpa(labels, groups, pred_labels=predicted, rounds=3, quality="inverse_error")
    assert errors.model is not None
    np.testing.assert_allclose(errors.model.rounds, 1 / (1 - model))
    np.testing.assert_allclose(errors.rounds, (model - data) / (2 - model - data))


def test_cross_entropy_is_that_of_scikit_learn() -> None:
    labels, groups, _ = biased(500)
    attacker = DecisionTreeClassifier()
    result = dpa(
        labels,
        groups,
        pred_labels=labels,
        attacker=attacker,
        quality="inverse_cross_entropy",
        rounds=1,
    )
    test, train = np.split(np.random.default_rng([0, 0]).permutation(500), [125])
    clues = np.eye(2)[groups]
    said = attacker.fit(clues[train], labels[train]).predict_proba(clues[test])
    assert result.model is not None
    assert result.model == pytest.approx(1 / log_loss(labels[test], said))


def test_accuracy_misses_what_cross_entropy_sees() -> None:
    """The most frequent label stays the most frequent, but one group gets the other more often."""
    random = np.random.default_rng(0)
    groups = np.arange(8000) % 2
    labels = (random.random(8000) < 0.2).astype(int)
    predicted = labels.copy()
    (rows,) = np.nonzero((labels == 1) & (groups == 0))
    predicted[rows] = 0
    (rows,) = np.nonzero((labels == 0) & (groups == 1))
    predicted[rows[: (labels[groups == 0]).sum()]] = 1
    seen = dpa(labels, groups, pred_labels=predicted, quality="inverse_cross_entropy")
    assert seen.low > 0.1
    assert dpa(labels, groups, pred_labels=predicted) == pytest.approx(0.06, abs=0.03)


def test_psi_of_zero_is_nan() -> None:
    """Four images, each with its own label: no attacker can know that of the tested one."""
    labels, groups = ["a", "b", "c", "d"], ["x", "y", "x", "y"]
    with pytest.warns(FairvisionWarning, match="tested on 1 images in all") as caught:
        result = dpa(labels, groups, pred_labels=labels)
    assert caught[0].filename == __file__
    assert result.model == result.data == 0
    assert np.isnan([result.value, result.low, result.high]).all()
    assert np.isnan(result.rounds).all()
    assert result.n > 0
    certain = dpa([0, 1] * 50, [0, 1] * 50, pred_labels=[0, 1] * 50, quality="inverse_error")
    assert np.isnan(float(certain))  # both infinite
    assert dpa([0, 1] * 50, [0, 1] * 50, pred_labels=[0, 1] * 50) == 0


def test_tables() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(2, size=2000)
    labels = (random.random((2000, 3)) < 0.5).astype(int)
    predicted = labels.copy()
    predicted[:, 1] = np.where(random.random(2000) < 0.6, groups, labels[:, 1])
    result = dpa(labels, groups, pred_labels=predicted)
    alone = [dpa(labels[:, j], groups, pred_labels=predicted[:, j]) for j in range(3)]
    psi = [np.mean([one.model for one in alone]), np.mean([one.data for one in alone])]
    assert [result.model, result.data] == pytest.approx(psi, abs=0.02)
    assert result.low > 0
    column = dpa(labels[:, [1]], groups, pred_labels=predicted[:, [1]])
    assert column == pytest.approx(float(alone[1]), abs=0.03)
    said = np.where(random.random(2000) < 0.8, labels[:, 2], groups)
    assert dpa(labels, groups, pred_groups=said).low > 0
    assert abs(dpa(labels, groups, pred_groups=groups)) == 0


def test_names_of_groups_do_not_matter() -> None:
    labels, groups, random = biased(500)
    predicted = np.where(random.random(500) < 0.5, labels, groups)
    expected = dpa(labels, groups, pred_groups=predicted)
    for names in (["a", "b"], ["b", "a"], ["man", "woman"]):
        named = np.array(names)
        result = dpa(labels, named[groups], pred_groups=named[predicted])
        np.testing.assert_allclose(result.rounds, expected.rounds, atol=1e-12)


def test_unknown_rows_change_nothing_but_the_draw() -> None:
    labels, groups, random = biased(400)
    predicted = np.where(random.random(400) < 0.5, labels, groups)
    expected = dpa(labels, groups, pred_labels=predicted)
    more = dpa([*labels, -1, 7, 1], [*groups, 1, -1, 0], pred_labels=[*predicted, 1, 0, np.nan])
    np.testing.assert_array_equal(expected.rounds, more.rounds)
    assert expected.n == more.n


def test_attackers_start_cold() -> None:
    labels, groups, _ = biased(400)
    learned = SGDClassifier(warm_start=True).fit(np.eye(2)[groups], 1 - labels)
    before = learned.coef_.copy()
    result = dpa(labels, groups, pred_labels=labels, attacker=learned, rounds=2)
    assert result == 0
    fresh = dpa(labels, groups, pred_labels=labels, attacker=SGDClassifier(), rounds=2)
    np.testing.assert_array_equal(result.model.rounds, fresh.model.rounds)  # type: ignore[union-attr]
    np.testing.assert_array_equal(learned.coef_, before)


def test_models_on_the_same_images_are_paired() -> None:
    labels, groups, random = biased()
    some = np.where(random.random(len(labels)) < 0.3, groups, labels)
    more = np.where(random.random(len(labels)) < 0.4, groups, some)
    a, b = (dpa(labels, groups, pred_labels=predicted) for predicted in (some, more))
    difference = compare(a, b)
    assert difference == pytest.approx(b - a)
    assert difference.low > 0


@given(st.integers(0, 10**6), st.integers(0, 40), st.sampled_from(QUALITIES), st.booleans())
@settings(max_examples=40)
def test_bounds(seed: int, n: int, quality: Any, to_task: bool) -> None:
    random = np.random.default_rng(seed)
    groups, pred_groups = random.integers(-1, 3, size=(2, n))
    labels, pred_labels = random.integers(-1, 4, size=(2, n))
    side = {"pred_labels": pred_labels} if to_task else {"pred_groups": pred_groups}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FairvisionWarning)
        result = dpa(
            labels,
            groups,
            **side,
            quality=quality,
            rounds=2,
            replicates=20,  # type: ignore[arg-type]
        )
    assert np.isnan(float(result)) or -1 <= result <= 1
    defined = result.replicates[~np.isnan(result.replicates)]
    assert (abs(defined) <= 1).all()
    assert result.n <= n


@pytest.mark.parametrize(
    ("labels", "groups", "predicted"),
    [
        ([], [], []),
        ([1], ["a"], [1]),
        ([0, 1] * 20, ["a"] * 40, [1, 0] * 20),
        ([1] * 40, ["a", "b"] * 20, [1] * 40),
        ([None] * 40, ["a", "b"] * 20, [1] * 40),
        ([1, 0] * 20, ["unknown"] * 40, [1, 0] * 20),
    ],
)
def test_undefined_is_nan(labels: Any, groups: Any, predicted: Any) -> None:
    result = dpa(labels, groups, pred_labels=predicted)
    assert np.isnan([result.value, result.low, result.high, result.std]).all()
    assert result.n == 0


def test_bad_arguments() -> None:
    with pytest.raises(InputError, match="exactly one"):
        dpa([1], ["a"])
    with pytest.raises(InputError, match="exactly one"):
        dpa([1], ["a"], pred_labels=[1], pred_groups=["a"])
    with pytest.raises(InputError, match="quality"):
        dpa([1], ["a"], pred_labels=[1], quality="f1")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="groups has 1 rows, but labels has 2"):
        dpa([1, 0], ["a"], pred_labels=[1, 0])
    with pytest.raises(InputError, match="pred_groups has 1 rows"):
        dpa([1, 0], ["a", "b"], pred_groups=["a"])
    with pytest.raises(InputError, match="single rows"):
        dpa([1], ["a"], pred_labels=[1], weights=[1])
