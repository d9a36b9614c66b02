"""Groups compared with a chosen one, and with all images: by hand, and as fairlearn does."""

from __future__ import annotations

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest

from fairvision import metrics
from fairvision.errors import InputError

PARITIES = [
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equal_opportunity_difference",
    "equal_opportunity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
]


def draw(n: int = 300, seed: int = 0) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    groups = random.choice(["a", "b", "c", "d"], n, p=[0.4, 0.3, 0.2, 0.1])
    truth = random.integers(2, size=n)
    predicted = np.where(random.random(n) < 0.7, truth, groups == "a").astype(int)
    return truth, predicted, groups


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", PARITIES)
def test_to_overall_is_that_of_fairlearn(name: str, seed: int) -> None:
    truth, predicted, groups = draw(seed=seed)
    measure, theirs = getattr(metrics, name), getattr(fairlearn.metrics, name)
    options = [{}, {"agg": "mean"}] if "odds" in name else [{}]
    for option in options:
        expected = theirs(
            truth, predicted, sensitive_features=groups, method="to_overall", **option
        )
        result = measure(truth, predicted, groups, method="to_overall", replicates=50, **option)
        assert result.value == pytest.approx(expected)
        assert result.low <= result.value <= result.high


def test_signed_differences_from_a_reference_are_those_of_rates() -> None:
    truth, predicted, groups = draw()
    of_group = pd.Series(truth == predicted).groupby(groups).mean()
    counts = pd.Series(groups).value_counts()
    result = metrics.accuracy_difference(truth, predicted, groups, reference="b")
    expected = (of_group - of_group["b"]).drop("b")
    assert result.pairs["group"].tolist() == ["a", "c", "d"]
    assert result.pairs["value"].tolist() == pytest.approx(expected.tolist())
    assert result.pairs["n"].tolist() == [counts[g] + counts["b"] for g in "acd"]
    furthest = expected.abs().idxmax()
    assert result.value == pytest.approx(expected[furthest])
    assert (result.groups, result.measure) == (("b", furthest), "accuracy")
    row = result.pairs.set_index("group").loc[furthest]
    assert (result.low, result.high) == pytest.approx((row["low"], row["high"]))


def test_a_difference_from_a_reference_is_that_of_two_results() -> None:
    truth, predicted, groups = draw()
    right = metrics.correct(truth, predicted)
    means = metrics.mean_by_group(right, groups)
    result = metrics.gap(means, reference="a")
    for row in result.pairs.itertuples():
        other = metrics.compare(means["a"], means[row.group])
        assert (row.value, row.low, row.high) == pytest.approx((other.value, other.low, other.high))
    assert result.replicates == pytest.approx(
        (metrics.compare(means["a"], means[result.groups[1]])).replicates
    )
    swapped = metrics.gap(means, reference=result.groups[1])
    assert swapped.pairs.set_index("group")["value"]["a"] == pytest.approx(-result.value)


@pytest.mark.parametrize("reference", ["x", "z"])
def test_of_several_labels_the_value_is_the_mean_of_one_group(reference: str) -> None:
    random = np.random.default_rng(3)
    groups = random.choice(["x", "y", "z"], 200)
    truth, predicted = (random.integers(2, size=(200, 3)) for _ in range(2))
    rate = metrics.precision(truth, predicted, groups)
    values = rate.pairs.pivot_table("value", "group", "label")
    expected = values - values.loc[reference]
    result = metrics.gap(rate, reference=reference)
    found = result.pairs.pivot_table("value", "group", "label")
    pd.testing.assert_frame_equal(found, expected.drop(reference))
    means = expected.drop(reference).mean(axis=1)
    assert result.value == pytest.approx(means[means.abs().idxmax()])
    overall = metrics.gap(rate, method="to_overall")
    whole = metrics.precision(truth, predicted).pairs.set_index("label")["value"]
    assert overall.value == pytest.approx((values - whole).abs().max().mean())
    assert result.low < result.value < result.high


def test_average_precision_to_overall_by_label() -> None:
    random = np.random.default_rng(1)
    targets, scores = random.integers(2, size=(100, 2)), random.random((100, 2))
    groups = random.choice(["f", "m"], 100)
    each = metrics.average_precision(targets, scores, groups)
    whole = metrics.average_precision(targets, scores).pairs["value"].to_numpy()
    values = each.pairs["value"].to_numpy().reshape(2, 2)
    result = metrics.gap(each, method="to_overall")
    assert result.value == pytest.approx(np.abs(values - whole).max(axis=0).mean())


def test_ratios_to_a_reference_by_hand() -> None:
    predicted = [1] * 5 + [0] * 15 + [1] * 10 + [0] * 10 + [0] * 20
    groups = ["a"] * 20 + ["b"] * 20 + ["c"] * 20
    rate = metrics.selection_rate(None, predicted, groups)
    result = metrics.group_ratio(rate, reference="a")
    assert result.pairs["value"].tolist() == [2.0, 0.0]
    assert (result.value, result.groups) == (0.0, ("a", "c"))  # 0 is infinitely far from 1
    assert np.isnan(metrics.group_ratio(rate, reference="c").pairs["value"]).all()
    overall = metrics.group_ratio(rate, method="to_overall")
    assert overall.pairs["value"].tolist() == [1.0, 2.0, 0.0]


