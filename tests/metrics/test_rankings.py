"""Groups in rankings: by hand, in plain Python image by image, and what may not matter."""

from __future__ import annotations

from math import log, log2

import numpy as np
import pytest

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics._engine.result import recipe_of

pytestmark = pytest.mark.filterwarnings("ignore:figures that rest on fewer")

AT_K = (metrics.bias_at_k, metrics.skew_at_k, metrics.max_skew)
GROUPS = ["female", "male", "male", "female", "male", "male"]
SCORES = np.array([[0.9, 0.1], [0.8, 0.9], [0.7, 0.8], [0.6, 0.2], [0.5, 0.7], [0.4, 0.6]])


def drawn(n=60, texts=3, groups="abc", seed=0):
    random = np.random.default_rng(seed)
    group = random.choice(np.array([*groups, None], dtype=object), n)
    return random.permutation(n * texts).reshape(n, texts) / n, group


def shares(order, groups, names):
    """Of the images of known group."""
    among = [groups[image] for image in order if groups[image] is not None]
    return {name: among.count(name) / len(among) for name in names} if among else None


def test_bias_by_hand() -> None:
    """The first four: f m m f, and m m m m."""
    result = metrics.bias_at_k(SCORES, GROUPS, k=4, replicates=0)
    assert result.pairs["value"].tolist() == [0, 1]
    assert (result.value, result.n) == (0.5, 6)
    assert metrics.bias_at_k(SCORES, GROUPS, k=3).pairs["value"][0] == pytest.approx(1 / 3)
    assert metrics.bias_at_k(SCORES, GROUPS, 3, toward="female").value == pytest.approx(-2 / 3)


def test_skew_by_hand() -> None:
    """A third are female: of the first four half and none are."""
    result = metrics.skew_at_k(SCORES, GROUPS, k=4, replicates=0)
    values = result.pairs.set_index(["group", "label"])["value"]
    assert values["female", 0] == pytest.approx(log(0.5 / (1 / 3)))
    assert np.isnan(values["female", 1])
    assert values["male", 0] == pytest.approx(log(0.5 / (2 / 3)))
    assert values["male", 1] == pytest.approx(log(1 / (2 / 3)))
    assert result.value == pytest.approx(log(0.5 * 1.5 * 1.5) / 2)
    assert metrics.skew_at_k(SCORES, GROUPS, 4, toward="female") == pytest.approx(log(1.5))
    assert metrics.max_skew(SCORES, GROUPS, k=4) == pytest.approx(log(1.5))
    equal = metrics.max_skew(SCORES, GROUPS, k=4, desired={"female": 2, "male": 2})
    assert equal == pytest.approx(log(2) / 2)


def test_ndkl_by_hand() -> None:
    """Half and half desired: f m m."""
    result = metrics.ndkl([3, 2, 1], ["f", "m", "m"], desired={"f": 1, "m": 1})
    apart = [log(2), 0, log(1 / 3 / 0.5) / 3 + log(2 / 3 / 0.5) * 2 / 3]
    discounts = [1 / log2(i + 1) for i in (1, 2, 3)]
    assert result == pytest.approx(np.dot(apart, discounts) / sum(discounts))


@pytest.mark.parametrize("groups", ["ab", "abc", "abcd"])
def test_as_counted_image_by_image(groups: str) -> None:
    scores, group = drawn(groups=groups)
    names = [*groups]
    desired = shares(range(len(group)), group, names)
    expected = {"bias": [], "max": [], "ndkl": []}
    for column in scores.T:
        order = np.argsort(-column)
        first = shares(order[:12], group, names)
        bias = first["b"] - first["a"] if groups == "ab" else np.ptp(list(first.values()))
        expected["bias"].append(bias)
        expected["max"].append(max(log(first[g] / desired[g]) for g in names if first[g]))
        above = below = 0
        for i in range(1, len(order) + 1):
            at = shares(order[:i], group, names)
            if at is None:
                continue
            above += sum(at[g] * log(at[g] / desired[g]) for g in names if at[g]) / log2(i + 1)
            below += 1 / log2(i + 1)
        expected["ndkl"].append(above / below)
    results = {
        "bias": metrics.bias_at_k(scores, group, 12, replicates=0),
        "max": metrics.max_skew(scores, group, 12, replicates=0),
        "ndkl": metrics.ndkl(scores, group, replicates=0),
    }
    for name, values in expected.items():
        assert results[name].pairs["value"].tolist() == pytest.approx(values)
        assert results[name].value == pytest.approx(np.mean(values))


