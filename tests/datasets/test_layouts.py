"""Layouts of known data sets: one line says what they look like, and the reader it names works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairvision.datasets import from_table, load
from fairvision.datasets.readers import find_reader
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


def draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), 99, np.uint8)).save(path)


@pytest.fixture
def place(tmp_path, monkeypatch):
    for i in range(4):
        draw(tmp_path / "img_align_celeba" / f"{i}.jpg")
        draw(tmp_path / "folder" / ("train", "val")[i % 2] / ("cat", "dog")[i // 2] / f"{i}.png")
        draw(tmp_path / "UTKFace" / f"{20 + i}_{i % 2}_0_2017011617452512{i}.jpg.chip.jpg")
    lines = [
        "4",
        "Male Smiling",
        *(f"{i}.jpg  {1 - 2 * (i % 2)} -1" for i in range(3)),
        "3.jpg 1 1",
    ]
    (tmp_path / "list_attr_celeba.txt").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("list_attr_celeba.txt", "CelebA's list of attributes: fairvision data celeba reads it"),
        ("folder", "an ImageFolder.*: fairvision data folder reads it"),
        ("folder/train", "an ImageFolder"),
        ("UTKFace", "UTKFace, .*: fairvision data utkface reads it"),
    ],
)
def test_what_a_layout_looks_like_is_said(place, name, layout):
    words = f"{name} looks like {layout}"
    with pytest.raises(InputError, match=words):
        from_table(name, "out", attributes=["gender"])
    if (place / name).is_dir():
        with pytest.raises(InputError, match=words):
            load(name)


def test_other_folders_are_only_folders(place):
    (place / "empty").mkdir()
    with pytest.raises(InputError, match=r"dataset.json does not exist"):
        load("empty")
    with pytest.raises(InputError, match=r"empty is an empty folder: it needs parquet files"):
        from_table("empty", "out", attributes=["gender"])


@pytest.mark.parametrize(
    ("reader", "source"), [("celeba", "."), ("folder", "folder"), ("utkface", "UTKFace")]
)
def test_the_readers_work(place, reader, source):
    assert len(find_reader(reader)(source, "out")) == 4
