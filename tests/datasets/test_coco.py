"""COCO annotations: masks, objects, gender as captions tell it; malformed files are named."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask

from fairvision.datasets import from_coco, load, read_mask, read_regions
from fairvision.datasets.readers.coco import WORDS, perceived_gender
from fairvision.datasets.readers.coco_masks import box_of, draw_masks, run_lengths
from fairvision.errors import FairvisionWarning, InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SQUARE = [[2, 1, 6, 1, 6, 4, 2, 4]]
RUNS = {"size": [6, 8], "counts": [3, 3, 42]}
PACKED = {"size": [6, 8], "counts": coco_mask.frPyObjects(RUNS, 6, 8)["counts"].decode()}
INSTANCES = {
    "images": [
        {"id": i, "file_name": f"{i}.png", "width": 8, "height": 6} for i in (1, 2, 3, 4, 5)
    ],
    "categories": [
        {"id": 10, "name": "tie"},
        {"id": 11, "name": "person"},
        {"id": 12, "name": "cup"},
    ],
    "annotations": [
        {"image_id": 1, "category_id": 11, "segmentation": SQUARE},
        {"image_id": 1, "category_id": 11, "segmentation": RUNS, "iscrowd": 1},
        {"image_id": 1, "category_id": 12, "segmentation": SQUARE},
        {"image_id": 2, "category_id": 11, "segmentation": PACKED, "iscrowd": 1},
        {"image_id": 2, "category_id": 10},
        {"image_id": 3, "category_id": 11, "segmentation": []},
    ],
}
CAPTIONS = {
    "images": [{"id": i} for i in (1, 2, 3, 4, 5, 99)],
    "annotations": [
        {"image_id": 1, "caption": "A Woman with a cup."},
        {"image_id": 1, "caption": "Somebody drinks."},
        {"image_id": 2, "caption": "his tie"},
        {"image_id": 3, "caption": "a man, and a lady"},
        {"image_id": 4, "caption": "a dog"},
        {"image_id": 99, "caption": "elsewhere"},
    ],
}


def make(place, instances=INSTANCES, captions=CAPTIONS, **options):
    place.mkdir(exist_ok=True)
    for i in range(1, 6):
        Image.new("RGB", (8, 6)).save(place / f"{i}.png")
    (place / "instances.json").write_text(json.dumps(instances))
    (place / "captions.json").write_text(json.dumps(captions))
    return from_coco(
        place / "instances.json", place / "captions.json", place, place.parent / "out", **options
    )


def changed(change):
    files = copy.deepcopy({"instances": INSTANCES, "captions": CAPTIONS})
    change(files["instances"], files["captions"])
    return files


def test_what_is_imported(tmp_path):
    made = make(tmp_path / "in", split="test")
    assert made.samples["id"].tolist() == ["1", "2", "3", "4", "5"]
    assert set(made.samples["split"]) == {"test"}
    assert made.attributes == {"gender": ("female", "male")}
    assert made.samples["gender"].tolist() == ["female", "male", None, None, None]
    assert made.tasks["objects"].labels == ("tie", "cup")
    assert made.targets("objects").tolist() == [[0, 1], [1, 0], [0, 0], [0, 0], [0, 0]]
    assert made.samples["mask"].notna().tolist() == [True, True, False, False, False]
    expected = np.zeros((6, 8), bool)
    expected[1:4, 2:6] = True
    expected[3:6, 0] = True
    assert (read_mask(made.root / made.samples["mask"][0], (8, 6)) == expected).all()
    with Image.open(made.root / made.samples["mask"][0]) as mask:
        assert mask.mode == "1"
    expected = np.zeros((6, 8), bool)
    expected[3:6, 0] = True
    assert (read_mask(made.root / made.samples["mask"][1], (8, 6)) == expected).all()


def test_captions_of_other_images_are_told(tmp_path):
    with pytest.warns(FairvisionWarning, match="1 captions of pictures that are not among"):
        make(tmp_path / "in")


def test_without_people_or_objects(tmp_path):
    def only_ties(instances, captions):
        instances["categories"] = [{"id": i, "name": f"thing {i}"} for i in (10, 11, 12)]

    with pytest.warns(FairvisionWarning, match="no category called 'person'"):
        made = make(tmp_path / "in", **changed(only_ties))
    assert not made.has_masks

    def only_people(instances, captions):
        instances["categories"] = [{"id": 11, "name": "person"}]
        instances["annotations"] = instances["annotations"][:2]

    assert make(tmp_path / "in", **changed(only_people), overwrite=True).tasks == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, c: i.pop("categories"), r"instances.json .*has no list 'categories'"),
        (lambda i, c: c.pop("annotations"), r"captions.json .*has no list 'annotations'"),
        (lambda i, c: i.update(images=[]), "lists no images"),
        (lambda i, c: i["images"][1].pop("file_name"), r"images\[1\] has no 'file_name'"),
        (lambda i, c: i["images"][1].update(width="8"), r"images\[1\]: 'width' cannot be '8'"),
        (lambda i, c: i["images"][1].update(id=1), r"images\[1\]: id 1 is there twice"),
        (lambda i, c: i["images"][1].update(id="1"), r"images\[1\]: id '1' is there twice"),
        (lambda i, c: i["images"][1].update(width=9), r"picture 2: .*8×6 .* the file says 9×6"),
        (lambda i, c: i["images"][1].update(file_name="gone.png"), r"picture 2: .*is missing"),
        (lambda i, c: i["images"][1].update(file_name="../2.png"), r"picture 2: .*leaves"),
        (lambda i, c: i["categories"][2].update(id=10), r"categories\[2\]: id 10 or its name"),
        (lambda i, c: i["annotations"].append(7), r"annotations\[6\] is not an object"),
        (lambda i, c: i["annotations"][0].pop("segmentation"), r"\[0\] has no 'segmentation'"),
        (lambda i, c: i["annotations"][0].update(image_id=77), r"\[0\]: image_id 77 is not among"),
        (lambda i, c: i["annotations"][0].update(image_id=[1]), r"\[0\]: 'image_id' cannot be"),
        (lambda i, c: i["annotations"][0].update(category_id=7), r"category_id 7 is not among"),
        (lambda i, c: c["annotations"][0].update(image_id=7), r"captions.json .*image_id 7 is not"),
        (lambda i, c: c["annotations"][0].pop("caption"), r"annotations\[0\] has no 'caption'"),
        *[
            (
                lambda i, c, wrong=wrong: i["annotations"][0].update(segmentation=wrong),
                rf"annotations\[0\]: segmentation cannot be drawn: .*{words}",
            )
            for wrong, words in [
                ([[2, 1, 60, 1, 6, 4]], "outside the picture of 8×6"),
                ([[2, 1, float("nan"), 1, 6, 4]], "outside the picture"),
                ([[2, 1, 6, 1]], "a polygon of 4 numbers"),
                ([[2, 1, 6, 1, "x", 4]], "could not convert"),
                ([5, 6], "has no len"),
                ("polygon", "indices"),
                ({"counts": [48]}, "size"),
                ({"size": [6, 8]}, "counts"),
                ({"size": [8, 6], "counts": [48]}, r"its size is \[8, 6\]"),
                ({"size": [6, 8], "counts": [40]}, "cover 40 of its picture's 48"),
                ({"size": [6, 8], "counts": [-5, 53]}, "cover 48"),
                ({"size": [6, 8], "counts": ""}, "cover 0"),
                ({"size": [6, 8], "counts": "zzzz"}, "cover"),
                ({"size": [6, 8], "counts": ["a"]}, ""),
            ]
        ],
    ],
)
def test_malformed_files_are_named_and_nothing_is_written(tmp_path, change, message):
    with pytest.raises(InputError, match=message) as refused:
        make(tmp_path / "in", **changed(change))
    assert "\n" not in str(refused.value)
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_broken_images_are_left_out_on_demand(tmp_path):
    files = changed(lambda i, c: i["images"][1].update(file_name="gone.png"))
    with pytest.warns(FairvisionWarning, match="left out: .*picture 2: .*is missing"):
        made = make(tmp_path / "in", **files, skip_broken=True)
    assert made.samples["id"].tolist() == ["1", "3", "4", "5"]


def with_boxes(*boxes):
    def change(instances, captions):
        own = [{"image_id": 1, "category_id": 12, "bbox": box} for box in boxes]
        instances["annotations"] = [*instances["annotations"][:2], *own]

    return changed(change)


def test_boxes_that_leave_their_images_are_cut_off_with_one_warning(tmp_path):
    with pytest.warns(FairvisionWarning) as told:
        made = make(tmp_path / "in", **with_boxes([-3, 0, 7, 6], [2, 1, 4, 3], [0, 0, 99, 6]))
    lines = [str(w.message) for w in told if "boxes of objects" in str(w.message)]
    assert len(lines) == 1
    assert "2 boxes of objects leave their pictures" in lines[0]
    assert "annotations[2]; annotations[4]" in lines[0]
    assert read_regions(made)["right"].tolist() == [0.5, 0.75, 1]


def test_boxes_that_are_none_are_left_out_on_demand(tmp_path):
    files = with_boxes([2, 1, 4, 3], "box", [1, 2], [0, 0, -5, 2])
    with pytest.raises(
        InputError, match=r"annotations\[3\]: bbox 'box' .*--skip-broken leaves such"
    ):
        make(tmp_path / "in", **files)
    with pytest.warns(FairvisionWarning, match="left out: 3 boxes of objects of .*annotations"):
        made = make(tmp_path / "in", **files, skip_broken=True)
    assert len(read_regions(made)) == 1
    assert made.samples["objects"][0] == ("cup",)


def test_a_file_without_captions_is_told(tmp_path):
    empty = changed(lambda i, c: c.update(annotations=[]))
    with pytest.raises(InputError, match=r"captions\.json holds no captions, and gender is what"):
        make(tmp_path / "in", **empty)

    def of_people(instances, captions):
        captions["annotations"] = [{"image_id": 1, "attributes": {"gender": "female"}}]

    with pytest.raises(InputError, match=r"have the attributes \['gender'\]: write a table of"):
        make(tmp_path / "in", **changed(of_people))

    def of_dogs(instances, captions):
        for entry in captions["annotations"]:
            entry["caption"] = "a dog"

    with pytest.warns(FairvisionWarning, match="gender is not known of any picture"):
        make(tmp_path / "in", **changed(of_dogs))


def write_parts(place):
    """Two parts as COCO names them, each with images in a folder called as its file ends."""
    for part, shift in (("train2014", 0), ("val2014", 100)):
        (place / part).mkdir(parents=True)
        instances = copy.deepcopy(INSTANCES)
        for entry in instances["images"]:
            entry["id"] += shift
            Image.new("RGB", (8, 6)).save(place / part / entry["file_name"])
        for entry in instances["annotations"]:
            entry["image_id"] += shift
        captions = [{"image_id": 1 + shift, "caption": "a woman"}]
        captions = {"images": [{"id": 1 + shift}], "annotations": captions}
        (place / f"instances_{part}.json").write_text(json.dumps(instances))
        (place / f"captions_{part}.json").write_text(json.dumps(captions))
    return [
        [place / f"{k}_{p}.json" for p in ("train2014", "val2014")]
        for k in ("instances", "captions")
    ]


def test_several_files(tmp_path):
    instances, captions = write_parts(tmp_path / "in")
    made = from_coco(instances, captions, tmp_path / "in", tmp_path / "out", split="names")
    assert made.samples["id"].tolist() == [*"12345", "101", "102", "103", "104", "105"]
    assert made.samples["split"].tolist() == [*["train"] * 5, *["val"] * 5]
    assert made.samples["gender"].tolist() == [*["female", *[None] * 4] * 2]
    assert made.samples["mask"].notna().tolist() == [True, True, False, False, False] * 2
    assert made.targets("objects")[5:].tolist() == made.targets("objects")[:5].tolist()
    with pytest.raises(InputError, match=r"instances_train2014.json is named twice"):
        from_coco(instances[:1] * 2, [], tmp_path / "in", tmp_path / "more")
    content = json.loads(instances[1].read_text())
    content["categories"].append({"id": 13, "name": "dog"})
    instances[1].write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"neither the categories nor the images of .*train2014"):
        from_coco(instances, captions, tmp_path / "in", tmp_path / "more")
    content["images"][0] |= {"id": 1}
    content["annotations"] = []
    instances[1].write_text(json.dumps(content))
    (tmp_path / "in" / "val2014" / "1.png").rename(tmp_path / "in" / "val2014" / "x.png")
    content["images"][0] |= {"file_name": "x.png"}
    instances[1].write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"id 1 is another image than in .*train2014"):
        from_coco(instances, captions, tmp_path / "in", tmp_path / "more")


def test_other_annotations_of_the_same_images(tmp_path):
    def of_dogs(instances, captions):
        instances["categories"] = [{"id": 1, "name": "dog"}]
        instances["annotations"] = [{"image_id": 4, "category_id": 1}]

    make(tmp_path / "in")
    dogs = tmp_path / "in" / "dogs.json"
    dogs.write_text(json.dumps(changed(of_dogs)["instances"]))
    files = [tmp_path / "in" / "instances.json", dogs]
    made = from_coco(files, None, tmp_path / "in", tmp_path / "both")
    assert made.attributes == {}
    assert made.tasks["objects"].labels == ("tie", "cup", "dog")
    assert made.samples["objects"].tolist() == [("cup",), ("tie",), (), ("dog",), ()]
    assert made.has_masks
    with pytest.raises(InputError, match=r"instances.json says no split: rename it"):
        from_coco(files, None, tmp_path / "in", tmp_path / "more", split="names")


def test_groups_of_a_table(tmp_path):
    make(tmp_path / "in")
    table = tmp_path / "groups.csv"
    table.write_text(
        "image_id,gender,age\n000003,female,old\n1,male,\n4,unknown,young\n77,male,old\n"
    )
    asked = (tmp_path / "in" / "instances.json", None, tmp_path / "in", tmp_path / "more")
    with pytest.warns(FairvisionWarning, match="groups.csv: 1 rows are of pictures that are not"):
        made = from_coco(*asked, attributes=table)
    assert made.attributes == {"gender": ("female", "male"), "age": ("old", "young")}
    assert made.samples["gender"].tolist() == ["male", None, "female", None, None]
    assert made.samples["age"].tolist() == [None, None, "old", "young", None]
    with pytest.raises(InputError, match="has a column 'gender', as captions give it"):
        make(tmp_path / "in", attributes=table, overwrite=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,gender\n1,male", "has no column 'image_id': it has picture, gender"),
        ("image_id\n1", "has no column of groups beside 'image_id'"),
        ("id,gender\n1,male\n01,female", "rows 1 and 2, column 'id': both are '1'"),
        ("id,gender\n,male\n1,female", "row 1, column 'id': is empty"),
        ("id,gender\nx,male\ny,female", "no id is one of the 5 images"),
        ("id,gender\n1,male", "attribute 'gender' needs at least two groups"),
    ],
)
def test_tables_of_groups_that_cannot_be_used(tmp_path, text, message):
    make(tmp_path / "in")
    (tmp_path / "groups.csv").write_text(text)
    asked = (tmp_path / "in" / "instances.json", None, tmp_path / "in", tmp_path / "more")
    with pytest.raises(InputError, match=message):
        from_coco(*asked, attributes=tmp_path / "groups.csv")
    assert not (tmp_path / "more").exists()


def test_endless_run_lengths_and_images_end(tmp_path):
    with pytest.raises(InputError, match="a run length is too large"):
        draw_masks([("it", {"size": [6, 8], "counts": "o" * 1_000_000})], 6, 8)
    huge = {"segmentation": {"size": [10**6, 10**6], "counts": [10**12]}}
    with pytest.raises(InputError, match="cannot be drawn"):
        box_of("it", huge, (10**6, 10**6))


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_run_lengths_against_pycocotools(height, width, data):
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits, np.uint8).reshape(height, width)
    packed = coco_mask.encode(np.asfortranarray(mask))["counts"]
    runs = run_lengths(packed)
    assert sum(runs) == height * width
    assert (np.repeat(np.arange(len(runs)) % 2, runs) == mask.ravel(order="F")).all()
    for counts in (packed.decode(), runs):
        segmentation = {"size": [height, width], "counts": counts}
        assert (draw_masks([("it", segmentation)], height, width) == mask).all()


@given(st.text(max_size=30))
def test_any_text_in_place_of_runs_is_a_mask_or_an_error(text):
    try:
        mask = draw_masks([("it", {"size": [3, 4], "counts": text})], 3, 4)
    except InputError:
        return
    assert mask.shape == (3, 4)


def test_words():
    assert {group: len(words) for group, words in WORDS.items()} == {"female": 18, "male": 26}
    assert perceived_gender(["Her dog"]) == "female"
    assert perceived_gender(["SHE", "woman"]) == "female"
    assert perceived_gender(["a fireman's hat, policemen"]) == "male"
    assert perceived_gender(["a man's hat"]) is None
    assert perceived_gender(["manly womanizer"]) is None
    assert perceived_gender(["man", "woman"]) is None
    assert perceived_gender([]) is None


def test_real_annotations_against_coco_tools(shared, tmp_path):
    source = shared / "data" / "coco-mini"
    made = from_coco(
        source / "instances.json", source / "captions.json", source / "images", tmp_path / "out"
    )
    assert len(made) == 153
    instances = json.loads((source / "instances.json").read_text())
    person = next(c["id"] for c in instances["categories"] if c["name"] == "person")
    sizes = {str(i["id"]): (i["height"], i["width"]) for i in instances["images"]}
    for row in made.samples.head(40).to_dict("records"):
        height, width = sizes[row["id"]]
        expected = np.zeros((height, width), bool)
        for annotation in instances["annotations"]:
            if str(annotation["image_id"]) == row["id"] and annotation["category_id"] == person:
                drawn = coco_mask.frPyObjects(annotation["segmentation"], height, width)
                drawn = coco_mask.merge(drawn) if isinstance(drawn, list) else drawn
                expected |= coco_mask.decode(drawn).astype(bool)
        if pd.isna(row["mask"]):
            assert not expected.any()
        else:
            assert (read_mask(made.root / row["mask"], (width, height)) == expected).all()
    assert len(load(made.root)) == 153