def test_equal_scores_share_their_places() -> None:
    scores, group = [3, 2, 2, 2, 2, 1], ["f", "f", "m", "m", "m", "f"]
    assert metrics.bias_at_k(scores, group, k=3) == pytest.approx((1.5 - 1.5) / 3)
    assert metrics.bias_at_k(scores, group, k=2, toward="f") == pytest.approx((1.25 - 0.75) / 2)
    assert metrics.bias_at_k([1] * 6, group, k=1) == 0
    assert metrics.ndkl([1] * 6, group) == 0


def test_all_images_are_as_desired() -> None:
    scores, group = drawn()
    for measure in (metrics.skew_at_k, metrics.max_skew):
        assert measure(scores, group, len(group)) == pytest.approx(0, abs=1e-12)
        assert measure(scores, group, 0.999999) == pytest.approx(0, abs=1e-4)


def test_only_the_order_counts() -> None:
    scores, group = drawn()
    for measure in (*AT_K, metrics.ndkl):
        plain, other = (measure(of, group, 7) for of in (scores, np.exp(9 * scores) - 4))
        np.testing.assert_allclose(plain.replicates, other.replicates)


@pytest.mark.parametrize("measure", [*AT_K, metrics.ndkl])
def test_weights_stand_for_images(measure) -> None:
    scores, group = drawn(n=40)
    times = np.random.default_rng(1).integers(1, 4, 40)
    repeated = measure(np.repeat(scores, times, axis=0), np.repeat(group, times), 0.25)
    weighted = measure(scores, group, 0.25, weights=times, replicates=0)
    counted = measure(scores, group, 0.25, counts=times, replicates=0)
    assert counted == pytest.approx(float(repeated))
    if measure is not metrics.ndkl:  # whose places are those of 40 images
        assert weighted == pytest.approx(float(repeated))
    assert measure(scores, group, 5, weights=[3] * 40) == measure(scores, group, 5)


def test_a_resample_is_the_measure_of_what_is_drawn() -> None:
    scores, group = drawn(n=30)
    drawn_times = np.random.default_rng(5).multinomial(30, [1 / 30] * 30, size=4)
    for measure in (*AT_K, metrics.ndkl):
        result = measure(scores, group, 6, replicates=0)
        of_weights = recipe_of(result).statistic(drawn_times.T.astype(float))[0]
        repeated = [np.repeat(np.arange(30), times) for times in drawn_times]
        by_rows = [measure(scores[rows], group[rows], 6, replicates=0).value for rows in repeated]
        assert of_weights.tolist() == pytest.approx(by_rows)


def test_clusters_widen_the_interval() -> None:
    random = np.random.default_rng(3)
    person = np.repeat(np.arange(60), 5)
    group = random.choice(["f", "m"], 60)[person]
    scores = random.normal(size=60)[person] + 0.05 * random.normal(size=300)
    narrow, wide = (
        metrics.bias_at_k(scores, group, 60, **more) for more in ({}, {"cluster": person})
    )
    assert narrow.value == wide.value
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_undefined_is_nan() -> None:
    first_unknown = metrics.bias_at_k([3, 2, 1], [None, "f", "m"], k=1)
    assert np.isnan(first_unknown.value)
    assert first_unknown.n == 2
    for measure in (*AT_K, metrics.ndkl):
        assert np.isnan(measure([3, 2, 1], ["f", "f", "f"], 2).value)


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "2", None, float("nan")])
def test_k_that_is_no_number_of_images(k) -> None:
    for measure in AT_K:
        with pytest.raises(InputError, match="k must be"):
            measure(SCORES, GROUPS, k)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="only 6 images"):
        metrics.bias_at_k(SCORES, GROUPS, 7)
    with pytest.raises(InputError, match="toward"):
        metrics.skew_at_k(SCORES, GROUPS, 2, toward="men")
    for desired, message in (
        ({"female": 1}, "no number for the group 'male'"),
        ({"female": 0, "male": 1}, "above 0"),
        (0.5, "must be a dict"),
    ):
        with pytest.raises(InputError, match=message):
            metrics.ndkl(SCORES, GROUPS, desired=desired)
    with pytest.raises(InputError, match="needs groups"):
        metrics.max_skew(SCORES, None, 2)
