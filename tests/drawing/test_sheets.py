from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fairvision.attribution.activations import Activation
from fairvision.drawing.sheets import (
    BAR,
    MARGIN,
    MARK,
    MOST_FOR_NOTES,
    Row,
    Tile,
    as_colours,
    coloured,
    framed,
    gauge,
    sheet,
)
from fairvision.inference.explanations import activation_sheet, evidence_sheet, kernel_sheet


def stage(maps):
    return Activation("layer", "Conv2d", 9, np.arange(len(maps)), np.asarray(maps, np.float32))


@pytest.mark.parametrize("value", [0.0, np.nan, 1.0])
def test_evidence_sheet_of_any_map(value):
    maps = {"a": np.full((7, 7), value), "<b>\n": np.eye(7)}
    image = Image.new("RGB", (30, 60))
    drawn = evidence_sheet("x" * 500, [], image, maps, {"a": value, "<b>\n": 0.2, "c": 0.1})
    assert drawn.size[0] == 2 * MARGIN + 3 * 320 + 2 * 12


@pytest.mark.parametrize("maps", [np.zeros((2, 3, 3)), np.full((1, 2, 5), np.nan)])
def test_activation_sheet_of_any_values(maps):
    assert activation_sheet("title", [stage(maps), stage(maps)]).mode == "RGB"


@pytest.mark.parametrize("shape", [(5, 3, 3, 3), (70, 3, 7, 7), (4, 1, 2, 2)])
def test_kernel_sheet_of_any_shape(shape):
    assert kernel_sheet(np.random.default_rng(0).normal(size=shape)).mode == "RGB"


def test_colours_run_from_low_to_high():
    drawn = np.asarray(coloured(np.array([[0.0, 1.0, np.nan]]), 0, 1, 3)).astype(int)
    np.testing.assert_array_equal(drawn[0], [[68, 1, 84], [253, 231, 37], [128, 128, 128]])


def test_kernel_of_one_colour_is_drawn_in_it():
    kernel = np.zeros((3, 1, 1))
    kernel[0] = 1
    assert as_colours(kernel, 0, 1, 4).getpixel((0, 0)) == (255, 0, 0)


def test_single_values_stay_squares():
    drawn = np.asarray(coloured(np.array([[0.0, 1.0]]), 0, 1, 100))
    assert drawn.shape == (50, 100, 3)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) == 2


def test_tiles_lie_side_by_side():
    red, blue = (Tile(Image.new("RGB", (50, 20), colour)) for colour in ("red", "blue"))
    drawn = sheet("", [], [Row("", [red, blue])])
    pixels = np.asarray(drawn).reshape(-1, 3)
    assert (pixels == [255, 0, 0]).all(axis=1).sum() == 1000
    assert (pixels == [0, 0, 255]).all(axis=1).sum() == 1000


def test_lines_and_scale_take_room_of_their_own():
    tile = Tile(Image.new("RGB", (50, 20)), "caption")
    plain = sheet("", [], [Row("", [tile])])
    longer = sheet("", [], [Row("", [tile, Tile(tile.image, "caption", lines=("a", "b" * 99))])])
    scaled = sheet("", [], [Row("", [tile])], scale=("none", "much"))
    assert longer.height > plain.height + 2 * 14
    assert scaled.height > plain.height + 14
    assert sheet("", [], [Row("heading", [tile])]).height > plain.height


def test_longest_ends_of_a_scale_stay_on_the_paper():
    tile = Tile(Image.new("RGB", (50, 20)))
    drawn = sheet("", [], [Row("", [tile])], scale=("x" * 300, "y" * 300))
    assert (np.asarray(drawn)[:, -MARGIN:] == 255).all()


@pytest.mark.parametrize("size", [(300, 20), (20, 300), (1, 1), (40, 40)])
def test_framed_images_are_squares(size):
    drawn = framed(Image.new("RGB", size, "red"), 60)
    assert drawn.size == (60, 60)
    assert drawn.getpixel((30, 30)) == (255, 0, 0)


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0, np.nan])
@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0, np.nan])
def test_gauge_shows_value_and_chance(value, chance):
    drawn = np.asarray(gauge(201, value, chance))
    marked = (drawn == MARK).all(axis=2)
    filled = (drawn[5] == BAR).all(axis=1).sum()
    assert marked.any() == (not np.isnan(chance))
    if marked.any():
        assert abs(np.flatnonzero(marked.any(axis=0)).mean() - 200 * chance) <= 2
    assert filled == pytest.approx(0 if np.isnan(value) else 200 * value, abs=6)


def test_notes_widen_the_paper_only_so_far():
    rows = [Row("", [Tile(Image.new("RGB", (50, 20)))])]
    widths = [sheet("", [note], rows).width for note in ("x", "x" * 80, "x" * 999)]
    assert widths[0] < widths[1] < widths[2] == MOST_FOR_NOTES + 2 * MARGIN
