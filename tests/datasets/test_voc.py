"""The layout of Pascal VOC: boxes or segments of people are masks, other boxes objects."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fairvision.datasets import read_mask, read_regions
from fairvision.datasets.readers.voc import from_voc
from fairvision.errors import FairvisionWarning, InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def annotated(file, *objects, size=(8, 6)):
    return f"""<annotation>
  <folder>VOC2012</folder><filename>{file}</filename>
  <source><database>The VOC2007 Database</database></source>
  <size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>
  <segmented>0</segmented>{"".join(objects)}
</annotation>"""


def thing(name, box, more=""):
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box)
    bounds = "".join(f"<{side}>{number}</{side}>" for side, number in sides)
    return f"""<object><name>{name}</name><truncated>0</truncated><difficult>0</difficult>
    <bndbox>{bounds}</bndbox>{more}
    <part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>
    </part></object>"""


def saying(gender, **more):
    pairs = {"gender": gender, **more}.items()
    inside = "".join(
        f"<attribute><name>{name}</name><value>{value}</value></attribute>" for name, value in pairs
    )
    return f"<attributes>{inside}</attributes>"


BOX = np.zeros((6, 8), bool)
BOX[1:4, 2:6] = True  # pixels 3 to 6 and 2 to 4, counted from 1
NOT_READING = "<actions><reading>0</reading></actions>"
FILES = {
    "2007_01": annotated(
        "2007_01.jpg",
        thing("person", (3, 2, 6, 4), "<pose>Left</pose>" + NOT_READING + saying("female")),
        thing("person", (1, 1, 1, 1), "<pose>Right</pose>" + saying("female")),
        thing("cup", (5, 4, 8, 6)),
    ),
    "2007_02": annotated(
        "other-name.jpg",
        thing(
            "person",
            (3, 2, 60, 4),
            "<pose>Unspecified</pose><actions><reading>1</reading></actions>" + saying("male"),
        ),
    ),
    "2007_03": annotated("2007_03.jpg", thing("dog", (1, 1, 8, 6))),
    "2007_04": annotated("2007_04.jpg", thing("person", (1, 1, 8, 6), saying("male"))),
}


@pytest.fixture
def voc(tmp_path):
    """As VOC2012 unpacks."""
    root = tmp_path / "VOC2012"
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for name, text in FILES.items():
        (root / "Annotations" / f"{name}.xml").write_text(text)
        Image.new("RGB", (8, 6)).save(root / "JPEGImages" / f"{name}.jpg")
    sets = root / "ImageSets" / "Main"
    (sets / "train.txt").write_text("2007_01\n2007_02\n")
    (sets / "val.txt").write_text("2007_03\n2007_99\n")
    (sets / "trainval.txt").write_text("2007_01\n2007_02\n2007_03\n")
    (sets / "person_train.txt").write_text("2007_01  1\n2007_02 -1\n")
    return root


def test_the_published_layout(voc, tmp_path):
    with pytest.warns(FairvisionWarning) as warned:
        made = from_voc(voc, tmp_path / "out", attributes=["gender"], tasks=["reading"])
    messages = [str(warning.message) for warning in warned]
    assert any("1 names without annotations are left out" in message for message in messages)
    assert any("1 of 4 pictures are in no split, and left out" in message for message in messages)
    assert made.samples["id"].tolist() == ["2007_01", "2007_02", "2007_03"]
    assert made.samples["split"].tolist() == ["train", "train", "val"]
    assert made.samples["gender"].tolist() == ["female", "male", None]
    assert made.samples["reading"].tolist() == ["0", "1", None]
    assert made.samples["objects"].tolist() == [("cup",), (), ("dog",)]
    assert made.samples["mask"].notna().tolist() == [True, True, False]
    masks = [read_mask(made.root / path, (8, 6)) for path in made.samples["mask"][:2]]
    corner = np.zeros((6, 8), bool)
    corner[0, 0] = True
    assert (masks[0] == BOX | corner).all()
    cut = np.zeros((6, 8), bool)
    cut[1:4, 2:] = True
    assert (masks[1] == cut).all()
    boxes = read_regions(made).set_index("label")[["left", "top", "right", "bottom"]]
    assert boxes.loc["cup"].tolist() == [0.5, 0.5, 1, 1]
    assert boxes.loc["dog"].tolist() == [0, 0, 1, 1]


def segments(path, colour, size=(8, 6)):
    """A palette image with the person at index 15, as published, and its border at 255."""
    path.parent.mkdir(exist_ok=True)
    indices = np.zeros(size[::-1], np.uint8)
    indices[2:5, 3:7], indices[2, 3:7] = 15, 255
    indices[0, 0] = 12
    image = Image.fromarray(indices, "P")
    palette = np.zeros((256, 3), np.uint8)
    palette[12], palette[15], palette[255] = (64, 0, 128), colour, (224, 224, 192)
    image.putpalette(palette.tobytes())
    image.save(path)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_segments(voc, tmp_path):
    segments(voc / "SegmentationClass" / "2007_01.png", (192, 128, 128))
    with pytest.warns(FairvisionWarning, match="masks of 1 pictures are boxes, since Segment"):
        made = from_voc(voc, tmp_path / "out", attributes=["gender"])
    expected = np.zeros((6, 8), bool)
    expected[3:5, 3:7] = True
    assert (read_mask(made.root / made.samples["mask"][0], (8, 6)) == expected).all()
    made = from_voc(voc, tmp_path / "boxes", boxes=True)
    assert read_mask(made.root / made.samples["mask"][0], (8, 6)).sum() == BOX.sum() + 1
    (voc / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nperson:1,2,3::\n")
    segments(voc / "SegmentationClass" / "2007_01.png", (1, 2, 3))
    made = from_voc(voc, tmp_path / "labelled")
    assert (read_mask(made.root / made.samples["mask"][0], (8, 6)) == expected).all()
    segments(voc / "SegmentationClass" / "2007_01.png", (1, 2, 3), size=(9, 6))
    with pytest.raises(InputError, match=r"8×6 pixels but the segments .* says 9×6"):
        from_voc(voc, tmp_path / "more")
    (voc / "labelmap.txt").write_text("person:red::")
    with pytest.raises(InputError, match=r"labelmap.txt line 1: 'red::' does not begin with"):
        from_voc(voc, tmp_path / "more")


def test_a_table_of_groups_and_files_beside_the_images(voc, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    shown = {"2007_03": "<pose>Left</pose>", "2007_04": "<pose>Frontal</pose>"}
    for name, text in FILES.items():
        one = thing("person", (1, 1, 2, 2), shown.get(name, ""))
        (flat / f"{name}.xml").write_text(text.replace("</annotation>", f"{one}</annotation>"))
        Image.new("RGB", (8, 6)).save(flat / f"{name}.png")
    table = tmp_path / "groups.csv"
    table.write_text(
        "image_id,race,stance\n2007_01.jpg,green,up\n2007_02,blue,down\n2007_77,blue,\n"
    )
    with pytest.warns(FairvisionWarning) as warned:
        made = from_voc(
            flat, tmp_path / "out", attributes=["race", "pose"], tasks=["stance"], table=table
        )
    assert sorted(made.samples["split"]) == ["test", "train", "train", "val"]
    assert made.samples["race"].tolist() == ["green", "blue", None, None]
    messages = [str(warning.message) for warning in warned]
    assert any("1 rows are of pictures that are not here" in message for message in messages)
    assert any("pose differs between the people of 1 images" in message for message in messages)
    assert made.samples["pose"].tolist() == [None, None, "Left", "Frontal"]
    assert made.name == "flat"


def changed(voc, old, new):
    path = voc / "Annotations" / "2007_01.xml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<annotation>", "<!DOCTYPE x [<!ENTITY a 'b'>]>\n<annotation>", "declares a document typ"),
        ("</annotation>", "", "2007_01.xml .*is not valid XML"),
        ("annotation>", "annotations>", "is not valid XML|begins with <annotations>"),
        ("2007_01.jpg", "../../secret.jpg", r"'\.\./\.\./secret\.jpg' leaves its folder"),
        ("<xmin>3", "<xmin>", "object 1: its bndbox is not of four numbers: ', 2, 6, 4'"),
        ("<xmin>3", "<xmin>nan", "object 1: its bndbox is not of four numbers"),
        ("<xmin>3", "<xmin>1e99", "object 1: its bndbox is not of four numbers"),
        ("<xmin>3", "<xmin>9", "object 1: its bndbox ends before it begins"),
        ("<xmin>5", "<xmin>x", "cup: its bndbox is not of four numbers"),
        ("<name>cup</name>", "", "object 3 has no name"),
        ("<width>8", "<width>9", "picture is 8×6 pixels but the file says 9×6"),
        ("<width>8", "<width>", "does not tell width and height of its picture"),
    ],
)
def test_hostile_and_broken_files(voc, tmp_path, old, new, message):
    changed(voc, old, new)
    (tmp_path / "secret.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=message) as refused:
        from_voc(voc, tmp_path / "out", attributes=["gender"])
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_link_out_of_the_folder(voc, tmp_path):
    (tmp_path / "x.xml").write_text(FILES["2007_01"])
    (voc / "Annotations" / "2007_05.xml").symlink_to(tmp_path / "x.xml")
    with pytest.raises(InputError, match="is a link that leads out of"):
        from_voc(voc, tmp_path / "out")


def test_splits(voc, tmp_path):
    sets = voc / "ImageSets" / "Main"
    with pytest.raises(InputError, match="ImageSets/Action is no folder"):
        from_voc(voc, tmp_path / "out", sets="Action")
    (sets / "val.txt").write_text("2007_01\n")
    with pytest.raises(InputError, match="'2007_01' is in the split train already"):
        from_voc(voc, tmp_path / "out")
    for name in ("train", "val"):
        (sets / f"{name}.txt").unlink()
    (sets / "test.txt").write_text("2007_04\n")
    made = from_voc(voc, tmp_path / "out")
    assert made.samples["split"].tolist() == ["train", "train", "train", "test"]
    for name in ("test", "trainval"):
        (sets / f"{name}.txt").write_text(f"nobody {name}\n")
    with pytest.raises(InputError, match="none of its names is of a file of annotations"):
        from_voc(voc, tmp_path / "out")


def test_names_and_what_is_left_out_on_demand(voc, tmp_path):
    with pytest.raises(InputError, match="no attribute 'race': there are truncated, diff"):
        from_voc(voc, tmp_path / "out", attributes=["race"])
    with pytest.warns(FairvisionWarning, match="has no objects 'human'.*--person LABEL"):
        from_voc(voc, tmp_path / "human", person="human")
    changed(voc, "<xmin>5", "<xmin>x")
    (voc / "JPEGImages" / "2007_02.jpg").unlink()
    with pytest.warns(FairvisionWarning) as warned:
        made = from_voc(voc, tmp_path / "out", skip_broken=True)
    messages = [str(warning.message) for warning in warned]
    assert any("left out: 1 boxes of objects" in message for message in messages)
    assert any("left out: 1 of 3 pictures" in message for message in messages)
    assert made.samples["id"].tolist() == ["2007_01", "2007_03"]


def test_the_command(run_cli, voc, tmp_path):
    made = run_cli("data", "voc", voc, tmp_path / "out", "--attribute", "gender")
    assert made.code == 0, made.err
    assert "3 pictures (train 2, val 1)" in made.out
    refused = run_cli("data", "voc", tmp_path / "out", tmp_path / "more")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "give the folder that holds Annotations" in refused.err
