"""Regions: what is read is checked, what the sources write is where the objects are."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fairvision import datasets
from fairvision.datasets.hiding import elsewhere
from fairvision.datasets.readers.coco_masks import box_of, leaves_image
from fairvision.datasets.readers.scene_drawing import CONTEXTS, Canvas
from fairvision.datasets.regions import REGIONS, SIDES, box_mask
from fairvision.errors import FairvisionWarning, InputError


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions") / "drawn"
    return datasets.scenes(folder, count=24, bias=0.5, groups=3, size=48)


def row(drawn, **changes):
    sample = drawn.samples.iloc[0]
    box = {"left": 0.1, "top": 0.2, "right": 0.5, "bottom": 0.9}
    return {"id": sample["id"], "task": "context", "label": sample["context"], **box, **changes}


def test_what_is_saved_is_read(drawn, tmp_path):
    copy = datasets.Dataset(tmp_path, "", drawn.attributes, drawn.tasks, drawn.samples)
    empty = datasets.read_regions(copy)
    assert len(empty) == 0
    assert list(empty) == ["id", "task", "label", *SIDES]
    regions = pd.DataFrame([row(drawn), row(drawn, left=0.0, right=1.0)])
    regions = regions.astype(dict.fromkeys(["id", "task", "label"], object))
    datasets.save_regions(regions, copy)
    pd.testing.assert_frame_equal(datasets.read_regions(copy), regions)
    datasets.save_regions(regions.drop(columns="task"), copy)
    pd.testing.assert_frame_equal(datasets.read_regions(copy), regions)
    datasets.save_regions(empty, copy)
    assert len(datasets.read_regions(copy)) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "nobody"}, r"regions.parquet row 2, column 'id': 'nobody' is not a picture of"),
        ({"id": None}, "row 2, column 'id': None is not a picture"),
        ({"label": "sauna"}, "row 2, column 'label': 'sauna' is not a label of any task"),
        ({"task": "sport"}, "row 2, column 'task': 'sport' is not a task with that label"),
        ({"left": -0.1}, "row 2, column 'left': -0.1 is not a share from 0 to 1"),
        ({"bottom": 1.01}, "row 2, column 'bottom': 1.01 is not a share"),
        ({"top": float("nan")}, "row 2, column 'top': nan is not a share"),
        ({"right": 0.1}, "row 2, column 'right': 0.1 is not above left, so the box is empty"),
        ({"bottom": 0.1}, "row 2, column 'bottom': 0.1 is not above top"),
    ],
)
def test_what_cannot_be_used_is_named(drawn, tmp_path, changes, message):
    copy = datasets.Dataset(tmp_path, "", drawn.attributes, drawn.tasks, drawn.samples)
    table = pd.DataFrame([row(drawn), row(drawn, **changes)])
    with pytest.raises(InputError, match=message) as refused:
        datasets.save_regions(table, copy)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())
    table.to_parquet(tmp_path / REGIONS)
    with pytest.raises(InputError, match=message):
        datasets.read_regions(copy)


def test_files_that_are_no_regions(drawn, tmp_path):
    copy = datasets.Dataset(tmp_path, "", drawn.attributes, drawn.tasks, drawn.samples)
    with pytest.raises(InputError, match=r"has no column 'right': it has id, task, label"):
        datasets.save_regions(pd.DataFrame([row(drawn)]).drop(columns="right"), copy)
    (tmp_path / REGIONS).write_text("boxes")
    with pytest.raises(InputError, match=r"regions\.parquet cannot be read"):
        datasets.read_regions(copy)


def test_a_label_of_two_tasks_needs_its_task(drawn, tmp_path):
    tasks = {"context": drawn.tasks["context"], "again": drawn.tasks["context"]}
    copy = datasets.Dataset(tmp_path, "", drawn.attributes, tasks, drawn.samples)
    table = pd.DataFrame([row(drawn, task="again")])
    datasets.save_regions(table, copy)
    assert datasets.read_regions(copy)["task"].tolist() == ["again"]
    with pytest.raises(InputError, match="several tasks: add a column 'task'"):
        datasets.save_regions(table.drop(columns="task"), copy)


def test_scenes_know_where_their_things_are(drawn):
    regions = datasets.read_regions(drawn)
    assert set(regions["id"]) == set(drawn.samples["id"])
    assert (regions["task"] == "context").all()
    shown = drawn.samples.set_index("id")["context"].loc[regions["id"]]
    assert regions["label"].tolist() == shown.tolist()


@pytest.mark.parametrize("place", ["beach", "slope", "street", "harbour"])
def test_things_lie_in_their_boxes_mirrored_or_not(place, tmp_path):
    """Where a thing's own colour shows is in its box."""
    telling = {
        "beach": lambda r, g, b: (r > 200) & (g < 110) & (b < 110),
        "slope": lambda r, g, b: (r > 200) & (g < 120) & (b < 80),
        "street": lambda r, g, b: (r < 60) & (g < 140) & (b > 170),
        "harbour": lambda r, g, b: (r > 140) & (g < 70) & (b < 70),
    }[place]
    groups = list(CONTEXTS).index(place) // 2 + 1
    made = datasets.scenes(tmp_path / "d", count=48, bias=1.0, groups=max(2, groups), size=96)
    regions = datasets.read_regions(made)
    rows = made.samples[made.samples["context"] == place]
    sides = set()
    for sample in rows.to_dict("records"):
        image = np.asarray(datasets.read_image(made.root / sample["image"])).astype(int)
        person = datasets.read_mask(made.root / sample["mask"], (96, 96))
        boxes = regions.loc[regions["id"] == sample["id"], list(SIDES)].to_numpy()
        colour = telling(*np.moveaxis(image, 2, 0)) & ~person
        assert colour.any() or place == "harbour"
        assert not (colour & ~box_mask(boxes, 96)).any()
        sides.add(bool(boxes[-1, 0] + boxes[-1, 2] > 1))
    assert sides == {True, False}


