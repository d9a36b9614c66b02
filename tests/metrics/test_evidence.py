from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

from fairvision import metrics
from fairvision.errors import InputError

MEASURES = [
    metrics.pointing_game,
    metrics.relevance_mass,
    metrics.relevance_rank,
    metrics.top_k_intersection,
    metrics.evidence_auc,
    metrics.area_weighted_localisation,
]
RANDOM_SCORES_CHANCE = MEASURES[:4]
ROOM = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=bool)


def at(row: int, column: int) -> np.ndarray:
    one = np.zeros(ROOM.shape)
    one[row, column] = 2.5
    return one


def one(
    measure: Callable[..., np.ndarray], pixels: list[list[float]], mask: list[list[int]]
) -> float:
    (value,) = measure([pixels], [mask])
    return float(value)


@pytest.mark.parametrize(
    ("measure", "inside", "outside"),
    [
        (metrics.pointing_game, 1, 0),
        (metrics.relevance_mass, 1, 0),
        (metrics.top_k_intersection, 1, 0),
        (metrics.area_weighted_localisation, 3, 0),  # a third of the room is the person
        # one pixel has evidence, all others tie: three of the four places, or four, among eleven
        (metrics.relevance_rank, (1 + 3 * 3 / 11) / 4, (3 * 4 / 11) / 4),
        (metrics.evidence_auc, 1 / 4 + 3 / 4 / 2, (7 / 8) / 2),
    ],
)
def test_a_single_point_inside_or_outside(measure, inside: float, outside: float) -> None:
    found = measure([at(0, 1), at(2, 3)], [ROOM, ROOM])
    np.testing.assert_allclose(found, [inside, outside], rtol=1e-15)


def test_values_by_hand() -> None:
    mask = [[1, 1, 0], [0, 0, 0]]
    pixels = [[5.0, 2.0, 3.0], [2.0, 0.0, -9.0]]  # 12 in all; inside 5 and 2
    assert one(metrics.pointing_game, pixels, mask) == 1
    assert one(metrics.relevance_mass, pixels, mask) == pytest.approx(7 / 12)
    assert one(metrics.area_weighted_localisation, pixels, mask) == pytest.approx(7 / 4)
    assert one(metrics.relevance_rank, pixels, mask) == 0.5  # 5 and 3 are the largest
    # 5 beats all four outside; 2 beats 0 and -9 (which count as 0), ties with 2, loses to 3
    assert one(metrics.evidence_auc, pixels, mask) == (4 + 2.5) / 8
    third = metrics.top_k_intersection([pixels], [mask], k=3)[0]
    assert third == pytest.approx((1 + 0.5) / 3)  # 5, 3, and one of the twos


@pytest.mark.parametrize("measure", MEASURES)
def test_a_perfect_map_has_the_most(measure) -> None:
    most = 3 if measure is metrics.area_weighted_localisation else 1
    assert measure([ROOM * 2.0], [ROOM]) == most


@pytest.mark.parametrize("measure", MEASURES)
def test_even_evidence_scores_chance(measure) -> None:
    chance = {metrics.evidence_auc: 0.5, metrics.area_weighted_localisation: 1}
    even = np.full(ROOM.shape, 0.1)
    assert measure([even], [ROOM]) == pytest.approx(chance.get(measure, 1 / 3))


@pytest.mark.parametrize("k", [1, 5, 12])
def test_top_k_counts_k_pixels(k: int) -> None:
    ordered = np.arange(12.0, 0, -1).reshape(ROOM.shape)
    expected = ROOM.ravel()[:k].mean()
    assert metrics.top_k_intersection([ordered], [ROOM], k=k) == pytest.approx(expected)


@pytest.mark.parametrize(("size", "k"), [(224, 1000), (300, 1000), (28, 15), (5, 1)])
def test_top_k_is_a_thousand_or_a_fiftieth(size: int, k: int) -> None:
    random = np.random.default_rng(0)
    maps, masks = random.random((2, size, size)), random.random((2, size, size)) < 0.3
    given, default = (metrics.top_k_intersection(maps, masks, k=k) for k in (k, None))
    np.testing.assert_array_equal(given, default)


@pytest.mark.parametrize("k", [0, -3, 13, 2.5, "3", float("nan")])
def test_k_that_the_image_does_not_have(k: int) -> None:
    for measure in (metrics.top_k_intersection, metrics.localisation):
        with pytest.raises(InputError, match="k must be a whole number from 1 to the 12 pixels"):
            measure([at(0, 0)], [ROOM], k=k)


