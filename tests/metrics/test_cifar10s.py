from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairvision import metrics
from fairvision.errors import InputError

codes = arrays(np.int8, 14, elements=st.integers(-1, 3))


def two_versions(n: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of grey and colour versions of images; colour ones change class with noise."""
    random = np.random.default_rng(seed)
    grey = random.integers(0, 5, n)
    colour = np.where(random.random(n) < noise, 0, grey)
    return np.concatenate([grey, colour]), np.repeat(["grey", "colour"], n), np.tile(range(n), 2)


@given(codes, codes)
def test_definition_in_fractions(predicted: np.ndarray, domains: np.ndarray) -> None:
    result = metrics.cifar10s_bias(predicted, domains, replicates=10)
    names = set(domains.tolist()) - {-1}
    rows = [(p, d) for p, d in zip(predicted.tolist(), domains.tolist()) if p >= 0 and d >= 0]
    biases = []
    for label in {p for p, _ in rows}:
        of = [sum(row == (label, domain) for row in rows) for domain in names]
        biases.append(Fraction(max(of), sum(of)) - Fraction(1, len(names)))
    assert result.n == len(rows)
    if len(names) < 2 or not biases:
        assert np.isnan(result.value)
    else:
        assert result.value == pytest.approx(float(sum(biases) / len(biases)), abs=1e-12)


def test_blind_to_the_domain_is_zero_and_a_class_of_one_domain_is_half() -> None:
    predicted, domains, images = two_versions(100, 0)
    for given_images in (None, images):
        assert float(metrics.cifar10s_bias(predicted, domains, images=given_images)) == 0
    apart = metrics.cifar10s_bias(["a", "b"], ["grey", "colour"])
    assert float(apart) == 0.5
    three = metrics.cifar10s_bias(["a", "b", "c"], ["grey", "colour", "negative"])
    assert float(three) == pytest.approx(2 / 3)


def test_a_class_never_predicted_leaves_the_mean() -> None:
    predicted = pd.Categorical(["a", "a", "a", "b"], categories=["a", "b", "never"])
    result = metrics.cifar10s_bias(predicted, ["grey", "grey", "colour", "colour"])
    assert float(result) == pytest.approx((2 / 3 - 1 / 2 + 1 / 2) / 2)
    assert result.pairs is not None
    never = result.pairs.set_index("label").loc["never"]
    assert never["n"] == 0
    assert never[["value", "domain"]].isna().all()


def test_versions_of_an_image_are_drawn_together() -> None:
    predicted, domains, images = two_versions(400, 0.1)
    apart = metrics.cifar10s_bias(predicted, domains)
    together = metrics.cifar10s_bias(predicted, domains, images=images)
    assert (together.value, together.n) == (apart.value, apart.n)
    assert together.low <= together.value <= together.high
    assert together.high - together.low < 0.6 * (apart.high - apart.low)
    order = np.random.default_rng(1).permutation(800)
    mixed = metrics.cifar10s_bias(predicted[order], domains[order], images=images[order])
    np.testing.assert_array_equal(mixed.replicates, together.replicates)
    means = [
        float(metrics.cifar10s_bias(*two_versions(400, 0.1, seed)[:2], replicates=0))
        for seed in range(1, 150)
    ]
    assert np.std(means) == pytest.approx(together.replicates.std(), rel=0.25)


def test_two_models_are_compared_on_the_same_images() -> None:
    blind, domains, images = two_versions(300, 0)
    other = two_versions(300, 0.3)[0]
    results = [metrics.cifar10s_bias(said, domains, images=images) for said in (blind, other)]
    difference = metrics.compare(*results)
    assert difference.value == results[1].value
    assert difference.low > 0


def test_a_version_that_is_missing_or_unknown() -> None:
    predicted, domains = ["a", "a", None, "b"], ["grey", "colour", "grey", "colour"]
    result = metrics.cifar10s_bias(predicted, domains, images=[1, 1, 2, 2])
    assert (float(result), result.n) == (0.25, 3)
    none = metrics.cifar10s_bias(["a"], [None], images=[1])
    assert (np.isnan(none.value), none.n) == (True, 0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"images": [1, 1, 1, 2]}, "image 1 is shown more than once"),
        ({"images": [1, None, 2, 2]}, "images is unknown in row 1"),
        ({"images": [1, 1, 2]}, "images has 3 rows"),
        ({"images": [1, 1, 2, 2], "counts": [1, 1, 1, 1]}, "give counts or images"),
        ({"predicted": [[1, 0]] * 4}, "predicted must hold one class"),
    ],
)
def test_bad_input(wrong: dict, said: str) -> None:
    right = {"predicted": list("abab"), "domains": ["grey", "colour"] * 2}
    with pytest.raises(InputError, match=said):
        metrics.cifar10s_bias(**(right | wrong))
