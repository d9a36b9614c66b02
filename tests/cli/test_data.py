"""`fairvision data` through the real entry point."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision import datasets


@pytest.fixture
def table(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    for i in range(3):
        Image.new("RGB", (8, 6), (i * 50, 0, 0)).save(place / f"{i}.png")
    Image.fromarray(np.eye(6, 8, dtype=bool)).save(place / "mask.png")
    rows = [
        ("0.png", "mask.png", "young", "[b]desk[/b]", "train", "cup,tie"),
        ("1.png", "", "old", "beach", "val", ""),
        ("2.png", "", "n/a", "beach", "test", "tie"),
    ]
    columns = ["image", "mask", "age", "place", "split", "things"]
    pd.DataFrame(rows, columns=columns).to_csv(place / "t.csv", index=False)
    return place / "t.csv"


def test_scenes(run_cli, tmp_path):
    options = ["--count", 40, "--bias", 0.75, "--groups", 3, "--seed", 5, "--size", 16]
    made = run_cli("data", "scenes", tmp_path / "a", *options)
    assert (made.code, made.err) == (0, "")
    assert "40 pictures (" in made.out
    assert "train 28" in made.out
    drawn = datasets.load(tmp_path / "a")
    assert drawn.attributes["shirt"] == ("striped", "dotted", "checked")
    again = datasets.scenes(tmp_path / "b", count=40, bias=0.75, groups=3, seed=5, size=16)
    pd.testing.assert_frame_equal(drawn.samples, again.samples)
    refused = run_cli("data", "scenes", tmp_path / "a", *options)
    assert refused.code == 2
    assert "is not empty: choose another folder or add --overwrite" in refused.err
    assert run_cli("data", "scenes", tmp_path / "a", *options, "--overwrite").code == 0


def test_csv(run_cli, table, tmp_path):
    asked = ["--attribute", "age", "--task", "where=place", "--many", "things"]
    more = ["--separator", ",", "--unknown", "n/a", "--name", "toy"]
    made = run_cli("data", "csv", table, tmp_path / "out", *asked, *more)
    assert made.code == 0
    assert "3 pictures (train 1, val 1, test 1)" in made.out
    assert "warning: few pictures of age" in made.err
    imported = datasets.load(tmp_path / "out")
    assert imported.name == "toy"
    assert imported.samples["age"].tolist() == ["young", "old", None]
    assert imported.targets("things").tolist() == [[1, 1], [-1, -1], [0, 1]]


def test_csv_asks_what_the_columns_mean(run_cli, table, tmp_path):
    refused = run_cli("data", "csv", table, tmp_path / "out")
    assert refused.code == 2
    assert "image, mask, age, place, split, things" in refused.err
    assert "--attribute COLUMN" in refused.err
    assert len(refused.err.strip().splitlines()) == 1
    refused = run_cli("data", "csv", table, tmp_path / "out", "--attribute", "sex")
    assert refused.code == 2
    assert "has no column 'sex'" in refused.err
    twice = ["--attribute", "a=age", "--attribute", "a=place"]
    assert "names 'a' twice" in run_cli("data", "csv", table, tmp_path / "out", *twice).err


def test_csv_with_a_broken_image(run_cli, table, tmp_path):
    (table.parent / "1.png").write_text("not a picture")
    asked = [table, tmp_path / "out", "--task", "place"]
    refused = run_cli("data", "csv", *asked)
    assert refused.code == 2
    assert "t.csv row 2 (id '1')" in refused.err
    assert "--skip-broken leaves such pictures out" in refused.err
    assert not (tmp_path / "out").exists()
    made = run_cli("data", "csv", *asked, "--skip-broken")
    assert made.code == 0
    assert "left out: " in made.err
    assert "2 pictures (train 1, test 1)" in made.out


def test_coco(run_cli, shared, tmp_path):
    source = shared / "data" / "coco-mini"
    files = [source / "instances.json", source / "captions.json", source / "images"]
    made = run_cli("data", "coco", *files, tmp_path / "out", "--split", "test", "--workers", 2)
    assert made.code == 0
    assert "153 pictures (test 153)" in made.out
    alone = run_cli("data", "coco", files[0], files[2], tmp_path / "alone", "--workers", 2)
    assert alone.code == 0
    assert datasets.load(tmp_path / "alone").attributes == {}
    asked = [tmp_path / "again", "--captions", files[1], "--split", "test", "--workers", 2]
    assert run_cli("data", "coco", files[0], files[2], *asked).code == 0
    assert datasets.load(tmp_path / "again").samples.equals(datasets.load(tmp_path / "out").samples)
    assert run_cli("data", "coco", files[2], tmp_path / "wrong").code == 2
    refused = run_cli("data", "coco", files[1], files[0], files[2], tmp_path / "wrong")
    assert refused.code == 2
    assert "captions.json" in refused.err
    assert len(refused.err.strip().splitlines()) == 1


def test_show(run_cli, table, tmp_path):
    run_cli("data", "csv", table, tmp_path / "out", "--attribute", "age", "--task", "place")
    shown = run_cli("data", "show", tmp_path / "out")
    assert shown.code == 0
    for text in ("pictures", "masks", "attribute age", "[b]desk[/b]", "place by age", "(few)"):
        assert text in shown.out
    assert "warning: few pictures" in shown.out
    found = json.loads(run_cli("data", "show", tmp_path / "out", "--json").out)
    assert found["name"] == "t"
    assert found["counts"][0] == {
        "kind": "pictures", "name": "", "value": "", "train": 1, "val": 1, "test": 1, "all": 3,
    }  # fmt: skip
    assert {row["label"] for row in found["skew"]} == {"[b]desk[/b]", "beach"}
    assert found["warnings"]


def test_show_real(run_cli, shared):
    shown = run_cli("data", "show", shared / "data" / "coco-gender")
    assert "the 15 most frequent of" in shown.out
    assert "tie" in shown.out.split("objects by gender")[1]
    missing = run_cli("data", "show", shared)
    assert missing.code == 2
    assert "dataset.json does not exist" in missing.err


@pytest.mark.parametrize("source", ["", "scenes", "csv", "coco", "show"])
def test_help(run_cli, source):
    helped = run_cli("data", *filter(None, [source]), "--help")
    assert helped.code == 0
    assert f"fairvision data {source}".strip() in helped.out
