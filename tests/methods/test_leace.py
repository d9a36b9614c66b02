"""Erasure in closed form: nothing linear is left of the concept, and no more is changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import nn

from fairvision.datasets import Dataset, Task
from fairvision.errors import InputError
from fairvision.methods.leace import Leace, fit_eraser, fold, indicators
from fairvision.models import Network


def drawn(n=400, width=6, groups=3, seed=0):
    """Return features in whose mean the group shows, and the groups as columns of 0 and 1."""
    random = np.random.default_rng(seed)
    codes = random.integers(groups, size=n)
    features = random.normal(size=(n, width)) @ random.normal(size=(width, width))
    return features + 2 * random.normal(size=(groups, width))[codes], np.eye(groups)[codes]


def erased(features, concept):
    matrix, mean = fit_eraser(features, concept)
    return mean + (features - mean) @ matrix.T


@pytest.mark.parametrize("groups", [2, 3, 5])
def test_nothing_linear_is_left(groups):
    features, concept = drawn(groups=groups)
    after = erased(features, concept)
    shared = (after - after.mean(axis=0)).T @ (concept - concept.mean(axis=0)) / len(after)
    np.testing.assert_allclose(shared, 0, atol=1e-10)
    assert LinearRegression().fit(after, concept).score(after, concept) == pytest.approx(0)
    codes = concept.argmax(axis=1)
    probe = LogisticRegression(C=1e6, max_iter=10_000, tol=1e-8)
    assert probe.fit(features, codes).score(features, codes) > 0.6
    shares = probe.fit(after, codes).predict_proba(after)
    np.testing.assert_allclose(shares, np.tile(concept.mean(axis=0), (len(after), 1)), atol=1e-3)
    np.testing.assert_allclose(after.mean(axis=0), features.mean(axis=0))


def test_it_is_the_authors_program():
    """Rounded results of their `LeaceEraser`, concept-erasure 0.2.4, without shrinkage."""
    random = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], [5, 4, 3])
    features = random.normal(size=(12, 4)).round(2) + np.eye(4)[codes]
    expected = [
        [0.851659, 0.601937, 1.103143, 0.338984],
        [0.565809, 0.45058, 0.885755, 0.723285],
        [-0.277962, 0.440119, 0.218802, 0.466139],
        [-1.609479, 0.6068, -0.844296, -0.523883],
        [0.269973, 0.279731, 0.661595, 1.166309],
        [-0.053184, 0.306457, 0.404378, 0.969811],
        [0.510376, 0.690462, 0.828007, -0.060848],
        [-0.600929, 0.447253, -0.03713, 0.33219],
        [-0.016264, 0.459161, 0.424745, 0.495513],
        [-0.284457, 0.387614, 0.216704, 0.631354],
        [-0.431262, 0.707271, 0.082046, -0.438658],
        [0.595719, 0.332615, 0.91625, 1.109803],
    ]
    np.testing.assert_allclose(erased(features, np.eye(3)[codes]), expected, atol=2e-6)


def test_it_is_a_projection_of_as_few_directions_as_the_concept_has():
    features, concept = drawn()
    matrix, _ = fit_eraser(features, concept)
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-9)
    assert np.linalg.matrix_rank(np.eye(6) - matrix) == 2


def test_of_all_maps_it_changes_the_features_least():
    """Any other that erases as much, such as projecting the means' directions out, moves more."""
    features, concept = drawn()
    centred = features - features.mean(axis=0)
    directions = np.linalg.svd(centred.T @ (concept - concept.mean(axis=0)))[0][:, :2]
    orthogonal = centred - centred @ directions @ directions.T
    covariance = np.linalg.inv(centred.T @ centred)

    def moved(after):
        change = features - after
        return np.einsum("ni,ij,nj", change, covariance, change), (change**2).sum()

    ours = moved(erased(features, concept))
    assert all(a < b for a, b in zip(ours, moved(orthogonal + features.mean(axis=0))))


def test_what_is_not_there_is_not_erased():
    features, concept = drawn()
    apart = features - LinearRegression().fit(concept, features).predict(concept)
    np.testing.assert_allclose(erased(apart, concept), apart, atol=1e-9)


def test_a_feature_that_is_the_concept_is_gone_and_the_others_stay():
    features, concept = drawn()
    apart = features - LinearRegression().fit(concept, features).predict(concept)
    after = erased(np.column_stack([apart, concept[:, 0]]), concept[:, :1])
    np.testing.assert_allclose(after[:, :-1], apart, atol=1e-9)
    np.testing.assert_allclose(after[:, -1], concept[:, 0].mean())


def test_a_weight_of_two_is_an_image_twice():
    features, concept = drawn()
    weights = 1 + np.arange(len(features)) % 3
    expected = fit_eraser(np.repeat(features, weights, axis=0), np.repeat(concept, weights, axis=0))
    for ours, theirs in zip(fit_eraser(features, concept, 7 * weights), expected):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_balanced_what_goes_along_with_the_concept_stays():
    """Of 20 images in 19 the label goes with the place; both show in the features."""
    random = np.random.default_rng(0)
    label = np.arange(800) % 2
    place = np.where(np.arange(800) % 40 < 2, 1 - label, label)
    features = np.stack([label, place], axis=1) + random.normal(scale=0.05, size=(800, 2))
    tasks = {"place": Task(("road", "lake"))}
    names = {"colour": np.array(["r", "g"])[label], "place": np.array(["road", "lake"])[place]}
    table = pd.DataFrame({"split": "train", **names}, dtype=object)
    dataset = Dataset(Path("d"), "d", {"colour": ("r", "g")}, tasks, table)
    right = {}
    for balanced in (True, False):
        network = Network(nn.Identity(), 2, {"colour": 2})
        # A head that answers by the place, and a little by the label.
        network.head("colour").weight.data = torch.tensor([[-1.0, -4.0], [1.0, 4.0]])
        network.head("colour").bias.data = torch.tensor([2.5, -2.5])
        Leace(balanced=balanced).last_layer(dataset, ["colour"])(network, features)
        logits = network.head("colour")(torch.from_numpy(features).float())
        right[balanced] = (
            (logits.argmax(dim=1).numpy() == label)[place != label].mean(),
            (logits.argmax(dim=1).numpy() == label).mean(),
        )
    assert right[True] == (1, 1)
    assert right[False][1] < 0.9  # most images lie at the border


