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

PAINTING = [  # women of 30 who are predicted to paint, and the published value
    (0, -0.535714),
    (10, -0.25),
    (15, -0.177273),
    (20, -0.116667),
    (30, 0),
    (40, 0.15),
]


def painting(women_who_paint: int) -> tuple[list[str], list[str]]:
    labels = (
        ["paint"] * women_who_paint + ["not"] * (40 - women_who_paint)
        + ["paint"] * 10 + ["not"] * 30
    )  # fmt: skip
    return labels, ["woman"] * 40 + ["man"] * 40


@pytest.mark.parametrize(("women", "published"), PAINTING)
def test_painting_example(women: int, published: float) -> None:
    labels, groups = painting(30)
    predicted, _ = painting(women)
    result = metrics.bias_amplification_mals(labels, groups, predicted, groups)
    assert float(result) == pytest.approx(published, abs=1e-6)
    assert result.pairs is not None
    assert result.pairs["value"].sum() / 2 == pytest.approx(result.value)


@pytest.mark.parametrize(
    ("column", "amplification", "violations"),
    [
        ("gender_ratio_before_RBA", 0.031742516637, 40),
        ("gender_ratio_after_RBA", 0.0216953903291, 24),
    ],
)
def test_published_table(shared: Path, column: str, amplification: float, violations: int) -> None:
    table = pd.read_csv(shared / "data/published/mals/coco_dev.csv")
    result = metrics.bias_amplification_mals_from_ratios(table["training_ratio"], table[column])
    assert float(result) == pytest.approx(amplification, abs=1e-12)
    assert (result.violations, result.undefined, result.n) == (violations, 0, len(table))
    assert np.isnan([result.low, result.high]).all()


def test_ratios_and_counts_agree() -> None:
    """Ratios in tenths are turned into images, ten per label in training and in the predictions."""
    train, predicted = np.array([7, 5, 2, 9]), np.array([9, 8, 3, 9])

    def images(first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.repeat(np.arange(4), 10), np.concatenate(
            [[0] * k + [1] * (10 - k) for k in first]
        )

    counted = metrics.bias_amplification_mals(*images(train), *images(predicted))
    ratios = metrics.bias_amplification_mals_from_ratios(train / 10, predicted / 10)
    assert float(counted) == pytest.approx(float(ratios)) == pytest.approx((0.2 + 0 - 0.1 + 0) / 4)
    assert counted.violations == ratios.violations == 3
    pd.testing.assert_frame_equal(
        ratios.pairs[["value", "reference", "predicted"]],
        counted.pairs[["value", "reference", "predicted"]],
    )


def test_margin_is_decided_on_counts() -> None:
    """11 of 20 against 10 of 20 is off by exactly .05, though not in floating point."""
    arguments = [[0] * 20, [0] * 10 + [1] * 10, [0] * 20, [0] * 11 + [1] * 9]
    assert abs(11 / 20 - 10 / 20) > 0.05
    assert metrics.bias_amplification_mals(*arguments).violations == 0
    assert metrics.bias_amplification_mals(*arguments, margin=0.04).violations == 1


def test_balanced_label_adds_nothing_but_counts() -> None:
    """Three groups of equal share: 1/3 is no float, and is not more than itself."""
    train = [[1, 1]] * 2 + [[1, 0]] * 4
    result = metrics.bias_amplification_mals(
        train, ["a", "a", "a", "b", "b", "c"][::-1], [[1, 1]] * 2, ["a", "a"]
    )
    of = result.pairs.set_index(["group", "label"])["value"]
    assert of["a"].to_dict() == pytest.approx({0: 1 / 2, 1: 0})
    balanced = metrics.bias_amplification_mals(["x"] * 6, list("aabbcc"), ["x"] * 4, ["a"] * 4)
    assert (balanced.value, balanced.n) == (0, 4)


def test_a_label_never_predicted_is_left_out_and_reported() -> None:
    arguments = [["x", "x", "x", "y", "y", "y"], list("aabbba"), ["x", "x"], ["a", "a"]]
    result = metrics.bias_amplification_mals(*arguments)
    assert float(result) == pytest.approx(1 / 3)
    assert result.undefined == 1
    of = result.pairs.set_index(["group", "label"])
    assert np.isnan(of.loc[("b", "y"), "value"])
    assert of.loc[("b", "y"), "n"] == 0
    strict = metrics.bias_amplification_mals(*arguments, strict=True)
    assert float(strict) == pytest.approx(1 / 6)
    ratios = [2 / 3, 1 / 3], [1, np.nan]
    assert float(metrics.bias_amplification_mals_from_ratios(*ratios)) == pytest.approx(1 / 3)
    strict = metrics.bias_amplification_mals_from_ratios(*ratios, strict=True)
    assert float(strict) == pytest.approx(1 / 6)


def test_one_group_cannot_be_leant_to() -> None:
    assert np.isnan(float(metrics.bias_amplification_mals(["x"], ["a"], ["x"], ["a"])))


def test_ratios_out_of_range() -> None:
    with pytest.raises(InputError, match="pred_ratio"):
        metrics.bias_amplification_mals_from_ratios([0.5], [50])


multi_label = st.tuples(
    arrays(np.int8, (12, 3), elements=st.integers(0, 1)),
    arrays(np.int8, 12, elements=st.integers(-1, 2)),
    arrays(np.int8, (9, 3), elements=st.integers(-1, 1)),
    arrays(np.int8, 9, elements=st.integers(-1, 2)),
)


@given(multi_label)
def test_definition_in_fractions(arguments: tuple[np.ndarray, ...]) -> None:
    train_labels, train_groups, pred_labels, pred_groups = arguments
    groups = sorted({*train_groups.tolist(), *pred_groups.tolist()} - {-1})

    def ratio(labels: np.ndarray, of: np.ndarray, group: int, label: int) -> Fraction | None:
        known = [g for row, g in zip(labels, of) if -1 not in row and g >= 0 and row[label]]
        return Fraction(known.count(group), len(known)) if known else None

    sums = []
    for label in range(3):
        total = Fraction(0)
        for group in groups:
            before = ratio(train_labels, train_groups, group, label)
            after = ratio(pred_labels, pred_groups, group, label)
            if before is None or after is None:
                break
            total += (after - before) * (before > Fraction(1, len(groups)))
        else:
            sums.append(total)
    result = metrics.bias_amplification_mals(*arguments, replicates=5)
    if len(groups) < 2 or not sums:
        assert np.isnan(result.value)
    else:
        assert result.value == pytest.approx(float(sum(sums) / len(sums)), abs=1e-12)
        assert result.undefined == 3 - len(sums)


def test_ratios_are_matched_by_their_labels() -> None:
    train, said = pd.Series({"cook": 0.6, "ski": 0.4}), pd.Series({"ski": 0.7, "cook": 0.9})
    result = metrics.bias_amplification_mals_from_ratios(train, said[["cook", "ski"]])
    assert list(result.pairs["label"]) == ["cook", "ski"] * 2
    assert float(result) == pytest.approx((0.3 - 0.3) / 2)
    with pytest.raises(InputError, match="not those of train_ratio"):
        metrics.bias_amplification_mals_from_ratios(train, said)