def test_unknown_groups_are_a_row_and_never_the_value() -> None:
    right = [1] * 18 + [0] * 2 + [1] * 19 + [0] + [0] * 10
    groups = ["f"] * 20 + ["m"] * 20 + [None] * 10
    result = metrics.gap(metrics.mean_by_group(right, groups), reference="f")
    assert result.pairs["group"].tolist() == ["m", "unknown"]
    assert result.pairs["value"].tolist() == pytest.approx([0.05, -0.9])
    assert (result.value, result.n, result.groups) == (pytest.approx(0.05), 40, ("f", "m"))
    rate = metrics.accuracy([1] * 50, right, groups)
    overall = metrics.gap(rate, method="to_overall")
    assert overall.pairs["value"].tolist() == pytest.approx([0.16, 0.21, -0.74])
    assert (overall.value, overall.n, overall.groups) == (pytest.approx(0.21), 50, ("m",))
    assert overall.pairs["n"].tolist() == [20, 20, 10]


def test_still_groups_have_the_width_of_their_own_intervals() -> None:
    right, groups = [1] * 30 + [0] * 30, ["f"] * 30 + ["m"] * 30
    result = metrics.gap(metrics.mean_by_group(right, groups), reference="f")
    assert result.value == -1
    assert result.low == -1
    assert -0.9 < result.high < -0.8
    between = metrics.gap(metrics.mean_by_group(right, groups))
    assert (-result.high, -result.low) == pytest.approx((between.low, between.high))


def test_one_group_or_a_reference_without_figure_is_nan() -> None:
    alone = metrics.gap(metrics.accuracy([1] * 12, [1] * 12, ["f"] * 12), reference="f")
    assert np.isnan([alone.value, alone.low, alone.high]).all()
    assert alone.groups == ()
    declared = pd.Categorical(["f"] * 12, ["f", "m"])
    with pytest.warns(UserWarning, match="m on 0"):
        rate = metrics.accuracy([1] * 12, [1] * 12, declared)
    result = metrics.gap(rate, reference="m")
    assert np.isnan(result.value)
    assert result.pairs["n"].tolist() == [12]


def test_the_table_of_groups_has_both() -> None:
    truth, predicted, groups = draw()
    table = metrics.group_metrics(truth, predicted, groups)
    frame = fairlearn.metrics.MetricFrame(
        metrics=fairlearn.metrics.selection_rate,
        y_true=truth,
        y_pred=predicted,
        sensitive_features=groups,
    )
    overall = table.to_overall.loc["selection_rate"]
    assert overall["value"] == pytest.approx(frame.difference("to_overall"))
    assert overall["group"] == (frame.by_group - frame.overall).abs().idxmax()
    against = table.against("a")
    of_rate = against[against["measure"] == "selection_rate"].set_index("group")["value"]
    expected = frame.by_group - frame.by_group["a"]
    assert of_rate.to_dict() == pytest.approx(expected.drop("a").to_dict())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"reference": "nobody"}, "reference is 'nobody', but the groups are 'a', 'b'"),
        ({"reference": "a", "method": "to_overall"}, "a reference group or method"),
        ({"method": "overall"}, "'between_groups' or 'to_overall', not 'overall'"),
    ],
)
def test_errors_in_a_line(options: dict, match: str) -> None:
    columns = [1] * 20, [1, 0] * 10, ["a"] * 10 + ["b"] * 10
    with pytest.raises(InputError, match=match):
        metrics.gap(metrics.accuracy(*columns), **options)
    with pytest.raises(InputError, match=match):
        metrics.accuracy_difference(*columns, **options)


def test_results_of_groups_need_one_sample_and_no_overall() -> None:
    right, groups = [1, 0] * 20, ["a"] * 20 + ["b"] * 20
    means = metrics.mean_by_group(right, groups)
    with pytest.raises(InputError, match="a measure with groups, not a dict"):
        metrics.gap(means, method="to_overall")
    mixed = {"a": means["a"], "b": metrics.mean_by_group(right, groups)["b"]}
    with pytest.raises(InputError, match="of one call"):
        metrics.gap(mixed, reference="a")
    scores = np.random.default_rng(0).random((40, 2))
    table = np.random.default_rng(1).integers(2, size=(40, 2))
    with pytest.raises(InputError, match="no figures of all images for each label"):
        metrics.gap(metrics.calibration_error(table, scores, groups), method="to_overall")


def test_all_intervals_hold_together() -> None:
    truth, predicted, groups = draw(2000)
    columns = truth, predicted, groups
    alone = metrics.accuracy_difference(*columns, reference="a")
    together = metrics.accuracy_difference(*columns, reference="a", simultaneous=True)
    assert (
        together.pairs["high"] - together.pairs["low"] > alone.pairs["high"] - alone.pairs["low"]
    ).all()
