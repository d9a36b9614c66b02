"""Images made of others: read and checked, written, left out of the rest; drawn exactly."""

from __future__ import annotations

import json
from io import StringIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fairvision import datasets
from fairvision.datasets.readers.scenes import draw_scene
from fairvision.errors import InputError

SETTINGS = {"attributes": {"gender": ["female", "male"]}}
ROWS = """id,image,split,gender,counterfactual_of,changed
a,a.png,train,female,,
b,b.png,test,male,,
a1,a1.png,train,female,a,surroundings
b1,b1.png,test,female,b,gender
b2,b2.png,test,male,b,surroundings
"""


def write(folder, rows=ROWS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(SETTINGS))
    (folder / "samples.csv").write_text(rows)
    for name in pd.read_csv(StringIO(rows))["image"]:
        Image.new("RGB", (4, 4)).save(folder / name)
    return folder


def test_without_test_images_there_is_nothing_to_draw_again(tmp_path):
    with pytest.raises(InputError, match="test_fraction leaves none"):
        datasets.scenes(tmp_path / "d", count=12, bias=0.9, test_fraction=0, counterfactuals=True)
    assert not (tmp_path / "d").exists()


def test_originals_and_counterfactuals(tmp_path):
    whole = datasets.load(write(tmp_path / "d"))
    assert whole.originals().samples["id"].tolist() == ["a", "b"]
    made = whole.counterfactuals()
    assert made.samples["id"].tolist() == ["a1", "b1", "b2"]
    assert made.samples["counterfactual_of"].tolist() == ["a", "b", "b"]
    assert made.samples["changed"].tolist() == ["surroundings", "gender", "surroundings"]
    assert made.codes("gender").tolist() == [0, 0, 1]
    test = whole.split("test")
    assert test.samples["changed"].fillna("").tolist() == ["", "gender", "surroundings"]
    assert test.rows(np.array([2, 1])).samples["counterfactual_of"].tolist() == ["b", "b"]
    assert test.originals().samples["id"].tolist() == ["b"]


def test_without_such_rows_there_are_no_such_columns(tmp_path):
    lines = [line.rsplit(",", 2)[0] for line in ROWS.splitlines()]
    plain = datasets.load(write(tmp_path / "plain", "\n".join(lines)))
    assert plain.originals() is plain
    assert not len(plain.counterfactuals())
    assert not {"counterfactual_of", "changed"} & set(plain.samples)
    empty = "\n".join(f"{line}{end}" for line, end in zip(lines, [",counterfactual_of", *",,,,,"]))
    assert "counterfactual_of" not in datasets.load(write(tmp_path / "empty", empty)).samples
    other = "\n".join(f"{line},{end}" for line, end in zip(lines, ["changed", *"yynny"]))
    assert "changed" not in datasets.load(write(tmp_path / "other", other)).samples


def test_saving_and_loading_is_the_identity(tmp_path):
    whole = datasets.load(write(tmp_path / "d"))
    datasets.save(whole, whole.root)
    pd.testing.assert_frame_equal(datasets.load(whole.root).samples, whole.samples)


def test_the_fingerprint_follows_the_pairs(tmp_path):
    whole = datasets.load(write(tmp_path / "d"))
    changed = datasets.load(write(tmp_path / "d", ROWS.replace("b,gender", "b,face")))
    assert whole.fingerprint() != changed.fingerprint()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("z", r"samples.csv row 4 \(id 'b1'\), column 'counterfactual_of': 'z' is no id"),
        ("b1", r"row 4 \(id 'b1'\), column 'counterfactual_of': 'b1' is the row itself"),
        ("b2", r"row 4 .*: 'b2' is a counterfactual itself, of 'b': name the original"),
        ("a", r"row 4 .*: 'a' is in split 'train', and this in 'test': both must be in one"),
        ("b,", r"row 4 \(id 'b1'\), column 'changed': is empty: name what was changed"),
        (",hat", r"row 4 .*, column 'counterfactual_of': is empty, but 'changed' is 'hat'"),
    ],
)
def test_bad_rows_are_named(tmp_path, row, message):
    cells = row if "," in row else f"{row},gender"
    rows = ROWS.replace("b1,b1.png,test,female,b,gender", f"b1,b1.png,test,female,{cells}")
    with pytest.raises(InputError, match=message):
        datasets.load(write(tmp_path / "d", rows))


