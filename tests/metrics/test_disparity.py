"""Conditional demographic disparity, stratum by stratum; consistency, neighbour by neighbour."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics
from fairvision.errors import InputError

cdd = metrics.conditional_demographic_disparity


def draw(n: int = 300, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame({"site": random.choice(["p", "q", "r"], n)})
    table["group"] = random.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    table["picked"] = (random.random(n) < table["site"].map({"p": 0.2, "q": 0.5, "r": 0.8})) * 1
    return table


def by_hand(table: pd.DataFrame, group: str) -> float:
    """The weighted mean of the group's share of rejected less its share of accepted."""
    total = 0.0
    for _, stratum in table.groupby("site"):
        is_of = stratum["group"] == group
        apart = is_of[stratum["picked"] == 0].mean() - is_of[stratum["picked"] == 1].mean()
        total += len(stratum) * apart
    return total / len(table)


def test_the_published_formula() -> None:
    table = draw()
    result = cdd(table["picked"], table["group"], table["site"], replicates=100)
    expected = {group: by_hand(table, group) for group in "abc"}
    assert dict(zip(result.pairs["group"], result.pairs["value"])) == pytest.approx(expected)
    assert sum(result.pairs["value"]) == pytest.approx(0)
    assert result.value == pytest.approx(max(expected.values()))
    assert result.groups == (max(expected, key=expected.get),)
    assert result.low <= result.value <= result.high
    assert result.n == 300
    assert cdd(table["picked"], table["group"], table["site"], toward="b").value == (
        pytest.approx(expected["b"])
    )
    whole = table.assign(site="one")
    alone = cdd(table["picked"], table["group"], toward="c", replicates=0)
    assert alone.value == pytest.approx(by_hand(whole, "c"))


def test_unknown_and_undecided_strata_are_left_out() -> None:
    table = draw()
    extra = pd.DataFrame(
        [("s", "a", 1)] * 12 + [(None, "a", 1)] * 5 + [("p", None, 0)] * 5,
        columns=["site", "group", "picked"],
    )
    longer = pd.concat([table, extra], ignore_index=True)
    result = cdd(longer["picked"], longer["group"], longer["site"], replicates=0)
    expected = cdd(table["picked"], table["group"], table["site"], replicates=0)
    pd.testing.assert_frame_equal(result.pairs, expected.pairs)
    assert result.n == 300
    nobody = cdd([1] * 20, ["a"] * 10 + ["b"] * 10)
    assert (np.isnan(nobody.value), nobody.n, nobody.groups) == (True, 0, ())


def test_several_strata_attributes_and_labels() -> None:
    random = np.random.default_rng(1)
    table = draw()
    other = random.choice(["x", "y"], 300)
    labels = random.choice(["u", "v", "w"], 300)
    both = {"site": table["site"], "other": other}
    result = cdd(labels, table["group"], both, replicates=0)
    crossed = table["site"] + other
    for row in result.pairs.itertuples():
        single = table.assign(site=crossed, picked=(labels == row.label) * 1)
        assert row.value == pytest.approx(by_hand(single, row.group))
    means = result.pairs.groupby("label")["value"].max()
    assert result.value == pytest.approx(means.mean())
    crossed_groups = cdd(table["picked"], {"g": table["group"], "o": other}, table["site"])
    assert set(crossed_groups.pairs["group"]) == {(g, o) for g in "abc" for o in "xy"}


def test_errors_of_disparity() -> None:
    with pytest.raises(InputError, match="needs groups"):
        cdd([1, 0], None)
    with pytest.raises(InputError, match="toward is 'z', but the groups are 'a', 'b'"):
        cdd([1, 0] * 20, ["a"] * 20 + ["b"] * 20, toward="z")


def zemel(features: np.ndarray, decisions: np.ndarray, k: int) -> np.ndarray:
    """1 − |own decision − mean of the k nearest others|, image by image."""
    values = []
    for i, point in enumerate(features):
        distance = np.linalg.norm(features - point, axis=1)
        distance[i] = np.inf
        values.append(1 - abs(decisions[i] - decisions[np.argsort(distance)[:k]].mean()))
    return np.array(values)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_consistency_is_that_of_each_image_by_hand(k: int) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(80, 3))
    decisions = (features[:, 0] + random.normal(0, 0.5, 80) > 0).astype(int)
    groups = random.choice(["a", "b"], 80)
    result = metrics.consistency_score(features, decisions, groups, n_neighbors=k)
    each = zemel(features, decisions, k)
    assert result.value == pytest.approx(each.mean())
    expected = pd.Series(each).groupby(groups).mean()
    assert result.pairs["value"].tolist() == pytest.approx(expected.tolist())
    assert (result.low < result.value < result.high, result.n) == (True, 80)


def test_consistency_of_classes_tables_and_unknown_rows() -> None:
    random = np.random.default_rng(1)
    features = random.normal(size=(60, 2))
    decisions = random.choice(["x", "y", "z"], 60)
    each = [
        zemel(features, (decisions == label) * 1, 5) for label in ("x", "y", "z")
    ]  # of the labels that differ there are two
    result = metrics.consistency_score(features, decisions, replicates=0)
    assert result.value == pytest.approx(np.sum([1 - of for of in each], axis=0).mean() * -0.5 + 1)
    table = (decisions[:, None] == ["x", "y", "z"]).astype(float)
    many = metrics.consistency_score(features, table, replicates=0)
    assert many.value == pytest.approx(np.mean(each))
    longer = np.vstack([features, [[np.nan, 0.0]], [[0.0, 0.0]]])
    unknown = metrics.consistency_score(longer, [*decisions, "x", None], replicates=0)
    assert (unknown.value, unknown.n) == (result.value, 60)


def test_too_few_images_have_no_neighbours() -> None:
    few = metrics.consistency_score(np.eye(5), [1, 0, 1, 0, 1])
    assert (np.isnan(few.value), few.n) == (True, 0)
    assert metrics.consistency_score(np.eye(6), [1] * 6).value == 1
    for wrong in (0, 2.5, "5", True):
        with pytest.raises(InputError, match="n_neighbors must be a whole number"):
            metrics.consistency_score(np.eye(5), [1] * 5, n_neighbors=wrong)
