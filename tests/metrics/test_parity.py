from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairvision import metrics
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:figures that rest on fewer")

RATE_OF = {
    "demographic_parity": "selection_rate",
    "equal_opportunity": "true_positive_rate",
    "accuracy": "accuracy",
}
ODDS = ("true_positive_rate", "false_positive_rate")
NAN = float("nan")

rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from("abcde")),
    min_size=2,
    max_size=60,
)


def in_columns(drawn: list[tuple[int, int, str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, predicted, groups = zip(*drawn)
    return np.array(truth), np.array(predicted), np.array(groups)


def with_denominators(drawn: list[tuple[int, int, str]], seed: int) -> list[tuple[int, int, str]]:
    """Give each of two groups or more an image that is positive and one that is not."""
    random = np.random.default_rng(seed)
    groups = sorted({"a", "b"}.union(group for *_, group in drawn))
    return drawn + [(truth, int(random.integers(2)), group) for truth in (0, 1) for group in groups]


AS_FAIRLEARN: list[tuple[str, dict[str, Any]]] = [
    (f"{name}_{kind}", more)
    for kind in ("difference", "ratio")
    for name, more in (
        ("demographic_parity", {}),
        ("equal_opportunity", {}),
        ("equalized_odds", {"agg": "worst_case"}),
        ("equalized_odds", {"agg": "mean"}),
    )
]


@pytest.mark.parametrize(("name", "more"), AS_FAIRLEARN)
@settings(max_examples=25)
@given(drawn=rows, seed=st.integers(0, 99), weighted=st.booleans())
def test_it_is_that_of_fairlearn_where_denominators_exist(
    name: str, more: dict[str, Any], drawn: list[tuple[int, int, str]], seed: int, weighted: bool
) -> None:
    truth, predicted, groups = in_columns(with_denominators(drawn, seed))
    weights = np.random.default_rng(seed).choice([0.5, 1, 2.5], len(truth)) if weighted else None
    ours, theirs = (getattr(of, name) for of in (metrics, fairlearn.metrics))
    result = ours(truth, predicted, groups, replicates=0, weights=weights, **more)
    expected = theirs(truth, predicted, sensitive_features=groups, sample_weight=weights, **more)
    if np.isnan(result):  # 0 of 0; the smaller of NaN and a number is theirs by chance
        assert name.endswith("ratio")
    else:
        assert float(result) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=25)
@given(drawn=rows)
def test_accuracy_difference_is_that_of_fairlearn(drawn: list[tuple[int, int, str]]) -> None:
    truth, predicted, groups = in_columns(with_denominators(drawn, 0))
    expected = fairlearn.metrics.accuracy_score_difference(
        truth, predicted, sensitive_features=groups
    )
    result = metrics.accuracy_difference(truth, predicted, groups, replicates=0)
    assert float(result) == pytest.approx(expected, abs=1e-12)


def by_definition(
    measure: str, truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray
) -> dict[str, tuple[float, int]]:
    """The rate and its n of each group that has a denominator."""
    found = {}
    for group in sorted(set(groups)):
        kept = groups == group
        if measure in ODDS:
            kept &= truth == (measure == "true_positive_rate")
        right = predicted == (truth if measure == "accuracy" else 1)
        if kept.any():
            found[group] = right[kept].mean(), int(kept.sum())
    return found


@settings(max_examples=100)
@given(drawn=rows)
def test_groups_without_denominator_leave_the_comparison(
    drawn: list[tuple[int, int, str]],
) -> None:
    columns = in_columns(drawn)
    differences = {}
    for name, measure in RATE_OF.items() | {(odds, odds) for odds in ODDS}:
        rate = by_definition(measure, *columns)
        values = [value for value, _ in rate.values()]
        enough = len(rate) > 1
        differences[measure] = max(values) - min(values) if enough else NAN
        if name in ODDS:
            continue
        result = getattr(metrics, f"{name}_difference")(*columns, replicates=0)
        assert float(result) == pytest.approx(differences[measure], abs=1e-12, nan_ok=True)
        if not enough:
            assert (result.groups, result.measure) == ((), "")
            continue
        smallest, largest = result.groups
        assert (rate[smallest][0], rate[largest][0]) == (min(values), max(values))
        assert smallest != largest
        assert result.n == rate[smallest][1] + rate[largest][1]
        assert result.measure == measure
        if name != "accuracy":
            ratio = getattr(metrics, f"{name}_ratio")(*columns, replicates=0)
            expected = min(values) / max(values) if max(values) else NAN
            assert float(ratio) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    both = [differences[odds] for odds in ODDS]
    worst = metrics.equalized_odds_difference(*columns, replicates=0)
    assert float(worst) == pytest.approx(np.max(both), abs=1e-12, nan_ok=True)
    mean = metrics.equalized_odds_difference(*columns, agg="mean", replicates=0)
    assert float(mean) == pytest.approx(np.mean(both), abs=1e-12, nan_ok=True)


def test_fairlearn_takes_a_rate_without_denominator_for_zero() -> None:
    """b has no positive image, so its true positive rate is no 0, and c is the smallest."""
    truth = [1, 1, 0, 0, 0, 1, 1, 0]
    predicted = [1, 1, 0, 0, 0, 1, 0, 0]
    groups = list("aaabbccc")
    theirs = fairlearn.metrics.equal_opportunity_difference(
        truth, predicted, sensitive_features=groups
    )
    assert theirs == 1
    ours = metrics.equal_opportunity_difference(truth, predicted, groups)
    assert (float(ours), ours.groups, ours.n) == (0.5, ("c", "a"), 4)


def test_the_smallest_ratio_decides_equalized_odds() -> None:
    truth = ([1] * 10 + [0] * 10) * 3
    said = {"a": (8, 2), "b": (4, 1), "c": (6, 2)}  # of 10 true and 10 false ones
    predicted = [
        decision
        for right, wrong in said.values()
        for decision in [1] * right + [0] * (10 - right) + [1] * wrong + [0] * (10 - wrong)
    ]
    groups = [group for group in said for _ in range(20)]
    ratio = metrics.equalized_odds_ratio(truth, predicted, groups)
    assert (float(ratio), ratio.groups, ratio.measure) == (0.5, ("b", "a"), "true_positive_rate")
    mean = metrics.equalized_odds_ratio(truth, predicted, groups, agg="mean")
    assert (float(mean), mean.groups, mean.measure, mean.n) == (0.5, (), "", 20)
    with pytest.raises(InputError, match="'worst_case' or 'mean', not 'max'"):
        metrics.equalized_odds_ratio(truth, predicted, groups, agg="max")  # type: ignore[arg-type]


def test_a_ratio_of_nothing_to_nothing_is_undefined() -> None:
    truth, groups = [1, 0] * 4, list("aaaabbbb")
    never = metrics.demographic_parity_ratio(truth, [0] * 8, groups)
    assert np.isnan([never.value, never.low, never.high]).all()
    assert (never.n, never.groups) == (8, ("b", "a"))
    perfect = metrics.equalized_odds_ratio(truth, truth, groups)  # no false positive anywhere
    assert np.isnan(perfect.value)
    assert float(metrics.equalized_odds_difference(truth, truth, groups)) == 0


def test_unknown_groups_take_no_part() -> None:
    predicted = [1, 1, 0, 1, 0, 0, 0, 0]
    groups = ["f", "f", "m", "m", None, "unknown", NAN, None]
    result = metrics.demographic_parity_difference(None, predicted, groups)
    assert (float(result), result.groups, result.n) == (0.5, ("m", "f"), 4)
    none = metrics.demographic_parity_difference(None, predicted, [None] * 8)
    assert (np.isnan(none.value), none.n, none.groups) == (True, 0, ())
    one = metrics.demographic_parity_difference(None, predicted, ["f"] * 4 + [None] * 4)
    assert (np.isnan(one.value), one.n, one.groups) == (True, 4, ())


def test_intersections_differ_more_than_attributes() -> None:
    """Half of each gender and of each age are selected, but no young woman and no old man."""
    gender, age = ["f"] * 40 + ["m"] * 40, (["old"] * 20 + ["young"] * 20) * 2
    predicted = [1] * 20 + [0] * 20 + [0] * 20 + [1] * 20
    for attribute in (gender, age):
        assert float(metrics.demographic_parity_difference(None, predicted, attribute)) == 0
    both = metrics.demographic_parity_difference(None, predicted, {"gender": gender, "age": age})
    assert (float(both), both.n) == (1, 40)
    assert both.groups == (("m", "old"), ("f", "old"))


def test_of_many_labels_each_has_its_groups_and_the_value_is_the_mean() -> None:
    truth = np.ones((40, 3), int)
    predicted = np.ones((40, 3), int)
    predicted[:5, 0] = 0  # of 20 of f
    predicted[20:30, 1] = 0  # of 20 of m
    groups = ["f"] * 20 + ["m"] * 20
    result = metrics.equal_opportunity_difference(truth, predicted, groups)
    assert result.pairs is not None
    assert result.pairs["value"].tolist() == [0.25, 0.5, 0]
    assert result.pairs["n"].tolist() == [40] * 3
    assert result.pairs["smallest"].tolist()[:2] == ["f", "m"]
    assert (result.value, result.groups) == (0.25, ())
    worst = metrics.worst_group(metrics.true_positive_rate(truth, predicted, groups))
    assert worst.pairs is not None
    assert worst.pairs["value"].tolist() == [0.75, 0.5, 1]
    assert worst.value == 0.75
    classes = metrics.accuracy_difference(["x", "y"] * 20, ["x"] * 40, ["f", "m"] * 20)
    assert (float(classes), classes.pairs) == (1, None)  # of images, not of each class


def test_the_replicates_are_those_of_two_groups_apart() -> None:
    """Their spread is that of the difference of two independent shares."""
    of = {"a": (400, 0.7), "b": (300, 0.4), "c": (200, 0.55)}
    predicted = [i < n * share for n, share in of.values() for i in range(n)]
    groups = [group for group, (n, _) in of.items() for _ in range(n)]
    result = metrics.demographic_parity_difference(None, predicted, groups, replicates=5000)
    assert result.groups == ("b", "a")
    spread = np.sqrt(0.7 * 0.3 / 400 + 0.4 * 0.6 / 300)
    assert result.value == pytest.approx(0.3)
    assert result.replicates.std() == pytest.approx(spread, rel=0.04)
    assert result.low == pytest.approx(0.3 - 1.96 * spread, abs=0.006)
    assert result.high == pytest.approx(0.3 + 1.96 * spread, abs=0.006)


def test_the_interval_can_say_that_there_is_no_difference() -> None:
    predicted, groups = [1, 0] * 200, ["a"] * 200 + ["b"] * 200
    difference = metrics.demographic_parity_difference(None, predicted, groups)
    ratio = metrics.demographic_parity_ratio(None, predicted, groups)
    assert (float(difference), float(ratio)) == (0, 1)
    assert difference.low < 0 < difference.high
    assert ratio.low < 1 < ratio.high


def test_gap_ratio_and_worst_group_of_any_result_by_group() -> None:
    random = np.random.default_rng(0)
    truth, predicted = random.integers(0, 2, (2, 300))
    groups = random.choice(["f", "m", "x"], 300)
    rate = metrics.true_positive_rate(truth, predicted, groups)
    difference = metrics.equal_opportunity_difference(truth, predicted, groups)
    gap = metrics.gap(rate)
    assert (gap.value, gap.low, gap.high, gap.n) == (
        difference.value,
        difference.low,
        difference.high,
        difference.n,
    )
    ratio = metrics.equal_opportunity_ratio(truth, predicted, groups)
    assert metrics.group_ratio(rate).value == ratio.value
    by_group = metrics.mean_by_group(predicted, groups, where=truth == 1)
    of_means = metrics.gap(by_group)
    assert of_means.value == pytest.approx(gap.value, abs=1e-12)
    assert of_means.n == gap.n
    assert of_means.replicates.std() == pytest.approx(gap.replicates.std(), rel=0.1)


@pytest.mark.parametrize(
    ("measure", "largest"),
    [
        ("selection_rate", False),
        ("true_positive_rate", False),
        ("false_positive_rate", True),
        ("false_negative_rate", True),
        ("true_negative_rate", False),
        ("precision", False),
        ("calibration_error", True),
    ],
)
def test_the_worst_group_is_the_lowest_or_of_errors_the_highest(
    measure: str, largest: bool
) -> None:
    random = np.random.default_rng(0)
    truth, predicted = random.integers(0, 2, (2, 200))
    groups = random.choice(np.array(["f", "m", "x", None], dtype=object), 200)
    rate = getattr(metrics, measure)(truth, predicted, groups)
    for asked, picks in ((None, largest), (True, True), (False, False)):
        worst = metrics.worst_group(rate, largest=asked)
        named = rate.pairs[rate.pairs["group"] != "unknown"].set_index("group")
        group = named["value"].idxmax() if picks else named["value"].idxmin()
        assert worst.groups == (group,)
        expected = named.loc[group, ["value", "low", "high", "n"]].tolist()
        assert [worst.value, worst.low, worst.high, worst.n] == expected


def test_the_worst_group_of_a_share_of_one_keeps_its_exact_interval() -> None:
    worst = metrics.worst_group(metrics.selection_rate(None, [1] * 40, ["f"] * 10 + ["m"] * 30))
    assert worst.low in (pytest.approx(0.025 ** (1 / 10)), pytest.approx(0.025 ** (1 / 30)))
    assert worst.high == 1


# the words for four objects, and demographic parity, equal opportunity and accuracy difference
PUBLISHED = {
    "tie": ("ties?", ["3.9 (3.3 to 4.4)", "37.1 (28.8 to 45.1)", "1.7 (0.9 to 2.4)"]),
    "tennis racket": (
        "rac(ke|que)ts?",
        ["1.0 (0.1 to 1.8)", "25.8 (19.9 to 32.2)", "4.3 (3.3 to 5.5)"],
    ),
    "skateboard": (
        "skateboards?",
        ["8.4 (7.7 to 9.2)", "36.3 (15.4 to 56.2)", "1.5 (1.0 to 2.0)"],
    ),
    "handbag": (
        "(hand)?bags?|purses?",
        ["0.0 (-0.1 to 0.2)", "1.1 (0.0 to 2.4)", "11.3 (9.9 to 12.8)"],
    ),
}


@pytest.mark.parametrize("thing", PUBLISHED)
def test_real_captions_have_the_figures_of_the_page(shared: Path, thing: str) -> None:
    """Which of the objects in a photograph a published caption names (docs/metrics-groups.md)."""
    folder = shared / "data/published/women-also-snowboard"
    images = pd.read_csv(folder / "labels.csv").query("objects_known == 1")
    written = json.loads((folder / "captions_baseline_ft.json").read_text())
    caption = {one["image_id"]: one["caption"].lower() for one in written}
    word, expected = PUBLISHED[thing]
    truth = np.array([thing in str(objects).split(";") for objects in images["objects"]])
    said = np.array([bool(re.search(rf"\b({word})\b", caption[i])) for i in images["image_id"]])
    found = [
        measure(truth, said, images["gender"])
        for measure in (
            metrics.demographic_parity_difference,
            metrics.equal_opportunity_difference,
            metrics.accuracy_difference,
        )
    ]
    assert [f"{100 * r:.1f} ({100 * r.low:.1f} to {100 * r.high:.1f})" for r in found] == expected
    assert [r.n for r in found] == [10_840, truth.sum(), 10_840]
    theirs = fairlearn.metrics.demographic_parity_difference(
        truth, said, sensitive_features=images["gender"]
    )
    assert float(found[0]) == pytest.approx(theirs, abs=1e-12)


def test_what_has_no_groups_is_told() -> None:
    rate = metrics.selection_rate(None, [1, 0])
    for compare in (metrics.gap, metrics.group_ratio, metrics.worst_group):
        with pytest.raises(InputError, match="no figures by group"):
            compare(rate)
    for compare in (metrics.group_ratio, metrics.worst_group):
        with pytest.raises(InputError, match="not in a dict"):
            compare(metrics.mean_by_group([1, 0], ["a", "b"]))
    with pytest.raises(InputError, match="needs groups"):
        metrics.demographic_parity_difference(None, [1, 0], None)
    with pytest.raises(InputError, match="true_positive_rate needs truth"):
        metrics.equal_opportunity_difference(None, [1, 0], ["a", "b"])  # type: ignore[arg-type]


TABLES: dict[str, tuple[list[Any], list[str]]] = {
    "zeros and ones": ([0, 1], ["f", "m"]),
    "classes": (["cat", "dog", "elk"], ["f", "m", "x"]),
}


@pytest.mark.parametrize("kind", TABLES)
def test_the_table_holds_what_the_measures_say(kind: str) -> None:
    labels, people = TABLES[kind]
    random = np.random.default_rng(2)
    truth, predicted = random.choice(np.array(labels, dtype=object), (2, 150))
    groups = random.choice(np.array([*people, None], dtype=object), 150)
    names = ["precision", "balanced_accuracy", "f1_score", "accuracy", "true_positive_rate"]
    table = metrics.group_metrics(truth, predicted, groups, names)
    assert list(table) == list(table.by_group.columns) == names
    assert table.by_group.index.tolist() == [*people, "unknown"]
    right = metrics.mean_by_group(metrics.correct(truth, predicted), groups)
    assert table.by_group["accuracy"].to_dict() == pytest.approx(
        {group: float(result) for group, result in right.items()}
    )
    assert table.overall["accuracy"] == pytest.approx(float(metrics.accuracy(truth, predicted)))
    for name in names:
        if name == "accuracy":
            continue
        alone = getattr(metrics, name)(truth, predicted, groups)
        assert (table[name].value, table[name].low, table[name].high, table[name].n) == (
            alone.value,
            alone.low,
            alone.high,
            alone.n,
        )
        pd.testing.assert_frame_equal(table[name].pairs, alone.pairs)
        means = alone.pairs.groupby("group")["value"].mean()
        assert table.by_group[name].to_dict() == pytest.approx(means.to_dict())
        for found, of in (
            (table.difference, metrics.gap(alone)),
            (table.ratio, metrics.group_ratio(alone)),
            (table.worst, metrics.worst_group(alone)),
        ):
            shown = found.loc[name, ["value", "low", "high", "n"]].tolist()
            assert shown == [of.value, of.low, of.high, of.n]
    listed = table.table
    assert len(listed) == sum(1 + len(table[name].pairs) for name in names)
    overall = listed[listed["group"] == "overall"].set_index("measure")["value"]
    pd.testing.assert_series_equal(overall, table.overall, check_names=False)


def test_the_table_of_intersections_has_a_column_for_each_attribute() -> None:
    attributes = pd.DataFrame(
        {"gender": ["f", "f", "m", None] * 5, "age": ["old", "young", "old", "old"] * 5}
    )
    table = metrics.group_metrics([1, 0] * 10, [1] * 20, attributes, ["accuracy"])
    assert table.by_group.index.names == ["gender", "age"]
    assert table.by_group.index.tolist() == [
        ("f", "old"),
        ("f", "young"),
        ("m", "old"),
        ("unknown", "unknown"),
    ]
    assert table.table.columns.tolist() == ["measure", "gender", "age", "value", "low", "high", "n"]
    assert table.table["n"].tolist() == [5, 5, 5, 5, 20]
    assert table.difference.loc["accuracy", "smallest"] == ("f", "young")
    assert "gender" in table._repr_html_()
    assert "accuracy" in repr(table)


def test_two_measures_of_a_table_are_paired() -> None:
    random = np.random.default_rng(0)
    truth, predicted = random.integers(0, 2, (2, 100))
    groups = random.choice(["f", "m"], 100)
    table = metrics.group_metrics(truth, predicted, groups)
    difference = metrics.compare(table["true_positive_rate"], table["selection_rate"])
    assert difference.value == pytest.approx(
        table.overall["selection_rate"] - table.overall["true_positive_rate"]
    )
    assert difference.low < difference.value < difference.high


def test_what_the_table_cannot_show_is_told() -> None:
    truth = predicted = [1, 0]
    for wrong in (["acuracy"], "accuracy", [], [["accuracy"]]):
        with pytest.raises(InputError, match=r"measures must be a list of selection_rate, .*, not"):
            metrics.group_metrics(truth, predicted, ["a", "b"], wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needs groups"):
        metrics.group_metrics(truth, predicted, None)
    with pytest.raises(InputError, match="called 'value'"):
        metrics.group_metrics(truth, predicted, {"value": ["a", "b"], "age": ["c", "d"]})
    with pytest.raises(InputError, match="true_positive_rate needs truth"):
        metrics.group_metrics(None, predicted, ["a", "b"])
    alone = metrics.group_metrics(None, predicted, ["a", "b"], ["selection_rate"])
    assert alone.by_group["selection_rate"].tolist() == [1, 0]