def test_the_original_may_be_in_another_shard(tmp_path):
    whole = datasets.load(write(tmp_path / "whole")).samples
    folder = write(tmp_path / "shards")
    (folder / "samples.csv").unlink()
    table = pa.Table.from_pandas(pd.read_csv(StringIO(ROWS)), preserve_index=False)
    plain = table.slice(0, 2).drop_columns(["counterfactual_of", "changed"])
    pq.write_table(plain, folder / "samples-0.parquet")
    pq.write_table(table.slice(2), folder / "samples-1.parquet")
    pd.testing.assert_frame_equal(datasets.load(folder).samples, whole)
    wrong = table.slice(2).set_column(4, "counterfactual_of", pa.array(["a", "c", "b"]))
    pq.write_table(wrong, folder / "samples-1.parquet")
    with pytest.raises(InputError, match=r"samples-1.parquet row 2 \(id 'b1'\), column 'counterf"):
        datasets.load(folder)


def test_the_names_are_reserved(tmp_path):
    folder = write(tmp_path / "d")
    settings = {"attributes": {"changed": ["a", "b"]}}
    (folder / "dataset.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="'changed' cannot be the name"):
        datasets.load(folder)


def test_descriptions_count_originals(tmp_path):
    table = datasets.describe(datasets.load(write(tmp_path / "d")))["counts"]
    table = table.set_index(["kind", "value"])["all"]
    assert table["pictures", ""] == 2
    assert table["counterfactuals", ""] == 3
    assert table["attribute", "female"] == 1


class TestImporting:
    """`fairvision data csv` keeps the columns."""

    def test_columns_are_kept(self, tmp_path):
        folder = write(tmp_path / "source")
        made = datasets.from_table(folder / "samples.csv", tmp_path / "d", attributes=["gender"])
        columns = ["id", "split", "counterfactual_of", "changed"]
        expected = datasets.load(folder).samples[columns]
        pd.testing.assert_frame_equal(made.samples[columns], expected)

    def test_random_splits_keep_pairs_together(self, tmp_path):
        rows = "id,image,gender,counterfactual_of,changed\n" + "".join(
            f"{i},{i}.png,{'fe' * (i % 2)}male,,\n" for i in range(20)
        )
        rows += "".join(f"{i}x,{i}.png,male,{i},gender\n" for i in range(0, 20, 3))
        folder = write(tmp_path / "source", rows)
        made = datasets.from_table(folder / "samples.csv", tmp_path / "d", attributes=["gender"])
        split = made.samples.set_index("id")["split"]
        for row in made.counterfactuals().samples.to_dict("records"):
            assert row["split"] == split[row["counterfactual_of"]]
        assert made.originals().samples["split"].value_counts().to_dict() == {
            "train": 14,
            "test": 4,
            "val": 2,
        }

    def test_what_goes_with_a_broken_original(self, tmp_path):
        folder = write(tmp_path / "source")
        (folder / "b.png").write_bytes(b"broken")
        with pytest.warns(match="left out: 1 of 5"):
            made = datasets.from_table(
                *(folder / "samples.csv", tmp_path / "d"),
                attributes=["gender"],
                skip_broken=True,
            )
        assert made.samples["id"].tolist() == ["a", "a1"]

    @pytest.mark.parametrize(
        ("before", "after", "message"),
        [
            ("a,surr", "q,surr", r"samples.csv row 3 \(id 'a1'\), column 'counterf.*'q' is no id"),
            (",changed", ",change", "no column 'changed'"),
        ],
    )
    def test_bad_rows_are_named(self, tmp_path, before, after, message):
        folder = write(tmp_path / "source", ROWS.replace(before, after))
        with pytest.raises(InputError, match=message):
            datasets.from_table(folder / "samples.csv", tmp_path / "d", attributes=["gender"])
        assert not (tmp_path / "d").exists()

    def test_pictures_of_pairs(self, tmp_path, shared):
        """PAIRS: each scene four times; three of them are counterfactuals of the first."""
        source = shared / "data/pairs"
        table = pd.read_csv(source / "photos.csv")
        table["id"] = table["image"].str.removeprefix("images/").str.removesuffix(".jpg")
        first = table.groupby("scene")["id"].transform("first")
        table["counterfactual_of"] = first.where(table["id"] != first)
        base = table.set_index("id").loc[first]
        changed = [
            " and ".join(name for name in ("gender", "skin") if row[name] != was[name])
            for (_, row), (_, was) in zip(table.iterrows(), base.iterrows())
        ]
        table["changed"] = changed
        table["split"] = "test"
        table.to_csv(tmp_path / "pairs.csv", index=False)
        with pytest.warns(match="few pictures"):
            made = datasets.from_table(
                *(tmp_path / "pairs.csv", tmp_path / "pairs"),
                attributes=["gender", "skin"],
                tasks=["scenario"],
                images=source,
            )
        assert (len(made.originals()), len(made.counterfactuals())) == (25, 75)
        assert set(made.counterfactuals().samples["changed"]) == {
            "gender",
            "skin",
            "gender and skin",
        }


@pytest.mark.parametrize("groups", [2, 3])
def test_scenes_are_drawn_again_exactly(tmp_path, groups):
    how = {"count": 30 * groups, "bias": 0.7, "groups": groups, "size": 32, "seed": 5}
    plain = datasets.scenes(tmp_path / "plain", **how)
    drawn = datasets.scenes(tmp_path / "drawn", **how, counterfactuals=True)
    for one, other in zip(plain.samples["image"], drawn.originals().samples["image"], strict=True):
        assert (plain.root / one).read_bytes() == (drawn.root / other).read_bytes()
    places, made = drawn.tasks["context"].labels, drawn.counterfactuals().samples
    assert set(made["split"]) == {"test"}
    for row in drawn.split("test").originals().samples.to_dict("records"):
        pairs = made[made["counterfactual_of"] == row["id"]]
        moved, dressed = (pairs[pairs["changed"] == head] for head in ("context", "shirt"))
        group = drawn.attributes["shirt"].index(row["shirt"])
        elsewhere = set(places) - set(places[2 * group : 2 * group + 2]) - {row["context"]}
        assert set(moved["context"]) == elsewhere
        assert set(moved["shirt"]) == {row["shirt"]}
        assert set(dressed["shirt"]) == set(drawn.attributes["shirt"]) - {row["shirt"]}
        assert set(dressed["context"]) == {row["context"]}
        for pair in pairs.to_dict("records"):
            image, mask = draw_scene(pair["shirt"], pair["context"], 32, f"5/{row['id']}")
            with Image.open(drawn.root / pair["image"]) as there:
                assert np.array_equal(np.asarray(there), np.asarray(image))
            with Image.open(drawn.root / pair["mask"]) as there:
                assert np.array_equal(np.asarray(there), np.asarray(mask))
    regions = datasets.read_regions(drawn)
    assert set(made["id"]) <= set(regions["id"])


def test_the_command_says_how_many(tmp_path, run_cli):
    done = run_cli(
        "data", "scenes", tmp_path / "d", "--count", 20, "--size", 16, "--counterfactuals"
    )
    assert done.code == 0, done.err
    made = len(datasets.load(tmp_path / "d").counterfactuals())
    assert "20 pictures (" in done.out
    assert f"), and {made} counterfactuals of them\n" in done.out
    shown = run_cli("data", "show", tmp_path / "d")
    assert "counterfactuals" in shown.out
