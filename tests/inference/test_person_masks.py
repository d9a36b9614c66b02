"""Masks that are predicted: written, compared with drawn ones, and named wherever they are used."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision import datasets
from fairvision.core.files import read_json, write_json
from fairvision.datasets import Dataset
from fairvision.errors import FairvisionWarning, InputError
from fairvision.inference import make_masks
from fairvision.inference.person_masks import intersection_over_union
from fairvision.models.segmenters import Segmenter

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


def reddish(image):
    """Say how red each pixel is."""
    return (image[..., 0].astype(np.float32) - image[..., 1]).clip(0) / 255


RED = Segmenter("red", reddish)
NEVER = Segmenter("never", lambda image: np.zeros(image.shape[:2], np.float32))


@pytest.fixture
def bare(tmp_path):
    """Return a dataset without masks: a red person of 4 × 8 pixels, half of it a darker red."""
    place = tmp_path / "bare"
    place.mkdir()
    rows = []
    for i in range(6):
        image = np.zeros((12, 20, 3), np.uint8)
        image[4:8, 2:10, 0] = 255
        image[4:8, 6:10, 0] = 100
        Image.fromarray(image).save(place / f"{i}.png")
        group = ["a", "b", None][i % 3]
        rows.append(
            {"id": f"p{i}", "image": f"{i}.png", "mask": None, "split": "test", "hat": group}
        )
    data = Dataset(place, "bare", {"hat": ("a", "b")}, {}, pd.DataFrame(rows), licence="mine")
    datasets.save(data, place)
    return place


@pytest.fixture
def drawn(tmp_path):
    """Return a table of masks: of p0 and p3 all of the person, of p1 a half, of p2 none."""
    place = tmp_path / "drawn"
    place.mkdir()
    rows = []
    for i, width in enumerate([8, 4, 0, 8]):
        mask = np.zeros((12, 20), np.uint8)
        mask[4:8, 2 : 2 + width] = 255
        Image.fromarray(mask).save(place / f"m{i}.png")
        rows.append({"id": f"p{i}", "mask": f"m{i}.png"})
    pd.DataFrame(rows).to_csv(place / "masks.csv", index=False)
    return place / "masks.csv"


def masks_of(dataset):
    return [
        datasets.read_mask(dataset.root / path, (20, 12)).sum() for path in dataset.samples["mask"]
    ]


@pytest.mark.parametrize(("threshold", "pixels"), [("evidence", 16), ("hiding", 32), (0.35, 32)])
def test_pixels_above_the_threshold_are_the_person(bare, tmp_path, threshold, pixels):
    made = make_masks(bare, tmp_path / "out", RED, threshold=threshold)
    assert masks_of(made) == [pixels] * 6
    assert made.samples["hat"].tolist() == ["a", "b", None] * 2
    assert made.licence == "mine"
    assert made.predicted_masks.models == ("red",)
    assert made.predicted_masks.threshold == {"evidence": 0.5, "hiding": 0.2}.get(threshold, 0.35)
    assert read_json(tmp_path / "out" / "dataset.json")["masks"]["predicted_by"] == ["red"]
    again = datasets.load(tmp_path / "out")
    assert again.predicted_masks == made.predicted_masks
    assert again.split("test").predicted_masks == made.predicted_masks
    assert datasets.load(bare).samples["mask"].isna().all()


def test_several_are_averaged(bare, tmp_path):
    made = make_masks(bare, tmp_path / "out", [RED, NEVER], threshold=0.3)
    assert masks_of(made) == [16] * 6
    assert made.predicted_masks.models == ("red", "never")
    with pytest.warns(FairvisionWarning, match="6 masks have no pixel of a person"):
        make_masks(bare, tmp_path / "other", [RED, NEVER])


def test_agreement_with_drawn_masks(bare, drawn, tmp_path):
    made = make_masks(bare, tmp_path / "out", RED, check=drawn)
    rows = {(r.metric, r.attribute, r.group): r for r in made.predicted_masks.agreement}
    assert rows["iou", "", ""].value == pytest.approx((0.5 + 1 + 0 + 0.5) / 4)
    assert rows["iou", "", ""].n == 4
    assert rows["iou", "hat", "a"].value == pytest.approx(0.5)
    assert rows["iou", "hat", "a"].n == 2
    assert rows["iou", "hat", "b"].value == pytest.approx(1)
    assert rows["iou", "hat", "unknown"].value == 0
    assert rows["iou_gap", "hat", ""].value == pytest.approx(0.5)
    assert made.predicted_masks.gap("hat") == rows["iou_gap", "hat", ""]
    assert made.predicted_masks.gap("other") is None
    lines = [*made.predicted_masks.lines()]
    assert lines[0].startswith("masks are predicted by red (threshold 0.5), not drawn by hand")
    assert rows["recall", "", ""].value == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert (rows["recall", "", ""].n, rows["recall", "hat", "unknown"].n) == (3, 0)
    assert lines[1].startswith("predicted masks, compared with 4 drawn by hand: mean IoU 0.500 [")
    assert "], recall 0.667 [" in lines[1]
    assert lines[2].startswith("IoU of the masks by hat: a 0.500 [0.500, 0.500] (n = 2), b 1.000")
    assert lines[2].endswith("; gap 0.500")  # b is one mask


def test_agreement_with_a_dataset_and_groups_that_are_not_drawn(bare, drawn, tmp_path):
    data = datasets.load(bare)
    table = pd.read_csv(drawn)
    hand = data.rows(np.array([0]))
    for name in ("0.png",):
        (drawn.parent / name).write_bytes((bare / name).read_bytes())
    samples = hand.samples.assign(mask=table["mask"][:1])
    datasets.save(Dataset(drawn.parent, "hand", hand.attributes, {}, samples), drawn.parent)
    made = make_masks(bare, tmp_path / "out", RED, check=drawn.parent)
    rows = {(r.metric, r.group): r for r in made.predicted_masks.agreement}
    assert (rows["iou", ""].n, rows["iou", "b"].n) == (1, 0)
    assert np.isnan(rows["iou", "b"].value)
    assert np.isnan(rows["iou_gap", ""].value)
    assert made.predicted_masks.gap("hat") is None
    again = datasets.load(made.root).predicted_masks.agreement
    assert [str(row) for row in again] == [str(r) for r in made.predicted_masks.agreement]
    with pytest.raises(InputError, match="are predicted: --check needs drawn ones"):
        make_masks(bare, tmp_path / "other", RED, check=made.root)


def test_masks_that_are_there_are_replaced_only_when_asked(bare, tmp_path):
    first = make_masks(bare, tmp_path / "first", RED)
    with pytest.raises(InputError, match="has masks of 6 of 6 pictures: --replace predicts"):
        make_masks(first.root, tmp_path / "second", RED)
    second = make_masks(first.root, tmp_path / "second", NEVER, replace_masks=True)
    assert second.predicted_masks.models == ("never",)
    assert first.fingerprint() != second.fingerprint()


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        (lambda image: np.zeros((3, 4)), r"mine gives an array of shape \(3, 4\) for an image of"),
        (lambda image: image[..., 0].astype(float), "mine gives numbers outside of 0 to 1"),
        (lambda image: np.full(image.shape[:2], np.nan), "mine gives numbers outside of 0 to 1"),
    ],
)
def test_what_is_no_probability_is_refused(bare, tmp_path, gives, message):
    with pytest.raises(InputError, match=message):
        make_masks(bare, tmp_path / "out", Segmenter("mine", gives))
    assert not (tmp_path / "out").exists()


def test_counterfactuals_and_boxes_of_objects_stay(tmp_path):
    drawn = datasets.scenes(tmp_path / "a", count=12, bias=0.8, size=16, counterfactuals=True)
    made = make_masks(drawn.root, tmp_path / "b", RED, check=drawn.root, replace_masks=True)
    assert made.samples["id"].tolist() == drawn.samples["id"].tolist()
    assert len(made.counterfactuals()) == len(drawn.counterfactuals()) > 0
    boxes = [datasets.read_regions(dataset) for dataset in (drawn, made)]
    pd.testing.assert_frame_equal(*boxes)
    assert made.predicted_masks.agreement[0].n == len(drawn.originals())


def test_iou_by_hand():
    masks = np.array([[1, 1, 0, 0], [0, 0, 0, 0]], bool)
    assert intersection_over_union(masks[:1], np.array([[0, 1, 1, 1]], bool)) == 0.25
    assert intersection_over_union(masks[:1], masks[1:]) == 0
    assert np.isnan(intersection_over_union(masks[1:], masks[1:]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": "much"}, "threshold 'much' is none of evidence, hiding, nor between 0 and"),
        ({"threshold": 1.0}, "threshold 1.0 is none of"),
        ({"segmenters": []}, "name a network that predicts masks"),
        ({"segmenters": "resnet50"}, "there is no segmenter 'resnet50'"),
    ],
)
def test_bad_options_write_nothing(bare, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        make_masks(bare, tmp_path / "out", **{"segmenters": RED, **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("id,mask\nq,m0.png\n", "has no mask of any picture of"),
        ("id\np0\n", "has no column 'mask'"),
        ("id,mask\np0,m0.png\np0,m1.png\n", "row 2, column 'id': 'p0' is there twice"),
        ("id,mask\np0,../../x.png\n", "leaves its folder"),
        ("id,mask\np0,none.png\n", "none.png is missing"),
    ],
)
def test_bad_tables_of_drawn_masks(bare, drawn, tmp_path, rows, message):
    (drawn.parent / "bad.csv").write_text(rows)
    with pytest.raises(InputError, match=message):
        make_masks(bare, tmp_path / "out", RED, check=drawn.parent / "bad.csv")
    assert not (tmp_path / "out").exists()


ROW = {"metric": "iou", "attribute": "", "group": "", "value": 0.5, "low": 0.4, "high": 0.6, "n": 9}


@pytest.mark.parametrize(
    "masks",
    [
        [],
        "red",
        {"predicted_by": "red", "threshold": 0.5},
        {"predicted_by": ["red"]},
        {"predicted_by": [], "threshold": 0.5},
        {"predicted_by": ["red"], "threshold": "x"},
        {"predicted_by": ["red"], "threshold": True},
        {"predicted_by": ["red"], "threshold": 10**400},
        {"predicted_by": ["red"], "threshold": 0.5, "agreement": "iou"},
        {"predicted_by": ["red"], "threshold": 0.5, "agreement": [{"metric": "iou"}]},
        {"predicted_by": ["red"], "threshold": 0.5, "agreement": [{**ROW, "n": None}]},
        {"predicted_by": ["red"], "threshold": 0.5, "agreement": [{**ROW, "low": 10**400}]},
    ],
)
def test_damaged_notes_are_refused(bare, masks):
    settings = read_json(bare / "dataset.json")
    write_json(bare / "dataset.json", {**settings, "masks": masks})
    with pytest.raises(InputError, match=r"dataset\.json: masks must name what predicted them"):
        datasets.load(bare)


def test_the_command(run_cli, shared, tmp_path):
    pytest.importorskip("ai_edge_litert")
    source = datasets.load(shared / "data" / "coco-gender")
    few = source.rows(np.arange(0, 1500, 150))
    place = tmp_path / "few"
    (place / "images").mkdir(parents=True)
    for image in few.samples["image"]:
        (place / image).write_bytes((source.root / image).read_bytes())
    datasets.save(
        Dataset(place, "few", few.attributes, {}, few.samples.assign(mask=None)[
            ["id", "image", "mask", "split", "gender"]]), place)  # fmt: skip
    file = shared / "weights" / "selfie_segmentation.tflite"
    command = ["data", "masks", place, tmp_path / "out", "--with", file]
    made = run_cli(*command, "--check", source.root)
    assert made.code == 0
    assert "10 predicted masks" in made.out
    assert "predicted masks, compared with 10 drawn by hand: mean IoU 0." in made.out
    shown = run_cli("data", "show", tmp_path / "out")
    assert "masks are predicted by selfie_segmentation.tflite" in " ".join(shown.out.split())
    refused = run_cli(*command)
    assert refused.code == 2
    assert "is not empty" in refused.err
