"""CelebA in its authors' layout and in Kaggle's."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fairvision.datasets.readers.celeba import from_celeba
from fairvision.errors import FairvisionWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")

NAMES = "5_o_Clock_Shadow Eyeglasses Male Smiling Young"
ROWS = ["-1  1  1 -1  1", " 1 -1 -1  1  1", "-1 -1 -1 -1 -1", "-1 -1  1  1 -1"]
PARTS = [0, 1, 2, 0]


def draw(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(1, 5):
        Image.new("RGB", (8, 10), (i, 0, 0)).save(folder / f"{i:06d}.jpg")


@pytest.fixture
def authors(tmp_path):
    """Anno/list_attr_celeba.txt: a count, names, and a row per image with runs of blanks."""
    root = tmp_path / "CelebA"
    draw(root / "Img" / "img_align_celeba")
    (root / "Anno").mkdir()
    (root / "Eval").mkdir()
    rows = [f"{i:06d}.jpg {row} " for i, row in enumerate(ROWS, 1)]
    (root / "Anno" / "list_attr_celeba.txt").write_text("\n".join(["4", f"{NAMES} ", *rows, ""]))
    rows = [f"{i:06d}.jpg {part}" for i, part in enumerate(PARTS, 1)]
    (root / "Eval" / "list_eval_partition.txt").write_text("\n".join(rows))
    return root


@pytest.fixture
def kaggle(tmp_path):
    """csv files, and the images in a folder of a folder."""
    root = tmp_path / "kaggle"
    draw(root / "img_align_celeba" / "img_align_celeba")
    rows = [",".join([f"{i:06d}.jpg", *row.split()]) for i, row in enumerate(ROWS, 1)]
    header = ",".join(["image_id", *NAMES.split()])
    (root / "list_attr_celeba.csv").write_text("\n".join([header, *rows]))
    rows = [f"{i:06d}.jpg,{part}" for i, part in enumerate(PARTS, 1)]
    (root / "list_eval_partition.csv").write_text("\n".join(["image_id,partition", *rows]))
    return root


@pytest.mark.parametrize("layout", ["authors", "kaggle"])
def test_both_layouts_say_the_same(layout, request, tmp_path):
    asked = {"tasks": {"smile": "Smiling"}, "many": ["Young", "Eyeglasses"]}
    made = from_celeba(request.getfixturevalue(layout), tmp_path / "out", **asked)
    assert made.samples["id"].tolist() == ["000001", "000002", "000003", "000004"]
    assert made.samples["split"].tolist() == ["train", "val", "test", "train"]
    assert made.attributes == {"Male": ("female", "male")}
    assert made.samples["Male"].tolist() == ["male", "female", "female", "male"]
    assert made.samples["smile"].tolist() == ["no", "yes", "no", "yes"]
    assert made.tasks["traits"].labels == ("Young", "Eyeglasses")
    assert made.targets("traits").tolist() == [[1, 1], [1, 0], [0, 0], [0, 0]]
    assert made.name == "celeba"
    assert made.size == (8, 10)


def test_other_attributes_and_all_the_rest(authors, tmp_path):
    asked = {"attributes": {"age": "Young"}, "tasks": ["Male"], "many": ["all"]}
    made = from_celeba(authors, tmp_path / "out", **asked)
    assert made.attributes == {"age": ("no", "yes")}
    assert made.tasks["Male"].labels == ("female", "male")
    assert made.tasks["traits"].labels == ("5_o_Clock_Shadow", "Eyeglasses", "Smiling")
    assert made.targets("traits").tolist() == [[0, 1, 0], [1, 0, 1], [0, 0, 0], [0, 0, 1]]


def test_without_the_list_of_splits(kaggle, tmp_path):
    (kaggle / "list_eval_partition.csv").unlink()
    images = kaggle / "img_align_celeba" / "img_align_celeba"
    with pytest.warns(FairvisionWarning, match="splits are drawn at random, so pictures of one"):
        made = from_celeba(kaggle, tmp_path / "out", images=images)
    assert made.samples["split"].value_counts().to_dict() == {"train": 2, "val": 1, "test": 1}


LIST, PARTITION = "Anno/list_attr_celeba.txt", "Eval/list_eval_partition.txt"


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (LIST, "4\n", "5\n", "says 5 images but lists 4: is it cut short"),
        (LIST, "4\n", "9" * 5000 + "\n", "is not as published: a count, a line of names"),
        (LIST, "4\n", "", "is not as published"),
        (LIST, " Young", "", "row 1: has 5 values, but there are 4 attributes"),
        (LIST, "-1  1  1 -1  1", "-1  1  0 -1  1", r"row 1: '0' is neither 1 nor -1"),
        (LIST, "000002.jpg", "000001.jpg", "rows 1 and 2: both are '000001.jpg'"),
        (LIST, "000002.jpg", "../000002.jpg", r"row 2 .*'../000002.jpg' leaves its folder"),
        (LIST, "000002.jpg", "/etc/passwd", r"row 2 .*'/etc/passwd' leaves its folder"),
        (PARTITION, "000002.jpg 1", "000002.jpg 3", "row 2: is not an image and 0, 1 or 2"),
        (PARTITION, "000002.jpg 1", "000002.jpg", "row 2: is not an image and 0, 1 or 2"),
        (PARTITION, "000002.jpg", "000001.jpg", "row 2: '000001.jpg' stands above it already"),
        (PARTITION, "000002", "000009", "has no split of '000002.jpg', which .* lists"),
    ],
)
def test_lists_that_are_not_as_published(authors, tmp_path, name, old, new, message):
    text = (authors / name).read_text()
    assert old in text
    (authors / name).write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as refused:
        from_celeba(authors, tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CelebA"]


def test_files_that_are_missing_or_no_pictures(authors, tmp_path):
    images = authors / "Img" / "img_align_celeba"
    (images / "000003.jpg").unlink()
    with pytest.raises(InputError, match=r"row 3 \(id '000003'\): picture .* is missing"):
        from_celeba(authors, tmp_path / "out")
    (images / "000003.jpg").write_bytes(b"\xff\xd8\xff no JPEG")
    with pytest.raises(InputError, match=r"row 3 .*000003.jpg"):
        from_celeba(authors, tmp_path / "out")
    (images / "000003.jpg").unlink()
    (images / "000003.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(InputError, match=r"row 3 .*is a link that leads out of"):
        from_celeba(authors, tmp_path / "out")
    with pytest.raises(InputError, match="has no column 'Tall'"):
        from_celeba(authors, tmp_path / "out", many=["Tall"])
    (authors / "Img" / "img_align_celeba").rename(tmp_path / "moved")
    with pytest.raises(InputError, match="has no folder img_align_celeba or img_celeba: unpack it"):
        from_celeba(authors, tmp_path / "out")
    (authors / LIST).unlink()
    with pytest.raises(InputError, match=r"has no list_attr_celeba.txt or list_attr_celeba.csv"):
        from_celeba(authors, tmp_path / "out")


def test_a_csv_file_of_something_else(kaggle, tmp_path):
    (kaggle / "list_attr_celeba.csv").write_text("name,Male\n000001.jpg,1\n")
    with pytest.raises(InputError, match="has no column 'image_id': it has name, Male"):
        from_celeba(kaggle, tmp_path / "out")


def test_the_command(run_cli, authors, tmp_path):
    asked = ["--attribute", "gender=Male", "--many", "Smiling", "--many", "Young"]
    made = run_cli("data", "celeba", authors, tmp_path / "out", *asked)
    assert made.code == 0, made.err
    assert "4 pictures (train 2, val 1, test 1)" in made.out
    refused = run_cli("data", "celeba", tmp_path, tmp_path / "more")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
