"""CVAT for images 1.1: shapes of people are masks, other shapes objects, attributes groups."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from PIL import Image

from fairvision.datasets import read_mask, read_regions
from fairvision.datasets.readers.cvat import from_cvat
from fairvision.datasets.readers.cvat_shapes import bounds, draw_shapes
from fairvision.errors import FairvisionWarning, InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

BOX = 'xtl="2.00" ytl="1.00" xbr="6.00" ybr="4.00"'
XML = f"""<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>7</id><name>people</name><labels><label><name>person</name></label></labels>
  </task></meta>
  <image id="0" name="a.png" subset="Train" task_id="7" width="8" height="6">
    <box label="person" source="manual" occluded="0" {BOX} z_order="0">
      <attribute name="gender">female</attribute>
      <attribute name="age">old</attribute>
    </box>
    <mask label="person" source="manual" occluded="0" rle="1, 2, 1" left="0" top="3" width="2"
      height="2" z_order="0"><attribute name="gender">female</attribute>
      <attribute name="age">young</attribute></mask>
    <box label="cup" source="manual" occluded="0" xtl="4" ytl="3" xbr="9" ybr="6" z_order="0"></box>
    <tag label="indoors" source="manual"><attribute name="light">dim</attribute></tag>
  </image>
  <image id="1" name="deep/b.png" subset="Train" task_id="7" width="8" height="6">
    <polygon label="person" occluded="0" points="2.00,1.00;6.00,1.00;6.00,4.00;2.00,4.00"
      z_order="0"><attribute name="gender">male</attribute><attribute name="age">old</attribute>
    </polygon>
    <polyline label="person" points="1,1;2,2"><attribute name="gender">male</attribute></polyline>
    <tag label="outdoors" source="manual"><attribute name="light">bright</attribute></tag>
  </image>
  <image id="2" name="c.png" subset="Validation" task_id="7" width="8" height="6">
    <tag label="indoors" source="manual"><attribute name="age">young</attribute></tag>
  </image>
