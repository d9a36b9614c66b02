"""Scores of images by group: means and medians, and tests of them, against scipy and pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairvision import metrics
from fairvision.errors import InputError


def draw(n: int = 240, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame({"group": random.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])})
    table["score"] = np.round(random.normal(table["group"].map({"a": 0, "b": 0.4, "c": 1})), 1)
    return table


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_figures_are_those_of_pandas(statistic: str) -> None:
    table = draw()
    result = metrics.score_gap(table["score"], table["group"], statistic=statistic, replicates=50)
    of_group = table.groupby("group")["score"].agg(statistic)
    assert result.value == pytest.approx(of_group.max() - of_group.min())
    assert result.groups == (of_group.idxmin(), of_group.idxmax())
    assert result.by_group.value == pytest.approx(table["score"].agg(statistic))
    assert result.by_group.pairs["value"].tolist() == pytest.approx(of_group.tolist())
    sizes = table["group"].value_counts()
    for row in result.pairs.itertuples():
        one, other = row.group
        assert row.value == pytest.approx(of_group[other] - of_group[one])
        assert row.n == sizes[one] + sizes[other]


def test_means_are_tested_as_scipy_does() -> None:
    table = draw()
    of_group = {name: part.to_numpy() for name, part in table.groupby("group")["score"]}
    result = metrics.score_gap(table["score"], table["group"], reference="a", replicates=0)
    for row in result.pairs.itertuples():
        expected = stats.ttest_ind(of_group[row.group], of_group["a"], equal_var=False)
        assert row.p_value == pytest.approx(expected.pvalue)
    p = result.pairs["p_value"].to_numpy()
    order = np.sort(p)
    holm = {order[0]: 2 * order[0], order[1]: max(2 * order[0], order[1])}
    assert result.pairs["p_holm"].tolist() == pytest.approx([holm[each] for each in p])
    assert (result.groups, result.test) == (("a", "c"), "Welch")
    assert result.p_value == pytest.approx(holm[p[1]])


def test_counts_are_rows_repeated() -> None:
    table = draw(40)
    times = np.random.default_rng(1).integers(0, 4, 40)
    repeated = table.loc[table.index.repeat(times)]
    expected = metrics.score_gap(repeated["score"], repeated["group"], replicates=0)
    result = metrics.score_gap(table["score"], table["group"], counts=times, replicates=0)
    pd.testing.assert_frame_equal(result.pairs, expected.pairs)


def test_medians_are_those_of_numpy_in_every_resample() -> None:
    random = np.random.default_rng(0)
    score, times = np.round(random.random(31), 1), random.integers(1, 5, 31)
    result = metrics.score_gap(
        [*score, 0.0], [*["a"] * 31, "b"], statistic="median", counts=[*times, 10], replicates=0
    )
    values = dict(zip(result.by_group.pairs["group"], result.by_group.pairs["value"]))
    assert values == {"a": np.median(np.repeat(score, times)), "b": 0.0}
    halves = metrics.score_gap([1, 2, 3, 4] * 5, ["a"] * 20, statistic="median", replicates=0)
    assert halves.by_group.value == 2.5
    weighted = metrics.score_gap(
        [1, 2, 3] * 4, ["a"] * 12, statistic="median", weights=[0.3, 0.1, 0.2] * 4, replicates=0
    )
    assert weighted.by_group.value == 1.5  # half of the weight lies on 1
    heavy = [0.1, 0.1, 0.5] * 4
    weighted = metrics.score_gap([1, 2, 3] * 4, ["a"] * 12, statistic="median", weights=heavy)
    assert weighted.by_group.value == 3


def test_tests_keep_their_level() -> None:
    random = np.random.default_rng(5)
    rejected = {"mean": 0, "median": 0}
    for _ in range(40):  # unlike in spread and shape, alike in mean and in median
        small, large = random.normal(0, 3, 20), random.uniform(-1, 1, 80)
        for statistic in rejected:
            result = metrics.score_gap(
                np.append(small, large),
                ["a"] * 20 + ["b"] * 80,
                statistic=statistic,
                replicates=200,
            )
            rejected[statistic] += result.p_value < 0.05
    assert max(rejected.values()) <= 5


def test_the_median_test_is_no_test_of_order() -> None:
    random = np.random.default_rng(2)
    skewed = random.exponential(1, 400) - np.log(2)
    level = -(random.exponential(1, 400) - np.log(2))  # its mirror: the same median, other mean
    groups = ["a"] * 400 + ["b"] * 400
    assert metrics.score_gap(np.append(skewed, level), groups).p_value < 0.001
    median = metrics.score_gap(np.append(skewed, level), groups, statistic="median")
    assert median.p_value > 0.05


def test_an_interval_and_its_test_say_the_same() -> None:
    for shift in np.linspace(0, 0.8, 9):
        random = np.random.default_rng(7)
        scores = np.append(random.normal(0, 1, 60), random.normal(shift, 1, 60))
        result = metrics.score_gap(scores, ["a"] * 60 + ["b"] * 60, statistic="median")
        outside = result.low > 0 or result.high < 0
        assert outside == (result.p_value < 0.05) or 0.04 < result.p_value < 0.06


def test_clusters_are_drawn_and_tested_as_wholes() -> None:
    random = np.random.default_rng(3)
    person = np.repeat(np.arange(40), 10)
    scores = np.repeat(random.normal(size=40), 10) + random.normal(0, 0.1, 400)
    groups = np.where(person < 20, "a", "b")
    alone = metrics.score_gap(scores, groups)
    together = metrics.score_gap(scores, groups, cluster=person)
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together.p_value > alone.p_value
    assert together.test == "bootstrap"


def test_unknown_groups_are_a_row_without_a_corrected_p_value() -> None:
    scores = [*np.arange(20), *np.arange(20) + 5, *np.arange(20) + 50]
    groups = ["a"] * 20 + ["b"] * 20 + [None] * 20
    result = metrics.score_gap(scores, groups, reference="a")
    assert result.pairs["group"].tolist() == ["b", "unknown"]
    assert (result.value, result.groups) == (5, ("a", "b"))
    assert np.isnan(result.pairs["p_holm"][1])
    assert result.p_value == result.pairs["p_value"][0]
    assert result.by_group.pairs["group"].tolist() == ["a", "b", "unknown"]
    between = metrics.score_gap(scores, groups)
    assert between.pairs["group"].tolist() == [("a", "b")]


def test_undefined_is_nan() -> None:
    alone = metrics.score_gap([1.0] * 12, ["a"] * 12)
    assert np.isnan([alone.value, alone.p_value]).all()
    assert (alone.test, len(alone.pairs)) == ("", 0)
    alike = metrics.score_gap([1.0] * 24, ["a"] * 12 + ["b"] * 12)
    assert (alike.value, np.isnan(alike.p_value)) == (0, True)
    declared = pd.Categorical(["a"] * 12, ["a", "b"])
    with pytest.warns(UserWarning, match="mean of b on 0"):
        empty = metrics.score_gap(np.arange(12.0), declared)
    assert np.isnan(empty.value)
    assert empty.by_group.pairs["n"].tolist() == [12, 0]


def test_intersections_and_ratios_of_medians() -> None:
    table = draw()
    both = {"group": table["group"], "site": ["x", "y"] * 120}
    result = metrics.score_gap(table["score"] + 5, both, reference=("a", "x"), statistic="median")
    assert len(result.pairs) == 5
    ratio = metrics.group_ratio(result.by_group, reference=("a", "x"))
    of_group = (table["score"] + 5).groupby([table["group"], both["site"]]).median()
    expected = (of_group / of_group[("a", "x")]).drop(("a", "x"))
    assert ratio.pairs["value"].tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"statistic": "mode"}, "'mean' or 'median', not 'mode'"),
        ({"reference": "z"}, "reference is 'z', but the groups are 'a', 'b'"),
        ({"groups": None}, "score_gap needs groups"),
        ({"scores": ["x"] * 20}, "scores"),
    ],
)
def test_errors_in_a_line(options: dict, match: str) -> None:
    given = {"scores": np.arange(20.0), "groups": ["a"] * 10 + ["b"] * 10} | options
    with pytest.raises(InputError, match=match):
        metrics.score_gap(**given)


def test_resolution_accuracy_by_hand() -> None:
    shown = ["f"] * 10 + ["m"] * 10 + [None]
    texts = pd.DataFrame({"m": [0.2] * 12 + [0.6] * 8 + [1.0], "f": [0.4] * 20 + [0.0]})
    result = metrics.resolution_accuracy(texts, shown)
    assert (result.value, result.n) == (0.9, 20)
    assert result.pairs["value"].tolist() == [1.0, 0.8]
    bias = metrics.gap(result, reference="f")
    assert (bias.value, bias.groups) == (pytest.approx(-0.2), ("f", "m"))
    codes = np.array([0] * 10 + [1] * 10 + [-1])
    coded = metrics.resolution_accuracy(texts[["f", "m"]].to_numpy(), codes)
    assert coded.pairs["value"].tolist() == [1.0, 0.8]
    by_order = metrics.resolution_accuracy(texts[["f", "m"]].to_numpy(), shown)
    assert by_order.value == 0.9
    with pytest.raises(InputError, match="columns, which are not those of the groups f, m"):
        metrics.resolution_accuracy(texts.rename(columns={"m": "x"}), shown)
    with pytest.raises(InputError, match="3 columns"):
        metrics.resolution_accuracy(np.zeros((21, 3)), shown)


def test_resolution_accuracy_of_unknown_groups_is_undefined() -> None:
    result = metrics.resolution_accuracy([[0.5, 0.25]] * 3, [None] * 3)
    assert np.isnan(result)
    assert result.n == 0
