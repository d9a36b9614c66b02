"""Drawn scenes: the stated bias, exact masks, and nothing else that tells the group."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision.datasets import read_image, read_mask, scenes
from fairvision.datasets.readers.scene_drawing import CONTEXTS, PATTERNS
from fairvision.datasets.readers.scenes import draw_scene
from fairvision.errors import InputError


def digest(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return [(str(p.relative_to(folder)), hashlib.sha256(p.read_bytes()).digest()) for p in files]


@pytest.mark.parametrize(("groups", "bias"), [(2, 0.9), (3, 1 / 3), (6, 1.0), (2, 0.0)])
def test_the_bias_is_as_stated_in_every_split(tmp_path, groups, bias):
    drawn = scenes(tmp_path / "drawn", count=40 * groups, bias=bias, groups=groups, size=16)
    assert len(drawn.attributes["shirt"]) == groups
    assert len(drawn.tasks["context"].labels) == 2 * groups
    for split, share in {"train": 0.7, "val": 0.1, "test": 0.2}.items():
        part = drawn.split(split)
        shirts, places = part.codes("shirt"), part.targets("context")
        n = round(40 * share)
        assert np.bincount(shirts, minlength=groups).tolist() == [n] * groups
        for group in range(groups):
            typical = (places[shirts == group] // 2 == group).sum()
            assert abs(typical - bias * n) <= 1
            each = np.bincount(places[shirts == group], minlength=2 * groups)
            own = np.arange(2 * groups) // 2 == group
            assert np.ptp(each[own]) <= 1
            assert np.ptp(each[~own]) <= 1


def test_same_seed_same_bytes(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        scenes(tmp_path / name, count=12, bias=0.7, groups=2, seed=seed, size=32)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a") != digest(tmp_path / "c")


def test_images_and_masks(tmp_path):
    drawn = scenes(tmp_path / "drawn", count=12, bias=0.7, size=40)
    for row in drawn.samples.to_dict("records"):
        with Image.open(drawn.root / row["mask"]) as mask:
            assert mask.mode == "1"
        image = read_image(drawn.root / row["image"])
        assert image.size == (40, 40)
        assert 0.08 < read_mask(drawn.root / row["mask"], image.size).mean() < 0.5


@pytest.mark.parametrize("seed", range(8))
def test_the_mask_is_exact_and_does_not_tell_the_group(seed):
    drawn = {
        (shirt, place): [np.asarray(x) for x in draw_scene(shirt, place, 48, str(seed))]
        for shirt in PATTERNS
        for place in CONTEXTS
    }
    mask = drawn["striped", "desk"][1]
    for (shirt, place), (image, its_mask) in drawn.items():
        assert (its_mask == mask).all()
        assert (image[~mask] == drawn["striped", place][0][~mask]).all()
        assert (image[mask] == drawn[shirt, "desk"][0][mask]).all()


def test_the_colours_of_the_person_do_not_tell_the_group():
    rows = []
    for shirt in PATTERNS:
        for seed in range(150):
            image, mask = map(np.asarray, draw_scene(shirt, "desk", 32, f"{shirt}{seed}"))
            rows.append((shirt, *image[mask].mean(axis=0)))
    colours = pd.DataFrame(rows).groupby(0)
    between = colours.mean().var()
    expected = (colours.var() / colours.size().iloc[0]).mean()
    # F test of 5 and 894 degrees of freedom: above 3.0 with probability 1%
    assert (between / expected < 3.0).all()


def test_every_pattern_shows_both_colours_alike():
    x, y = np.meshgrid(np.linspace(-1.4, 1.4, 281), np.linspace(-1.6, 1.6, 321))
    for name, pattern in PATTERNS.items():
        assert pattern(x, y).mean() == pytest.approx(0.5, abs=0.06), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 1}, "choose 2 to 6"),
        ({"groups": 7}, "choose 2 to 6"),
        ({"bias": 1.2}, "bias 1.2 is not a share"),
        ({"bias": float("nan")}, "not a share"),
        ({"count": 5}, "too few for 2 groups in three splits: draw at least 6"),
        ({"count": 10**30}, "too many: draw at most 100,000,000"),
        ({"size": 8}, "choose 16 to 1024"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "sum must be below 1"),
    ],
)
def test_arguments_out_of_range(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        scenes(tmp_path / "drawn", **({"count": 20, "bias": 0.8, "groups": 2} | change))
    assert not (tmp_path / "drawn").exists()


def test_a_full_folder_is_not_overwritten(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        scenes(tmp_path, count=12, bias=0.5)
    with pytest.raises(InputError, match=r"holds no dataset\.json"):
        scenes(tmp_path, count=12, bias=0.5, overwrite=True)
    scenes(tmp_path / "drawn", count=12, bias=0.5, size=16)
    assert len(scenes(tmp_path / "drawn", count=6, bias=0.5, size=16, overwrite=True)) == 6
