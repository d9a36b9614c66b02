"""Images of every kind come out as upright RGB; what cannot be read is named."""

import contextlib
import io
import os
import struct
import warnings
import zlib

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from fairvision.datasets import read_image, read_mask
from fairvision.datasets.images import image_size
from fairvision.errors import FairvisionWarning, InputError

GREY = np.linspace(0, 255, 12).astype(np.uint8).reshape(3, 4)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "I;16", "F"]
)
def test_every_mode_becomes_the_same_grey(tmp_path, mode):
    if mode == "I;16":
        image = Image.fromarray(GREY.astype(np.uint16) * 257)
        expected = GREY
    elif mode == "1":
        image = Image.fromarray(GREY > 127)
        expected = np.where(GREY > 127, 255, 0)
    elif mode == "HSV":
        image = Image.fromarray(np.stack([0 * GREY, 0 * GREY, GREY], -1), mode="HSV").convert("RGB")
        expected = GREY
    else:
        image = Image.fromarray(GREY).convert("RGB" if mode == "CMYK" else "L").convert(mode)
        expected = GREY
    if mode == "YCbCr" and int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("Pillow before 13 does not read the TIFFs in YCbCr that it writes")
    path = tmp_path / ("picture.tif" if mode in ("CMYK", "YCbCr", "F", "I") else "picture.png")
    image.save(path)
    read = read_image(path)
    assert read.mode == "RGB"
    assert np.abs(np.asarray(read).astype(int) - expected[..., None]).max() <= 1


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg")
    red = np.asarray(read_image(tmp_path / "red.jpg"))[8, 8].astype(int)
    assert red[0] > 200
    assert red[1:].max() < 60


def test_transparent_is_white(tmp_path):
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert np.asarray(read_image(tmp_path / "clear.png")).min() == 255


def test_exif_rotation_is_applied(tmp_path):
    wide = Image.new("RGB", (40, 20), "white")
    exif = Image.Exif()
    exif[0x0112] = 6
    wide.save(tmp_path / "rotated.jpg", exif=exif)
    assert read_image(tmp_path / "rotated.jpg").size == (20, 40)


