"""MIAP in its published columns: boxes of people, groups where all people agree."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fairvision.datasets import read_mask
from fairvision.datasets.readers.miap import from_miap
from fairvision.errors import FairvisionWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")

HEADER = (
    "ImageID,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,"
    "IsDepictionOf,IsInsideOf,GenderPresentation,AgePresentation"
)
ROW = "{},/m/01g317,1,{},0,0,0,0,0,{},{}"
F, M, U = "Predominantly Feminine", "Predominantly Masculine", "Unknown"
TABLES = {
    "train": [
        ROW.format("000a", "0.25,0.75,0.5,1.0", F, "Young"),
        ROW.format("000a", "0,0.125,0,0.5", F, "Older"),
        ROW.format("000b", "0.25,0.75,0.5,1.0", M, "Middle"),
        ROW.format("000c", "0,1,0,1", F, "Young"),
        ROW.format("000c", "0,1,0,1", U, "Young"),
    ],
    "val": [ROW.format("000d", "0.25,0.75,0.5,1.0", U, U)],
}
STEM = "open_images_extended_miap_boxes_"


@pytest.fixture
def miap(tmp_path):
    root = tmp_path / "miap"
    for split, folder, names in (("train", "train", "abc"), ("val", "validation", "d")):
        (root / "images" / folder).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (8, 6)).save(root / "images" / folder / f"000{name}.jpg")
        (root / f"{STEM}{split}.csv").write_text("\n".join([HEADER, *TABLES[split]]))
    return root


def test_groups_masks_and_splits(miap, tmp_path):
    with pytest.warns(FairvisionWarning) as warned:
        made = from_miap(miap, tmp_path / "out")
    messages = [str(warning.message) for warning in warned]
    assert any("GenderPresentation differs between the people of 1 of 4" in m for m in messages)
    assert made.samples["id"].tolist() == ["000a", "000b", "000c", "000d"]
    assert made.samples["split"].tolist() == ["train"] * 3 + ["val"]
    assert made.attributes == {"gender": (F, M), "age": ("Young", "Middle", "Older")}
    assert made.samples["gender"].tolist() == [F, M, None, None]
    assert made.samples["age"].tolist() == [None, "Middle", "Young", None]
    expected = np.zeros((6, 8), bool)
    expected[3:6, 2:6] = True
    expected[0:3, 0] = True
    assert (read_mask(made.root / made.samples["mask"][0], (8, 6)) == expected).all()


def test_one_part_and_images_in_one_folder(miap, tmp_path):
    (miap / f"{STEM}val.csv").unlink()
    asked = {"attributes": ["GenderPresentation"], "tasks": {"age": "AgePresentation"}}
    made = from_miap(miap, tmp_path / "out", images=miap / "images" / "train", **asked)
    assert made.tasks["age"].labels == ("Young", "Middle", "Older")
    assert list(made.attributes) == ["GenderPresentation"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("AgePresentation", "Age", "has no column 'AgePresentation': it has ImageID"),
        ("Young", "young", r"row 1 \(id '000a'\), column 'AgePresentation': 'young' is not one of"),
        (
            "0.25,0.75,0.5,1.0",
            "0.75,0.25,0.5,1.0",
            r"row 1 .*0.75, 0.5, 0.25, 1.0 .*is none",
        ),
        ("0.25,0.75,0.5,1.0", "25,75,50,100", "shares of width and height go from 0 to 1"),
        ("0.25,0.75,0.5,1.0", "nan,0.75,0.5,1.0", "its box nan"),
        ("0.25,0.75,0.5,1.0", "x,0.75,0.5,1.0", "its box x, 0.5, 0.75, 1.0 is not of four numbers"),
        ("000b", "000d", r"stands in .*train.csv already"),
        ("000b", "../000b", r"path '../000b.jpg' leaves its folder"),
        ("000b", "000e", "picture .*000e.jpg is missing"),
        (ROW.format("000b", "0.25,0.75,0.5,1.0", M, "Middle"), "000b,1", "row 3 has 2 cells"),
    ],
)
def test_tables_that_are_not_as_published(miap, tmp_path, old, new, message):
    path = miap / f"{STEM}train.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as refused:
        from_miap(miap, tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["miap"]


def test_the_command(run_cli, miap, tmp_path):
    made = run_cli(
        "data", "miap", miap, tmp_path / "out", "--attribute", "gender=GenderPresentation"
    )
    assert made.code == 0, made.err
    assert "4 pictures (train 3, val 1)" in made.out
    refused = run_cli("data", "miap", tmp_path, tmp_path / "more")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "has no open_images_extended_miap_boxes_train.csv" in refused.err
