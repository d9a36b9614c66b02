from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairvision.attribution import overlay
from fairvision.drawing.sheets import scale_bar


def colour(drawn):
    """How far each pixel is from grey."""
    values = np.asarray(drawn, dtype=int)
    return values.max(axis=2) - values.min(axis=2)


PICTURE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("map", [np.zeros((7, 7)), np.full((7, 7), np.nan)])
def test_without_evidence_nothing_is_drawn(map):
    assert colour(overlay(PICTURE, map)).max() == 0


def test_colour_lies_where_the_evidence_is():
    map = np.zeros((8, 8))
    map[1, 6] = 2
    drawn = colour(overlay(PICTURE, map))
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert (row * 8 // 320, column * 8 // 320) == (1, 6)
    assert drawn[320 // 2 :].max() == 0


def test_scale_of_the_map_does_not_matter_without_a_maximum():
    map = np.random.default_rng(1).random((7, 7))
    np.testing.assert_array_equal(overlay(PICTURE, map), overlay(PICTURE, map * 1024))


def test_common_maximum_keeps_weak_evidence_weak():
    map = np.ones((7, 7))
    weak, strong = overlay(PICTURE, map, maximum=10), overlay(PICTURE, map, maximum=1)
    assert colour(weak).mean() < colour(strong).mean()
    assert colour(overlay(PICTURE, map, maximum=0)).max() == 0


def test_in_grey_the_strongest_evidence_outshines_any_image():
    map = np.zeros((8, 8))
    map[6, 1] = 1
    for level in (0, 128, 255):
        image = np.full((64, 64, 3), 255, np.uint8)
        image[32:] = level
        grey = np.asarray(overlay(image, map).convert("L"), dtype=int)
        assert divmod(grey.argmax(), 320)[0] * 8 // 320 == 6
        assert grey.max() > grey[: 320 // 2].max() + 20


def test_scale_shows_what_overlays_draw():
    plain = np.full((64, 64, 3), 128, np.uint8)
    for share, x in ((0, 0), (0.5, 50), (1, 100)):
        drawn = overlay(plain, np.full((7, 7), share), maximum=1)
        assert drawn.getpixel((160, 160)) == scale_bar(101, 3).getpixel((x, 1))


def test_scale_grows_brighter_and_more_colourful():
    bar = scale_bar(200, 1)
    assert (np.diff(colour(bar)[0][:100]) >= -1).all()
    grey = np.asarray(bar.convert("L"), dtype=int)[0]
    assert (np.diff(grey[30:]) >= -1).all()
    assert np.ptp(grey[:30]) <= 6


def test_outline_follows_the_mask():
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    black = np.zeros_like(PICTURE)
    drawn = np.asarray(overlay(black, np.zeros((7, 7)), mask)).max(axis=2)
    edge = 320 // 4
    assert drawn[edge - 2 : edge + 2, 160].max() > 150
    assert drawn[160, 160] == drawn[10, 10] == 0
    empty = overlay(black, np.zeros((7, 7)), np.zeros((64, 64), bool))
    assert np.asarray(empty).max() == 0


def test_ring_lies_around_the_strongest_evidence():
    map = np.ones((8, 16))
    map[5, 12] = 9
    image = np.zeros((32, 64, 3), np.uint8)
    plain, ringed = (
        np.asarray(overlay(image, map, maximum=100, peak=peak), dtype=int) for peak in (False, True)
    )
    changed = np.argwhere((plain != ringed).any(axis=2))
    np.testing.assert_allclose(changed.mean(axis=0), (5.5 * 40, 12.5 * 40), atol=1)
    assert np.ptp(changed, axis=0).max() < 30
    blank = overlay(image, np.zeros((8, 16)), peak=True)
    np.testing.assert_array_equal(blank, overlay(image, np.zeros((8, 16))))


@settings(max_examples=20, deadline=None)
@given(
    st.integers(20, 400),
    st.integers(20, 400),
    st.integers(1, 40),
    st.sampled_from(["f2", "f4", "f8"]),
)
def test_any_size_keeps_its_proportions(height, width, side, dtype):
    image = np.zeros((height, width, 3), np.uint8)
    drawn = overlay(image, np.eye(side, dtype=dtype), np.ones((height, width), bool), side=40)
    assert min(drawn.size) == 40
    assert drawn.width / drawn.height == pytest.approx(width / height, rel=0.02)


def test_a_very_long_image_makes_no_huge_drawing():
    assert overlay(np.zeros((1, 3000, 3), np.uint8), np.eye(4), side=40).size == (800, 1)


def test_needs_no_torch():
    code = "import sys, fairvision.drawing.sheets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
