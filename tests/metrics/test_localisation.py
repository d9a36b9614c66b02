"""What holds of all measures of evidence at once, over wide inputs."""

from __future__ import annotations

import doctest
import tracemalloc
import warnings
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.metrics import roc_auc_score

from fairvision import metrics
from fairvision.metrics._engine import pixels

NAMES = [
    "pointing_game",
    "relevance_mass",
    "relevance_rank",
    "top_k_intersection",
    "evidence_auc",
    "area_weighted_localisation",
    "chance_level",
]
PARTS = ["positive", "negative", "absolute", "signed"]
SUM_TO_ONE = ["pointing_game", "relevance_mass", "top_k_intersection", "evidence_auc"]
WITH_TIES = st.sampled_from([-3.0, -1.0, -0.0, 0.0, 0.5, 1.0, 7.0])
Images = tuple[np.ndarray, np.ndarray]


@st.composite
def images(draw: st.DrawFn, dtype: Any = np.float64, elements: Any = None) -> Images:
    """Maps and masks of one shape: ties, negative, empty, full, nothing at all."""
    shape = draw(array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5))
    width = np.dtype(dtype).itemsize * 8
    wide = st.floats(allow_nan=False, allow_infinity=False, width=width)
    drawn = draw(st.sampled_from([WITH_TIES, wide])) if elements is None else elements
    return draw(arrays(dtype, shape, elements=drawn)), draw(arrays(bool, shape))


def as_counted(maps: np.ndarray, part: str) -> np.ndarray:
    maps = maps.astype(float)
    parts = {
        "positive": np.maximum(maps, 0),
        "negative": np.maximum(-maps, 0),
        "absolute": abs(maps),
        "signed": maps,
    }
    return parts[part]


def assert_same(found: dict[str, Any], expected: dict[str, Any], rtol: float = 1e-12) -> None:
    assert list(found) == list(expected) == NAMES
    for name in NAMES:
        np.testing.assert_allclose(found[name], expected[name], rtol, atol=rtol, err_msg=name)


def one_by_one(maps: Any, masks: Any, **options: Any) -> dict[str, np.ndarray]:
    part = {"part": options.get("part", "positive")}
    undefined = np.full(len(maps), np.nan)
    one_sign = part["part"] != "signed"
    masses = (metrics.relevance_mass, metrics.area_weighted_localisation)
    mass, weighted = (f(maps, masks, **part) if one_sign else undefined for f in masses)
    return {
        "pointing_game": metrics.pointing_game(maps, masks, **part),
        "relevance_mass": mass,
        "relevance_rank": metrics.relevance_rank(maps, masks, **part),
        "top_k_intersection": metrics.top_k_intersection(maps, masks, **options),
        "evidence_auc": metrics.evidence_auc(maps, masks, **part),
        "area_weighted_localisation": weighted,
        "chance_level": metrics.chance_level(masks),
    }


def over_all_orders(evidence: np.ndarray, inside: np.ndarray, k: int) -> float:
    """Mean of the share of the k first inside, over all orders in which evidence does not rise."""
    orders = [
        order
        for order in permutations(range(evidence.size))
        if all(evidence[a] >= evidence[b] for a, b in pairwise(order))
    ]
    return float(np.mean([inside[list(order[:k])].mean() for order in orders]))


@settings(max_examples=40, deadline=None)
@given(
    arrays(float, (1, 2, 3), elements=WITH_TIES),
    arrays(bool, (1, 2, 3)),
    st.sampled_from(PARTS),
    st.integers(1, 6),
)
def test_by_brute_force(maps: np.ndarray, masks: np.ndarray, part: Any, k: int) -> None:
    found = {
        name: values[0]
        for name, values in metrics.localisation(maps, masks, part=part, k=k).items()
    }
    h, inside = as_counted(maps, part).ravel(), masks.ravel()
    if inside.all() or not inside.any():
        assert np.isnan(list(found.values())).all()
        return
    assert found["chance_level"] == inside.mean()
    if not h.any():
        assert np.isnan([found[name] for name in NAMES[:-1]]).all()
        return
    assert found["pointing_game"] == pytest.approx(over_all_orders(h, inside, 1))
    assert found["relevance_rank"] == pytest.approx(over_all_orders(h, inside, inside.sum()))
    assert found["top_k_intersection"] == pytest.approx(over_all_orders(h, inside, k))
    pairs = [(a > b) + (a == b) / 2 for a in h[inside] for b in h[~inside]]
    assert found["evidence_auc"] == pytest.approx(np.mean(pairs))
    if part == "signed":
        assert np.isnan([found["relevance_mass"], found["area_weighted_localisation"]]).all()
    else:
        mass = h[inside].sum() / h.sum()
        assert found["relevance_mass"] == pytest.approx(mass)
        assert found["area_weighted_localisation"] == pytest.approx(mass / inside.mean())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.int32, bool])
