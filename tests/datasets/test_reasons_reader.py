"""Worlds of known reasons: the cause decides, alone; and each image can be drawn otherwise."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from fairvision import datasets
from fairvision.datasets import caused_group, read_image, read_mask, read_regions, reasons, redraw
from fairvision.datasets.readers.reasons import CAUSES, GROUPS
from fairvision.datasets.readers.scene_drawing import CONTEXTS, PATTERNS
from fairvision.errors import InputError

ALONE = {
    "person": ["shirt"],
    "surroundings": ["context"],
    "either": ["shirt", "context"],
    "object": ["object"],
    "watermark": ["watermark"],
}


def digest(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return [(str(p.relative_to(folder)), hashlib.sha256(p.read_bytes()).digest()) for p in files]


def group_by_part(row, part):
    """The group that a shirt, a place, an object or a mark stands for."""
    from fairvision.datasets.readers.scene_extras import MARKS, THINGS

    names = {"shirt": PATTERNS, "context": CONTEXTS, "object": THINGS, "watermark": MARKS}[part]
    return GROUPS[list(names).index(row[part]) // (2 if part == "context" else 1)]


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("groups", [2, 3])
def test_the_cause_decides_in_every_split_and_groups_are_even(tmp_path, cause, groups):
    drawn = reasons(tmp_path / "d", cause=cause, count=60 * groups, groups=groups, size=16)
    assert drawn.attributes == {"group": GROUPS[:groups]}
    for split, n in {"train": 42, "val": 6, "test": 12}.items():
        part = drawn.split(split)
        assert np.bincount(part.codes("group")).tolist() == [n] * groups
    for row in drawn.samples.to_dict("records"):
        assert caused_group(cause, row) == row["group"]
        for part in ALONE.get(cause, []):
            assert group_by_part(row, part) == row["group"]


@pytest.mark.parametrize(
    ("cause", "independent"),
    [
        ("person", ["context"]),
        ("surroundings", ["shirt"]),
        ("object", ["shirt", "context"]),
        ("watermark", ["shirt", "context"]),
    ],
)
def test_what_does_not_decide_is_independent(tmp_path, cause, independent):
    drawn = reasons(tmp_path / "d", cause=cause, count=480, groups=3, size=16)
    for part in independent:
        counts = pd.crosstab(drawn.samples["group"], drawn.samples[part]).to_numpy()
        # each split deals what there is as evenly as it can, up to one for each of them
        assert np.ptp(counts, axis=0).max() <= 12
        assert abs(counts - counts.mean()).max() <= 12


def test_both_together_and_neither_alone(tmp_path):
    drawn = reasons(tmp_path / "d", cause="both", count=300, groups=3, size=16)
    for row in drawn.samples.to_dict("records"):
        shirt, place = group_by_part(row, "shirt"), group_by_part(row, "context")
        assert row["group"] == (shirt if shirt == place else "first")
    first = drawn.samples[drawn.samples["group"] == "first"]
    assert set(first["shirt"]) == {"striped", "dotted", "checked"}
    assert set(first["context"]) == set(list(CONTEXTS)[:6])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_a_mixture_is_as_stated(tmp_path, share):
    drawn = reasons(tmp_path / "d", cause="mixture", share=share, count=400, size=16)
    for split in datasets.SPLITS:
        part = drawn.split(split).samples
        for _, of_group in part.groupby("group"):
            by_person = (of_group["decider"] == "person").sum()
            assert abs(by_person - share * len(of_group)) <= 1
    for row in drawn.samples.to_dict("records"):
        part = {"person": "shirt", "surroundings": "context"}[row["decider"]]
        assert group_by_part(row, part) == row["group"]


def test_same_seed_same_bytes(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        reasons(tmp_path / name, cause="mixture", count=12, seed=seed, size=24)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a") != digest(tmp_path / "c")


@pytest.mark.parametrize("cause", CAUSES)
def test_an_image_is_drawn_again_bit_for_bit_and_only_what_is_asked_changes(tmp_path, cause):
    drawn = reasons(tmp_path / "d", cause=cause, count=12, groups=3, size=40, seed=1)
    for row in drawn.samples.to_dict("records"):
        image, mask = redraw(row, 40)
        pixels, person = np.asarray(image), np.asarray(mask)
        assert (pixels == np.asarray(read_image(drawn.root / row["image"]))).all()
        assert (person == read_mask(drawn.root / row["mask"], (40, 40))).all()
        for part in {"context", "object", "watermark"} & set(row):
            other = next(v for v in drawn.tasks[part].labels if v != row[part])
            changed, same = (np.asarray(x) for x in redraw(row, 40, **{part: other}))
            assert (same == person).all()
            assert (changed[person] == pixels[person]).all()
            assert (changed[~person] != pixels[~person]).any()
        shirt = next(v for v in PATTERNS if v != row["shirt"])
        changed, same = (np.asarray(x) for x in redraw(row, 40, shirt=shirt))
        assert (same == person).all()
        assert (changed[~person] == pixels[~person]).all()
        assert (changed != pixels).any()


@pytest.mark.parametrize("part", ["object", "watermark"])
def test_the_cause_lies_in_its_box_off_the_person(tmp_path, part):
    drawn = reasons(tmp_path / "d", cause=part, count=12, size=48)
    boxes = read_regions(drawn)
    for row in drawn.samples.to_dict("records"):
        box = boxes[(boxes["id"] == row["id"]) & (boxes["task"] == part)]
        assert box["label"].tolist() == [row[part]]
        other = next(v for v in drawn.tasks[part].labels if v != row[part])
        before, after = (np.asarray(redraw(row, 48, **c)[0]) for c in ({}, {part: other}))
        rows, columns = np.nonzero((before != after).any(axis=2))
        # boxes are those of what is drawn now, so what is drawn otherwise may be a bit larger
        assert rows.min() >= 48 * box["top"].item() - 3
        assert columns.max() <= 48 * box["right"].item() + 3
        assert not np.asarray(redraw(row, 48)[1])[rows, columns].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cause": "weather"}, "no cause 'weather': choose one of person, surroundings, either"),
        ({"share": 0.5}, "only a mixture has a share, and the cause is person"),
        ({"cause": "mixture", "share": 1.5}, "share 1.5 is not a share"),
        ({"cause": "mixture", "share": float("nan")}, "is not a share"),
        ({"groups": 7}, "choose 2 to 6"),
        ({"count": 5}, "too few"),
        ({"size": 8}, "choose 16 to 1024"),
    ],
)
def test_arguments_out_of_range(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        reasons(tmp_path / "drawn", **({"cause": "person", "count": 20} | change))
    assert not (tmp_path / "drawn").exists()


def test_what_cannot_be_redrawn_is_refused():
    row = {"id": "0-000000", "shirt": "dotted", "context": "desk"}
    with pytest.raises(InputError, match="context 'moon' cannot be drawn here: choose desk,"):
        redraw(row, 16, context="moon")
    with pytest.raises(InputError, match="the scene has no 'object' that could be changed"):
        redraw(row, 16, object="kite")


def test_a_world_of_either_has_no_group_where_they_disagree():
    assert caused_group("either", {"shirt": "dotted", "context": "desk"}) is None


def test_the_command(run_cli, tmp_path):
    asked = ["--cause", "mixture", "--share", 0.25, "--count", 24, "--groups", 3, "--size", 16]
    made = run_cli("data", "reasons", tmp_path / "a", *asked, "--seed", 5)
    assert (made.code, made.err) == (0, "")
    assert "24 pictures (" in made.out
    options = {"cause": "mixture", "share": 0.25, "count": 24, "groups": 3, "size": 16, "seed": 5}
    again = reasons(tmp_path / "b", **options)
    pd.testing.assert_frame_equal(datasets.load(tmp_path / "a").samples, again.samples)
    refused = run_cli("data", "reasons", tmp_path / "c", "--cause", "weather")
    assert refused.code == 2
    assert len(refused.err.strip().splitlines()) == 1
