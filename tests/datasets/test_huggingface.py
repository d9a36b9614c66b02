"""Data sets as Hugging Face stores them: parquet shards with images inside, and imagefolder."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fairvision.core import extras
from fairvision.datasets import read_mask
from fairvision.datasets.readers.huggingface import from_huggingface
from fairvision.errors import FairvisionWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")

GENDER = {"names": ["Male", "Female"], "_type": "ClassLabel"}
KINDS = {"names": ["owl", "cat", "dog"], "_type": "ClassLabel"}
FEATURES = {
    "image": {"_type": "Image"},
    "gender": GENDER,
    "animals": {"feature": KINDS, "_type": "List"},
    "age": {"dtype": "string", "_type": "Value"},
}
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def encoded(colour: int = 9, form: str = "PNG", size: tuple[int, int] = (8, 6)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (colour, 0, 0)).save(file, form)
    return file.getvalue()


def cells(count: int, **changes) -> dict[str, pa.Array]:
    """Return columns as `datasets.Dataset.to_parquet` writes those of `FEATURES`."""
    columns = {
        "image": pa.array([{"bytes": encoded(i), "path": None} for i in range(count)], PICTURE),
        "gender": pa.array([i % 2 for i in range(count)], pa.int64()),
        "animals": pa.array([[[], [1], [2, 0]][i % 3] for i in range(count)], pa.list_(pa.int64())),
        "age": pa.array([["old", None, "young"][i % 3] for i in range(count)]),
    }
    return columns | changes


def write(path: Path, columns: dict[str, pa.Array], features: object = FEATURES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    note = features if isinstance(features, str) else json.dumps({"info": {"features": features}})
    table = pa.table(columns).replace_schema_metadata({"huggingface": note})
    pq.write_table(table, path)
    return path


@pytest.fixture
def hub(tmp_path):
    """A data set in the files and columns that the package `datasets` 5.2 writes."""
    root = tmp_path / "faces"
    write(root / "data" / "train-00000-of-00002.parquet", cells(3))
    write(root / "data" / "train-00001-of-00002.parquet", cells(6))
    write(root / "data" / "validation-00000-of-00001-0a1b2c.parquet", cells(3))
    write(root / "data" / "test-00000-of-00001.parquet", cells(3))
    (root / "README.md").write_text("---\nlicense: mit\n---\n")
    (root / ".cache").mkdir()
    (root / ".cache" / "train.parquet").write_bytes(b"no table")
    return root


ASKED = {"attributes": ["gender"], "many": ["animals"], "tasks": ["age"]}


def test_shards_with_class_labels(hub, tmp_path):
    made = from_huggingface(hub, tmp_path / "out", **ASKED)
    assert made.samples["split"].tolist() == [*["test"] * 3, *["train"] * 9, *["val"] * 3]
    assert made.samples["id"].tolist()[:4] == ["test-1", "test-2", "test-3", "train-1"]
    assert made.attributes == {"gender": ("Male", "Female")}
    assert made.samples["gender"].tolist()[:3] == ["Male", "Female", "Male"]
    assert made.tasks["animals"].labels == ("owl", "cat", "dog")
    assert made.targets("animals").tolist()[:3] == [[0, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert made.samples["age"].tolist()[:3] == ["old", None, "young"]
    assert (made.root / made.samples["image"][1]).read_bytes() == encoded(1)
    assert made.samples["image"][1].endswith(".png")
    assert made.name == "faces"
    assert made.source == "imported from faces"


def test_one_file_without_a_split_is_divided_at_random(tmp_path):
    path = write(tmp_path / "extra.parquet", cells(30))
    made = from_huggingface(path, tmp_path / "out", tasks={"sex": "gender"}, seed=3)
    assert made.samples["split"].value_counts().to_dict() == {"train": 21, "test": 6, "val": 3}
    assert made.tasks["sex"].labels == ("Male", "Female")
    assert made.name == "extra"


def test_unlabelled_rows_and_classes_without_pictures(tmp_path):
    gender = pa.array([-1, None, 1, 0, 2], pa.int64())
    names = ["f", "m", "Unknown", "x"]
    features = FEATURES | {"gender": {"names": names, "_type": "ClassLabel"}}
    path = write(tmp_path / "train.parquet", cells(5, gender=gender), features)
    made = from_huggingface(path, tmp_path / "out", attributes=["gender"])
    assert made.codes("gender").tolist() == [-1, -1, 1, 0, -1]
    assert made.attributes["gender"] == ("f", "m", "x")


def test_file_names_ids_masks_and_forms(tmp_path):
    person = io.BytesIO()
    Image.fromarray(np.eye(6, 8, dtype=bool)).save(person, "PNG")
    masks = [{"bytes": person.getvalue(), "path": "m.png"}, None, None]
    forms = ["PNG", "JPEG", "WEBP"]
    images = [{"bytes": encoded(form=f), "path": f"{f}.x.bin"} for f in forms]
    columns = cells(3, image=pa.array(images, PICTURE), mask=pa.array(masks, PICTURE))
    path = write(tmp_path / "train.parquet", columns | {"number": pa.array([7, 8, 9])})
    made = from_huggingface(path, tmp_path / "out", attributes=["gender"])
    assert made.samples["id"].tolist() == ["PNG.x", "JPEG.x", "WEBP.x"]
    assert [Path(p).suffix for p in made.samples["image"]] == [".png", ".jpg", ".webp"]
    assert made.samples["mask"].notna().tolist() == [True, False, False]
    assert read_mask(made.root / made.samples["mask"][0], (8, 6)).sum() == 6
    made = from_huggingface(path, tmp_path / "again", attributes=["gender"], id="number")
    assert made.samples["id"].tolist() == ["7", "8", "9"]


def test_configurations_are_asked_for(hub, tmp_path):
    for name in ("0.25", "1.25"):
        for split in ("train", "test"):
            write(tmp_path / "two" / name / f"{split}-00000-of-00001.parquet", cells(4))
    with pytest.raises(InputError, match=r"configurations: 0.25; 1.25: .*--files '0.25/\*'"):
        from_huggingface(tmp_path / "two", tmp_path / "out", **ASKED)
    made = from_huggingface(tmp_path / "two", tmp_path / "out", files="1.25/*", **ASKED)
    assert made.samples["split"].tolist() == [*["test"] * 4, *["train"] * 4]
    write(hub / "data" / "extra-00000-of-00001.parquet", cells(3))
    with pytest.raises(InputError, match=r"extra-00000.* is of no split by its name, .*--files"):
        from_huggingface(hub, tmp_path / "more", **ASKED)
    assert len(from_huggingface(hub, tmp_path / "more", files="data/t*", **ASKED)) == 12
    with pytest.raises(InputError, match="has no file that is called 'x'"):
        from_huggingface(hub, tmp_path / "none", files="x", **ASKED)


def test_the_branch_of_converted_files(tmp_path):
    for split in ("train", "validation"):
        write(tmp_path / "in" / "default" / split / "0000.parquet", cells(3))
    made = from_huggingface(tmp_path / "in", tmp_path / "out", **ASKED)
    assert made.samples["split"].tolist() == [*["train"] * 3, *["val"] * 3]


@pytest.mark.parametrize(
    ("changes", "asked", "message"),
    [
        ({}, {}, "has the columns image, gender, animals, age: say with --attribute"),
        ({}, {"tasks": ["sex"]}, "has no column 'sex': it has image, gender"),
        ({}, {"tasks": ["animals"]}, "column 'animals' holds lists: name it by --many"),
        ({}, {"tasks": ["age"], "image": "age"}, "column 'age' holds no pictures"),
        ({"gender": [0, 10**15, 1]}, {"tasks": ["gender"]}, r"row 2, column 'gender': 10+ is none"),
        (
            {"animals": [[0], [], [1, 3]]},
            {"many": ["animals"]},
            r"row 3, column 'animals': 3",
        ),
        (
            {"id": [1, 1, 2]},
            {"tasks": ["age"], "id": "id"},
            "rows 1 and 2, .* both are '1'",
        ),
        ({"image": [1, 2, 3]}, {"tasks": ["age"]}, "holds no pictures: it has image, gender"),
        ({"other": [b"1"] * 3}, {"tasks": ["age"]}, "several columns of pictures: image, other"),
    ],
)
def test_bad_columns(tmp_path, changes, asked, message):
    columns = cells(3, **{name: pa.array(values) for name, values in changes.items()})
    path = write(tmp_path / "train.parquet", columns)
    with pytest.raises(InputError, match=message) as refused:
        from_huggingface(path, tmp_path / "out", **asked)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ({"bytes": b"not a picture", "path": None}, r"row 2 \(id 'train-2'\), .*'image' is not"),
        ({"bytes": encoded()[:45], "path": None}, "row 2 .* is truncated or damaged"),
        ({"bytes": None, "path": None}, r"row 2 .*column 'image': has no picture"),
        ({"bytes": None, "path": "../secret.png"}, r"row 2 .*'../secret.png' leaves its"),
        ({"bytes": None, "path": "/etc/passwd"}, r"row 2 .*: path '/etc/passwd' leaves its folder"),
        (None, r"row 2 .*column 'image': has no picture"),
    ],
)  # fmt: skip
def test_bad_pictures(tmp_path, picture, message):
    good = {"bytes": encoded(), "path": None}
    columns = cells(3, image=pa.array([good, picture, good], PICTURE))
    path = write(tmp_path / "in" / "train.parquet", columns)
    Image.new("RGB", (8, 6)).save(tmp_path / "secret.png")
    with pytest.raises(InputError, match=message) as refused:
        from_huggingface(path, tmp_path / "out", attributes=["gender"])
    assert str(refused.value).count("train.parquet") == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in", "secret.png"]


def test_pictures_that_cannot_be_used_are_left_out_on_demand(tmp_path):
    images = [{"bytes": encoded(), "path": None}] * 4
    images[2] = {"bytes": b"", "path": None}
    path = write(tmp_path / "train.parquet", cells(4, image=pa.array(images, PICTURE)))
    with pytest.warns(FairvisionWarning, match="left out: 1 of 4 pictures"):
        made = from_huggingface(path, tmp_path / "out", skip_broken=True, attributes=["gender"])
    assert made.samples["id"].tolist() == ["train-1", "train-2", "train-4"]


@pytest.mark.parametrize(
    "features", ["", [], 3, {"a": {"_type": "ClassLabel", "names": 7}}, {"a": {"feature": 3}}]
)
def test_damaged_notes(tmp_path, features):
    path = write(tmp_path / "train.parquet", cells(3), features)
    if features == {"a": {"feature": 3}}:  # of no class
        assert len(from_huggingface(path, tmp_path / "out", **ASKED)) == 3
        return
    with pytest.raises(InputError, match=r"notes of its columns \(huggingface\) are damaged"):
        from_huggingface(path, tmp_path / "out", **ASKED)


def test_shards_must_agree(tmp_path):
    write(tmp_path / "in" / "train-0.parquet", cells(3))
    write(tmp_path / "in" / "train-1.parquet", cells(3), FEATURES | {"gender": KINDS})
    with pytest.raises(InputError, match="names the classes of its columns otherwise"):
        from_huggingface(tmp_path / "in", tmp_path / "out", **ASKED)


def images_with_metadata(root: Path, name: str = "metadata.jsonl") -> Path:
    """Images in folders of splits, each with a metadata file, as the guide of `datasets` has it."""
    for split in ("train", "test"):
        rows = []
        for i in range(3):
            (root / split / "in").mkdir(parents=True, exist_ok=True)
            (root / split / "in" / f"{i}.png").write_bytes(encoded(i))
            row = {
                "file_name": f"in/{i}.png",
                "gender": "fm"[i % 2],
                "things": [[], ["a", "b"], None][i],
            }
            rows.append(row | {"additional": {"boxes": [1]}})
        if name.endswith("jsonl"):
            text = "".join(json.dumps(row) + "\n" for row in rows)
        else:
            lines = ["file_name,gender", *(f"{row['file_name']},{row['gender']}" for row in rows)]
            text = "\n".join(lines)
        (root / split / name).write_text(text)
    return root


def test_imagefolder_with_metadata(tmp_path):
    root = images_with_metadata(tmp_path / "in")
    made = from_huggingface(root, tmp_path / "out", attributes=["gender"], many=["things"])
    assert made.samples["id"].tolist()[:2] == ["test/in/0", "test/in/1"]
    assert made.samples["split"].tolist() == [*["test"] * 3, *["train"] * 3]
    assert made.samples["gender"].tolist() == [*"fmf"] * 2
    assert made.targets("things").tolist()[:3] == [[0, 0], [1, 1], [-1, -1]]
    root = images_with_metadata(tmp_path / "csv", "metadata.csv")
    made = from_huggingface(root, tmp_path / "again", attributes=["gender"])
    assert made.samples["gender"].tolist() == [*"fmf"] * 2


def test_one_metadata_file_above_the_splits(tmp_path):
    root = images_with_metadata(tmp_path / "in", "metadata.csv")
    rows = [f"{s}/in/{i}.png,{'fm'[i % 2]}" for s in ("train", "test") for i in range(3)]
    for split in ("train", "test"):
        (root / split / "metadata.csv").unlink()
    (root / "metadata.csv").write_text("\n".join(["file_name,gender", *rows]))
    made = from_huggingface(root, tmp_path / "out", attributes=["gender"])
    assert made.samples["split"].tolist() == [*["train"] * 3, *["test"] * 3]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"file_name": "../../x.png"}', r"row 4, column 'file_name': path '../../x.png' leaves"),
        ('{"file_name": "/etc/passwd"}', r"row 4, .*'/etc/passwd' leaves its folder"),
        ('{"file_name": "in/link.png"}', r"row 4, .* is a link that leads out of"),
        ('{"file_name": "in/0.png"}', r"row 4, .*in/0.png' stands in row 1 already"),
        ('{"gender": "f"}', r"row 4, column 'file_name': is empty"),
        ('{"file_name": ', r"metadata.jsonl line 4 is not valid JSON: Expecting value"),
        ("[1]", r"metadata.jsonl row 4 is not an object"),
        ('{"file_name": "in/1.png", "gender": {"a": 1}}', r"column 'gender': is neither text nor"),
    ],
)
def test_hostile_metadata(tmp_path, line, message):
    root = images_with_metadata(tmp_path / "in")
    Image.new("RGB", (8, 6)).save(tmp_path / "x.png")
    os.symlink(tmp_path / "x.png", root / "train" / "in" / "link.png")
    with (root / "train" / "metadata.jsonl").open("a") as file:
        file.write(line)
    with pytest.raises(InputError, match=message):
        from_huggingface(root, tmp_path / "out", attributes=["gender"])
    assert not (tmp_path / "out").exists()


def test_links_of_the_cache_of_the_hub_are_followed(tmp_path):
    """There, files are links from snapshots/COMMIT to blobs."""
    repository = tmp_path / "datasets--a--b"
    blob = write(repository / "blobs" / "0123", cells(3))
    data = repository / "snapshots" / "abc" / "data"
    data.mkdir(parents=True)
    (data / "train-00000-of-00001.parquet").symlink_to(os.path.relpath(blob, data))
    made = from_huggingface(data.parent, tmp_path / "out", attributes=["gender"])
    assert len(made) == 3
    outside = write(tmp_path / "elsewhere.parquet", cells(3))
    (data / "test.parquet").symlink_to(outside)
    with pytest.raises(InputError, match="leaves its folder"):
        from_huggingface(data.parent, tmp_path / "more", attributes=["gender"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["a/1.png"],
            "neither parquet files nor metadata.csv or metadata.jsonl: .*data folder",
        ),
        (["data-00000-of-00001.arrow"], "data-00000-of-00001.arrow is not a valid file of Arrow"),
        (["train.tar"], "holds archives and no parquet files: unpack them"),
        (["train.parquet"], "train.parquet"),
    ],
)
def test_other_folders(tmp_path, names, message):
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(InputError, match=message):
        from_huggingface(tmp_path / "in", tmp_path / "out", attributes=["gender"])


@pytest.fixture
def downloads(monkeypatch, hub):
    """Stand in for `huggingface_hub`, and note what it is asked for."""
    asked = []

    class Hub:
        @staticmethod
        def snapshot_download(name, **keywords):
            asked.append((name, keywords))
            if name == "me/gone":
                raise OSError("404 Client Error: no such data set\nsecond line")
            return str(hub)

    monkeypatch.setattr(extras, "import_module", lambda name: Hub)
    return asked


def test_what_is_no_folder_is_downloaded(downloads, hub, tmp_path):
    with pytest.warns(FairvisionWarning, match=r"me/faces is no folder here: it is downloaded"):
        made = from_huggingface("me/faces", tmp_path / "out", revision="v1", **ASKED)
    keywords = {"repo_type": "dataset", "revision": "v1", "allow_patterns": "*.parquet"}
    assert downloads == [("me/faces", keywords)]
    assert (made.name, made.source) == ("faces", "imported from me/faces at faces")
    with pytest.raises(InputError, match=r"cannot be downloaded from huggingface.co: 404 .* set$"):
        from_huggingface("me/gone", tmp_path / "more", **ASKED)
    for path in ("gone", tmp_path / "gone", "a/b/c", "../gone"):
        with pytest.raises(InputError, match=r"(gone|a/b/c) does not exist"):
            from_huggingface(path, tmp_path / "more", **ASKED)
    assert len(downloads) == 2
    with pytest.raises(InputError, match="is here already: --revision is for"):
        from_huggingface(hub, tmp_path / "more", revision="v1", **ASKED)


def test_without_the_package(monkeypatch, tmp_path):
    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(extras, "import_module", absent)
    with pytest.raises(InputError, match=r"huggingface_hub is not installed: pip install 'fair"):
        from_huggingface("me/faces", tmp_path / "out", **ASKED)


def test_the_command(run_cli, hub, tmp_path):
    asked = ["--attribute", "sex=gender", "--many", "animals", "--unknown", "young"]
    made = run_cli("data", "hf", hub, tmp_path / "out", *asked, "--licence", "mit")
    assert made.code == 0, made.err
    assert "15 pictures (test 3, train 9, val 3)" in made.out
    refused = run_cli("data", "hf", hub, tmp_path / "more")
    assert refused.code == 2
    assert refused.err.count("\n") == 1


def save(folder: Path, columns: dict[str, pa.Array], shards: int = 1, **more: object) -> Path:
    """As `datasets.Dataset.save_to_disk` writes them: streams of Arrow, and what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    note = json.dumps({"info": {"features": FEATURES}, "fingerprint": "0a"})
    table = table.replace_schema_metadata({"huggingface": note})
    names = [f"data-{number:05d}-of-{shards:05d}.arrow" for number in range(shards)]
    rows = len(table) // shards
    for number, name in enumerate(names):
        with pa.ipc.new_stream(folder / name, table.schema) as stream:
            stream.write_table(table.slice(number * rows, rows), max_chunksize=2)
    state = {"_data_files": [{"filename": name} for name in names], "_split": None, **more}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_saved_to_disk(tmp_path):
    save(tmp_path / "in" / "train", cells(6), shards=2)
    save(tmp_path / "in" / "test", cells(3))
    (tmp_path / "in" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    (tmp_path / "in" / "train" / "cache-0123.arrow").write_bytes(b"what map made")
    (tmp_path / "in" / "test" / "data-00001-of-00002.arrow").write_bytes(b"of an earlier save")
    made = from_huggingface(tmp_path / "in", tmp_path / "out", **ASKED)
    assert made.samples["split"].tolist() == ["test"] * 3 + ["train"] * 6
    assert made.attributes == {"gender": ("Male", "Female")}
    assert made.samples["animals"].tolist()[:3] == [(), ("cat",), ("dog", "owl")]
    assert made.name == "in"
    one = from_huggingface(save(tmp_path / "one", cells(4)), tmp_path / "single", **ASKED)
    assert sorted(one.samples["split"]) == ["test", "train", "train", "val"]


def test_saved_to_disk_and_damaged(tmp_path):
    place = save(tmp_path / "in", cells(4, gender=pa.array([0, 1, 7, 0])))
    with pytest.raises(InputError, match=r"in/data-00000-of-00001.arrow row 3.*7 is none of its 2"):
        from_huggingface(place, tmp_path / "out", **ASKED)
    path = save(place, cells(4)) / "data-00000-of-00001.arrow"
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:200] + bytes(300) + content[500:], b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"00001\.arrow|in has no column") as refused:
            from_huggingface(place, tmp_path / "out", **ASKED)
        assert "\n" not in str(refused.value)
    save(place, cells(4), _data_files=7)
    with pytest.raises(InputError, match=r"state.json is damaged: _data_files must be a list"):
        from_huggingface(place, tmp_path / "out", **ASKED)
    assert not (tmp_path / "out").exists()
