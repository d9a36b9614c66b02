"""The losses of captioners, against values worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fairvision import methods, models
from fairvision.datasets import Batch, Dataset
from fairvision.datasets.batching import CaptionTokens
from fairvision.errors import InputError
from fairvision.methods.captions.equalizer import (
    BOUND,
    appearance_confusion,
    confident,
    groups_of,
)
from fairvision.methods.captions.method import Words, group_probabilities, next_word
from fairvision.models.sentences import padded
from fairvision.models.vocabulary import PAD, Vocabulary

# tokens: four special ones, then a, man, boy, woman
MEMBERSHIP = torch.tensor([[0.0, 0.0]] * 5 + [[0.0, 1.0]] * 2 + [[1.0, 0.0]])
CAPTIONS = ["a man", "a boy", "a woman"]


@pytest.fixture
def vocabulary():
    return Vocabulary.learn(CAPTIONS * 2)


@pytest.fixture
def captioner(vocabulary):
    torch.manual_seed(0)
    return models.build_captioner("small_cnn", vocabulary, size=16).eval()


def batch_of(vocabulary, captions, of, n=2, has_mask=(True, True)):
    generator = torch.Generator().manual_seed(1)
    masks = torch.zeros(n, 1, 16, 16)
    masks[:, :, 4:9, 4:9] = 1
    return Batch(
        rows=np.arange(n),
        images=torch.rand(n, 3, 16, 16, generator=generator),
        masks=masks,
        has_mask=torch.tensor(has_mask),
        attributes={},
        tasks={},
        captions=CaptionTokens(padded(vocabulary.encode_all(captions)), torch.tensor(of)),
    )


def logits_of(*rows):
    return torch.tensor(rows)[None].log()


def test_the_cross_entropy_is_that_of_each_word():
    words = Words(logits_of([0.5, 0.25, 0.25], [0.1, 0.8, 0.1]), torch.tensor([[1, PAD]]))
    terms = next_word(words)
    assert float(terms.losses["cross_entropy/captions"]) == pytest.approx(np.log(4))
    assert int(terms.counts["cross_entropy/captions"]) == 1
    assert float(terms.measures["accuracy/captions"]) == 0


def test_probabilities_of_groups_are_sums_over_their_words():
    logits = logits_of([0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.2])
    expected = torch.tensor([[[0.2, 0.3]]])
    torch.testing.assert_close(group_probabilities(logits, MEMBERSHIP), expected)


def test_words_of_any_group_count():
    tokens = torch.tensor([[1, 4, 5, 6, 7, 2]])
    assert groups_of(tokens, MEMBERSHIP).tolist() == [[-1, -1, 1, 1, 0, -1]]


def test_confusion_by_hand():
    logits = logits_of(*[[0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.2]] * 3)
    values = appearance_confusion(logits, torch.tensor([[0, -1, 1]]), MEMBERSHIP)
    torch.testing.assert_close(values, torch.tensor([[0.1, 0.0, 0.1]]))


@pytest.mark.parametrize(
    ("form", "woman", "man"),
    [("quotient", 0.3 / 0.20001, 0.2 / 0.30001), ("difference", 1.1, 0.9), ("hinge", 0.2, 0.0)],
)
def test_confident_by_hand(form, woman, man):
    logits = logits_of(*[[0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.2]] * 3)
    values = confident(logits, torch.tensor([[0, 1, -1]]), MEMBERSHIP, form)
    torch.testing.assert_close(values, torch.tensor([[woman, man, 0.0]]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_confident_term_is_bounded(dtype):
    logits = torch.zeros(1, 1, 8, dtype=dtype)
    logits[..., 5], logits[..., 7] = 60, -60
    value = confident(logits, torch.tensor([[0]]), MEMBERSHIP, "quotient")
    assert float(value) == BOUND


def test_three_groups():
    membership = torch.eye(5)[:, 2:]
    logits = logits_of([0.1, 0.1, 0.4, 0.3, 0.1])
    apart = appearance_confusion(logits, torch.tensor([[2]]), membership)
    assert float(apart) == pytest.approx((0.1 + 0.3 + 0.2) / 3)
    wrong = confident(logits, torch.tensor([[0]]), membership, "quotient")
    assert float(wrong) == pytest.approx(0.4 / 0.40001, abs=1e-5)


def test_terms_of_the_equalizer_are_sums_over_steps_by_the_number_of_words(vocabulary, captioner):
    batch = batch_of(vocabulary, ["a man", "a", "a woman"], [0, 0, 1], has_mask=(True, False))
    terms = methods.settings("equalizer", {}, captions=True).terms(captioner, batch)
    words = 3 + 2 + 3  # with the ends
    assert int(terms.counts["confident/captions"]) == words
    assert int(terms.counts["appearance_confusion/captions"]) == 5  # of the image with a mask
    tokens, of = batch.captions.tokens, batch.captions.of
    logits = captioner(batch.images, tokens[:, :-1], of)
    groups = groups_of(tokens[:, 1:], captioner.membership)
    assert (groups >= 0).sum() == 2
    expected = confident(logits, groups, captioner.membership, "quotient").sum() / words
    torch.testing.assert_close(terms.losses["confident/captions"], expected)


def test_only_captions_that_name_a_group_are_read_without_the_person(vocabulary, captioner):
    batch = batch_of(vocabulary, ["a", "a"], [0, 1])
    terms = methods.settings("equalizer", {}, captions=True).terms(captioner, batch)
    assert float(terms.losses["appearance_confusion/captions"].detach()) == 0


@pytest.mark.parametrize("term", ["appearance_confusion/captions", "confident/captions"])
def test_each_term_has_a_gradient(vocabulary, captioner, term):
    # With an AND of the groups' words, as in a published program, the first would have none.
    batch = batch_of(vocabulary, ["a man", "a woman"], [0, 1])
    terms = methods.settings("equalizer", {}, captions=True).terms(captioner, batch)
    gradient = torch.autograd.grad(terms.losses[term], captioner.decoder.embedding.weight)[0]
    assert float(gradient.abs().max()) > 1e-4


def test_upweighted_words(vocabulary, captioner):
    batch = batch_of(vocabulary, ["a man", "a woman"], [0, 1])
    once, ten = (
        methods.settings("upweight", {"weight": w}, captions=True).terms(captioner, batch)
        for w in (1, 10)
    )
    plain = methods.settings("baseline", {}, captions=True).terms(captioner, batch)
    name = "cross_entropy/captions"
    torch.testing.assert_close(once.losses[name], plain.losses[name])
    tokens = batch.captions.tokens
    log = captioner(batch.images, tokens[:, :-1], batch.captions.of).log_softmax(2)
    of_gender = -(log[0, 1, tokens[0, 2]] + log[1, 1, tokens[1, 2]])
    expected = plain.losses[name] + 9 * of_gender / 6
    torch.testing.assert_close(ten.losses[name], expected)


def test_balanced_draws_each_group_as_often(captioner):
    captions = [("a man",)] * 6 + [("a woman", "a woman")] * 2 + [("a man", "a woman"), ("a",)]
    rows = pd.DataFrame({"id": map(str, range(10)), "captions": captions})
    dataset = Dataset(Path("."), "ten", {}, {}, rows)
    objective = methods.settings("balanced", {}, captions=True).start(captioner, dataset)
    order = np.concatenate([objective.order(10, np.random.default_rng(i)) for i in range(200)])
    times = np.bincount(order, minlength=10)
    assert times[8:].tolist() == [200, 200]
    assert times[:6].sum() == pytest.approx(times[6:8].sum(), rel=0.15)


def test_what_a_method_needs_is_said(captioner):
    rows = pd.DataFrame({"id": ["0"], "mask": [None], "captions": [("a dog",)]})
    dataset = Dataset(Path("data"), "one", {}, {}, rows)
    with pytest.raises(InputError, match="the equalizer needs masks of the person"):
        methods.settings("equalizer", {}, captions=True).check(dataset)
    with pytest.raises(InputError, match="no caption of data names one group"):
        methods.settings("balanced", {}, captions=True).start(captioner, dataset)
    with pytest.raises(InputError, match="there is no method for captions 'jtt'"):
        methods.settings("jtt", {}, captions=True)