@pytest.mark.parametrize("measure", [*MEASURES, lambda maps, masks: metrics.chance_level(masks)])
def test_empty_and_full_masks_are_nan(measure) -> None:
    masks = [np.zeros_like(ROOM), np.ones_like(ROOM), ROOM]
    found = measure([at(0, 0)] * 3, masks)
    np.testing.assert_array_equal(np.isnan(found), [True, True, False])


@pytest.mark.parametrize("measure", MEASURES)
def test_map_without_positive_evidence_is_nan(measure) -> None:
    assert np.isnan(measure([np.zeros(ROOM.shape), -at(0, 0)], [ROOM, ROOM])).all()


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_broken_map_spoils_its_image_only(measure, broken: float) -> None:
    maps = np.stack([at(0, 0), at(0, 0), at(0, 0)])
    maps[1, 2, 2] = broken
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, alone = measure(maps, [ROOM] * 3), measure(maps[:1], [ROOM])[0]
        np.testing.assert_array_equal(found, [alone, np.nan, alone])


def test_tied_pixels_give_the_expected_hit() -> None:
    even = np.ones(ROOM.shape)
    assert metrics.pointing_game([even], [ROOM]) == pytest.approx(metrics.chance_level([ROOM]))
    assert metrics.pointing_game([even], [ROOM], ties="first") == 1
    assert metrics.pointing_game([even], [~ROOM], ties="first") == 0
    with pytest.raises(InputError, match="ties"):
        metrics.pointing_game([even], [ROOM], ties="any")  # type: ignore[arg-type]


def test_negative_evidence_counts_as_none() -> None:
    signed = np.array([[[3.0, -8.0], [1.0, -2.0]]])
    assert metrics.relevance_mass(signed, [[[1, 1], [0, 0]]]).tolist() == [0.75]


@pytest.mark.parametrize("upsampling", [1, 8])
@pytest.mark.parametrize("measure", RANDOM_SCORES_CHANCE)
def test_random_maps_score_chance(measure, upsampling: int) -> None:
    """Also after nearest-neighbour upsampling, where any tied pixel would give twice as much."""
    random = np.random.default_rng(0)
    n, size = 4000, 16
    blocks = random.random((n, size // upsampling, size // upsampling))
    maps = blocks.repeat(upsampling, axis=1).repeat(upsampling, axis=2)
    masks = np.zeros((n, size, size), dtype=bool)
    for mask, (top, left) in zip(masks, random.integers(0, size - 6, (n, 2))):
        mask[top : top + 7, left : left + 6] = True
    chance = metrics.chance_level(masks).mean()
    assert chance == pytest.approx(0.164, abs=0.001)
    assert measure(maps, masks).mean() == pytest.approx(chance, abs=0.02)


@pytest.mark.parametrize(
    ("maps", "masks", "said"),
    [
        (np.ones((2, 3, 3)), np.ones((2, 3, 4)), "maps have shape"),
        (np.ones((3, 3)), np.ones((3, 3)), "maps must have shape"),
        (np.ones((2, 0, 3)), np.ones((2, 0, 3)), "maps must have shape"),
        ([[[1, 2], [3]]], [[[1, 0], [1]]], "maps must be an array"),
        ([[["a"]]], [[[1]]], "maps must hold numbers"),
        (np.ones((1, 2, 2)), np.ones((1, 2, 2), dtype=complex), "masks must hold numbers"),
    ],
)
def test_what_is_no_pair_of_images(maps, masks, said: str) -> None:
    for measure in (*MEASURES, metrics.localisation):
        with pytest.raises(InputError, match=said):
            measure(maps, masks)


def test_parts_that_are_none() -> None:
    for measure in (*MEASURES, metrics.localisation):
        with pytest.raises(InputError, match="positive, negative, absolute"):
            measure([at(0, 0)], [ROOM], part="all")
    for measure in (metrics.relevance_mass, metrics.area_weighted_localisation):
        with pytest.raises(InputError, match="one sign"):
            measure([at(0, 0)], [ROOM], part="signed")


def test_chance_needs_no_map() -> None:
    masks = np.stack([ROOM, ~ROOM, ROOM & False, ROOM | True])
    np.testing.assert_allclose(metrics.chance_level(masks), [1 / 3, 2 / 3, np.nan, np.nan])
    broken = np.where(ROOM, np.nan, 1.0)
    assert np.isnan(metrics.chance_level([broken])).all()
    found = metrics.localisation([at(0, 0) * np.nan], [ROOM])
    assert found["chance_level"] == pytest.approx(1 / 3)