@pytest.mark.parametrize("part", PARTS)
def test_auc_is_that_of_scikit_learn(dtype: Any, part: Any) -> None:
    random = np.random.default_rng(0)
    maps = (random.normal(size=(20, 13, 17)) * 40).astype(dtype)
    masks = random.random(maps.shape) < random.random((20, 1, 1))
    found = metrics.evidence_auc(maps, masks, part=part)
    if dtype in (np.uint8, bool) and part == "negative":
        assert np.isnan(found).all()
        return
    expected = [roc_auc_score(m.ravel(), h.ravel()) for h, m in zip(as_counted(maps, part), masks)]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@settings(deadline=None)
@given(images(np.float32))
def test_auc_of_any_map_is_that_of_scikit_learn(case: Images) -> None:
    for h, mask, found in zip(*case, metrics.evidence_auc(*case)):
        if not np.isnan(found):
            expected = roc_auc_score(mask.ravel(), np.maximum(h, 0).ravel())
            assert found == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(st.sampled_from([np.float32, np.float64]).flatmap(images), st.sampled_from(PARTS))
def test_range_and_complement(case: Images, part: Any) -> None:
    maps, masks = case
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics.localisation(maps, masks, part=part, k=1)
        beside = metrics.localisation(maps, ~masks, part=part, k=1)
    for name in (*SUM_TO_ONE, "relevance_rank"):
        values = found[name][~np.isnan(found[name])]
        assert ((values >= 0) & (values <= 1)).all()
    for name in SUM_TO_ONE:
        both = found[name] + beside[name]
        np.testing.assert_allclose(both[~np.isnan(both)], 1, rtol=1e-12)
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(beside[name]))
    undefined = np.isnan(
        [found[name] for name in NAMES[:-1] if part != "signed" or "pointing" in name]
    )
    assert (undefined == undefined[0]).all(), "the measures are undefined on the same maps"


@settings(deadline=None)
@given(st.sampled_from([np.float32, np.float64]).flatmap(images), st.sampled_from(PARTS))
def test_in_one_pass_as_one_by_one(case: Images, part: Any) -> None:
    found = metrics.localisation(*case, part=part, k=1)
    assert_same(found, one_by_one(*case, part=part, k=1), rtol=0)


@given(images(elements=WITH_TIES), st.integers(-1000, 1000))
def test_scale_of_the_map(case: Images, exponent: int) -> None:
    """Exactly, for powers of two, to the ends of the range of floats."""
    maps, masks = case
    scaled = np.ldexp(maps, exponent)
    assert_same(metrics.localisation(scaled, masks), metrics.localisation(maps, masks), rtol=0)


@given(images(elements=WITH_TIES), st.floats(1e-3, 1e3))
def test_each_map_has_its_own_scale(case: Images, factor: float) -> None:
    maps, masks = case
    scaled = maps * factor ** np.arange(len(maps))[:, None, None]
    assert_same(metrics.localisation(scaled, masks), metrics.localisation(maps, masks))


@given(images(), st.randoms(use_true_random=False))
def test_where_the_pixels_are_does_not_matter(case: Images, random: Any) -> None:
    maps, masks = case
    expected = metrics.localisation(maps, masks)
    for turned in (lambda a: a[:, ::-1], lambda a: a[:, :, ::-1], lambda a: a.transpose(0, 2, 1)):
        assert_same(metrics.localisation(turned(maps), turned(masks)), expected)
    order = random.sample(range(maps[0].size), maps[0].size)
    mixed = [a.reshape(len(a), -1)[:, order].reshape(a.shape) for a in case]
    assert_same(metrics.localisation(*mixed), expected)


def test_batches_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    maps, masks = random.normal(size=(30, 8, 9)), random.random((30, 8, 9)) < 0.3
    maps[7, 2, 2], maps[9] = np.nan, 0
    whole = metrics.localisation(maps, masks)
    parts = [metrics.localisation(maps[i : i + 4], masks[i : i + 4]) for i in range(0, 30, 4)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in NAMES}
    assert_same(joined, whole, rtol=0)
    for number, threads in ((1, "1"), (100, "4"), (1000, "many")):
        monkeypatch.setattr(pixels, "AT_A_TIME", {"host": number})
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        assert_same(metrics.localisation(maps, masks), whole, rtol=0)


def test_types_of_maps_and_masks() -> None:
    random = np.random.default_rng(0)
    maps = random.integers(-100, 100, (5, 6, 7))
    masks = random.random(maps.shape) < 0.4
    expected = metrics.localisation(maps, masks)
    assert {values.dtype for values in expected.values()} == {np.dtype(float)}
    for dtype in ("f2", "f4", "f8", "i1", "i2", "i8", ">f4", ">f8", "longdouble"):
        assert_same(metrics.localisation(maps.astype(dtype), masks), expected)
    for dtype in ("u1", "i8", "f4", "f8", "f2"):
        assert_same(metrics.localisation(maps, masks.astype(dtype) * 3), expected)
    assert_same(metrics.localisation(maps.tolist(), masks.tolist()), expected)
    assert_same(metrics.localisation(np.asfortranarray(maps * 1.0), masks), expected)
    backwards = np.ascontiguousarray((maps * 1.0)[:, ::-1])[:, ::-1]
    assert_same(metrics.localisation(backwards, masks), expected)


