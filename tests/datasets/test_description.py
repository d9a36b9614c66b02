"""What is in a dataset: counts and skews by hand, and what they warn of."""

import numpy as np
import pandas as pd
import pytest

from fairvision.datasets import Dataset, Task, describe, scenes
from fairvision.datasets.folder import skew


def dataset(tmp_path, groups, places, things=None, splits=None):
    n = len(groups)
    samples = pd.DataFrame({"id": [str(i) for i in range(n)], "image": "x.png", "mask": None})
    samples["split"] = splits or ["train"] * n
    for name, column in (("age", groups), ("place", places), ("things", things or [None] * n)):
        samples[name] = pd.Series(column, dtype=object)
    return Dataset(
        root=tmp_path,
        name="toy",
        attributes={"age": ("young", "middle", "old")},
        tasks={"place": Task(("desk", "beach")), "things": Task(("cup", "tie", "hat"), many=True)},
        samples=samples,
    )


def row(table, **keys):
    found = table[np.logical_and.reduce([table[k] == v for k, v in keys.items()])]
    assert len(found) == 1
    return found.iloc[0]


def test_counts_by_hand(tmp_path):
    toy = dataset(
        tmp_path,
        ["young", "old", None, "young"],
        ["desk", None, "beach", "desk"],
        [("cup", "tie"), (), None, ("cup",)],
        ["train", "train", "test", "test"],
    )
    counts = describe(toy)["counts"]
    assert list(counts) == ["kind", "name", "value", "train", "test", "all"]
    for keys, expected in [
        ({"kind": "pictures"}, [2, 2, 4]),
        ({"kind": "masks"}, [0, 0, 0]),
        ({"name": "age", "value": "young"}, [1, 1, 2]),
        ({"name": "age", "value": "middle"}, [0, 0, 0]),
        ({"name": "age", "value": "unknown"}, [0, 1, 1]),
        ({"name": "place", "value": "unknown"}, [1, 0, 1]),
        ({"name": "things", "value": "cup"}, [1, 1, 2]),
        ({"name": "things", "value": "none"}, [1, 0, 1]),
        ({"name": "things", "value": "unknown"}, [0, 1, 1]),
    ]:
        assert row(counts, **keys)[["train", "test", "all"]].tolist() == expected


def test_skew_by_hand(tmp_path):
    groups = ["young"] * 40 + ["old"] * 40 + [None] * 5 + ["middle"] * 3
    places = ["desk"] * 30 + ["beach"] * 10 + ["desk"] * 10 + ["beach"] * 30 + ["desk"] * 5
    toy = dataset(tmp_path, groups, places + [None] * 3)
    table = skew(toy)
    young = row(table, group="young", label="desk")
    assert young[["share", "overall", "skew", "n"]].tolist() == pytest.approx([0.75, 0.5, 0.25, 40])
    assert not young["few"]
    assert row(table, group="middle", label="desk")["share"] == 0
    assert set(table["task"]) == {"place"}
    totals = table.groupby("label")[["share", "overall", "skew"]].sum()
    assert np.allclose(totals, [[1, 1, 0]] * 2)


def test_independence_has_no_skew(tmp_path):
    toy = dataset(tmp_path, ["young", "old"] * 40, ["desk"] * 40 + ["beach"] * 40)
    assert (skew(toy)["skew"] == 0).all()


def test_large_skews_first_and_few_images_last(tmp_path):
    groups = ["young"] * 60 + ["old"] * 60
    things = [("cup",)] * 40 + [()] * 20 + [("cup",)] * 20 + [("tie",)] * 3 + [()] * 37
    table = skew(dataset(tmp_path, groups, [None] * 120, things))
    assert table["label"].tolist() == ["cup"] * 3 + ["tie"] * 3
    assert table["few"].tolist() == [False] * 3 + [True] * 3
    assert table["skew"].abs()[:2].tolist() == pytest.approx([1 / 6, 1 / 6])


def test_the_bias_of_drawn_scenes_is_seen(tmp_path):
    drawn = scenes(tmp_path / "drawn", count=400, bias=0.8, groups=2, size=16)
    table = skew(drawn)
    above = table[table["skew"] > 0]
    assert above["share"].tolist() == pytest.approx([0.8] * 4, abs=0.02)
    assert set(zip(above["group"], above["label"])) == {
        ("striped", "desk"),
        ("striped", "kitchen"),
        ("dotted", "beach"),
        ("dotted", "slope"),
    }
    (warning,) = describe(drawn)["warnings"]
    assert "striped in val (20), dotted in val (20)" in warning


def test_warnings(tmp_path):
    toy = dataset(tmp_path, ["young"] * 30 + ["old", None], ["desk"] * 31 + [None])
    said = describe(toy)["warnings"]
    assert said == [
        "few pictures of age middle in train (0), old in train (1): figures for fewer than 30 "
        "are very uncertain",
        "age is unknown for 1 of 32 pictures",
        "place is unknown for 1 of 32 pictures",
        "things is unknown for 32 of 32 pictures",
        "no pictures in split val or test",
        "1 labels of place have no pictures",
        "3 labels of things have no pictures",
        "32 pictures have no mask of a person: no evidence figures for them",
    ]


def test_nothing_to_compare(tmp_path):
    toy = dataset(tmp_path, ["young"], [None])
    bare = Dataset(tmp_path, "bare", {}, {}, toy.samples)
    assert skew(bare).empty
    assert skew(toy).empty