</annotations>
"""

OF_BOX, OF_MASK = np.zeros((6, 8), bool), np.zeros((6, 8), bool)
OF_BOX[1:4, 2:6] = True
OF_MASK[3, 1] = OF_MASK[4, 0] = True


@pytest.fixture
def task(tmp_path):
    """As the archive of a task unpacks: annotations.xml and images/."""
    root = tmp_path / "task"
    (root / "images" / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.png", "c.png"):
        Image.new("RGB", (8, 6)).save(root / "images" / name)
    (root / "annotations.xml").write_text(XML)
    return root


def test_a_task(task, tmp_path):
    with pytest.warns(FairvisionWarning) as warned:
        made = from_cvat(task, tmp_path / "out", attributes=["gender", "age"], tasks=["light"])
    messages = [str(warning.message) for warning in warned]
    assert any("1 people are drawn as lines or points" in message for message in messages)
    assert any("age differs between the people of 1 images" in message for message in messages)
    assert made.samples["id"].tolist() == ["a", "b", "c"]
    assert made.samples["split"].tolist() == ["train", "train", "val"]
    assert made.samples["gender"].tolist() == ["female", "male", None]
    assert made.samples["age"].tolist() == [None, "old", "young"]
    assert made.samples["light"].tolist() == ["dim", "bright", None]
    assert made.samples["objects"].tolist() == [("cup",), (), ()]
    assert made.samples["tags"].tolist() == [("indoors",), ("outdoors",), ("indoors",)]
    assert made.samples["mask"].notna().tolist() == [True, True, False]
    masks = [read_mask(made.root / path, (8, 6)) for path in made.samples["mask"][:2]]
    assert (masks[0] == OF_BOX | OF_MASK).all()
    assert (masks[1] == OF_BOX).all()
    (box,) = read_regions(made).to_dict("records")
    assert tuple(box.values()) == ("a", "objects", "cup", 0.5, 0.5, 1, 1)
    assert made.name == "task"


def changed(task: Path, old: str, new: str) -> None:
    text = (task / "annotations.xml").read_text()
    assert old in text
    (task / "annotations.xml").write_text(text.replace(old, new, 1))


def test_without_subsets_splits_are_drawn_and_people_may_have_another_label(task, tmp_path):
    text = (task / "annotations.xml").read_text()
    for old, new in (("Train", "default"), ("Validation", "default"), ('"person"', '"human"')):
        text = text.replace(old, new)
    (task / "annotations.xml").write_text(text)
    asked = {"attributes": {"sex": "gender"}, "person": "human"}
    made = from_cvat(task / "annotations.xml", tmp_path / "out", **asked)
    assert sorted(made.samples["split"]) == ["test", "train", "val"]
    assert made.has_masks
    with pytest.warns(FairvisionWarning, match="has no shapes of 'person'.*--person LABEL"):
        made = from_cvat(task, tmp_path / "objects")
    assert made.samples["objects"].tolist() == [("cup", "human"), ("human",), ()]


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>\n<annotations>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>\n<annotations>'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<annotations>", BOMB, "declares a document type"),
        ("<annotations>", OUTSIDE, "declares a document type"),
        ("</annotations>", "", "annotations.xml .*is not valid XML: no element found"),
        ("<annotations>", "<annotations>&who;", "is not valid XML: undefined entity"),
        ("<annotations>", '<annotations><track id="0"/>', "is of CVAT for videos: export it as"),
        ('name="c.png"', 'name="a.png"', "lists the image 'a.png' twice"),
        ('name="c.png"', 'name="../c.png"', r"path '../c.png' leaves its folder"),
        ('name="c.png"', 'name="gone.png"', "picture .*gone.png is missing"),
        ('name="c.png"', "", r"lists an image without a name \(id '2'\)"),
        ('"Validation"', '"Extra"', "'c.png' is of the subset 'Extra', which is no split"),
        ('width="8"', 'width="9"', "image 'a.png': the picture is 8×6 .* the file says 9×6"),
        ('width="8"', f'width="{"9" * 500}"', "width and height cannot be '9"),
        ('"1, 2, 1"', '"1, 2, 9"', r"a mask: its runs cover 12 of its box's 4 pixels"),
        ('"1, 2, 1"', '"1, x, 1"', "a mask: rle is not whole numbers between commas"),
        ('"1, 2, 1"', f'"{"9" * 5000}"', "rle is not whole numbers|its runs cover"),
        ('left="0"', 'left="7"', "a mask lies outside the picture of 8×6 pixels"),
        ('left="0"', 'left="1e400"', "a mask: left cannot be '1e400'"),
        ('xtl="2.00"', 'xtl="nan"', "a box: xtl cannot be 'nan'"),
        ('xtl="2.00"', 'xtl="7.00"', "a box has its right or bottom before its left or top"),
        ('xtl="4"', "", r"box 3: xtl cannot be None"),
        ("6.00,1.00", "60.00,1.00", "a point of it lies outside the picture"),
        ("6.00,1.00", "6.00", "a polygon: points cannot be '2.00,1.00;6.00;"),
        ('label="cup"', "", "image 'a.png': box 3 has no label"),
    ],
)
def test_hostile_and_broken_files(task, tmp_path, old, new, message):
    changed(task, old, new)
    Image.new("RGB", (8, 6)).save(task / "c.png")
    with pytest.raises(InputError, match=message) as refused:
        from_cvat(task, tmp_path / "out", attributes=["gender"])
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_names_of_attributes_and_other_files(task, tmp_path):
    with pytest.raises(InputError, match="no attribute 'race': there are gender, age, light"):
        from_cvat(task, tmp_path / "out", attributes=["race"])
    (task / "annotations.xml").write_text("<annotation/>")
    with pytest.raises(InputError, match="is not of CVAT: it begins with <annotation>"):
        from_cvat(task, tmp_path / "out")
    (task / "annotations.xml").write_text("<annotations/>")
    with pytest.raises(InputError, match="lists no images"):
        from_cvat(task, tmp_path / "out")


def test_what_is_broken_is_left_out_on_demand(task, tmp_path):
    changed(task, 'xtl="4"', 'xtl="40"')
    changed(task, "6.00,1.00", "60.00,1.00")
    with pytest.warns(FairvisionWarning) as warned:
        made = from_cvat(task, tmp_path / "out", skip_broken=True)
    messages = [str(warning.message) for warning in warned]
    assert any("left out: 1 boxes of objects" in message for message in messages)
    assert any("left out: 1 of 3 pictures" in message for message in messages)
    assert made.samples["objects"].tolist() == [("cup",), ()]


def test_shapes_that_are_turned():
    box = Element("box", xtl="2", ytl="1", xbr="6", ybr="3", rotation="90.0")
    assert bounds("it", box) == pytest.approx((3, 0, 5, 4))
    expected = np.zeros((6, 8), bool)
    expected[0:4, 3:5] = True
    assert (draw_shapes("it", (8, 6), [box], (8, 6)) == expected).all()
    ellipse = Element("ellipse", cx="4", cy="3", rx="3", ry="1", rotation="90")
    assert bounds("it", ellipse) == pytest.approx((3, 0, 5, 6))
    mask = draw_shapes("it", (8, 6), [ellipse], (8, 6))
    assert mask.sum() == mask[:, 3:5].sum() == 12
    large = Element("ellipse", cx="400", cy="300", rx="200", ry="100")
    area = draw_shapes("it", (800, 600), [large], (800, 600)).sum()
    assert area == pytest.approx(np.pi * 200 * 100, rel=0.001)
    with pytest.raises(InputError, match="half axes 0 and 1 has no pixels"):
        bounds("it", Element("ellipse", cx="4", cy="3", rx="0", ry="1"))


def test_the_command(run_cli, task, tmp_path):
    made = run_cli("data", "cvat", task, tmp_path / "out", "--attribute", "gender")
    assert made.code == 0, made.err
    assert "3 pictures (train 2, val 1)" in made.out
    refused = run_cli("data", "cvat", tmp_path, tmp_path / "more")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