def test_a_thing_is_the_box_of_the_pixels_that_change():
    canvas = Canvas(Image.new("RGB", (100, 100)))
    with canvas.thing():
        canvas.box(0.2, 0.3, 0.39, 0.49, (255, 0, 0))
        canvas.oval(0.5, 0.5, 0.1, 0.1, (0, 255, 0))
    canvas.box(0, 0, 1, 1, (9, 9, 9))
    with canvas.thing():
        pass
    assert canvas.things == [(0.2, 0.3, pytest.approx(0.6, abs=0.02), pytest.approx(0.6, abs=0.02))]


BOX = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda p: p[0] < p[1])


@given(st.lists(st.tuples(BOX, BOX), max_size=3), st.integers(1, 9))
def test_box_mask_by_definition(boxes, size):
    expected = np.zeros((size, size), bool)
    for (left, right), (top, bottom) in boxes:
        x = [i for i in range(size) if left <= (i + 0.5) / size < right]
        y = [i for i in range(size) if top <= (i + 0.5) / size < bottom]
        x += [min(int((left + right) / 2 * size), size - 1)]
        y += [min(int((top + bottom) / 2 * size), size - 1)]
        expected[np.ix_(sorted(set(y)), sorted(set(x)))] = True
    mask = box_mask(np.array([(a, c, b, d) for (a, b), (c, d) in boxes]), size)
    assert (mask == expected).all()


@given(st.data(), st.floats(0, 1, exclude_max=True))
def test_elsewhere_against_all_shifts(data, draw):
    """Brute force: the moved mask is an allowed shift, and none where none reaches half."""
    height, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    bits = st.lists(st.sampled_from([0, 1, 2]), min_size=height * width, max_size=height * width)
    kinds = torch.tensor(data.draw(bits)).view(height, width)
    hidden, free = kinds == 1, kinds == 0
    moved = elsewhere(hidden[None], free[None], torch.tensor([draw]))[0]
    area = int(hidden.sum())
    shifts = {
        (y, x): hidden.roll((y, x), (0, 1)) & free for y in range(height) for x in range(width)
    }
    best = max(int(mask.sum()) for mask in shifts.values())
    if best < 0.5 * area or area == 0:
        assert not moved.any()
        return
    there = [key for key, mask in shifts.items() if torch.equal(mask, moved)]
    assert there
    assert int(moved.sum()) == best or moved.sum() >= 0.9 * area
    if best >= 0.9 * area:
        ys, xs = (torch.nonzero(hidden)[:, i] for i in (0, 1))
        kept = [
            (dy, dx)
            for dy in range(-height, height)
            for dx in range(-width, width)
            if ys.min() + dy >= 0 and ys.max() + dy < height
            if xs.min() + dx >= 0 and xs.max() + dx < width
            if shifts[dy % height, dx % width].sum() >= 0.9 * area
        ]
        if kept:
            assert any((dy % height, dx % width) in there for dy, dx in kept)


