"""Masks: which values mean the person, and what is said where that is a guess."""

from __future__ import annotations

import warnings

import numpy as np
import PIL
import pytest
from PIL import Image, ImageFilter

from fairvision.datasets import from_table, open_pixels, read_mask
from fairvision.errors import FairvisionWarning, InputError

PERSON = np.zeros((40, 48), bool)
PERSON[9:31, 10:25] = True


def saved(folder, array, name="mask.png", mode=None, **how):
    image = Image.fromarray(np.asarray(array, np.uint8), mode=None)
    image = image if mode is None else image.convert(mode)
    image.save(folder / name, **how)
    return folder / name


def palette(folder, codes, colours, **how):
    image = Image.fromarray(np.asarray(codes, np.uint8)).convert("P")
    image.putdata(np.asarray(codes, np.uint8).flatten().tolist())
    image.putpalette([channel for colour in colours for channel in colour])
    image.save(folder / "mask.png", **how)
    return folder / "mask.png"


@pytest.mark.parametrize("kind", ["jpg", "webp"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossy_masks_are_cut_at_half(tmp_path, kind, mode):
    path = saved(tmp_path, PERSON * 255, f"mask.{kind}", mode, quality=60)
    blurred = np.asarray(Image.open(path).convert("L"))
    assert len(np.unique(blurred)) > 2
    assert (read_mask(path, (48, 40)) == PERSON).mean() > 0.99
    assert (read_mask(path, (48, 40)).sum() - PERSON.sum()) < (blurred > 0).sum() - PERSON.sum()


def test_lossy_masks_of_small_codes_are_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 40, PERSON.shape)
    path = saved(tmp_path, PERSON * noise, "mask.jpg")
    with pytest.raises(InputError, match=r"lossy \(JPEG\) and its values reach only .* as PNG"):
        read_mask(path, (48, 40))


@pytest.mark.parametrize("person", [1, 15, 255])
def test_one_code_is_the_person(tmp_path, person):
    assert (read_mask(saved(tmp_path, PERSON * person), (48, 40)) == PERSON).all()


def test_several_values_count_and_are_told(tmp_path):
    codes = PERSON * 1
    codes[0] = 255
    with pytest.warns(FairvisionWarning, match="several values or colours above 0.*: 1 "):
        mask = read_mask(saved(tmp_path, codes), (48, 40))
    assert (mask == (codes > 0)).all()
    smooth = Image.fromarray(PERSON.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(2))
    with pytest.warns(FairvisionWarning, match="several values"):
        read_mask(saved(tmp_path, np.asarray(smooth)), (48, 40))


def test_coloured_instances_count_and_are_told(tmp_path):
    colours = np.zeros((*PERSON.shape, 3))
    colours[9:31, 10:16] = 0, 0, 90
    assert read_mask(saved(tmp_path, colours), (48, 40)).sum() == 22 * 6
    colours[9:31, 16:25] = 200, 0, 0
    with pytest.warns(FairvisionWarning, match="several values or colours"):
        assert (read_mask(saved(tmp_path, colours), (48, 40)) == PERSON).all()


def test_black_is_the_background_of_every_mode(tmp_path):
    # Pillow before 13 does not read the TIFFs in YCbCr that it writes.
    for mode in ("CMYK", "YCbCr") if int(PIL.__version__.split(".")[0]) >= 13 else ("CMYK",):
        path = saved(tmp_path, PERSON * 255, "mask.tif", mode)
        assert (read_mask(path, (48, 40)) == PERSON).all()


def test_colours_of_a_palette_count_and_not_their_numbers(tmp_path):
    path = palette(tmp_path, ~PERSON, [(255, 255, 255), (0, 0, 0)])
    assert (read_mask(path, (48, 40)) == PERSON).all()


def test_the_code_of_a_palette_for_what_cannot_be_told_is_not_the_person(tmp_path):
    codes = PERSON * 15
    codes[7] = 255
    colours = [(0, 0, 0), *[(192, 128, 128)] * 254, (224, 224, 192)]
    with pytest.warns(FairvisionWarning, match="code 255 beside others.*PASCAL VOC"):
        mask = read_mask(palette(tmp_path, codes, colours), (48, 40))
    assert (mask == PERSON).all()
    alone = palette(tmp_path, PERSON * 255, colours)
    assert (read_mask(alone, (48, 40)) == PERSON).all()


def test_transparency_that_says_something_else_is_refused(tmp_path):
    photograph = np.random.default_rng(0).integers(1, 255, (*PERSON.shape, 4))
    photograph[..., 3] = PERSON * 255
    path = saved(tmp_path, photograph)
    with pytest.raises(InputError, match="transparency and its colours mark different pixels"):
        read_mask(path, (48, 40))
    same = np.repeat(PERSON[..., None] * 255, 4, axis=2)
    assert (read_mask(saved(tmp_path, same), (48, 40)) == PERSON).all()


def test_a_mask_of_everything_is_told_and_an_empty_one_is_empty(tmp_path):
    with pytest.warns(FairvisionWarning, match="cover the whole picture.*background"):
        assert read_mask(saved(tmp_path, PERSON | True), (48, 40)).all()
    assert not read_mask(saved(tmp_path, PERSON & False), (48, 40)).any()


def test_values_that_are_not_finite_are_refused(tmp_path):
    values = np.where(PERSON, 1, np.nan).astype(np.float32)
    Image.fromarray(values).save(tmp_path / "mask.tif")
    with pytest.raises(InputError, match="are NaN or infinite"):
        read_mask(tmp_path / "mask.tif", (48, 40))


def test_another_size_is_refused_before_anything_is_decoded(tmp_path):
    path = saved(tmp_path, np.random.default_rng(0).integers(0, 2, (40, 40)))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="is 40×40 pixels but its picture is 48×40"):
        read_mask(path, (48, 40))


@pytest.mark.parametrize("cache", ["always", "never"])
def test_a_data_set_says_it_once(tmp_path, cache):
    rows = ["image,mask,age,split"]
    for row in range(6):
        Image.new("RGB", (48, 40), (row, 0, 0)).save(tmp_path / f"{row}.png")
        saved(tmp_path, PERSON * 1 + np.eye(40, 48) * 2, f"{row}-mask.png")
        rows.append(f"{row}.png,{row}-mask.png,{'ab'[row % 2]},train")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = from_table(tmp_path / "t.csv", tmp_path / "out", attributes=["age"])
    assert [str(w.message) for w in caught if ": 6 ('" in str(w.message)] == [
        str(w.message) for w in caught if "several" in str(w.message)
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pixels = open_pixels(dataset, 16, cache=cache)
        for _ in range(2):
            list(pixels.each([np.arange(3), np.arange(3, 6)]))
    assert len([w for w in caught if "several values" in str(w.message)]) == 1


def test_a_lossy_mask_of_0_and_1_is_refused(tmp_path):
    mask = np.zeros((20, 20), np.uint8)
    mask[5:15, 5:15] = 1
    Image.fromarray(mask).save(tmp_path / "m.jpg")
    with pytest.raises(InputError, match=r"lossy \(JPEG\) and its values reach only 1"):
        read_mask(tmp_path / "m.jpg", (20, 20))
