"""UTKFace, of which names say everything, and FairFace, of which two tables do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from fairvision.datasets.readers.fairface import from_fairface
from fairvision.datasets.readers.utkface import from_utkface
from fairvision.errors import FairvisionWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")

GOOD = [
    "100_1_0_20170110183726390.jpg.chip.jpg",
    "24_0_1_20170116220224657 .jpg.chip.jpg",
    "39_1_4_20170116174525125.jpg",
    "8_0_3_20170116174525125.jpg",
]
MALFORMED = [  # the first three are in the published set
    "39_1_20170116174525125.jpg.chip.jpg",
    "61_1_20170109150557335.jpg.chip.jpg",
    "61_3_2_20170109150557335.jpg.chip.jpg",
    "24_1_7_20170109150557335.jpg",
    "999_1_1_20170109150557335.jpg",
    "99999999999999999999999_1_1_20170109150557335.jpg",
    "8_0_3_1.jpg",
]


def draw(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (len(name), 0, 0)).save(folder / name)
    return folder


def test_names_of_utkface(tmp_path):
    root = draw(tmp_path / "UTKFace", *GOOD)
    (root / "README.txt").write_text("hello")
    made = from_utkface(root, tmp_path / "out", ages="20, 40,60")
    expected = [
        ("100_1_0_20170110183726390", "female", "white", "60+"),
        ("24_0_1_20170116220224657", "male", "black", "20-39"),
        ("39_1_4_20170116174525125", "female", "others", "20-39"),
        ("8_0_3_20170116174525125", "male", "indian", "0-19"),
    ]
    columns = ["id", "gender", "race", "age"]
    assert made.samples[columns].to_records(index=False).tolist() == expected
    assert made.attributes["race"] == ("white", "black", "asian", "indian", "others")
    assert made.tasks["age"].labels == ("0-19", "20-39", "40-59", "60+")


def test_real_faces(shared, tmp_path):
    table = pd.read_csv(shared / "data" / "utkface" / "samples.csv").iloc[::60]
    for name in table["image"]:
        (tmp_path / "in" / "part1").mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / "part1" / Path(name).name).write_bytes(
            (shared / "data" / "utkface" / name).read_bytes()
        )
    made = from_utkface(tmp_path / "in", tmp_path / "out", attributes=["race"], tasks=["gender"])
    merged = made.samples.merge(table, on="id", suffixes=("", "_true"))
    assert len(merged) == len(table) == 50
    assert (merged["gender"] == merged["gender_true"]).all()
    assert (merged["race"] == merged["race_true"]).all()


def test_malformed_names_are_refused_or_counted(tmp_path):
    root = draw(tmp_path / "in", *GOOD, *MALFORMED)
    with pytest.raises(InputError, match=r"7 of 11 file names .* not age_gender_race_date.jpg: "):
        from_utkface(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.warns(FairvisionWarning, match=r"left out: 7 of 11 file names"):
        made = from_utkface(root, tmp_path / "out", skip_broken=True)
    assert len(made) == len(GOOD)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ages": "40,20"}, "--ages 40,20 must grow from number to number"),
        ({"ages": "20,20"}, "must grow"),
        ({"ages": "0,20"}, "must grow"),
        ({"ages": "20,9999999999999999999"}, "must be whole numbers"),
        ({"ages": "young"}, "must be whole numbers between commas, such as 20,40,60"),
        ({"ages": "20,500"}, "must grow from number to number, from 1 to 130"),
        ({"tasks": ["age"]}, "age is a number of years: say its groups by --ages"),
        ({"tasks": ["mood"]}, "has no column 'mood': it has age, gender, race"),
        ({"tasks": ["race"]}, "'race' is named twice"),
    ],
)
def test_bad_requests_of_utkface(tmp_path, asked, message):
    with pytest.raises(InputError, match=message):
        from_utkface(draw(tmp_path / "in", *GOOD), tmp_path / "out", **asked)


def test_utkface_elsewhere(tmp_path):
    root = draw(tmp_path / "in", *GOOD)
    draw(root / "crop", GOOD[2])
    with pytest.raises(InputError, match="are one image: give the folder of one of them"):
        from_utkface(root, tmp_path / "out")
    (root / "crop" / GOOD[2]).unlink()
    outside = draw(tmp_path / "elsewhere", "1_1_1_20170109150557335.jpg")
    (root / "2_1_1_20170109150557335.jpg").symlink_to(outside / "1_1_1_20170109150557335.jpg")
    with pytest.raises(InputError, match="is a link that leads out of"):
        from_utkface(root, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"has no images called age_gender_race_date.jpg"):
        from_utkface(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(InputError, match="does not exist"):
        from_utkface(tmp_path / "gone", tmp_path / "out")


HEADER = "file,age,gender,race,service_test"
TRAIN = ["train/1.jpg,50-59,Male,East Asian,True", "train/2.jpg,3-9,Female,Indian,False"] + [
    f"train/{i}.jpg,more than 70,Male,Latino_Hispanic,False" for i in range(3, 21)
]
VAL = ["val/1.jpg,3-9,Male,East Asian,False", "val/2.jpg,50-59,Female,White,True"]


@pytest.fixture
def fairface(tmp_path):
    root = tmp_path / "fairface"
    for part, rows in (("train", TRAIN), ("val", VAL)):
        draw(root, *(row.partition(",")[0] for row in rows))
        (root / f"fairface_label_{part}.csv").write_text("\n".join([HEADER, *rows]))
    return root


def test_fairface(fairface, tmp_path):
    made = from_fairface(fairface, tmp_path / "out", seed=1)
    assert made.samples["split"].value_counts().to_dict() == {"train": 18, "val": 2, "test": 2}
    assert made.samples["split"].tolist()[-2:] == ["test", "test"]
    assert made.samples["id"].tolist()[:2] == ["train/1", "train/2"]
    assert made.attributes["gender"] == ("female", "male")
    assert len(made.attributes["race"]) == 7
    assert made.tasks["age"].labels[0] == "0-2"
    assert made.samples["age"].tolist()[:3] == ["50-59", "3-9", "more than 70"]
    assert "validation images are the split test" in made.source
    made = from_fairface(fairface, tmp_path / "more", attributes=["race"], val_fraction=0)
    assert made.samples["split"].value_counts().to_dict() == {"train": 20, "test": 2}


def test_one_part_of_fairface_and_images_elsewhere(fairface, tmp_path):
    (fairface / "fairface_label_train.csv").unlink()
    (fairface / "val").rename(tmp_path / "val")
    asked = {"attributes": ["gender"], "tasks": {"served": "service_test"}}
    made = from_fairface(fairface, tmp_path / "out", images=tmp_path, **asked)
    assert made.samples["split"].tolist() == ["test", "test"]
    assert made.samples["served"].tolist() == ["False", "True"]
    (fairface / "fairface_label_val.csv").unlink()
    with pytest.raises(InputError, match=r"has neither fairface_label_train.csv nor"):
        from_fairface(fairface, tmp_path / "more")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "50-59,Male",
            "50-59,M",
            r"row 1, column 'gender': 'M' is not one of Female, Male",
        ),
        ("3-9,Female", "03-Sep,Female", r"row 2, column 'age': '03-Sep' is not one of 0-2, 3-9"),
        ("train/2.jpg", "train/1.jpg", "rows 1 and 2, column 'file': both are 'train/1.jpg'"),
        ("train/2.jpg", "../2.jpg", "row 2, column 'file': path '../2.jpg' leaves its folder"),
        ("train/2.jpg", "val/1.jpg", "'val/1'"),
        ("train/2.jpg", "train/99.jpg", "row 2: picture .* is missing"),
        ("file,age", "file,years", "has no column 'age': it has file, years, gender"),
    ],
)
def test_fairface_that_is_not_as_published(fairface, tmp_path, old, new, message):
    path = fairface / "fairface_label_train.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        from_fairface(fairface, tmp_path / "out")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["fairface"]


def test_the_commands(run_cli, fairface, tmp_path):
    made = run_cli("data", "fairface", fairface, tmp_path / "a", "--attribute", "race")
    assert made.code == 0, made.err
    assert "22 pictures (train 18, val 2, test 2)" in made.out
    root = draw(tmp_path / "in", *GOOD, MALFORMED[0])
    refused = run_cli("data", "utkface", root, tmp_path / "b", "--ages", "20,60")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    made = run_cli("data", "utkface", root, tmp_path / "b", "--ages", "20,60", "--skip-broken")
    assert made.code == 0
    assert "4 pictures" in made.out
    assert "left out: 1 of 5 file names" in made.err


def test_a_folder_that_is_a_link_leads_nowhere_else(tmp_path):
    root = draw(tmp_path / "in", GOOD[0])
    outside = draw(tmp_path / "elsewhere", GOOD[2])
    (root / "part2").symlink_to(outside)
    with pytest.raises(InputError, match="is a link that leads out of"):
        from_utkface(root, tmp_path / "out")


def test_a_table_without_rows(fairface, tmp_path):
    (fairface / "fairface_label_train.csv").write_text(HEADER + "\n")
    with pytest.raises(InputError, match=r"fairface_label_train.csv has no rows"):
        from_fairface(fairface, tmp_path / "out")


def test_a_dataset_folder_is_not_written_into_its_source(run_cli, tmp_path):
    root = draw(tmp_path / "UTKFace", *GOOD)
    for inside in ("out", "deep/../deep/out", "."):
        refused = run_cli("data", "utkface", root, root / inside)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "lies in" in refused.err
    assert sorted(path.name for path in root.iterdir()) == sorted(GOOD)
