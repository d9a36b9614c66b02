"""Images in tar archives are those of a folder, and stay in the archives."""

import io
import json
import os
import tarfile

import numpy as np
import pytest

from fairvision import audit, datasets
from fairvision.core.files import read_json
from fairvision.datasets import batches, open_pixels
from fairvision.datasets.readers import find_reader
from fairvision.errors import InputError
from fairvision.exporting import export

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
from_webdataset = find_reader("webdataset")


def add(tar, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return datasets.scenes(tmp_path_factory.mktemp("drawn") / "scenes", count=30, bias=0.8, size=24)


@pytest.fixture(scope="module")
def archives(drawn, tmp_path_factory):
    """Two archives for each split; ids begin anew in each archive."""
    folder = tmp_path_factory.mktemp("shards")
    for split in ("train", "val", "test"):
        rows = drawn.split(split).samples.to_dict("records")
        for part in range(2):
            with tarfile.open(folder / f"{split}-{part:03}.tar", "w") as tar:
                for i, row in enumerate(rows[part::2]):
                    about = {"shirt": row["shirt"], "context": row["context"], "extra": [1, 2]}
                    add(tar, f"{i}.png", (drawn.root / row["image"]).read_bytes())
                    if isinstance(row["mask"], str):
                        add(tar, f"{i}.mask.png", (drawn.root / row["mask"]).read_bytes())
                    add(tar, f"{i}.json", json.dumps(about).encode())
                    add(tar, f"{i}.txt", row["id"].encode())
    return folder


@pytest.fixture
def imported(archives, tmp_path):
    roles = {"attributes": ["shirt"], "tasks": ["context"], "captions": ["txt"]}
    return from_webdataset(archives, archives.parent / tmp_path.name, **roles)


def test_pixels_masks_and_labels_are_those_of_the_folder(drawn, imported):
    names = {text: row for row, (text,) in enumerate(imported.captions)}
    order = np.array([names[name] for name in drawn.samples["id"]])
    again = imported.rows(order)
    for column in ("split", "shirt", "context"):
        assert again.samples[column].tolist() == drawn.samples[column].tolist()
    assert again.samples["mask"].isna().tolist() == drawn.samples["mask"].isna().tolist()
    for cache in ("always", "never"):
        of_folder, of_tars = (
            next(batches(data, open_pixels(data, 24, cache=cache), len(data)))
            for data in (drawn, again)
        )
        assert of_folder.images.equal(of_tars.images)
        assert of_folder.masks.equal(of_tars.masks)


def test_nothing_is_extracted(archives, imported):
    files = [path for path in imported.root.rglob("*") if path.is_file()]
    tars = [path for path in files if path.suffix == ".tar"]
    assert len(tars) == 6
    assert all(path.samefile(archives / path.name) for path in tars)
    assert {path.name for path in files if path not in tars} == {"dataset.json", "samples.parquet"}
    assert imported.samples["id"].is_unique
    assert imported.samples["image"][0] == "tars/test-000.tar/0.png"
    assert "tar archives" in read_json(imported.root / "dataset.json")["source"]


def test_a_changed_archive_changes_the_fingerprint(imported):
    before = imported.fingerprint()
    assert datasets.load(imported.root).fingerprint() == before
    os.utime(imported.root / "tars/train-000.tar", (1, 1))
    assert datasets.load(imported.root).fingerprint() != before


def test_a_missing_file_is_named(drawn, imported):
    path = imported.root / "tars/val-000.tar"
    path.unlink()
    with tarfile.open(path, "w") as tar:
        add(tar, "0.png", b"no picture")
    with pytest.raises(InputError, match=r"val-000\.tar/0\.mask\.png is missing|val-000\.tar/1"):
        imported.fingerprint()
    with pytest.raises(InputError, match=r"val-000\.tar/0\.png is not a picture"):
        datasets.read_image(path / "0.png")
    with pytest.raises(InputError, match=r"val-000\.tar/9\.png is missing"):
        datasets.read_image(path / "9.png")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"1.json": b'{"age": "old"}'}, "has no pictures"),
        ({"1.png": b"", "1.json": b"[1]"}, r"1\.json holds no JSON object"),
        ({"1.png": b"", "1.json": b"{"}, r"1\.json line 1 is not valid JSON"),
        ({"1.png": b"", "1.cls": b"\xff"}, r"1\.cls is not text in UTF-8"),
        ({"1.png": b"", "1.PNG": b""}, "twice, by names that read alike"),
        ({"../1.png": b""}, "leads out of it"),
        ({"/1.png": b""}, "leads out of it"),
        ({"1.png": b"", "1.json": b'{"size": 1}'}, "has no column 'age': it has size"),
        (
            {"1.png": b"", "1.json": b'{"age": 1}', "2.png": b"", "2.json": b'{"age": ["a"]}'},
            "column 'age'",
        ),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, files, message):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in files.items():
            add(tar, name, content)
    with pytest.raises(InputError, match=message):
        from_webdataset(tmp_path / "a.tar", tmp_path / "data", attributes=["age"])
    assert not (tmp_path / "data").exists()


def test_sources_that_are_none(tmp_path, archives):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no tar archives"):
        from_webdataset(tmp_path / "empty", tmp_path / "data", attributes=["age"])
    (tmp_path / "empty" / "a.tar.gz").touch()
    with pytest.raises(InputError, match="is compressed"):
        from_webdataset(tmp_path / "empty", tmp_path / "data", attributes=["age"])
    with pytest.raises(InputError, match="lies in"):
        from_webdataset(archives, archives / "data", attributes=["age"])


def test_from_the_shell(run_cli, archives, tmp_path):
    out = archives.parent / f"{tmp_path.name}-shell"
    roles = ("--attribute", "shirt", "--task", "context")
    result = run_cli("data", "webdataset", str(archives), str(out), *roles)
    assert result.code == 0, result.err
    assert "30 pictures" in result.out


def test_they_are_audited_but_not_opened_by_fiftyone(imported, tmp_path):
    tested = imported.split("test").samples
    groups = imported.attributes["shirt"]
    scores = {f"score/shirt/{group}": 1 / len(groups) for group in groups}
    table = tested[["id", "shirt"]].assign(**scores)
    done = audit(predictions={"even": table}, data=imported.root, output=tmp_path / "audit")
    assert "data:image" in (done.folder / "report.html").read_text()
    with pytest.raises(InputError, match=r"test-00\d\.tar holds pictures of .*: FiftyOne reads"):
        export(done.folder, to="fiftyone", output=tmp_path / "out", data=imported.root)
