"""Masks in the cells of a table: paths, run lengths, polygons, and boxes in four columns."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from fairvision.datasets import from_table, load, read_mask
from fairvision.errors import FairvisionWarning, InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SQUARE, CORNER = [2, 1, 6, 1, 6, 4, 2, 4], [0, 3, 1, 3, 1, 6, 0, 6]
RUNS = {"size": [6, 8], "counts": [3, 3, 42]}
PACKED = {"size": [6, 8], "counts": coco_mask.frPyObjects(RUNS, 6, 8)["counts"].decode()}
POINTS = [[x, y] for x, y in zip(SQUARE[::2], SQUARE[1::2])]

OF_SQUARE, OF_CORNER = np.zeros((6, 8), bool), np.zeros((6, 8), bool)
OF_SQUARE[1:4, 2:6] = True
OF_CORNER[3:6, 0] = True


@pytest.fixture
def place(tmp_path):
    (tmp_path / "in").mkdir()
    for letter in "ab":
        Image.new("RGB", (8, 6)).save(tmp_path / "in" / f"{letter}.png")
    Image.fromarray(OF_CORNER).save(tmp_path / "in" / "mask.png")
    return tmp_path


def make(place, masks, **options):
    """Import two images; the columns are csv text, or nested values as arrow has them."""
    columns = {"image": ["a.png", "b.png"], "age": ["old", "young"], **masks}
    path = place / "in" / "t.csv"
    if any(isinstance(cell, (list, dict)) for cells in masks.values() for cell in cells):
        path = place / "in" / "t.parquet"
        pq.write_table(pa.table(columns), path)
    else:
        pd.DataFrame(columns).to_csv(path, index=False)
    return from_table(path, place / "out", attributes=["age"], **options)


def drawn(made, row=0):
    return read_mask(made.root / made.samples["mask"][row], (8, 6))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (RUNS, OF_CORNER),
        (PACKED, OF_CORNER),
        (SQUARE, OF_SQUARE),
        ([SQUARE], OF_SQUARE),
        (POINTS, OF_SQUARE),
        ([POINTS], OF_SQUARE),
        ([SQUARE, CORNER], OF_SQUARE | OF_CORNER),
        ([[SQUARE], [CORNER]], OF_SQUARE | OF_CORNER),
        ([RUNS, [SQUARE]], OF_SQUARE | OF_CORNER),
        ([PACKED, PACKED], OF_CORNER),
        ([], np.zeros((6, 8), bool)),
    ],
)
def test_segmentations_of_json(place, value, expected):
    made = make(place, {"mask": [json.dumps(value), ""]})
    assert (drawn(made) == expected).all()
    assert made.samples["mask"].notna().tolist() == [True, False]


def test_paths_and_segmentations_in_one_column(place):
    made = make(place, {"person": ["mask.png", json.dumps(SQUARE)]}, mask="person")
    assert (drawn(made) == OF_CORNER).all()
    assert (drawn(made, 1) == OF_SQUARE).all()
    source = (place / "in" / "mask.png").read_bytes()
    assert (made.root / made.samples["mask"][0]).read_bytes() == source


def test_nested_columns_of_parquet(place):
    made = make(place, {"mask": [[SQUARE, CORNER], None]})
    assert (drawn(made) == OF_SQUARE | OF_CORNER).all()
    assert made.samples["mask"].notna().tolist() == [True, False]
    made = make(place, {"mask": [RUNS, RUNS]}, overwrite=True)
    assert (drawn(made) == OF_CORNER).all()


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("[1, 2", r"row 1 \(id 'a'\), column 'mask': line 1 is not valid JSON"),
        ("[2, 1, 4, 3]", r"row 1 .*: has four numbers: boxes are named by --box LEFT TOP WIDTH"),
        ("[2, 1, 4]", r"row 1 .*its mask cannot be drawn: a polygon of 3 numbers"),
        ('["x"]', r"row 1 .*: has 'x' where a list or an object of a mask should be"),
        ('{"counts": 3}', r"row 1 .*: has an object without size and counts: a dict of 'counts'"),
        ('{"size": [8, 6], "counts": [48]}', r"its size is \[8, 6\] but its picture's is \[6, 8\]"),
        ('{"size": [6, 8], "counts": [47]}', "its runs cover 47 of its picture's 48 pixels"),
        ('{"size": [6, 8], "counts": [1e99]}', "cannot be drawn"),
        ('{"size": [6, 8], "counts": [' + "9" * 400 + "]}", "its runs cover 9+"),
        ("[0, 0, 99, 0, 99, 3]", "a point of it lies outside the picture of 8×6 pixels"),
        ("[0, 0, NaN, 0, 9, 3]", "a point of it lies outside the picture"),
        ("[" * 20_000, "is nested too deeply"),
        ("../mask.png", "path '../mask.png' leaves its folder"),
    ],
)
def test_cells_that_are_no_masks(place, cell, message):
    with pytest.raises(InputError, match=message) as refused:
        make(place, {"mask": [cell, ""]})
    assert "\n" not in str(refused.value)
    assert str(refused.value).count("t.csv row 1") == 1
    assert not (place / "out").exists()


def test_masks_that_cannot_be_drawn_are_left_out_on_demand(place):
    with pytest.warns(FairvisionWarning, match="left out: 1 of 2 pictures"):
        made = make(place, {"mask": ["[1]", ""], "grade": ["1", "2"]}, skip_broken=True)
    assert made.samples["id"].tolist() == ["b"]


SIDES = ["x", "y", "w", "h"]


def test_boxes(place):
    made = make(place, dict(zip(SIDES, (["2", ""], [1, ""], [4.0, ""], ["3", ""]))), box=SIDES)
    assert (drawn(made) == OF_SQUARE).all()
    assert made.samples["mask"].notna().tolist() == [True, False]


def test_boxes_of_several_people(place):
    several = {
        "x": ["[2, 0]", "2"],
        "y": ["[1, 3]", "1"],
        "w": ["[4, 1]", "4"],
        "h": ["[3, 9]", "3"],
    }
    with pytest.warns(FairvisionWarning, match=r"cut off there: 1 \('.*row 1 .*'\)"):
        made = make(place, several | {"mask": ["gone.png", ""]}, box=SIDES)
    assert (drawn(made) == OF_SQUARE | OF_CORNER).all()
    assert (drawn(made, 1) == OF_SQUARE).all()
    nested = {"x": [[2, 0], [2]], "y": [[1, 3], [1]], "w": [[4, 1], [4]], "h": [[3, 3], [3]]}
    made = make(place, nested, box=SIDES, overwrite=True)
    assert (drawn(made) == OF_SQUARE | OF_CORNER).all()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("2", "1", "4", ""), "row 1 .*: x, y, w, h must be of as many boxes, or all empty"),
        (("[2, 3]", "1", "4", "3"), "row 1 .* must be of as many boxes"),
        (("2", "1", "0", "3"), "row 1 .*: a box of width 0 and height 3 has no pixels"),
        (("2", "1", "-4", "3"), "row 1 .*: a box of width -4"),
        (("two", "1", "4", "3"), r"row 1 .*column 'x': 'two' is no number of pixels"),
        (("9" * 5000, "1", "4", "3"), r"row 1 .*column 'x': '9+ … 9+' is no number"),
        (("NaN", "1", "4", "3"), r"row 1 .*column 'x': 'NaN' is no number"),
        (("90", "1", "4", "3"), r"row 1 .*: its box 90, 1, 4, 3 covers nothing of the picture"),
    ],
)
def test_bad_boxes(place, cells, message):
    with pytest.raises(InputError, match=message):
        make(place, {name: [cell, ""] for name, cell in zip(SIDES, cells)}, box=SIDES)
    assert not (place / "out").exists()


def test_boxes_and_masks_exclude_each_other(place):
    for options in ({"box": SIDES[:3]}, {"box": SIDES, "mask": "image"}):
        with pytest.raises(InputError, match="a box is four columns: left, top, width, height"):
            make(place, {name: ["1", "1"] for name in SIDES}, **options)
    with pytest.raises(InputError, match="has no column 'w'"):
        make(place, {"x": ["1", "1"], "y": ["1", "1"]}, box=SIDES)


def test_the_command(run_cli, place):
    make(place, dict(zip(SIDES, (["2", "0"], ["1", "0"], ["4", "8"], ["3", "6"]))), box=SIDES)
    asked = ["--attribute", "age", "--box", *SIDES]
    made = run_cli("data", "csv", place / "in" / "t.csv", place / "again", *asked)
    assert made.code == 0, made.err
    assert load(place / "again").has_masks
