"""Slices and words with many errors: planted ones are confirmed, noise is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import fisher_exact

from fairvision import metrics
from fairvision.errors import FairvisionWarning, InputError

N, PLANTED = 1200, 120


def planted(seed: int, rate: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Images of six kinds, and some that lie apart and are often wrong."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(N, 16))
    features[:, :4] += 3 * random.normal(size=(6, 4))[random.integers(0, 6, N)]
    direction = random.normal(size=16)
    features[:PLANTED] += 5 * direction / np.linalg.norm(direction)
    errors = random.random(N) < np.where(np.arange(N) < PLANTED, rate, 0.1)
    return features, errors.astype(float)


def test_a_planted_slice_is_confirmed() -> None:
    for seed in range(5):
        features, errors = planted(seed)
        slices = metrics.error_slices(features, errors, seed=seed)
        assert len(slices.confirmed) >= 1
        inside = slices.members[slices.table["confirmed"]].any(axis=0)
        assert inside[:PLANTED].mean() > 0.3
        assert inside[:PLANTED].sum() > 0.7 * inside.sum()
        first = slices.table.iloc[0]
        assert first["low"] < first["error"] < first["high"]
        assert first["error"] > 2 * first["error_elsewhere"]


def test_the_figures_are_those_of_the_other_half() -> None:
    features, errors = planted(0)
    slices = metrics.error_slices(features, errors)
    for row, inside in zip(slices.table.to_dict("records"), slices.members):
        part, rest = (errors[slices.held_out & of] for of in (inside, ~inside))
        assert row["n"] == len(part)
        assert row["error"] == pytest.approx(part.mean())
        assert row["error_elsewhere"] == pytest.approx(rest.mean())
        assert row["n_seen"] == (inside & ~slices.held_out).sum()
        table = [[part.sum(), (1 - part).sum()], [rest.sum(), (1 - rest).sum()]]
        assert row["p"] == pytest.approx(fisher_exact(table, alternative="greater").pvalue)
    assert slices.held_out.mean() == pytest.approx(0.5, abs=0.01)


def test_noise_is_not_confirmed() -> None:
    times = 0
    for seed in range(60):
        features, _ = planted(seed)
        errors = np.random.default_rng(seed + 1000).random(N) < 0.2
        labels = np.random.default_rng(seed).integers(0, 3, N)
        slices = metrics.error_slices(features, errors, labels=labels, seed=seed)
        times += len(slices.confirmed) > 0
    assert times <= 3


def test_words_are_confirmed_and_noise_is_not() -> None:
    random = np.random.default_rng(0)
    vocabulary = np.array([f"w{i}" for i in range(60)])
    times = 0
    for seed in range(60):
        held = random.random((N, 60)) < 0.1
        captions = [" ".join(vocabulary[row]) for row in held]
        noise = random.random(N) < 0.2
        times += len(metrics.error_words(captions, noise, seed=seed).confirmed) > 0
        if seed < 3:
            errors = random.random(N) < np.where(held[:, 7], 0.5, 0.1)
            words = metrics.error_words(captions, errors, seed=seed)
            assert words.confirmed["word"].iloc[0] == "w7"
            assert (words.members[0] == held[:, 7]).all()
    assert times <= 3


def test_several_captions_and_images_without_any() -> None:
    captions: list[Any] = [["a red bus", "A bus!"], None, "a dog"] * 100
    errors = [1.0, np.nan, 0.0] * 100
    words = metrics.error_words(captions, errors)
    assert sorted(words.confirmed["word"]) == ["bus", "red"]
    assert words.table["n"].max() == 50


def test_clusters_stay_together_and_count_as_such() -> None:
    random = np.random.default_rng(1)
    person = np.repeat(np.arange(150), 8)
    features = random.normal(size=(150, 8))[person] + 0.1 * random.normal(size=(N, 8))
    times, plain = 0, 0
    for seed in range(30):
        likely = np.random.default_rng(seed).beta(0.4, 1.6, 150)[person]
        errors = np.random.default_rng(seed + 99).random(N) < likely
        slices = metrics.error_slices(features, errors, cluster=person, seed=seed)
        assert (slices.held_out.reshape(150, 8).sum(axis=1) % 8 == 0).all()
        times += len(slices.confirmed) > 0
        plain += len(metrics.error_slices(features, errors, seed=seed).confirmed) > 0
    assert times <= 3
    assert plain > 5


def test_too_few_images_are_said() -> None:
    with pytest.warns(FairvisionWarning, match="too few images"):
        slices = metrics.error_slices(np.zeros((10, 3)), [0, 1] * 5)
    assert not len(slices.table)
    with pytest.warns(FairvisionWarning, match="or errors"):
        slices = metrics.error_slices(np.random.default_rng(0).normal(size=(900, 3)), [0] * 900)
    assert not len(slices.confirmed)
    assert slices.members.shape == (0, 900)


def test_what_is_not_known_takes_no_part() -> None:
    features, errors = planted(2)
    features[::10] = np.nan
    errors[5::10] = np.nan
    slices = metrics.error_slices(features, errors)
    assert not slices.members[:, ::10].any()
    assert not slices.held_out[5::10].any()
    assert np.isfinite(slices.table["error"]).all()


@pytest.mark.parametrize(
    ("features", "errors", "more", "message"),
    [
        (np.zeros(3), [0, 1, 0], {}, "images × width"),
        (np.zeros((3, 2)), [0, 1], {}, "rows"),
        (np.zeros((3, 2)), [0, 1, 2], {}, "0 or 1"),
        (np.zeros((3, 2)), [0, 1, 1], {"slices": 0}, "1 or more"),
        (np.zeros((3, 2)), [0, 1, 1], {"cluster": [1]}, "rows"),
    ],
)
def test_what_cannot_be_is_said(features: Any, errors: Any, more: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        metrics.error_slices(features, errors, **more)
    with pytest.raises(InputError):
        metrics.error_words(["a"], [0, 1])
