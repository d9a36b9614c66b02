"""Images that are equal but for the group: by hand, with pandas, on drawn scenes."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics
from fairvision.errors import InputError

SCENES = pd.DataFrame(
    [
        ("desk", "f", 0.9), ("desk", "m", 0.8),
        ("kitchen", "f", 0.7), ("kitchen", "m", 0.2),
        ("street", "f", 0.1), ("street", "m", 0.3),
        ("alone", "f", 0.9),
    ],
    columns=["scene", "gender", "score"],
)  # fmt: skip


def measure(table: pd.DataFrame, **more) -> metrics.CounterfactualResult:
    columns = table["score"], table["scene"], table["gender"]
    return metrics.counterfactual_consistency(*columns, **{"replicates": 200, **more})


def by_hand(table: pd.DataFrame) -> dict[tuple[str, str], tuple[float, float, int]]:
    """Share that stays, mean shift and number of pairs of each two groups, pair by pair."""
    rows = []
    for _, images in table.groupby("scene"):
        for one, other in combinations(images.sort_values("gender").itertuples(), 2):
            if one.gender != other.gender:
                stays = (one.score > 0.5) == (other.score > 0.5)
                rows.append((one.gender, other.gender, stays, other.score - one.score))
    pairs = pd.DataFrame(rows, columns=["one", "other", "stays", "shift"])
    of_groups = pairs.groupby(["one", "other"])
    return {key: (part["stays"].mean(), part["shift"].mean(), len(part)) for key, part in of_groups}


def random_scenes(n: int = 120, groups: str = "abc", seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "scene": random.integers(0, 25, n),
            "gender": random.choice([*groups], n),
            "score": random.random(n),
        }
    )


def test_by_hand() -> None:
    result = measure(SCENES)
    assert (result.value, result.n) == (pytest.approx(2 / 3), 6)
    assert result.shift.value == pytest.approx((-0.1 - 0.5 + 0.2) / 3)
    assert result.pairs["group"].tolist() == [("f", "m")]
    assert result.by_set["pair"].tolist() == ["desk", "kitchen", "street"]
    assert result.by_set["value"].tolist() == [1, 0, 1]
    assert result.by_set["shift"].tolist() == pytest.approx([-0.1, -0.5, 0.2])
    assert measure(SCENES, threshold=0.75).value == 1
    assert measure(SCENES, threshold=0.85).value == pytest.approx(2 / 3)


@pytest.mark.parametrize("groups", ["ab", "abc", "abcd"])
def test_as_counted_pair_by_pair(groups: str) -> None:
    table = random_scenes(groups=groups)
    expected, result = by_hand(table), measure(table)
    pairs = sum(n for *_, n in expected.values())
    assert result.value == pytest.approx(sum(s * n for s, _, n in expected.values()) / pairs)
    for figures, place in ((result.pairs, 0), (result.shift.pairs, 1)):
        found = dict(zip(figures["group"], figures["value"]))
        assert found == pytest.approx({key: each[place] for key, each in expected.items()})
    if groups != "ab":
        assert result.shift.value == pytest.approx(max(abs(s) for _, s, _ in expected.values()))


def test_intervals_draw_sets() -> None:
    """As the share and the mean of differences between two images of each scene."""
    random = np.random.default_rng(2)
    level = random.random(200)
    first, second = (np.clip(level + 0.1 * random.normal(size=200) + by, 0, 1) for by in (0, 0.05))
    scene, gender = np.tile(np.arange(200), 2), np.repeat(["f", "m"], 200)
    result = metrics.counterfactual_consistency(np.append(first, second), scene, gender)
    stays = metrics.mean((first > 0.5) == (second > 0.5))
    shift = metrics.mean(second - first)
    assert result.value == stays.value
    assert (result.low, result.high) == pytest.approx((stays.low, stays.high), abs=0.011)
    assert result.shift.value == pytest.approx(shift.value)
    assert np.std(result.shift.replicates) == pytest.approx(np.std(shift.replicates), rel=0.1)
    assert result.shift.low > 0
    by_group = metrics.mean_by_group(np.append(first, second), gender)
    unpaired = metrics.gap(by_group)
    assert result.shift.high - result.shift.low < 0.5 * (unpaired.high - unpaired.low)


def test_clusters_hold_whole_sets() -> None:
    table = random_scenes()
    town = (table["scene"] // 2).to_numpy()
    with pytest.warns(UserWarning, match="only 13 clusters"):
        result = measure(table, cluster=town)
    assert result.value == measure(table).value
    with pytest.raises(InputError, match="cluster: all images of one pair"):
        measure(table, cluster=np.arange(len(table)))
    with pytest.raises(InputError, match="strata"):
        measure(table, strata=table["gender"])


def test_counts_and_weights_multiply() -> None:
    table = random_scenes()
    times = np.random.default_rng(1).integers(0, 4, len(table))
    repeated = measure(table.loc[table.index.repeat(times)])
    for keyword in ("counts", "weights"):
        result = measure(table, **{keyword: times})
        assert result.value == pytest.approx(repeated.value)
        assert result.shift.value == pytest.approx(repeated.shift.value)
    assert measure(table, counts=times).n == repeated.n


def test_undefined_is_nan() -> None:
    for table in (SCENES.iloc[:0], SCENES[SCENES["gender"] == "f"], SCENES.assign(score=np.nan)):
        result = measure(table)
        assert np.isnan([result.value, result.low, result.shift.value, result.shift.high]).all()
        assert (result.n, len(result.by_set)) == (0, 0)
    unknown = SCENES.assign(gender=[None, "m", "f", "unknown", "f", "m", "f"])
    assert measure(unknown).by_set["pair"].tolist() == ["street"]


def test_all_alike_has_an_exact_interval() -> None:
    scene, gender = np.repeat(np.arange(20), 2), ["f", "m"] * 20
    result = metrics.counterfactual_consistency([0.7] * 40, scene, gender)
    assert (result.value, result.high) == (1, 1)
    assert result.low == pytest.approx(0.025 ** (1 / 20))
    assert (result.shift.low, result.shift.high) == (0, 0)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="needs groups"):
        metrics.counterfactual_consistency([1], [1], None)
    with pytest.raises(InputError, match="one number per row"):
        metrics.counterfactual_consistency([[1, 2]], [1], ["f"])
    with pytest.raises(InputError, match="threshold must be"):
        measure(SCENES, threshold=float("nan"))


def test_drawn_scenes_of_people(shared: Path) -> None:
    """25 scenes of four people: a score made of what the table says, figures with pandas."""
    photos = pd.read_csv(shared / "data" / "pairs" / "photos.csv")
    level = pd.factorize(photos["scene"])[0] / 24
    male, black = photos["gender"] == "male", photos["skin"] == "black"
    photos["score"] = level + 0.1 * male * (photos["section"] == "occupations") - 0.02 * black
    by_gender = metrics.counterfactual_consistency(
        photos["score"],
        photos["scene"] + photos["skin"],
        photos["gender"],
        cluster=photos["scene"],
    )
    wide = photos.pivot_table(index=["scene", "skin"], columns="gender", values="score")
    assert by_gender.n == 100
    assert by_gender.value == pytest.approx(((wide["male"] > 0.5) == (wide["female"] > 0.5)).mean())
    assert by_gender.shift.value == pytest.approx((wide["male"] - wide["female"]).mean())
    assert by_gender.shift.value == pytest.approx(0.1 * 9 / 25)
    assert len(by_gender.by_set) == 50

    crossed = metrics.counterfactual_consistency(
        photos["score"], photos["scene"], photos[["gender", "skin"]]
    )
    wide = photos.pivot_table(index="scene", columns=["gender", "skin"], values="score")
    for row in crossed.shift.pairs.itertuples():
        one, other = row.group
        assert row.value == pytest.approx((wide[other] - wide[one]).mean())
        assert row.n == 50
    assert len(crossed.pairs) == 6
    one, other = crossed.pairs["group"][0]
    assert crossed.pairs["value"][0] == ((wide[one] > 0.5) == (wide[other] > 0.5)).mean()


@pytest.mark.parametrize("groups", ["ab", "abc"])
def test_flips_say_which_way_decisions_turn(groups: str) -> None:
    table = random_scenes(groups=groups)
    result = measure(table)
    assert result.flips.value == pytest.approx(1 - result.value)
    turns = dict(zip(result.flips.pairs["group"], result.flips.pairs["value"]))
    for row in result.pairs.itertuples():
        one, other = row.group
        assert turns[one, other] + turns[other, one] == pytest.approx(1 - row.value)
        pairs = [
            (a > 0.5, b > 0.5)
            for _, images in table.groupby("scene")
            for a in images["score"][images["gender"] == one]
            for b in images["score"][images["gender"] == other]
        ]
        assert turns[one, other] == pytest.approx(np.mean([a and not b for a, b in pairs]))
    assert result.flips.low <= result.flips.value <= result.flips.high


def test_no_flip_at_all_has_an_exact_interval() -> None:
    scene, gender = np.repeat(np.arange(20), 2), ["f", "m"] * 20
    flips = metrics.counterfactual_consistency([0.7] * 40, scene, gender).flips
    assert (flips.value, flips.low) == (0, 0)
    assert flips.high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert flips.pairs["high"].tolist() == pytest.approx([flips.high] * 2)


def test_pairs_that_differ_in_one_attribute(shared: Path) -> None:
    photos = pd.read_csv(shared / "data" / "pairs" / "photos.csv")
    photos["score"] = np.random.default_rng(0).random(100)
    both = photos[["gender", "skin"]]
    result = metrics.counterfactual_consistency(photos["score"], photos["scene"], both)
    assert list(result.by_attribute) == ["gender", "skin"]
    for name, other in (("gender", "skin"), ("skin", "gender")):
        expected = metrics.counterfactual_consistency(
            photos["score"],
            photos["scene"] + photos[other],
            photos[name],
            cluster=photos["scene"],
        )
        alone = result.by_attribute[name]
        assert (alone.value, alone.n) == (expected.value, 100)
        assert (alone.low, alone.high) == (expected.low, expected.high)
        assert alone.shift.value == pytest.approx(expected.shift.value)
        assert len(alone.by_set) == 50
        assert alone.by_attribute == {}
    assert measure(SCENES).by_attribute == {}
    unknown = both.assign(skin=np.where(photos["scene"] == photos["scene"][0], None, both["skin"]))
    fewer = metrics.counterfactual_consistency(photos["score"], photos["scene"], unknown)
    assert fewer.by_attribute["gender"].n == 96