def test_what_is_not_a_image_is_named(tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty.jpg").write_bytes(b"")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for kind in ("jpg", "png"):
        path = tmp_path / f"half.{kind}"
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    cases = {
        "gone.jpg": "is missing",
        "text.jpg": "not a picture",
        "empty.jpg": "not a picture",
        "half.jpg": "truncated",
        "half.png": "truncated",
        ".": "is a folder",
    }
    for name, words in cases.items():
        with pytest.raises(InputError, match=words) as refused:
            read_image(tmp_path / name)
        assert str(tmp_path) in str(refused.value)
        assert "\n" not in str(refused.value)


EVERY_TURN = {
    1: (0, 1, 2, 3), 2: (1, 0, 3, 2), 3: (3, 2, 1, 0), 4: (2, 3, 0, 1),
    5: (0, 2, 1, 3), 6: (2, 0, 3, 1), 7: (3, 1, 2, 0), 8: (1, 3, 0, 2),
}  # fmt: skip


@pytest.mark.parametrize("orientation", EVERY_TURN)
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
def test_every_orientation_of_every_format(tmp_path, orientation, kind):
    corners = np.array([[0, 80], [160, 240]], np.uint8)
    wide = Image.fromarray(np.repeat(np.repeat(corners, 16, axis=0), 32, axis=1)).convert("RGB")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"turned.{kind}"
    wide.save(path, exif=exif, **({"lossless": True} if kind == "webp" else {}))
    read = read_image(path)
    assert read.size == image_size(path) == ((32, 64) if orientation > 4 else (64, 32))
    grey = np.asarray(read.convert("L").resize((2, 2), Image.Resampling.BOX)).flatten()
    expected = corners.flatten()[list(EVERY_TURN[orientation])].astype(int)
    assert np.abs(grey - expected).max() <= 2


def jpeg_with_exif(path, *entries):
    """Write a JPEG whose EXIF has entries (tag, type, count, value or bytes that it points to)."""
    end = 8 + 2 + 12 * len(entries) + 4
    table, behind = struct.pack("<H", len(entries)), b""
    for tag, kind, count, value in entries:
        if isinstance(value, bytes):
            value, behind = end + len(behind), behind + value
        table += struct.pack("<HHII", tag, kind, count, value)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + table + bytes(4) + behind
    Image.new("RGB", (40, 20), "navy").save(path, exif=exif)


@pytest.mark.parametrize(
    "entry",
    [
        (0x11A, 10, 1, struct.pack("<ii", -1, 0)),  # a resolution of -1 / 0
        (0x11A, 5, 1, struct.pack("<II", 1, 0)),
        (0x11A, 5, 1, 2**31),  # beyond the end
        (0x8769, 4, 1, 2**32 - 1),
        (0x131, 2, 2**31, 0),
        (0x131, 99, 1, 7),
    ],
)
def test_pixels_are_upright_whatever_else_exif_says(tmp_path, entry):
    path = tmp_path / "photograph.jpg"
    jpeg_with_exif(path, (0x112, 3, 1, 6), entry)
    assert read_image(path).size == image_size(path) == (20, 40)
    assert np.asarray(read_image(path))[..., 2].min() > 100


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0XX"])
def test_damaged_exif_stops_no_image(tmp_path, exif):
    Image.new("RGB", (40, 20)).save(tmp_path / "photograph.jpg", exif=exif)
    assert read_image(tmp_path / "photograph.jpg").size == (40, 20)
    assert image_size(tmp_path / "photograph.jpg") == (40, 20)


def test_sixteen_bits_range_from_black_to_white(tmp_path):
    deep = np.linspace(0, 65535, 12).round().astype(np.uint16).reshape(3, 4)
    for kind in ("png", "tif", "pgm"):
        Image.fromarray(deep).save(tmp_path / f"deep.{kind}")
        read = np.asarray(read_image(tmp_path / f"deep.{kind}"))[..., 0].astype(int)
        assert np.abs(read - deep / 257).max() <= 0.5


def test_maxima_of_portable_greymaps_are_white(tmp_path):
    values = np.array([0, 1000, 4095], ">u2")
    (tmp_path / "12.pgm").write_bytes(b"P5 3 1 4095\n" + values.tobytes())
    assert np.asarray(read_image(tmp_path / "12.pgm"))[0, :, 0].tolist() == [0, 62, 255]


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_twelve_bits_in_sixteen_are_told(tmp_path, kind):
    deep = np.linspace(0, 4095, 12).astype(np.uint16).reshape(3, 4)
    Image.fromarray(deep).save(tmp_path / f"deep.{kind}")
    with pytest.warns(FairvisionWarning, match="4,095 of 65,535.*multiply them by 16 first"):
        assert np.asarray(read_image(tmp_path / f"deep.{kind}")).max() == 16


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 0.5, np.nan], "1 of its 3 values are NaN or infinite"),
        ([0, -np.inf, np.nan], "2 of its 3 values are NaN or infinite"),
        ([-1, 0, 1], "go from -1 to 1, but .* must lie in 0 to 1, or 0 to 255"),
        ([0, 300, 4095], "go from 0 to 4095"),
        ([0, 0.5, 1.5], "go from 0 to 1.5"),
    ],
)
def test_floats_out_of_range_are_refused(tmp_path, values, message):
    Image.fromarray(np.array([values], np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(InputError, match=message):
        read_image(tmp_path / "float.tif")


def test_floats_that_overshoot_a_little_are_clipped(tmp_path):
    Image.fromarray(np.array([[-0.01, 0.5, 1.02]], np.float32)).save(tmp_path / "float.tif")
    assert np.asarray(read_image(tmp_path / "float.tif"))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tif"])
def test_the_first_of_several_frames_is_taken_and_that_is_told(tmp_path, kind):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("white", "black", "red")]
    frames[0].save(tmp_path / f"moving.{kind}", save_all=True, append_images=frames[1:])
    with pytest.warns(FairvisionWarning, match="animated pictures or files of several pages"):
        assert np.asarray(read_image(tmp_path / f"moving.{kind}")).min() > 250


def png_header(width, height):
    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + end


def test_a_image_that_promises_too_many_pixels_is_refused_by_its_header(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_header(60_000, 60_000))
    for refuse in (read_image, image_size, lambda path: read_mask(path, (4, 4))):
        with pytest.raises(InputError, match="more pixels than can safely be decoded"):
            refuse(tmp_path / "bomb.png")


def test_pipes_and_links_in_a_circle_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    for name, words in (("pipe.png", "not a regular file"), ("circle.png", "is missing")):
        for refuse in (read_image, image_size, lambda path: read_mask(path, (4, 4))):
            with pytest.raises(InputError, match=words):
                refuse(tmp_path / name)


def test_programs_that_draw_are_not_run(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "drawing.eps")
    with pytest.raises(InputError, match=r"is a program that draws \(EPS\): save it as PNG"):
        read_image(tmp_path / "drawing.eps")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP"])
@given(data=st.data())
@settings(max_examples=60)
def test_damage_of_any_kind_is_one_line(tmp_path_factory, kind, data):
    file = io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.XResolution] = 6, 72.0
    Image.fromarray(GREY).convert("RGB").save(file, kind, exif=exif)
    damaged = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(1, 4))] = data.draw(st.binary(max_size=4))
        damaged = damaged or bytearray(1)
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(damaged)
    for read in (read_image, image_size, lambda path: read_mask(path, (4, 3))):
        with warnings.catch_warnings(action="ignore"), contextlib.suppress(InputError):
            read(path)  # an InputError is one line by itself


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_masks_of_every_mode(tmp_path, mode):
    person = np.zeros((3, 4), bool)
    person[1, 1:3] = True
    mask = Image.fromarray(person.astype(np.uint8) * 255).convert("RGB").convert(mode)
    mask.save(tmp_path / "mask.png")
    assert (read_mask(tmp_path / "mask.png", (4, 3)) == person).all()


def test_a_mask_of_small_numbers_counts(tmp_path):
    person = np.eye(4, dtype=np.uint8)
    Image.fromarray(person).save(tmp_path / "mask.png")
    assert (read_mask(tmp_path / "mask.png", (4, 4)) == person).all()


def test_a_mask_of_another_size_is_refused(tmp_path):
    Image.new("L", (4, 3)).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="is 4×3 pixels but its picture is 8×6"):
        read_mask(tmp_path / "mask.png", (8, 6))
