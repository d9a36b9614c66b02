"""Where Quantus 0.6 is wrong, by its formulas, and where it is right.

The formulas are restated here, so that the tests need no Quantus; benchmarks/localisation.py
compares with the library itself.
"""

from __future__ import annotations

import numpy as np
import pytest

from fairvision import metrics

MASK = np.zeros((1, 4, 4), dtype=bool)
MASK[0, :2, :2] = True


def quantus_pointing_game(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Any pixel of the maximum inside; an array of booleans, in which NaN becomes True."""
    largest = maps == maps.max(axis=(1, 2), keepdims=True)
    hit = (largest & masks).any(axis=(1, 2))
    hit[~masks.any(axis=(1, 2))] = np.nan
    return hit


def quantus_mass(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    return (maps * masks).sum(axis=(1, 2)) / maps.sum(axis=(1, 2))


def quantus_weighted(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Times the area, not by it, and as a share of the pixels of all images but the first two."""
    return quantus_mass(maps, masks) * masks.sum(axis=(1, 2)) / maps[2:].size


def quantus_normalised(maps: np.ndarray) -> np.ndarray:
    return maps / abs(maps).max()


def test_an_empty_mask_is_no_hit() -> None:
    maps = np.random.default_rng(0).random((1, 4, 4))
    assert quantus_pointing_game(maps, MASK & False)
    assert np.isnan(metrics.pointing_game(maps, MASK & False))


def test_a_map_of_zeros_is_no_hit() -> None:
    maps = np.zeros((1, 4, 4))
    assert quantus_pointing_game(maps, MASK)
    found = metrics.localisation(maps, MASK)
    assert np.isnan([found[name] for name in found if name != "chance_level"]).all()


def test_a_share_of_ties_counts_and_not_any() -> None:
    """On random maps of 4 × 4 blocks, upsampled: chance; any tied pixel gives nearly twice."""
    random = np.random.default_rng(0)
    blocks = random.random((4000, 2, 2))
    maps = blocks.repeat(8, axis=1).repeat(8, axis=2)
    masks = np.zeros(maps.shape, dtype=bool)
    for mask, (top, left) in zip(masks, random.integers(0, 10, (len(masks), 2))):
        mask[top : top + 7, left : left + 6] = True
    chance = metrics.chance_level(masks).mean()
    assert metrics.pointing_game(maps, masks).mean() == pytest.approx(chance, abs=0.02)
    assert quantus_pointing_game(maps, masks).mean() > 1.8 * chance


def test_mass_stays_a_share_of_signed_maps() -> None:
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 0], maps[0, 3, 3] = 3.0, -2.0
    assert quantus_mass(maps, MASK) == 3
    assert metrics.relevance_mass(maps, MASK) == 1
    assert metrics.relevance_mass(maps, MASK, part="absolute") == 0.6


def test_nan_spoils_its_own_image() -> None:
    maps = np.random.default_rng(0).random((3, 4, 4))
    maps[1, 2, 2] = np.nan
    masks = np.repeat(MASK, 3, axis=0)
    assert np.isnan(quantus_mass(quantus_normalised(maps), masks)).all()
    for name, values in metrics.localisation(maps, masks).items():
        undefined = [False, name != "chance_level", False]
        np.testing.assert_array_equal(np.isnan(values), undefined, err_msg=name)


def test_weighting_by_area_knows_no_batch() -> None:
    maps = np.random.default_rng(0).random((6, 4, 4))
    masks = np.repeat(MASK, 6, axis=0)
    assert quantus_weighted(maps, masks)[0] != quantus_weighted(maps[:4], masks[:4])[0]
    whole, part = (metrics.area_weighted_localisation(maps[:n], masks[:n]) for n in (6, 4))
    np.testing.assert_array_equal(whole[:4], part)
    np.testing.assert_allclose(whole, quantus_mass(maps, masks) * 16 / 4)


def test_a_larger_person_is_not_rewarded() -> None:
    """An even map has weight 1 whatever the area; times the area it would grow with it."""
    even = np.ones((2, 4, 4))
    masks = np.concatenate([MASK, ~MASK])
    np.testing.assert_allclose(metrics.area_weighted_localisation(even, masks), 1)


def test_where_it_is_right_we_agree() -> None:
    """Positive maps without ties, masks that are neither empty nor full."""
    random = np.random.default_rng(0)
    maps = random.permuted(np.arange(1, 401).reshape(1, -1).repeat(30, 0), axis=1) / 7
    masks = random.random(maps.shape) < random.uniform(0.1, 0.9, (30, 1))
    order = np.argsort(-maps, axis=1)
    sorted_masks = np.take_along_axis(masks, order, axis=1)
    found = metrics.localisation(*(a.reshape(30, 20, 20) for a in (maps, masks)), k=50)
    pointing = quantus_pointing_game(maps.reshape(30, 20, 20), masks.reshape(30, 20, 20))
    np.testing.assert_array_equal(found["pointing_game"], pointing)
    ranks = [row[: row.sum()].mean() for row in sorted_masks]
    np.testing.assert_allclose(found["relevance_rank"], ranks)
    np.testing.assert_allclose(found["top_k_intersection"], sorted_masks[:, :50].mean(axis=1))
    mass = (maps * masks).sum(axis=1) / maps.sum(axis=1)
    np.testing.assert_allclose(found["relevance_mass"], mass)
