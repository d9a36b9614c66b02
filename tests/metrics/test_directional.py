from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairvision import metrics
from fairvision.errors import InputError

amplification = metrics.directional_bias_amplification


@pytest.mark.parametrize("women", [0, 10, 15, 20, 30, 40])
def test_painting_example(women: int) -> None:
    """30 of 40 women paint and 10 of 40 men; `women` are predicted to: 0.375 (women / 30 − 1)."""

    def paints(of_women: int) -> list[int]:
        return [1] * of_women + [0] * (40 - of_women) + [1] * 10 + [0] * 30

    groups = ["woman"] * 40 + ["man"] * 40
    expected = pytest.approx(0.375 * (women / 30 - 1))
    assert float(amplification(paints(30), groups, pred_labels=paints(women))) == expected
    column = np.array(paints(30))[:, None], np.array(paints(women))[:, None]
    assert float(amplification(column[0], groups, pred_labels=column[1])) == expected


def test_worked_example() -> None:
    groups = [1] * 5 + [2] * 5
    labels = [1] * 4 + [2] + [1] + [2] * 4
    to_task = amplification(labels, groups, pred_labels=groups)
    assert float(to_task) == pytest.approx(0.2)
    assert to_task.name == "directional A->T"
    assert set(to_task.pairs["direction"]) == {"A->T"}
    to_group = amplification(labels, groups, pred_groups=[1] * 4 + [2] * 6)
    assert float(to_group) == pytest.approx(0.1)
    assert to_group.name == "directional T->A"


def test_independence_is_decided_on_counts() -> None:
    """6 of 15 and 10 of 25 are both 40%: nothing leans, whatever is predicted."""
    groups = [1] * 15 + [2] * 25
    labels = [1] * 6 + [0] * 9 + [1] * 10 + [0] * 15
    predicted = [1] * 15 + labels[15:]
    n, together, of_group, of_label = 40, 6, 15, 16
    assert together / n != (of_group / n) * (of_label / n)  # the noise that makes others say −.3
    result = amplification(labels, groups, pred_labels=predicted)
    assert (result.value, result.low, result.high) == (0, 0, 0)
    table = np.array(labels)[:, None], np.array(predicted)[:, None]
    assert float(amplification(table[0], groups, pred_labels=table[1])) == 0


def test_amplification_is_positive_where_bias_grows() -> None:
    groups = ["a"] * 10 + ["b"] * 10
    labels = [1] * 7 + [0] * 3 + [1] * 3 + [0] * 7
    assert float(amplification(labels, groups, pred_labels=[1] * 10 + [0] * 10)) > 0
    assert float(amplification(labels, groups, pred_labels=labels)) == 0
    assert float(amplification(labels, groups, pred_labels=[0] * 10 + [1] * 10)) < 0


def test_training_decides_the_sign_only() -> None:
    groups = ["a"] * 10 + ["b"] * 10
    labels = [1] * 7 + [0] * 3 + [1] * 3 + [0] * 7
    predicted = [1] * 10 + [0] * 10
    turned = ["b"] * 10 + ["a"] * 10
    here = amplification(labels, groups, pred_labels=predicted)
    same = amplification(
        labels, groups, pred_labels=predicted, train_labels=labels, train_groups=groups
    )
    other = amplification(
        labels, groups, pred_labels=predicted, train_labels=labels * 2, train_groups=turned * 2
    )
    assert float(here) == float(same) == -float(other) == pytest.approx(0.3)


def test_a_condition_never_met_leaves_the_mean() -> None:
    labels = [[1, 0], [1, 0], [0, 0], [0, 0]]
    groups = ["a", "b", "a", "b"]
    train = {"train_labels": [[1, 1], [0, 0]], "train_groups": ["a", "b"]}
    result = amplification(labels, groups, pred_groups=["a", "a", "b", "b"], **train)
    of = result.pairs.set_index(["group", "label"])
    assert of["n"].to_dict() == {("a", 0): 2, ("a", 1): 0, ("b", 0): 2, ("b", 1): 0}
    assert np.isnan(of["value"].xs(1, level="label")).all()
    assert float(result) == 0.5


def test_sign_is_held_fixed_in_the_resamples() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(0, 2, 60)
    labels = random.integers(0, 2, 60)
    predicted = random.integers(0, 2, 60)
    fixed = {"train_labels": labels, "train_groups": groups}
    np.testing.assert_array_equal(
        amplification(labels, groups, pred_labels=predicted).replicates,
        amplification(labels, groups, pred_labels=predicted, **fixed).replicates,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"pred_labels": [1], "pred_groups": [1]},
        {"pred_labels": [1], "train_labels": [1]},
        {"pred_labels": [1], "train_groups": [1]},
    ],
)
def test_which_arrays_belong_together(wrong: dict) -> None:
    with pytest.raises(InputError, match="give"):
        amplification([1], [1], **wrong)


many = st.tuples(
    arrays(np.int8, (10, 3), elements=st.integers(0, 1)),
    arrays(np.int8, 10, elements=st.integers(-1, 2)),
    arrays(np.int8, (10, 3), elements=st.integers(-1, 1)),
    arrays(np.int8, 10, elements=st.integers(0, 2)),
)


@given(many, st.booleans())
def test_definition_in_fractions(columns: tuple[np.ndarray, ...], to_task: bool) -> None:
    labels, groups, pred_labels, pred_groups = columns
    universe = sorted({*groups.tolist(), *(() if to_task else pred_groups.tolist())} - {-1})
    used = (groups >= 0) & ((pred_labels >= 0).all(axis=1) | (not to_task))
    n = int(used.sum())
    values = []
    for group in universe:
        for label in range(3):
            has, belongs = used & (labels[:, label] == 1), used & (groups == group)
            together = int((has & belongs).sum()) * n - int(has.sum()) * int(belongs.sum())
            condition, said, true = (
                (belongs, pred_labels[:, label] == 1, has)
                if to_task
                else (has, pred_groups == group, belongs)
            )
            if condition.any():
                change = int((condition & said).sum()) - int((condition & true).sum())
                values.append(int(np.sign(together)) * Fraction(change, int(condition.sum())))
    given = {"pred_labels": pred_labels} if to_task else {"pred_groups": pred_groups}
    result = amplification(labels, groups, **given, replicates=5)
    if len(universe) < 2 or not values:
        assert np.isnan(result.value)
    else:
        assert result.value == pytest.approx(float(sum(values) / len(values)), abs=1e-12)
    assert result.n == n


def test_published_program_on_real_labels(shared: Path) -> None:
    """The double loop of the published program, on COCO images whose groups are known."""
    table = pd.read_csv(shared / "data/published/coco-labels.csv.gz").dropna(
        subset=["caption_gender", "objects"]
    )[:3000]
    labels = table["objects"].str.get_dummies(";")
    groups = table["caption_gender"].to_numpy()
    predicted = labels.sample(frac=1, random_state=0).to_numpy()
    values = []
    for group in np.unique(groups):
        of_group = groups == group
        for label, said in zip(labels.to_numpy().T, predicted.T):
            sign = np.sign((label[of_group] == 1).mean() - (label == 1).mean())
            values.append(sign * (said[of_group].mean() - label[of_group].mean()))
    result = amplification(labels, groups, pred_labels=predicted)
    assert float(result) == pytest.approx(np.mean(values), abs=1e-12)
    assert result.low < result.value < result.high < 0
    assert set(result.pairs["label"]) == set(labels.columns)
