"""The dataset folder: what is read, and what is refused in which words."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision import datasets
from fairvision.errors import InputError

SETTINGS = {
    "name": "toy",
    "attributes": {"gender": ["female", "male"], "age": ["young", "middle", "old"]},
    "tasks": {
        "place": {"labels": ["desk", "beach"], "many": False},
        "objects": {"labels": ["cup", "tie", "NA"], "many": True},
    },
}
ROWS = [
    ("a", "images/a.png", "", "train", "female", "old", "desk", "cup;tie"),
    ("b", "images/b.png", "", "train", "male", "", "beach", ""),
    ("c", "images/c.png", "", "test", "", "young", "", "NA"),
]
COLUMNS = ["id", "image", "mask", "split", "gender", "age", "place", "objects"]


def write(folder, settings=SETTINGS, rows=ROWS, columns=COLUMNS):
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for row in rows:
        Image.new("RGB", (8, 8)).save(folder / "images" / f"{row[0]}.png")
    (folder / "dataset.json").write_text(json.dumps(settings))
    pd.DataFrame(rows, columns=columns).to_csv(folder / "samples.csv", index=False)
    return folder


def changed(column, value, row=1):
    rows = [list(r) for r in ROWS]
    rows[row][COLUMNS.index(column)] = value
    return [tuple(r) for r in rows]


def test_codes_and_targets(tmp_path):
    toy = datasets.load(write(tmp_path))
    assert len(toy) == 3
    assert toy.codes("gender").tolist() == [0, 1, -1]
    assert toy.codes("age").tolist() == [2, -1, 0]
    assert toy.targets("place").tolist() == [0, 1, -1]
    assert toy.targets("objects").tolist() == [[1, 1, 0], [-1, -1, -1], [0, 0, 1]]
    assert not toy.has_masks


def test_saving_and_loading_is_the_identity(tmp_path):
    toy = datasets.load(write(tmp_path / "csv"))
    none = toy.samples.copy()
    none["objects"] = pd.Series([none["objects"][0], (), none["objects"][2]], dtype=object)
    toy = datasets.Dataset(toy.root, toy.name, toy.attributes, toy.tasks, none)
    other = write(tmp_path / "parquet")
    (other / "samples.csv").unlink()
    datasets.save(toy, other)
    again = datasets.load(other)
    pd.testing.assert_frame_equal(again.samples, toy.samples)
    assert again.targets("objects").tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert again.attributes == toy.attributes
    assert again.tasks == toy.tasks


def test_split(tmp_path):
    toy = datasets.load(write(tmp_path))
    assert toy.split("train").samples["id"].tolist() == ["a", "b"]
    with pytest.raises(InputError, match="no pictures in split 'val': it has train, test"):
        toy.split("val")


def test_fingerprint_follows_table_and_files(tmp_path):
    first = datasets.load(write(tmp_path)).fingerprint()
    assert datasets.load(tmp_path).fingerprint() == first
    write(tmp_path, rows=changed("gender", "female"))
    second = datasets.load(tmp_path).fingerprint()
    assert second != first
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "a.png")
    assert datasets.load(tmp_path).fingerprint() != second


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            changed("gender", "men"),
            r"row 2 \(id 'b'\), column 'gender': 'men' is not one of female, male",
        ),
        (changed("objects", "cup;fork"), r"row 2 .*column 'objects': 'fork' is not one of"),
        (changed("split", "dev"), r"row 2 .*column 'split': 'dev' is not one of"),
        (changed("id", "a"), r"row 2, column 'id': 'a' is there twice"),
        (changed("image", ""), r"row 2 .*column 'image': is empty"),
        (changed("image", "../a.png"), r"row 2 .*column 'image': path '../a.png' leaves"),
        (changed("mask", "/etc/passwd"), r"row 2 .*column 'mask': path '/etc/passwd' leaves"),
    ],
)
def test_bad_rows_are_named(tmp_path, rows, message):
    with pytest.raises(InputError, match=message) as refused:
        datasets.load(write(tmp_path, rows=rows))
    assert "\n" not in str(refused.value)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    outside = tmp_path / "outside.png"
    Image.new("RGB", (8, 8)).save(outside)
    folder = write(tmp_path / "toy")
    (folder / "images" / "b.png").unlink()
    (folder / "images" / "b.png").symlink_to(outside)
    with pytest.raises(InputError, match="leaves its folder"):
        datasets.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attributes": {"gender": ["female", "male", "unknown"]}}, "a group called 'unknown'"),
        ({"attributes": {"gender": ["female"]}}, "at least two groups"),
        ({"attributes": {"id": ["female", "male"]}}, "cannot be the name"),
        ({"attributes": {"gender": ["male", "male"]}}, "empty or repeated"),
        ({"attributes": ["gender"]}, "attributes must map a name to its groups"),
        ({"tasks": {"place": ["desk"]}}, "attributes must map a name to its groups"),
        ({"tasks": {"gender": {"labels": ["a", "b"]}}}, "cannot be the name"),
        ({"tasks": {"place": {"labels": ["a;b", "c"], "many": True}}}, "which separates labels"),
        ({"attributes": {"height": ["tall", "small"]}}, "no column 'height': it has id, image"),
    ],
)
def test_bad_settings_are_named(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        datasets.load(write(tmp_path, settings=SETTINGS | change))


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        datasets.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"dataset\.json does not exist"):
        datasets.load(tmp_path)
    write(tmp_path)
    (tmp_path / "samples.csv").unlink()
    with pytest.raises(InputError, match=r"neither samples\.parquet nor samples\.csv"):
        datasets.load(tmp_path)
    (tmp_path / "samples.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"samples\.parquet cannot be read"):
        datasets.load(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match=r"dataset\.json line 1 is not valid JSON"):
        datasets.load(tmp_path)


def test_real_folders(shared):
    coco = datasets.load(shared / "data" / "coco-gender")
    assert len(coco) == 1500
    assert np.bincount(coco.codes("gender")).tolist() == [750, 750]
    assert (coco.targets("objects")[:, 0] >= 0).sum() == 624
    faces = datasets.load(shared / "data" / "utkface")
    assert len(faces) == 3000
    assert not faces.has_masks


@pytest.mark.parametrize("size", [28, [28], [28, 0], [28, "28"], [True, 28], {"width": 28}])
def test_the_size_is_checked(tmp_path, size):
    with pytest.raises(InputError, match=r"size must be \[width, height\] in pixels"):
        datasets.load(write(tmp_path, settings=SETTINGS | {"size": size}))


def test_the_size_is_kept(tmp_path):
    plain = datasets.load(write(tmp_path / "plain"))
    assert plain.size is None
    sized = datasets.load(write(tmp_path / "sized", settings=SETTINGS | {"size": [8, 6]}))
    assert sized.size == (8, 6)
    (tmp_path / "copy").mkdir()
    datasets.save(sized, tmp_path / "copy")
    assert json.loads((tmp_path / "copy" / "dataset.json").read_text())["size"] == [8, 6]
