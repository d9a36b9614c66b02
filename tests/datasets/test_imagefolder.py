"""Folders of pictures: what levels mean, what is guessed, and what is refused in which words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from fairvision.datasets.readers.imagefolder import from_folder
from fairvision.errors import FairvisionWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


def draw(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (len(path), 0, 0)).save(root / path)
    return root


@pytest.fixture
def torchvision_layout(tmp_path):
    """As `torchvision.datasets.ImageFolder` has it, a folder per split above."""
    return draw(
        tmp_path / "animals",
        *("train/cat/1.png", "train/cat/2.JPG", "train/dog/1.png"),
        *("val/cat/1.png", "val/dog/1.png", "test/dog/9.png"),
    )


def test_split_and_label_are_guessed(torchvision_layout, tmp_path):
    made = from_folder(torchvision_layout, tmp_path / "out")
    assert made.tasks["label"].labels == ("cat", "dog")
    assert made.samples["id"].tolist()[:3] == [
        "test/dog/9.png",
        "train/cat/1.png",
        "train/cat/2.JPG",
    ]
    assert made.samples["split"].value_counts().to_dict() == {"train": 3, "val": 2, "test": 1}
    assert made.samples["label"].tolist() == ["dog", "cat", "cat", "dog", "cat", "dog"]
    assert made.name == "animals"
    assert made.source == "imported from the folders split/label of animals"
    first = made.samples.iloc[1]
    source = torchvision_layout / first["id"]
    assert (made.root / first["image"]).read_bytes() == source.read_bytes()


def test_one_level_is_the_label_and_splits_are_drawn(tmp_path):
    root = draw(tmp_path / "in", *(f"{'fm'[i % 2]}/{i}.png" for i in range(20)))
    made = from_folder(root, tmp_path / "out", attributes=["gender"], seed=1)
    assert made.attributes == {"gender": ("f", "m")}
    assert not made.tasks
    assert made.samples["split"].value_counts().to_dict() == {"train": 14, "test": 4, "val": 2}
    again = from_folder(root, tmp_path / "again", attributes={"sex": "gender"}, seed=1)
    assert list(again.attributes) == ["sex"]
    assert again.samples["split"].tolist() == made.samples["split"].tolist()


def test_levels_say_what_folders_are(tmp_path):
    root = draw(
        tmp_path / "in",
        *("Training/Female/p1/a.png", "Training/Male/p2/a.png"),
        *("Testing/Female/p3/a.png", "Testing/unknown/p4/a.png"),
    )
    made = from_folder(root, tmp_path / "out", levels="split/gender/*", attributes=["gender"])
    assert made.samples["split"].tolist() == ["test", "test", "train", "train"]
    assert made.samples["gender"].tolist() == ["Female", None, "Female", "Male"]
    root = draw(tmp_path / "jobs", "nurse/male/1.png", "nurse/female/1.png", "cook/male/1.png")
    asked = {"levels": "profession/gender", "attributes": ["gender"], "tasks": ["profession"]}
    made = from_folder(root, tmp_path / "people", **asked)
    assert made.samples["profession"].tolist() == ["cook", "nurse", "nurse"]
    assert made.samples["gender"].tolist() == ["male", "female", "male"]


def test_what_is_no_picture_is_passed_over_with_a_warning(torchvision_layout, tmp_path):
    (torchvision_layout / "README.md").write_text("hello")
    (torchvision_layout / "train" / ".DS_Store").write_bytes(b"\0")
    (torchvision_layout / "train" / "owl").mkdir()
    with pytest.warns(FairvisionWarning) as warned:
        made = from_folder(torchvision_layout, tmp_path / "out")
    messages = [str(warning.message) for warning in warned]
    assert any("1 files that are no pictures by their names" in m for m in messages)
    assert any("1 folders hold no picture, so they give no label: train/owl" in m for m in messages)
    assert made.tasks["label"].labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a/b/1.png", "a/c/1.png"], "may mean several things.*--levels profession/gender"),
        (["a/b/c/1.png"], r"'a/b/c/1.png', .*--levels split/gender/\*"),
        (["train/1.png", "val/2.png"], "train/1.png lies in no folder that says what it shows"),
        (["1.png", "a/2.png"], "in/1.png lies in no folder that says"),
        (["a/1.png", "a/b/2.png"], "lie 1 or 2 folders deep, such as a/1.png and a/b/2.png"),
        ([], "has no pictures in folders of it"),
        (["1/2/3/4/5/6/7/8/9/x.png"], "lies more than 8 folders deep"),
    ],
)
def test_what_could_mean_several_things_is_refused(tmp_path, paths, message):
    (tmp_path / "in").mkdir()
    root = draw(tmp_path / "in", *paths)
    with pytest.raises(InputError, match=message):
        from_folder(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"levels": "split/gender"}, "add --attribute gender if it is groups of people, --task"),
        ({"levels": "split/x", "tasks": ["y"]}, "--levels split/x has no level 'y'"),
        ({"levels": "label"}, r"test/dog/9.png lies 2 folders deep, but --levels label has 1"),
        ({"levels": "split/split"}, "names 'split' twice"),
        ({"levels": "split//label"}, "has a level without a name: write *"),
        ({"levels": "*/*"}, "names no attribute or task"),
        ({"levels": "label/split"}, "folder 'dog', such as of test/dog/9.png, is no split"),
        ({"levels": "split/a", "attributes": ["a"], "tasks": ["a"]}, "named twice"),
        ({"attributes": ["a"], "tasks": ["b"]}, "say what each level is"),
    ],
)
def test_bad_requests(torchvision_layout, tmp_path, asked, message):
    with pytest.raises(InputError, match=message):
        from_folder(torchvision_layout, tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()


def test_two_folders_of_one_split_are_refused(torchvision_layout, tmp_path):
    (torchvision_layout / "val").rename(torchvision_layout / "training")
    with pytest.raises(InputError, match="'train' and 'training' are one split"):
        from_folder(torchvision_layout, tmp_path / "out")


def test_links_stay_in_the_folder(torchvision_layout, tmp_path):
    (torchvision_layout / "val" / "cat" / "2.png").symlink_to("1.png")
    assert len(from_folder(torchvision_layout, tmp_path / "out")) == 7
    outside = draw(tmp_path / "elsewhere", "secret.png")
    for target in (outside, outside / "secret.png"):
        link = torchvision_layout / "val" / "cat" / "out.png"
        link.symlink_to(target)
        with pytest.raises(InputError, match=r"out.png is a link that leads out of .*data csv"):
            from_folder(torchvision_layout, tmp_path / "refused")
        link.unlink()
    (torchvision_layout / "linked").symlink_to(torchvision_layout)
    with pytest.raises(InputError, match=r"folders deep"):
        from_folder(torchvision_layout, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_bytes_that_are_no_picture(torchvision_layout, tmp_path):
    bad = torchvision_layout / "train" / "dog" / "1.png"
    bad.write_bytes(b"GIF89a, or not")
    with pytest.raises(InputError, match=r"dog/1.png .*\(--skip-broken leaves") as refused:
        from_folder(torchvision_layout, tmp_path / "out")
    assert str(refused.value).count(str(bad)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["animals"]
    with pytest.warns(FairvisionWarning, match="left out: 1 of 6 pictures"):
        assert len(from_folder(torchvision_layout, tmp_path / "out", skip_broken=True)) == 5


def test_the_output_may_not_hold_the_source(torchvision_layout, tmp_path):
    shutil.copytree(torchvision_layout, tmp_path / "out" / "in")
    (tmp_path / "out" / "dataset.json").write_text("{}")
    with pytest.raises(InputError, match="which would be replaced"):
        from_folder(tmp_path / "out" / "in", tmp_path / "out", overwrite=True)


def test_the_command(run_cli, torchvision_layout, tmp_path):
    made = run_cli("data", "folder", torchvision_layout, tmp_path / "out", "--attribute", "kind")
    assert made.code == 0, made.err
    assert "6 pictures (test 1, train 3, val 2)" in made.out
    refused = run_cli("data", "folder", torchvision_layout, tmp_path / "b", "--levels", "a/b")
    assert refused.code == 2
    assert "add --attribute a if it is groups of people" in refused.err
    assert refused.err.count("\n") == 1
