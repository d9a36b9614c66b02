"""The cache: decoded once, whole or not at all, made anew when the files change."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairvision import datasets
from fairvision.datasets import batches, open_pixels
from fairvision.datasets.batching import HeldPixels, hold
from fairvision.datasets.geometry import Geometry
from fairvision.errors import FairvisionWarning, InputError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRVISION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def toy(tmp_path, cache):
    """Five images; the first has no mask, the second an empty one."""
    folder = tmp_path / "toy"
    folder.mkdir()
    rows = []
    rng = np.random.default_rng(0)
    for i in range(5):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(folder / f"{i}.png")
        if i:
            mask = np.zeros((16, 16), bool)
            mask[4:8, 4:8] = i > 1
            Image.fromarray(mask).save(folder / f"m{i}.png")
        group = ["x", "y", ""][i % 3]
        rows.append((str(i), f"{i}.png", f"m{i}.png" if i else "", "train", group))
    columns = ["id", "image", "mask", "split", "group"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "samples.csv", index=False)
    settings = {"name": "toy", "attributes": {"group": ["x", "y"]}}
    (folder / "dataset.json").write_text(json.dumps(settings))
    return datasets.load(folder)


def test_pixels_are_the_files(toy):
    pixels = open_pixels(toy, 16)
    for row, name in enumerate(toy.samples["image"]):
        assert (pixels.images[row] == np.asarray(Image.open(toy.root / name))).all()
    assert pixels.has_mask.tolist() == [False, False, True, True, True]
    assert pixels.masks[2].sum() == 16
    assert not pixels.images.flags.writeable


def test_decoded_once_until_a_file_changes(toy, cache, monkeypatch):
    first = open_pixels(toy, 8)
    monkeypatch.setattr("fairvision.datasets.geometry.read_image", None)
    again = open_pixels(toy, 8)
    assert (again.images == first.images).all()
    monkeypatch.undo()
    monkeypatch.setenv("FAIRVISION_CACHE", str(cache))
    Image.new("RGB", (16, 16), "red").save(toy.root / "0.png")
    assert (open_pixels(toy, 8).images[0] == [255, 0, 0]).all()
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("break_it", ["missing", "truncated", "mask size"])
def test_nothing_is_left_of_a_failed_build(toy, cache, break_it):
    path = toy.root / "3.png"
    if break_it == "missing":
        path.unlink()
    elif break_it == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    else:
        Image.new("L", (4, 4)).save(toy.root / "m3.png")
    with pytest.raises(InputError, match="sample '3'"):
        open_pixels(toy, 8)
    assert not cache.exists() or not list(cache.iterdir())


def test_no_mask_vanishes_by_shrinking():
    mask = np.zeros((64, 64), bool)
    mask[3, 5] = True
    assert Geometry(8).mask(mask).sum() == 1
    assert Geometry(8).mask(np.zeros((64, 64), bool)).sum() == 0


def test_batches_follow_the_order(toy):
    pixels = open_pixels(toy, 8)
    order = np.array([4, 0, 2, 1, 3])
    served = list(batches(toy, pixels, 2, order=order))
    assert [len(b.rows) for b in served] == [2, 2, 1]
    assert np.concatenate([b.rows for b in served]).tolist() == order.tolist()
    first = served[0]
    assert first.images.shape == (2, 3, 8, 8)
    assert np.allclose(first.images[0].permute(1, 2, 0).numpy() * 255, pixels.images[4])
    assert first.masks.shape == (2, 1, 8, 8)
    assert first.has_mask.tolist() == [True, False]
    assert first.attributes["group"].tolist() == [1, 0]
    assert served[1].attributes["group"].tolist() == [-1, 1]


def test_held_on_a_device_they_are_the_same(toy):
    pixels = open_pixels(toy, 8)
    order = np.array([4, 0, 2])
    for one, other in zip(
        batches(toy, pixels, 2, order=order),
        batches(toy, HeldPixels(pixels, "cpu"), 2, order=order),
    ):
        for name in ("images", "masks", "has_mask"):
            assert torch.equal(getattr(one, name), getattr(other, name))
    assert hold(pixels, torch.device("cpu")) is pixels


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "has_mask.npy"])
@pytest.mark.parametrize("damage", ["removed", "cut", "text", "fewer rows", "other type", "huge"])
def test_a_damaged_cache_is_made_again(toy, cache, name, damage):
    whole = np.array(open_pixels(toy, 8).images)
    (path,) = cache.glob(f"*/{name}")
    array = np.load(path)
    if damage == "removed":
        path.unlink()
    elif damage == "cut":
        os.truncate(path, path.stat().st_size // 2)
    elif damage == "text":
        path.write_text("no array")
    elif damage == "huge":
        content = path.read_bytes()
        path.write_bytes(content.replace(b"(5,", b"(5000000000,"))
    else:
        np.save(path, array[:3] if damage == "fewer rows" else array.astype(np.float32))
    with pytest.warns(FairvisionWarning, match=f"damaged.*{name}.*decoded again"):
        assert (open_pixels(toy, 8).images == whole).all()
    assert (open_pixels(toy, 8).images == whole).all()
    assert len(list(cache.iterdir())) == 1


@pytest.fixture
def unwritable(monkeypatch):
    """A cache below a file: no folder can be made there, whoever asks."""
    monkeypatch.setenv("FAIRVISION_CACHE", f"{Path(__file__).resolve()}/cache")


def test_a_cache_that_cannot_be_written_is_passed_over(toy, unwritable):
    with pytest.warns(FairvisionWarning, match="FAIRVISION_CACHE names another folder"):
        pixels = open_pixels(toy, 8)
    assert pixels.take(np.arange(5)).images.shape == (5, 8, 8, 3)
    with pytest.raises(InputError, match="--cache never"):
        open_pixels(toy, 8, cache="always")


def test_a_home_of_nobody_is_passed_over(toy, monkeypatch, tmp_path):
    monkeypatch.setenv("FAIRVISION_CACHE", "~nobody-of-this-name/cache")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    open_pixels(toy, 8)
    assert (tmp_path / "temporary" / "fairvision").is_dir()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system reserves no room")
def test_a_full_disk_is_noticed_before_images_are_written(toy, cache, monkeypatch):
    def full(*arguments: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.warns(FairvisionWarning, match="No space left"):
        open_pixels(toy, 8)
    assert not list(cache.iterdir())