def test_every_place_elsewhere_is_equally_likely():
    hidden = torch.tensor([[1, 1, 0, 0, 0, 0, 0]]).bool()
    draws = (torch.arange(400) + 0.5) / 400
    moved = elsewhere(hidden.expand(400, 1, 7), ~hidden.expand(400, 1, 7), draws)
    assert moved.sum(dim=(0, 1)).tolist() == [0, 0, 100, 200, 200, 200, 100]


def test_hide_fills_with_what_stays_visible():
    images = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    hidden = torch.zeros(2, 1, 6, 6, dtype=torch.bool)
    hidden[0, :, :2] = True
    filled = datasets.hide(images, hidden)
    assert torch.equal(filled[1], images[1])
    assert torch.equal(filled[0, :, 2:], images[0, :, 2:])
    torch.testing.assert_close(filled[0, :, 0, 0], images[0, :, 2:].mean(dim=(1, 2)))
    assert torch.equal(datasets.hide(images, hidden.float()), filled)
    assert (datasets.hide(images, torch.ones(2, 1, 6, 6)) == 0.5).all()


@pytest.mark.parametrize(
    ("annotation", "box"),
    [
        ({"bbox": [2, 1, 4, 3]}, (0.25, 1 / 6, 0.75, 4 / 6)),
        ({"bbox": [-0.4, 0, 8.9, 6]}, (0, 0, 1, 1)),
        ({"bbox": [2, 1, 0, 3]}, None),
        ({"segmentation": [[2, 1, 6, 1, 6, 4, 2, 4]]}, (0.25, 1 / 6, 0.75, 4 / 6)),
        ({"segmentation": {"size": [6, 8], "counts": [3, 3, 42]}}, (0, 0.5, 0.125, 1)),
        ({"segmentation": {"size": [6, 8], "counts": [48]}}, None),
        ({"segmentation": []}, None),
        ({}, None),
    ],
)
def test_boxes_of_annotations(annotation, box):
    found = box_of("it", annotation, (8, 6))
    assert found == (None if box is None else pytest.approx(box))


@pytest.mark.parametrize(
    "box",
    [
        [1, 2, 3],
        "box",
        7,
        [1, 2, 3, "x"],
        [[1], 2, 3, 4],
        [4, 4, -2, 1],
        [0, 0, np.nan, 1],
        [True, 1, 2, 3],
        [10**400, 1, 2, 3],
    ],
)
def test_boxes_that_are_none(box):
    with pytest.raises(InputError, match=r"^it: bbox .* is not x, y, width, height$"):
        box_of("it", {"bbox": box}, (8, 6))


@pytest.mark.parametrize(
    ("box", "rest"),
    [
        ([0, 0, 80, 6], (0, 0, 1, 1)),
        ([-5, 0, 7, 3], (0, 0, 0.25, 0.5)),
        ([4, 4, 99, 1], (0.5, 4 / 6, 1, 5 / 6)),
        ([-5, 0, 3, 3], None),
        ([9.5, 0, 3, 3], None),
    ],
)
def test_boxes_are_cut_off_at_the_edge_of_the_image(box, rest):
    assert box_of("it", {"bbox": box}, (8, 6)) == (None if rest is None else pytest.approx(rest))
    assert leaves_image({"bbox": box}, (8, 6))
    assert not leaves_image({"bbox": [-0.5, 0, 9, 6]}, (8, 6))


def test_real_annotations(shared, tmp_path):
    source = shared / "data" / "coco-mini"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FairvisionWarning)
        made = datasets.from_coco(
            source / "instances.json", source / "captions.json", source / "images", tmp_path / "out"
        )
    regions = datasets.read_regions(made)
    instances = json.loads((source / "instances.json").read_text())
    names = {c["id"]: c["name"] for c in instances["categories"]}
    sizes = {i["id"]: (i["width"], i["height"]) for i in instances["images"]}
    expected = []
    for annotation in instances["annotations"]:
        name = names[annotation["category_id"]]
        (x, y, wide, high), (width, height) = annotation["bbox"], sizes[annotation["image_id"]]
        if name != "person":
            box = (x / width, y / height, (x + wide) / width, (y + high) / height)
            expected.append((str(annotation["image_id"]), name, *np.clip(box, 0, 1)))
    assert len(regions) == len(expected) > 300
    for found, (identity, name, *box) in zip(regions.itertuples(index=False), expected):
        assert (found.id, found.label) == (identity, name)
        np.testing.assert_allclose(found[3:], box, atol=1e-12)
    shown = made.samples.set_index("id")["objects"]
    assert all(r.label in shown[r.id] for r in regions.itertuples())
