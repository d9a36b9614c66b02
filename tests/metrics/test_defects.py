"""What other programs get wrong, by name, and what is right."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics


def painting(women: int) -> tuple[np.ndarray, list[str]]:
    """Of 40 women so many paint, of 40 men 10."""
    paints = np.array([1] * women + [0] * (40 - women) + [1] * 10 + [0] * 30)
    return paints, ["woman"] * 40 + ["man"] * 40


def test_directional_bias_amp_takes_float_noise_for_dependence() -> None:
    """6 of 15 and 10 of 25 are independent, but 6/40 is not 15/40 · 16/40 in floats."""
    groups = [1] * 15 + [2] * 25
    labels = np.array([1] * 6 + [0] * 9 + [1] * 10 + [0] * 15)
    predicted = np.array([1] * 15 + labels[15:].tolist())
    assert 6 / 40 < 15 / 40 * (16 / 40)  # so their sign is −1, and their value −.3
    change = predicted[:15].mean() - labels[:15].mean()
    their_signs = np.sign([6 / 40 - 15 / 40 * (16 / 40), 10 / 40 - 25 / 40 * (16 / 40)])
    assert np.mean(their_signs * [change, 0]) == pytest.approx(-0.3)
    result = metrics.directional_bias_amplification(
        labels[:, None], groups, pred_labels=predicted[:, None]
    )
    assert float(result) == 0


def test_bias_amplification_dba_divides_by_co_occurrences() -> None:
    """With many labels P(t | a) is of the group's images, not of its labels."""
    labels = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0]])
    groups = np.array([0, 0, 1, 1])
    predicted = np.array([[1, 1, 1], [0, 0, 0], [0, 1, 0], [1, 0, 0]])
    of_first = labels[groups == 0].sum(axis=0)
    assert (of_first / of_first.sum())[0] == 0.5  # what they take for P(0 | a), which is 1
    result = metrics.directional_bias_amplification(labels, groups, pred_labels=predicted)
    assert result.pairs is not None
    of = result.pairs.set_index(["group", "label"])["value"]
    assert of[0, 0] == -0.5  # of two images one is no longer said to have it, and it leans
    assert of[0, 1] == of[0, 2] == 0
    assert float(result) == pytest.approx(-0.5 / 6)


def test_bias_amplification_mals_takes_joint_probabilities() -> None:
    """Painting at two thirds: −.0625 of joint probabilities, where the ratios give −.1167."""
    labels, groups = painting(30)
    predicted, _ = painting(20)
    joint = [
        [np.mean((said == label) & (np.array(groups) == group)) for said in (labels, predicted)]
        for label, group in ((1, "woman"), (0, "man"))  # the pairs that lean
    ]
    assert sum(after - before for before, after in joint) / 2 == pytest.approx(-0.0625)
    result = metrics.bias_amplification_mals(labels, groups, predicted, groups)
    assert float(result) == pytest.approx(-0.116667, abs=1e-6)


def test_oxonfair_has_the_sign_turned() -> None:
    """What leans further is positive, in either direction."""
    labels, groups = painting(30)
    more, _ = painting(40)
    assert float(metrics.directional_bias_amplification(labels, groups, pred_labels=more)) > 0
    women_who_paint_are_seen = np.where(labels == 1, "woman", "man")
    to_group = metrics.directional_bias_amplification(
        labels, groups, pred_groups=women_who_paint_are_seen
    )
    assert float(to_group) > 0


def test_multi_bias_amp_undirected_is_zero_for_two_groups() -> None:
    """Their groups are one column fewer, so a share would have to be above 1/1."""
    labels, groups = painting(30)
    predicted, _ = painting(40)
    columns = np.column_stack([labels, 1 - labels]), np.column_stack([predicted, 1 - predicted])
    number_of_groups = 2
    assert 1 / (number_of_groups - 1) >= 30 / 40
    result = metrics.multi_attribute_bias_amplification(columns[0], groups, columns[1], groups)
    assert result.sets == 2
    assert float(result) == pytest.approx((40 / 50 - 30 / 40 + 30 / 30 - 30 / 40) / 2)


def test_multi_bias_amp_looks_at_whole_label_sets_only() -> None:
    """{a, b} holds in an image with {a, b, c} too; the definition is over all sets."""
    labels = np.array([[1, 1, 1], [1, 1, 1]])
    result = metrics.multi_attribute_bias_amplification(labels, ["f", "m"], labels, ["f", "m"])
    assert result.sets == 7


def test_torchmetrics_files_a_batch_without_a_group_under_another() -> None:
    truth = np.array([1, 1, 0, 1, 0, 0, 1, 1])
    predicted = np.array([1, 0, 0, 1, 1, 0, 1, 1])
    groups = np.array(["a", "a", "b", "b", "b", "c", "c", "c"])
    whole = metrics.mean_by_group(metrics.correct(truth, predicted), groups)
    counts, right = metrics.Counts(), Counter()
    for batch in (slice(0, 2), slice(2, 5), slice(5, 8)):  # each batch lacks two groups
        values = metrics.correct(truth[batch], predicted[batch])
        counts.update(values=values, groups=groups[batch])
        right.update(groups[batch][values == 1].tolist())
    batched = metrics.mean_by_group(**counts)
    assert {group: (float(r), r.n) for group, r in batched.items()} == {
        group: (float(r), r.n) for group, r in whole.items()
    }
    assert {group: round(float(r) * r.n) for group, r in batched.items()} == right


def test_a_rate_without_denominator_is_no_zero() -> None:
    """fairlearn, torchmetrics, WILDS and SubpopBench say 0 of what has no images."""
    groups = pd.Categorical(["a", "a"], categories=["a", "b"])
    by_group = metrics.mean_by_group([1, 1], groups)
    assert (np.isnan(float(by_group["b"])), by_group["b"].n) == (True, 0)
    assert np.isnan(float(metrics.accuracy([None], [1])))
    confusion = metrics.confusion([0, 0], [0, 1], groups=["a", "b"])
    assert confusion.pairs is not None
    assert confusion.pairs.set_index("group").loc["b", "value"].isna().all()
    never = metrics.average_precision([[0], [0]], [[0.1], [0.2]])
    assert np.isnan(float(never))
    mals = metrics.bias_amplification_mals(["x", "y"], ["a", "b"], ["x", "x"], ["a", "b"])
    assert mals.pairs is not None
    assert mals.pairs.set_index("label").loc["y", "value"].isna().all()
    directed = metrics.directional_bias_amplification(
        ["x", "x"],
        pd.Categorical(["a", "a"], categories=["a", "b"]),
        pred_labels=["x", "x"],
        train_labels=["x", "y"],
        train_groups=["a", "b"],
    )
    assert directed.pairs is not None
    of_b = directed.pairs.set_index("group").loc["b"]
    assert of_b["value"].isna().all()
    assert (of_b["n"] == 0).all()
    nothing = metrics.cifar10s_bias([None], ["grey"])
    assert np.isnan(float(nothing))
