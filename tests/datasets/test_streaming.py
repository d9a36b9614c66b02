"""Pixels from their files are those of the cache, bit for bit, in the order asked for."""

import shutil
import threading
import time

import numpy as np
import pytest
from PIL import Image

from fairvision import datasets
from fairvision.datasets import open_pixels
from fairvision.datasets.images import image_size, read_image
from fairvision.datasets.pixels import CachedPixels, StreamedPixels, resize
from fairvision.errors import InputError


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRVISION_CACHE", str(tmp_path / "cache"))
    made = datasets.scenes(tmp_path / "drawn", count=24, bias=0.5, size=24)
    samples = made.samples.copy()
    samples.loc[[0, 7], "mask"] = None
    return datasets.Dataset(made.root, "drawn", made.attributes, made.tasks, samples)


def photographs(folder, monkeypatch):
    """JPEGs large enough to be decoded at a part of their size, one of them on its side."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows = []
    for i in range(4):
        exif = Image.Exif()
        if i == 1:
            exif[0x0112] = 6
        coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8))
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{i}.jpg", exif=exif)
        mask = np.zeros((640, 480) if i == 1 else (480, 640), bool)
        mask[100:200, 100:300] = True
        Image.fromarray(mask).save(folder / f"{i}.png")
        rows.append(f"{i}.jpg,{i}.png,{'ab'[i % 2]}")
    (folder / "t.csv").write_text("\n".join(["image,mask,group", *rows]))
    return datasets.from_table(folder / "t.csv", folder / "data", attributes=["group"])


def test_streamed_they_are_those_of_the_cache(drawn):
    streamed = open_pixels(drawn, 20, cache="never", workers=3)
    assert isinstance(streamed, StreamedPixels)
    cached = open_pixels(drawn, 20, cache="always")
    assert isinstance(cached, CachedPixels)
    order = np.random.default_rng(1).permutation(24)
    pieces = [order[:5], order[5:6], order[6:20], order[20:]]
    for one, other in zip(streamed.each(pieces), cached.each(pieces), strict=True):
        for a, b in zip(one, other):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)
    assert np.array_equal(streamed.has_mask, cached.has_mask)
    assert not streamed.has_mask[[0, 7]].any()
    # what is there is used, whatever is asked for
    assert isinstance(open_pixels(drawn, 20, cache="never"), CachedPixels)


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_large_photographs_are_decoded_to_size(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRVISION_CACHE", str(tmp_path / "cache"))
    data = photographs(tmp_path / "photographs", monkeypatch)
    assert data.size is None
    path = data.root / data.samples["image"][1]
    assert image_size(path) == read_image(path).size == (480, 640)
    assert read_image(path, least=3 * 32).size == (120, 160)  # at least 3 · 32 on both sides
    assert read_image(path, least=3 * 200).size == (480, 640)
    pixels = open_pixels(data, 32)
    for row in range(4):
        whole = resize(read_image(data.root / data.samples["image"][row]), 32)
        assert np.abs(pixels.images[row].astype(int) - whole).max() <= 6
    assert pixels.has_mask.all()


def test_auto_keeps_what_takes_at_most_half_of_what_is_free(drawn, monkeypatch, capfd):
    needed = 4 * 20 * 20 * len(drawn)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * needed - 1))
    assert isinstance(open_pixels(drawn, 20, quiet=False), StreamedPixels)
    assert "they are decoded whenever they are needed" in capfd.readouterr().err
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(InputError, match=r"24 decoded pictures take .* GB are free at"):
        open_pixels(drawn, 20, cache="always")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * needed))
    assert isinstance(open_pixels(drawn, 20), CachedPixels)
    with pytest.raises(InputError, match="cache 'some' is not one of auto, always, never"):
        open_pixels(drawn, 20, cache="some")


def test_no_more_is_decoded_ahead_than_a_batch(drawn, monkeypatch):
    streamed, seen = StreamedPixels(drawn, 8, workers=1), []
    real = type(streamed._decoder).into
    monkeypatch.setattr(
        type(streamed._decoder),
        "into",
        lambda self, row, image, mask: (seen.append(row), real(self, row, image, mask))[1],
    )
    pieces = np.arange(24).reshape(6, 4)
    served = streamed.each(pieces)
    next(served)
    time.sleep(0.3)
    assert seen == list(range(8))
    served.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def test_a_image_that_cannot_be_read_is_named(drawn):
    path = drawn.root / drawn.samples["image"][5]
    path.write_bytes(path.read_bytes()[:100])
    streamed = StreamedPixels(drawn, 8)
    with pytest.raises(InputError, match=rf"truncated or damaged .*sample '{drawn.samples.id[5]}'"):
        list(streamed.each([np.arange(4), np.arange(4, 8), np.arange(8, 24)]))


def test_sources_say_the_size_that_their_images_have(tmp_path, drawn):
    assert datasets.load(drawn.root).size == (24, 24)
    drawn.samples["image"].map(lambda name: str(drawn.root / name)).to_frame().assign(
        group=["a", "b"] * 12
    ).to_csv(tmp_path / "t.csv", index=False)
    same = datasets.from_table(tmp_path / "t.csv", tmp_path / "same", attributes=["group"])
    assert same.size == (24, 24)
    Image.new("RGB", (9, 9)).save(drawn.root / drawn.samples["image"][0])
    other = datasets.from_table(tmp_path / "t.csv", tmp_path / "other", attributes=["group"])
    assert other.size is None
