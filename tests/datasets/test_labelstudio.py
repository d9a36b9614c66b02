"""Label Studio's JSON: regions of people are masks, other regions objects, choices groups."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from fairvision.datasets import read_mask, read_regions
from fairvision.datasets.readers.labelstudio import from_labelstudio
from fairvision.datasets.readers.labelstudio_brush import decode_brush
from fairvision.errors import FairvisionWarning, InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

# by encode_rle of label-studio-converter 0.0.59: PAINTED, where one pixel is half opaque
BRUSH = [0, 0, 0, 192, 57, 27, 254, 39, 0, 191, 255, 124, 2, 255, 253, 240, 11, 255, 243, 128, 69]
BRUSH += [254, 4, 6, 59, 0, 0]
PAINTED = np.zeros((6, 8), bool)
PAINTED[1:4, 2:6] = PAINTED[4, 0] = True
BOX = np.zeros((6, 8), bool)
BOX[3:6, 0:4] = True
SIZE = {"original_width": 8, "original_height": 6, "image_rotation": 0, "to_name": "image"}


def region(id, kind, label, value):
    labelled = {**value, kind: [label]} if label else value
    return {**SIZE, "id": id, "type": kind, "from_name": "label", "value": labelled}


def choice(id, name, *values):
    return {**SIZE, "id": id, "type": "choices", "from_name": name, "value": {"choices": [*values]}}


RECTANGLE = {"x": 0, "y": 50, "width": 50, "height": 50, "rotation": 0}
TRIANGLE = {"points": [[25, 0], [100, 0], [100, 100]], "closed": True}
TASKS = [
    {
        "id": 11,
        "data": {"image": "/data/upload/4/0a1b-a%20dog.png", "light": "dim"},
        "file_upload": "0a1b-a dog.png",
        "annotations": [
            {
                "id": 1,
                "result": [
                    region("r1", "brushlabels", "person", {"format": "rle", "rle": BRUSH}),
                    choice("r1", "gender", "female"),
                    region("r2", "rectanglelabels", "cup", RECTANGLE),
                    choice("r2", "gender", "male"),  # of the cup: of nobody
                    choice("i1", "mood", "calm", "warm"),
                    {"type": "relation", "from_id": "r1", "to_id": "r2", "direction": "right"},
                ],
            }
        ],
    },
    {
        "id": 12,
        "data": {"image": "/data/local-files/?d=photos/deep/b.png", "light": "bright"},
        "annotations": [
            {
                "id": 2,
                "ground_truth": False,
                "result": [
                    region("r1", "polygonlabels", "person", TRIANGLE),
                    choice("i2", "gender", "male"),
                ],
            },
            {
                "id": 3,
                "ground_truth": True,
                "result": [
                    region("r1", "rectanglelabels", "person", RECTANGLE),
                    choice("i2", "gender", "female"),
                ],
            },
            {"id": 4, "was_cancelled": True, "result": [choice("i2", "gender", "?")]},
        ],
    },
    {
        "id": 13,
        "data": {"image": "c.png", "light": "dim"},
        "annotations": [{"id": 5, "result": [choice("i", "gender", "male")]}],
    },
    {"id": 14, "data": {"image": "gone.png"}, "annotations": []},
]


@pytest.fixture
def export(tmp_path):
    root = tmp_path / "set"
    (root / "deep").mkdir(parents=True)
    for name in ("0a1b-a dog.png", "deep/b.png", "c.png"):
        Image.new("RGB", (8, 6)).save(root / name)
    write(root / "export.json", TASKS)
    return root / "export.json"


def write(path, tasks):
    path.write_text(json.dumps(tasks))


def test_an_export(export, tmp_path):
    with pytest.warns(FairvisionWarning) as warned:
        made = from_labelstudio(
            export, tmp_path / "out", attributes=["gender"], tasks=["light"], many=["mood"]
        )
    messages = [str(warning.message) for warning in warned]
    assert any("1 tasks without annotations are left out" in message for message in messages)
    assert any("1 tasks have several annotations" in message for message in messages)
    assert any("gender differs between the people of 1 images" in message for message in messages)
    assert made.samples["id"].tolist() == ["0a1b-a dog", "b", "c"]
    assert made.samples["gender"].tolist() == ["female", None, "male"]
    assert made.samples["light"].tolist() == ["dim", "bright", "dim"]
    assert made.samples["mood"].tolist() == [("calm", "warm"), None, None]
    assert made.samples["objects"].tolist() == [("cup",), (), ()]
    assert made.samples["mask"].notna().tolist() == [True, True, False]
    masks = [read_mask(made.root / path, (8, 6)) for path in made.samples["mask"][:2]]
    assert (masks[0] == PAINTED).all()
    assert (masks[1] == BOX).all()  # the ground truth's, not the triangle of the first
    (box,) = read_regions(made).to_dict("records")
    assert tuple(box.values()) == ("0a1b-a dog", "objects", "cup", 0, 0.5, 0.5, 1)


def test_shapes_in_percent(export, tmp_path):
    """A turned rectangle about its corner, an ellipse, and labels that stand apart from shapes."""
    shapes = {
        "person": {"x": 50, "y": 0, "width": 50, "height": 50, "rotation": 90},
        "ball": {"x": 50, "y": 50, "radiusX": 25, "radiusY": 50, "rotation": 0},
        "sign": TRIANGLE,
        "coat": {"format": "rle", "rle": BRUSH},
        "tip": {"x": 4, "y": 4, "width": 0.7},
    }
    result = []
    for name, value in shapes.items():
        result += [region(name, "shape", None, value), region(name, "labels", name, value)]
    task = {"id": 1, "data": {"image": "c.png", "split": "dev"}}
    write(export, [{**task, "annotations": [{"result": result}]}])
    made = from_labelstudio(export, tmp_path / "out")
    expected = np.zeros((6, 8), bool)
    expected[0:4, 1:4] = True  # 4 wide and 3 high, turned about (4, 0)
    assert (read_mask(made.root / made.samples["mask"][0], (8, 6)) == expected).all()
    assert made.samples["split"].tolist() == ["val"]
    assert made.samples["objects"].tolist() == [("ball", "coat", "sign", "tip")]
    boxes = read_regions(made).set_index("label")[["left", "top", "right", "bottom"]]
    assert boxes.loc["ball"].tolist() == [0.25, 0, 0.75, 1]
    assert boxes.loc["sign"].tolist() == [0.25, 0, 1, 1]
    assert boxes.loc["coat"].tolist() == [0, 1 / 6, 0.75, 5 / 6]
    assert "tip" not in boxes.index


def test_pictures_of_another_size_but_of_the_same_shape(export, tmp_path):
    Image.new("RGB", (16, 12)).save(export.parent / "c.png")
    task = {"id": 1, "data": {"photo": "c.png"}}
    result = [region("a", "rectanglelabels", "person", RECTANGLE)]
    write(export, [{**task, "annotations": [{"result": result}]}])
    made = from_labelstudio(export, tmp_path / "out")
    assert read_mask(made.root / made.samples["mask"][0], (16, 12)).sum() == 8 * 6
    result = [region("a", "brushlabels", "person", {"rle": BRUSH})]
    write(export, [{**task, "annotations": [{"result": result}]}])
    with pytest.raises(InputError, match="picture is 16×12 pixels but the file says 8×6"):
        from_labelstudio(export, tmp_path / "more")


def with_first(change):
    tasks = json.loads(json.dumps(TASKS))
    change(tasks[0])
    return tasks


def result_of(task):
    return task["annotations"][0]["result"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["data"].update(image="https://a.b/c.png"), "is a web address: download"),
        (lambda t: t["data"].update(image="s3://bucket/c.png"), "is a web address: download"),
        (lambda t: t["data"].update(image="data:image/png;base64,AA"), "is a web address"),
        (lambda t: t["data"].update(image="../c.png"), r"'\.\./c\.png' leaves its folder"),
        (
            lambda t: t["data"].update(image="/data/local-files/?d=../../etc/passwd"),
            "leaves its folder",
        ),
        (lambda t: t["data"].update(image="/data/upload/1/%2e%2e/%2e%2e/a.png"), "leaves its"),
        (lambda t: t["data"].update(image="/data/local-files/?d="), "leaves its folder"),
        (lambda t: t["data"].update(image="/etc/passwd"), "leaves its folder"),
        (lambda t: t["data"].update(image=7), "task 11: its 'image' is 7, not a path"),
        (lambda t: t["data"].update(image="c.png"), "task 11 and .*task 13 are of one picture"),
        (lambda t: t["data"].update(image="nobody.png"), "picture .*nobody.png is missing"),
        (lambda t: t.pop("annotations"), "task 1 has no data and annotations"),
        (lambda t: t.update(annotations=[7]), "annotations of task 1 are no list of results"),
        (lambda t: result_of(t).append(7), "task 11: result 7 is none of Label Studio: 7"),
        (lambda t: result_of(t)[0]["value"].update(rle=BRUSH[:9]), "run lengths end early"),
        (
            lambda t: result_of(t)[0]["value"].update(rle=[*BRUSH[:3], 9, *BRUSH[4:]]),
            "are of 9 values, not",
        ),
        (lambda t: result_of(t)[0]["value"].update(rle=[300]), "rle is not a list of whole num"),
        (lambda t: result_of(t)[0]["value"].update(rle="QUJD"), "rle is not a list of whole num"),
        (lambda t: result_of(t)[0].update(original_width=9), "picture is 8×6 .*file says 9×6"),
        (lambda t: result_of(t)[0].update(original_width="8"), "original_width .*cannot be '8'"),
        (lambda t: result_of(t)[0].update(image_rotation=90), "its picture was turned"),
        (lambda t: result_of(t)[2]["value"].update(width="wide"), "width cannot be 'wide'"),
        (lambda t: result_of(t)[2]["value"].update(width=-1), "width and height must not be"),
        (lambda t: result_of(t)[2]["value"].update(rectanglelabels="cup"), "is 'cup', not a list"),
        (
            lambda t: result_of(t).append(region("p", "polygonlabels", "cup", {"points": [[1]]})),
            "at least three x, y",
        ),
        (
            lambda t: result_of(t).append(
                region("p", "polygonlabels", "person", {"points": [[0, 0], [900, 0], [9, 9]]})
            ),
            "a point of it lies outside the picture",
        ),
    ],
)
def test_hostile_and_broken_exports(export, tmp_path, change, message):
    write(export, with_first(change))
    with pytest.raises(InputError, match=message) as refused:
        from_labelstudio(export, tmp_path / "out", attributes=["gender"])
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_other_files_fields_and_names(export, tmp_path):
    with pytest.raises(InputError, match="no attribute 'race': there are gender, mood"):
        from_labelstudio(export, tmp_path / "out", attributes=["race"])
    with pytest.raises(InputError, match="have no field 'photo': they have image, light"):
        from_labelstudio(export, tmp_path / "out", image="photo")
    with pytest.raises(InputError, match="its 'light' is 'dim', not train, val or test"):
        from_labelstudio(export, tmp_path / "out", split="light")
    for content, message in (
        ({}, "it is no list of tasks"),
        ([], "lists no tasks"),
        ([{"image": "a.png", "annotator": 1}], "as JSON-MIN has none: export it as JSON"),
        (TASKS[3:], "none of its 1 tasks is annotated"),
    ):
        write(export, content)
        with pytest.raises(InputError, match=message):
            from_labelstudio(export, tmp_path / "out")
    write(export, TASKS[2:3])
    with pytest.warns(FairvisionWarning, match="has no regions of 'human'.*--person LABEL"):
        from_labelstudio(export, tmp_path / "out", person="human")


def test_what_is_broken_is_left_out_on_demand(export, tmp_path):
    def spoil(task):
        result_of(task)[0]["value"]["rle"] = [1]
        result_of(task)[2]["value"]["x"] = None

    write(export, with_first(spoil))
    with pytest.warns(FairvisionWarning) as warned:
        made = from_labelstudio(export, tmp_path / "out", skip_broken=True)
    messages = [str(warning.message) for warning in warned]
    assert any("left out: 1 boxes of objects" in message for message in messages)
    assert any("left out: 1 of 3 pictures" in message for message in messages)
    assert len(made.samples) == 2


@pytest.mark.parametrize("word", [1, 4, 8, 11])
def test_brushes_of_runs_and_of_single_values(word):
    """Codes by hand, of words of any width, in runs that repeat a value and runs that do not."""
    random = np.random.default_rng(word)
    values = random.integers(0, min(2**word, 3), (5, 7, 4))
    flat = values.ravel().tolist()
    bits = f"{len(flat):032b}{word - 1:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    at = 0
    while at < len(flat):
        end = at + 1
        while end < min(at + 8, len(flat)) and flat[end] == flat[at]:
            end += 1
        if end - at > 1:
            bits += f"100{end - at - 1:03b}{flat[at]:0{word}b}"
        else:
            end = min(at + 5, len(flat))
            bits += f"001{end - at - 1:04b}" + "".join(f"{v:0{word}b}" for v in flat[at:end])
        at = end
    bits += "0" * (-len(bits) % 8)
    code = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert (decode_brush(code, (7, 5)) == (values[..., 3] > 0)).all()
    with pytest.raises(ValueError, match="cannot be drawn"):
        decode_brush(code, (2**20, 2**20))


def test_the_command(run_cli, export, tmp_path):
    made = run_cli("data", "labelstudio", export, tmp_path / "out", "--attribute", "gender")
    assert made.code == 0, made.err
    assert "3 pictures (test 1, train 1, val 1)" in made.out
    refused = run_cli("data", "labelstudio", tmp_path, tmp_path / "more")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