def test_turned_and_stretched_features_are_erased_alike():
    features, concept = drawn()
    stretch = np.random.default_rng(1).normal(size=(6, 6))
    np.testing.assert_allclose(
        erased(features @ stretch + 3, concept), erased(features, concept) @ stretch + 3, atol=1e-7
    )


@pytest.mark.parametrize("n", [4, 400])
def test_dead_features_and_few_images_stay_finite(n):
    features, concept = drawn(n, width=12)
    features[:, 3], features[:, 4] = 0, features[:, 5]
    after = erased(features.astype(np.float32), concept)
    assert np.isfinite(after).all()
    np.testing.assert_allclose(after[:, 3], 0, atol=1e-12)
    shared = (after - after.mean(axis=0)).T @ (concept - concept.mean(axis=0)) / n
    np.testing.assert_allclose(shared, 0, atol=1e-6)


def test_a_head_answers_as_for_erased_features():
    features, concept = drawn()
    matrix, mean = fit_eraser(features, concept)
    torch.manual_seed(0)
    head = nn.Linear(6, 3)
    expected = head(torch.from_numpy(erased(features, concept)).float())
    fold(head, matrix, mean)
    torch.testing.assert_close(
        head(torch.from_numpy(features).float()), expected, rtol=1e-4, atol=1e-4
    )
    assert head.weight.dtype == torch.float32


# What is erased of a dataset, and for which heads.


def make_dataset(n=90, **columns) -> Dataset:
    random = np.random.default_rng(2)
    table = {
        "id": [str(i) for i in range(n)],
        "image": "x.png",
        "mask": None,
        "split": np.where(np.arange(n) % 3, "train", "val"),
        "colour": np.array(["r", "g", "b", None], dtype=object)[random.integers(4, size=n)],
        "place": np.array(["road", "lake"])[random.integers(2, size=n)],
        "things": [("cup",) if i % 5 < 2 else () for i in range(n)],
        **columns,
    }
    tasks = {"place": Task(("road", "lake")), "things": Task(("cup", "hat"), many=True)}
    return Dataset(
        Path("d"), "d", {"colour": ("r", "g", "b")}, tasks, pd.DataFrame(table, dtype=object)
    )


def test_the_columns_of_a_concept():
    dataset = make_dataset(6, colour=["r", "b", None] * 2, things=[("cup",), (), None] * 2)
    np.testing.assert_equal(indicators(dataset, "colour")[:3], [[1, 0, 0], [0, 0, 1], [np.nan] * 3])
    np.testing.assert_equal(indicators(dataset, "things")[:3], [[1, 0], [0, 0], [np.nan] * 2])


def test_each_head_loses_what_it_should_not_be_told_by():
    dataset = make_dataset()
    heads = {"colour": 3, "place": 2, "things": 2}
    learner = Leace(context="things").last_layer(dataset, heads)
    erased_of = {"colour": "things", "place": "colour", "things": "colour"}
    assert list(learner.concepts) == list(heads)
    training = dataset.split("train")
    features = np.random.default_rng(0).normal(size=(len(training), 5))
    for name in ("colour", "things"):  # the features tell both
        columns = np.nan_to_num(indicators(training, name))
        features[:, : columns.shape[1]] += 3 * columns
    network = Network(nn.Identity(), 5, heads, many=["things"])
    for head in network.heads:
        nn.init.normal_(head.weight)
    learner(network, features)
    with torch.no_grad():
        for name, concept_name in erased_of.items():
            concept = indicators(training, concept_name)
            there = ~np.isnan(concept).any(axis=1)
            logits = network.head(name)(torch.from_numpy(features).float()).numpy()[there]
            weights = np.ones(there.sum())
            if name == "place":  # balanced: neither may hold many labels
                pairs = pd.Series(zip(training.targets(name)[there], concept[there].argmax(axis=1)))
                weights = 1 / pairs.map(pairs.value_counts()).to_numpy()
            weights /= weights.sum()
            centred = concept[there] - weights @ concept[there]
            shared = (logits - weights @ logits).T @ (weights[:, None] * centred)
            np.testing.assert_allclose(shared, 0, atol=1e-5)


def test_what_cannot_be_erased_is_told():
    dataset = make_dataset()
    with pytest.raises(InputError, match="leace is about one context: say --context place or thi"):
        Leace().last_layer(dataset, ["colour"])
    with pytest.raises(InputError, match="has no task 'road': it has place, things"):
        Leace(context="road").last_layer(dataset, ["colour"])
    assert list(Leace().last_layer(dataset, ["place"]).concepts) == ["place"]
    bare = replace(dataset, tasks={})
    with pytest.raises(InputError, match=r"erases a task .* d has no task: use --method baseline"):
        Leace().last_layer(bare, ["colour"])
    with pytest.raises(InputError, match="leace needs an attribute"):
        Leace().last_layer(replace(dataset, attributes={}), ["place"])
    for colour in (None, "r"):
        with pytest.raises(InputError, match="cannot erase 'colour': it is the same, or unknown"):
            Leace().last_layer(make_dataset(colour=colour), ["place"])
