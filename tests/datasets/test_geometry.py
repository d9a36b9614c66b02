"""How images become squares: whole or the middle, and masks, boxes and maps with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torchvision.transforms import v2

from fairvision import datasets
from fairvision.datasets.geometry import Geometry, as_geometry, place, seen_part, seen_regions
from fairvision.datasets.pixels import CachedPixels, StreamedPixels
from fairvision.errors import InputError

SIZES = [(640, 480), (480, 640), (333, 500), (97, 61), (256, 256), (1024, 300)]


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("interpolation", "mode"),
    [("bilinear", v2.InterpolationMode.BILINEAR), ("bicubic", v2.InterpolationMode.BICUBIC)],
)
def test_the_middle_is_that_of_torchvision(size, interpolation, mode):
    image = noise(size)
    peer = v2.Compose([v2.Resize(64, mode), v2.CenterCrop(48)])(image)
    ours = Geometry(48, shorter=64, interpolation=interpolation).image(image)
    assert np.array_equal(ours, np.asarray(peer))


@pytest.mark.parametrize("size", SIZES)
def test_whole_images_by_other_interpolations_are_pillows(size):
    image = noise(size)
    ours = Geometry(32, interpolation="bicubic").image(image)
    assert np.array_equal(ours, np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("size", SIZES)
def test_exact_is_pillows(size):
    image = noise(size)
    ours = Geometry(8, exact=True).image(image)
    assert np.array_equal(ours, np.asarray(image.resize((8, 8), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize("size", SIZES)
def test_mask_window_and_image_show_the_same_place(size):
    width, height = size
    geometry = Geometry(48, shorter=64)
    mask = np.zeros((height, width), bool)
    mask[height // 3 : height // 2, width // 3 : width // 2] = True
    drawn = geometry.image(Image.fromarray(np.repeat(mask[..., None], 3, 2).astype(np.uint8) * 255))
    inside = geometry.mask(mask) > 0
    assert (inside != (drawn[..., 0] >= 128)).mean() < 0.01
    box = np.array([width // 3, height // 3, width // 2, height // 2], float)
    box /= [width, height, width, height]
    left, top, right, bottom = geometry.window(size)
    expected = [
        (box[0] - left) / (right - left),
        (box[1] - top) / (bottom - top),
        (box[2] - left) / (right - left),
        (box[3] - top) / (bottom - top),
    ]
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert np.abs(np.array(seen) / 48 - np.clip(expected, 0, 1)).max() <= 1.5 / 48


def test_what_is_cut_away_is_no_mask():
    mask = np.zeros((64, 256), bool)
    mask[:, :32] = True
    assert Geometry(32, shorter=32).mask(mask).sum() == 0


def test_maps_lie_on_what_was_seen():
    geometry = Geometry(48, shorter=64)
    values = np.ones((48, 48), np.float32)
    laid = place(values, geometry.window((640, 480)), (640, 480))
    assert laid.shape == (480, 640)
    assert laid.mean() == pytest.approx(360 * 360 / (640 * 480), rel=0.01)
    assert seen_part(noise((640, 480)), geometry).size == pytest.approx((360, 360), abs=1)
    assert seen_part(noise((640, 480)), Geometry(48)).size == (640, 480)


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> datasets.Dataset:
    monkeypatch.setenv("FAIRVISION_CACHE", str(tmp_path / "cache"))
    return datasets.scenes(tmp_path / "drawn", count=12, bias=0.5, size=40)


def test_regions_are_told_of_what_is_seen(drawn):
    first = drawn.samples.iloc[0]
    rows = [
        (first["id"], "context", first["context"], 0.0, 0.0, 0.05, 0.05),
        (first["id"], "context", first["context"], 0.5, 0.1, 1.0, 0.5),
        ("elsewhere", "context", first["context"], 0.5, 0.1, 1.0, 0.5),
    ]
    regions = pd.DataFrame(rows, columns=["id", "task", "label", "left", "top", "right", "bottom"])
    assert seen_regions(regions, drawn, Geometry(20)) is regions
    seen = seen_regions(regions, drawn, Geometry(32, shorter=40))  # a tenth is cut from each side
    assert len(seen) == 1
    assert seen[["left", "top", "right", "bottom"]].iloc[0].tolist() == pytest.approx(
        [0.5, 0.0, 1.0, 0.5]
    )


def test_geometries_have_caches_of_their_own(drawn):
    middle, whole = Geometry(32, shorter=40), Geometry(32)
    opened = [datasets.open_pixels(drawn, how) for how in (middle, whole, middle)]
    assert all(isinstance(pixels, CachedPixels) for pixels in opened)
    assert not np.array_equal(opened[0].images, opened[1].images)
    assert np.array_equal(opened[0].images, opened[2].images)
    taken = StreamedPixels(drawn, middle).take(np.arange(len(drawn)))
    assert np.array_equal(taken.images, opened[0].images)
    assert np.array_equal(taken.masks, opened[0].masks)


def test_what_makes_no_square_is_refused():
    assert as_geometry(32) == Geometry(32)
    for wrong in ({"size": 0}, {"size": 32, "shorter": 31}, {"size": 32, "interpolation": "magic"}):
        with pytest.raises(InputError):
            Geometry(**wrong)
