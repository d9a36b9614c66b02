"""Beside Quantus itself: the same where it is right, and its defects.

The defects that `test_localisation_defects.py` tells in formulas are those of the program.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import quantus

from fairvision import metrics

pytestmark = pytest.mark.filterwarnings("ignore")  # its own

PEERS = {
    "pointing_game": "PointingGame",
    "relevance_mass": "RelevanceMassAccuracy",
    "relevance_rank": "RelevanceRankAccuracy",
    "top_k_intersection": "TopKIntersection",
    "evidence_auc": "AUC",
}
MASK = np.zeros((1, 8, 8), dtype=bool)
MASK[0, 2:5, 1:4] = True


def theirs(name: str, maps: np.ndarray, masks: np.ndarray, **options: Any) -> np.ndarray:
    measure = getattr(quantus, name)(disable_warnings=True, display_progressbar=False, **options)
    batch = maps[:, None]
    return np.asarray(measure.evaluate_batch(x_batch=batch, a_batch=batch, s_batch=masks[:, None]))


@pytest.mark.parametrize("name", PEERS)
def test_where_it_is_right_we_agree(name: str) -> None:
    """Maps without ties, NaN and negative evidence; masks that are neither empty nor full."""
    random = np.random.default_rng(0)
    maps = random.permuted(np.tile(np.arange(1.0, 65), (20, 1)), axis=1).reshape(20, 8, 8)
    masks = random.random(maps.shape) < 0.3
    options = {"k": 5} if name == "top_k_intersection" else {}
    expected = theirs(PEERS[name], maps, masks, **options)
    found = getattr(metrics, name)(maps, masks, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_no_hit_where_there_is_nothing_to_hit() -> None:
    maps = np.random.default_rng(0).random((1, 8, 8))
    for some, people in ((maps, MASK & False), (maps * 0, MASK)):
        assert theirs("PointingGame", some, people)[0]
        assert np.isnan(metrics.pointing_game(some, people)[0])


def test_a_share_of_tied_pixels() -> None:
    maps = np.ones((1, 8, 8))
    assert theirs("PointingGame", maps, MASK)[0] == 1
    np.testing.assert_allclose(metrics.pointing_game(maps, MASK), 9 / 64)


def test_mass_stays_a_share() -> None:
    maps = np.where(MASK, 1.0, -0.1)
    assert theirs("RelevanceMassAccuracy", maps, MASK)[0] > 1
    assert metrics.relevance_mass(maps, MASK)[0] == 1


def test_one_nan_spoils_its_own_image() -> None:
    maps = np.random.default_rng(0).random((3, 8, 8))
    maps[1, 0, 0] = np.nan
    masks = np.repeat(MASK, 3, axis=0)
    spoilt = np.isnan(metrics.relevance_mass(maps, masks))
    np.testing.assert_array_equal(spoilt, [False, True, False])
    normalised = quantus.normalise_func.normalise_by_max(maps[:, None])
    assert np.isnan(normalised).all()


def test_weighting_by_area_does_not_depend_on_the_batch() -> None:
    maps = np.random.default_rng(0).random((4, 8, 8))
    masks = np.repeat(MASK, 4, axis=0)
    how = {"weighted": True}
    whole = theirs("AttributionLocalisation", maps, masks, **how)
    half = theirs("AttributionLocalisation", maps[:2], masks[:2], **how)
    assert not np.allclose(whole[:2], half)
    ours = metrics.area_weighted_localisation(maps, masks)
    np.testing.assert_array_equal(ours[:2], metrics.area_weighted_localisation(maps[:2], masks[:2]))