def test_masked_pixels_are_unknown() -> None:
    """Of a map or a mask: they spoil their own image."""
    random = np.random.default_rng(0)
    maps, masks = random.random((3, 5, 5)), random.random((3, 5, 5)) < 0.4
    hidden = np.zeros(maps.shape, dtype=bool)
    hidden[1, 2, 2] = True
    expected = metrics.localisation(maps, masks)
    for some in (
        (np.ma.masked_array(maps, hidden), masks),
        (maps, np.ma.masked_array(masks, hidden)),
    ):
        found = metrics.localisation(*some)
        for name in NAMES:
            assert np.isnan(found[name][1]) or (name == "chance_level" and some[1] is masks)
            np.testing.assert_array_equal(found[name][::2], expected[name][::2])


def test_parts_are_maps_of_their_own() -> None:
    random = np.random.default_rng(0)
    maps, masks = random.normal(size=(20, 9, 9)), random.random((20, 9, 9)) < 0.3
    for part, same in {"negative": -maps, "absolute": abs(maps)}.items():
        found = metrics.localisation(maps, masks, part=part)  # type: ignore[arg-type]
        assert_same(found, metrics.localisation(same, masks))
    signed = metrics.localisation(maps, masks, part="signed")
    raised = metrics.localisation(maps + 10, masks)
    for name in ("pointing_game", "relevance_rank", "top_k_intersection", "evidence_auc"):
        np.testing.assert_array_equal(signed[name], raised[name])


def test_signed_maps_may_be_negative_everywhere() -> None:
    maps = [[[-1.0, -2.0], [-3.0, -4.0]]]
    masks = [[[1, 0], [0, 0]]]
    assert metrics.pointing_game(maps, masks, part="signed") == 1
    assert metrics.evidence_auc(maps, masks, part="signed") == 1
    assert np.isnan(metrics.pointing_game(maps, masks))


@pytest.mark.parametrize("ties", ["expected", "first"])
def test_first_of_ties_is_that_in_reading_order(ties: Any) -> None:
    maps = np.array([[[0, 2, 2], [2, 0, 0]]] * 2, dtype=np.float32)
    masks = np.zeros(maps.shape, dtype=bool)
    masks[0, 0, 1], masks[1, 1, 0] = True, True
    expected = {"expected": [1 / 3, 1 / 3], "first": [1, 0]}
    np.testing.assert_allclose(metrics.pointing_game(maps, masks, ties=ties), expected[ties])


def test_random_maps_score_their_chance() -> None:
    random = np.random.default_rng(0)
    maps = random.random((1500, 12, 12)).astype(np.float32)
    masks = random.random(maps.shape) < random.uniform(0.05, 0.95, (1500, 1, 1))
    found = metrics.localisation(maps, masks)
    chance = found["chance_level"].mean()
    for name, values in found.items():
        expected = {"evidence_auc": 0.5, "area_weighted_localisation": 1.0}.get(name, chance)
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - expected) < 4 * error, name


def test_sums_keep_what_is_small() -> None:
    """Half an image of small evidence beside one strong pixel: lost if summed in float32."""
    maps = np.full((1, 224, 224), 1e-4, dtype=np.float32)
    maps[0, 0, 0] = 2.0**12
    masks = np.zeros(maps.shape, dtype=bool)
    masks[:, 112:] = True
    small = float(np.float32(1e-4)) * 224 * 112
    expected = small / (2 * small - float(np.float32(1e-4)) + 2**12)
    assert metrics.relevance_mass(maps, masks)[0] == pytest.approx(expected, rel=1e-12)


def test_memory_does_not_grow_with_the_number_of_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    random = np.random.default_rng(0)
    peaks = []
    for n in (4, 40):
        maps = random.random((n, 224, 224), dtype=np.float32)
        masks = maps[:, ::-1] > 0.7
        tracemalloc.start()
        metrics.localisation(maps, masks)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 4e6
    assert peaks[1] < peaks[0] + 1e5


def test_no_maps() -> None:
    found = metrics.localisation(np.zeros((0, 4, 4)), np.zeros((0, 4, 4)))
    assert_same(found, {name: np.zeros(0) for name in NAMES})


def test_examples_of_the_page() -> None:
    page = Path(__file__).parents[2] / "docs/metrics-evidence.md"
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testfile(str(page), module_relative=False, optionflags=flags)
    assert found.attempted > 15
    assert found.failed == 0
