"""Retraining of heads: by which images, to which weights, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from fairvision.datasets import Dataset, Task
from fairvision.errors import FairvisionWarning, InputError
from fairvision.methods import dfr
from fairvision.methods.dfr import DFR, balanced, retrain
from fairvision.models import Network


def drawn(counts, seed=0):
    """Return features, answers and partners, from how many images a pair of both has.

    The first features tell the answer with some noise, the next ones the partner without.
    """
    random = np.random.default_rng(seed)
    pairs = [pair for pair, n in np.ndenumerate(np.array(counts)) for _ in range(n)]
    answers, partners = np.array(pairs).T
    classes, groups = np.array(counts).shape
    told = np.eye(classes)[answers] + random.normal(scale=0.4, size=(len(pairs), classes))
    shown = 5 * np.eye(groups)[partners] + random.normal(scale=0.1, size=(len(pairs), groups))
    return np.concatenate([told, shown], axis=1), answers, partners


def fitted(features, answers, partners, draws=3, seed=0):
    random = np.random.default_rng(seed)
    return retrain(features, answers, partners, draws=draws, random=random)


def test_a_draw_has_as_many_of_each_as_the_rarest():
    cells = np.repeat([3, 0, 7], [5, 2, 9])
    random = np.random.default_rng(0)
    draws = [balanced(cells, random) for _ in range(20)]
    for rows in draws:
        assert np.unique(cells[rows], return_counts=True)[1].tolist() == [2, 2, 2]
        assert len(set(rows)) == 6
    assert len(set(np.concatenate(draws))) == len(cells)


@pytest.mark.parametrize("classes", [2, 3])
def test_with_one_balanced_draw_it_is_scikit_learns(classes):
    """All cells are as large, so every draw is all images; each class against the rest."""
    features, answers, partners = drawn(np.full((classes, 2), 30))
    weight, bias = fitted(features, answers, partners)
    z = features @ weight.T + bias
    alike = []
    for strength in dfr.STRENGTHS:
        model = make_pipeline(StandardScaler(), OneVsRestClassifier(dfr._logistic(strength)))
        theirs = model.fit(features, answers).decision_function(features)
        ours = z if classes > 2 else z[:, 1] - z[:, 0]
        alike.append(np.allclose(ours, theirs, atol=1e-6))
    assert any(alike)  # by the strength that was chosen


@pytest.mark.parametrize("counts", [[[190, 10], [10, 190]], [[90, 8], [8, 90], [50, 9]]])
def test_it_answers_by_what_is_balanced_out_no_more(counts):
    features, answers, partners = drawn(counts)
    weight, bias = fitted(features, answers, partners)
    classes = len(counts)
    own, other = np.abs(weight[:, :classes]).max(), np.abs(5 * weight[:, classes:]).max()
    assert other < 0.2 * own
    new, truth, beside = drawn(np.full_like(counts, 100), seed=1)
    right = (new @ weight.T + bias).argmax(axis=1) == truth
    worst = min(right[(truth == a) & (beside == p)].mean() for a, p in np.ndindex(classes, 2))
    assert worst > 0.75
    # Of the same images as they stand the partner would be learnt too.
    model = make_pipeline(StandardScaler(), OneVsRestClassifier(dfr._logistic(1.0)))
    right = model.fit(features, answers).predict(new) == truth
    plain = min(right[(truth == a) & (beside == p)].mean() for a, p in np.ndindex(classes, 2))
    assert worst > plain


def test_the_unit_of_features_does_not_matter_and_dead_ones_get_nothing():
    features, answers, partners = drawn([[40, 6], [6, 40]])
    features = np.column_stack([features, np.full(len(features), 0.1)])
    weight, bias = fitted(features, answers, partners)
    assert not weight[:, -1].any()
    other, shifted = fitted(100 * features - 7, answers, partners)
    np.testing.assert_allclose(100 * other, weight, atol=1e-6)
    np.testing.assert_allclose(shifted - 7 * other.sum(axis=1), bias, atol=1e-6)


def test_more_draws_differ_less():
    features, answers, partners = drawn([[60, 6], [6, 60]])
    spreads = []
    for draws in (1, 30):
        weights = [fitted(features, answers, partners, draws, seed)[0][1] for seed in range(5)]
        spreads.append(np.std(weights, axis=0).sum())
    assert spreads[1] < spreads[0]


# Which heads of a network are retrained, on a dataset.


def make_dataset(n=240, **columns) -> Dataset:
    random = np.random.default_rng(1)
    colour = random.integers(4, size=n)
    table = {
        "id": [str(i) for i in range(n)],
        "image": "x.png",
        "mask": None,
        "split": np.where(np.arange(n) % 3, "val", "train"),
        "colour": np.array(["r", "g", "b", None], dtype=object)[colour],
        "light": np.array(["no", "yes"])[random.integers(2, size=n)],
        "things": [tuple(t for t in ("cup", "hat") if random.random() < 0.4) for _ in range(n)],
        **columns,
    }
    tasks = {"light": Task(("no", "yes")), "things": Task(("cup", "hat", "ship"), many=True)}
    samples = pd.DataFrame(table, dtype=object)
    return Dataset(Path("d"), "d", {"colour": ("r", "g", "b")}, tasks, samples)


HEADS = {"colour": 3, "light": 2, "things": 3}


def test_heads_learn_anew_and_a_label_without_images_stays():
    dataset = make_dataset()
    with pytest.warns(FairvisionWarning, match="as training made it .*: things ship, colour r has"):
        learner = DFR(draws=2).last_layer(dataset, HEADS)
    assert learner.split == "val"
    validation = dataset.split("val")
    codes = {name: validation.encoded(name) for name in HEADS}
    features = np.random.default_rng(0).normal(size=(len(validation), 8))
    features[:, :3] += 4 * np.eye(3)[codes["colour"]]
    features[:, 3] += 4 * codes["light"]
    features[:, 4:6] += 4 * codes["things"][:, :2]
    network = Network(nn.Identity(), 8, HEADS, many=["things"])
    for head in network.heads:
        nn.init.normal_(head.weight)
    before = {name: network.head(name).weight.clone() for name in HEADS}
    learner(network, features.astype(np.float32))
    inputs = torch.from_numpy(features).float()
    logits = {name: network.head(name)(inputs).detach().numpy() for name in HEADS}
    known = codes["colour"] >= 0
    assert (logits["colour"].argmax(1) == codes["colour"])[known].mean() > 0.9
    assert (logits["light"].argmax(1) == codes["light"]).mean() > 0.9
    assert ((logits["things"][:, :2] > 0) == codes["things"][:, :2]).mean() > 0.9
    assert torch.equal(network.head("things").weight[2], before["things"][2])
    again = Network(nn.Identity(), 8, HEADS, many=["things"])
    learner(again, features.astype(np.float32))
    for name in ("colour", "light"):
        assert torch.equal(again.head(name).weight, network.head(name).weight)


def test_what_a_head_is_balanced_over():
    dataset = make_dataset(things=[("cup", "hat", "ship") if i % 2 else () for i in range(240)])
    questions = DFR().last_layer(dataset, HEADS).questions
    places = {q.head: q.partners.max() + 1 for q in questions}
    assert places == {"colour": 2, "light": 3, "things": 3}  # light, colour, colour
    alone = replace(dataset, tasks={})
    (question,) = DFR().last_layer(alone, ["colour"]).questions
    assert not question.partners.any()


def test_what_cannot_be_retrained_is_told():
    dataset = make_dataset()
    with pytest.raises(InputError, match="learns from the validation split, and d has none"):
        DFR().last_layer(dataset.split("train"), HEADS)
    with pytest.raises(InputError, match="draws must be at least 1"):
        DFR(draws=0).last_layer(dataset, HEADS)
    tied = make_dataset(light=np.where(dataset.samples["colour"] == "r", "yes", "no"))
    message = "dfr needs 2 validation pictures of each combination, .*light no, colour r has none"
    with pytest.raises(InputError, match=message):
        DFR().last_layer(tied, ["light"])
    with pytest.raises(InputError, match="colour r, light no has none"):
        DFR().last_layer(tied, ["colour"])
    with pytest.raises(InputError, match="has no task with one label 'things': it has light"):
        DFR(context="things").last_layer(dataset, ["colour"])
    with pytest.raises(InputError, match="has no attribute 'age': it has colour"):
        DFR(domain="age").last_layer(dataset, ["light"])
    with pytest.raises(InputError, match="dfr needs an attribute"):
        DFR().last_layer(replace(dataset, attributes={}), ["light"])
