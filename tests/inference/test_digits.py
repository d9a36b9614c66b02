from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fairvision.datasets import read_image
from fairvision.errors import InputError
from fairvision.inference.digits import (
    LIST,
    is_prepared,
    prepare_digit,
    stroke_width,
    write_prepared,
)


def seven(paper="white", ink="black", size=(120, 160), at=(0, 0), width=10) -> Image.Image:
    image = Image.new("RGB", size, paper)
    points = [(x + at[0], y + at[1]) for x, y in [(30, 40), (80, 40), (50, 120)]]
    ImageDraw.Draw(image).line(points, fill=ink, width=width)
    return image


def shown(image: Image.Image) -> np.ndarray:
    return np.asarray(prepare_digit(image), float)


def test_layout_is_that_of_mnist():
    prepared = prepare_digit(seven())
    assert (prepared.mode, prepared.size) == ("L", (28, 28))
    pixels = np.asarray(prepared, float)
    rows, columns = np.nonzero(pixels)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    for where in (rows, columns):
        centre = (where * pixels[rows, columns]).sum() / pixels.sum()
        assert centre == pytest.approx(13.5, abs=0.75)
    assert pixels.max() == 255
    assert is_prepared(prepared)


@pytest.mark.parametrize(
    ("paper", "ink"),
    [("black", "white"), ("ivory", "navy"), ("teal", "orange"), ((90, 90, 90), (60, 60, 60))],
)
def test_colours_do_not_matter(paper, ink):
    np.testing.assert_allclose(shown(seven(paper, ink)), shown(seven()), atol=4)


def test_place_and_size_do_not_matter():
    usual = shown(seven())
    np.testing.assert_array_equal(shown(seven(size=(300, 200), at=(150, 30))), usual)
    large = seven().resize((1200, 1600), Image.Resampling.NEAREST)
    assert np.abs(shown(large) - usual).mean() < 6


def test_thin_strokes_are_thickened_and_thick_ones_are_not_thinned():
    def width(stroke):
        return stroke_width(shown(seven(width=stroke)) / 255)

    thin, usual, thick = width(2), width(12), width(24)
    assert thin == pytest.approx(2.4, abs=0.4)
    assert thin < usual + 0.2 < thick


def test_shadow_and_specks_do_not_matter():
    paper = seven((240, 235, 225), (40, 40, 60))
    pixels = np.asarray(paper, float)
    shade = np.linspace(1, 0.5, pixels.shape[1])[None, :, None]
    noise = np.random.default_rng(0).normal(0, 3, pixels.shape)
    pixels = pixels * shade + noise
    pixels[140:143, 100:103] = 20
    photograph = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    difference = np.abs(shown(photograph) - shown(seven()))
    assert difference.mean() < 8


def test_prepared_twice_is_prepared_once():
    once = prepare_digit(seven("grey", "yellow"))
    np.testing.assert_array_equal(shown(once.convert("RGB")), np.asarray(once))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (28, 28), (700, 400)])
def test_without_ink_it_is_black(size):
    assert not shown(Image.new("RGB", size, "pink")).any()


@pytest.mark.filterwarnings("error")
def test_any_image_gives_some_image():
    rng = np.random.default_rng(0)
    for size in [(1, 2), (3, 3), (28, 28), (50, 9)]:
        noise = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        assert prepare_digit(Image.fromarray(noise)).size == (28, 28)


@pytest.mark.parametrize("kind", ["colour", "moved", "large"])
def test_what_is_not_laid_out_like_mnist_is_prepared(kind):
    field = np.zeros((28, 28, 3), np.uint8)
    field[4:24, 12:16] = 255
    assert is_prepared(Image.fromarray(field))
    if kind == "colour":
        field[4:24, 12:16, 0] = 0
    elif kind == "moved":
        field = np.roll(field, 5, axis=1)
    else:
        field[2:26, 12:16] = 255
    assert not is_prepared(Image.fromarray(field))


def test_mnist_stays_what_it_is(shared):
    with gzip.open(shared / "data" / "mnist" / "t10k-images-idx3-ubyte.gz") as packed:
        packed.seek(16)
        digits = np.frombuffer(packed.read(2000 * 28 * 28), np.uint8).reshape(-1, 28, 28)
    assert all(is_prepared(Image.fromarray(digit)) for digit in digits)


def test_real_digits_have_ink_in_the_middle_and_black_around(shared):
    for path in sorted((shared / "data" / "digits-own").glob("*.png")):
        pixels = shown(read_image(path))
        inked = (pixels > 100).mean()
        assert 0.03 < inked < 0.3, path
        edge = np.concatenate([pixels[[0, 1, -2, -1]].ravel(), pixels[:, [0, 1, -2, -1]].ravel()])
        assert (edge > 0).mean() < 0.1, path


def test_write_prepared(tmp_path):
    files = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"]
    for file in files:
        file.parent.mkdir()
        seven().save(file)
    write_prepared(files, tmp_path / "out")
    with (tmp_path / "out" / LIST).open() as table:
        rows = list(csv.DictReader(table))
    assert [row["image"] for row in rows] == list(map(str, files))
    for row in rows:
        with Image.open(tmp_path / "out" / row["prepared"]) as written:
            np.testing.assert_array_equal(np.asarray(written), shown(seven()))
    with pytest.raises(InputError, match="not empty"):
        write_prepared(files, tmp_path / "out")
    write_prepared(files[:1], tmp_path / "out", overwrite=True)
    assert len(list((tmp_path / "out").iterdir())) == 2
    files[1].write_text("not a picture")
    with pytest.raises(InputError, match="not a picture"):
        write_prepared(files, tmp_path / "new")
    assert not (tmp_path / "new").exists()
