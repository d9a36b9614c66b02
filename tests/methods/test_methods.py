from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairvision import methods, models
from fairvision.datasets import Batch, Dataset, Task, hide_person
from fairvision.errors import InputError
from fairvision.methods.baseline import Baseline
from fairvision.methods.equalizer import Equalizer, appearance_confusion, confident

ATTRIBUTES = {"gender": 3}


def make_batch(n: int = 6, size: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(1)
    masks = torch.zeros(n, 1, size, size)
    masks[:, :, 2:6, 3:5] = 1
    return Batch(
        rows=np.arange(n),
        images=torch.rand(n, 3, size, size, generator=generator),
        masks=masks,
        has_mask=torch.ones(n, dtype=torch.bool),
        attributes={"gender": torch.arange(n) % 3},
        tasks={"objects": torch.ones(n, 4), "scene": torch.zeros(n, dtype=torch.int64)},
    )


def make_network(*, trained: bool = True) -> models.Network:
    torch.manual_seed(0)
    heads = {"gender": 3, "objects": 4, "scene": 2}
    network = models.build("lecture_cnn", heads, size=8, many=["objects"]).eval()
    if trained:
        torch.nn.init.normal_(network.heads[0].weight)
    return network


def make_dataset(**changes) -> Dataset:
    samples = pd.DataFrame({"mask": ["m.png"], "gender": ["a"]}, dtype=object)
    dataset = Dataset(Path("d"), "d", {"gender": ("a", "b")}, {"t": Task(("x", "y"))}, samples)
    return replace(dataset, **changes)


def test_untrained_heads_cost_the_entropy_of_a_guess():
    result = Baseline().terms(make_network(trained=False), make_batch())
    values = {name: loss.item() for name, loss in result.losses.items()}
    assert values == pytest.approx(
        {
            "cross_entropy/gender": math.log(3),
            "cross_entropy/objects": math.log(2),
            "cross_entropy/scene": math.log(2),
        }
    )
    assert {name: int(n) for name, n in result.counts.items()} == dict.fromkeys(values, 6)


def test_unknowns_take_no_part():
    network, batch = make_network(), make_batch()
    batch.attributes["gender"][2:] = -1
    batch.tasks["objects"][3:] = -1
    result = Baseline().terms(network, batch)
    assert int(result.counts["cross_entropy/gender"]) == 2
    assert int(result.counts["cross_entropy/objects"]) == 3
    first = make_batch()
    known = replace(
        first,
        images=first.images[:2],
        attributes={"gender": first.attributes["gender"][:2]},
        tasks={k: v[:2] for k, v in first.tasks.items()},
    )
    alone = Baseline().terms(network, known)
    torch.testing.assert_close(
        result.losses["cross_entropy/gender"], alone.losses["cross_entropy/gender"]
    )


def test_a_batch_of_unknowns_gives_zero_terms_that_keep_the_graph():
    network, batch = make_network(), make_batch()
    batch.attributes["gender"][:] = -1
    batch.tasks["objects"][:] = -1
    batch.tasks["scene"][:] = -1
    batch.has_mask[:] = False
    result = Equalizer().terms(network, batch)
    assert {loss.item() for loss in result.losses.values()} == {0.0}
    assert {int(n) for n in result.counts.values()} == {0}
    sum(result.losses.values()).backward()
    assert all(not p.grad.any() for p in network.heads.parameters())


def test_equalizer_is_the_sum_of_its_weighted_terms():
    network, batch = make_network(), make_batch()
    batch.has_mask[:2] = False
    batch.attributes["gender"][5] = -1
    plain = Baseline().terms(network, batch)
    result = Equalizer(alpha=2, beta=3, mu=0.5).terms(network, batch)
    whole = network(batch.images)["gender"]
    hidden = network(hide_person(batch.images[2:], batch.masks[2:]))["gender"]
    expected = {name: 2 * loss for name, loss in plain.losses.items()}
    expected["appearance_confusion/gender"] = 3 * appearance_confusion(hidden).mean()
    expected["confident/gender"] = 0.5 * confident(whole[:5], batch.attributes["gender"][:5]).mean()
    assert set(result.losses) == set(expected)
    for name, loss in expected.items():
        torch.testing.assert_close(result.losses[name], loss)
    assert int(result.counts["appearance_confusion/gender"]) == 4
    assert int(result.counts["confident/gender"]) == 5
    assert result.logits["gender"].shape == (6, 3)


def test_appearance_confusion_has_a_gradient():
    """In the authors' program the term is identically zero."""
    network, batch = make_network(), make_batch()
    result = Equalizer().terms(network, batch)
    loss = result.losses["appearance_confusion/gender"]
    assert loss > 0
    loss.backward()
    assert network.backbone.conv1.weight.grad.abs().sum() > 0


def test_without_the_confident_term():
    result = Equalizer(confident="none").terms(make_network(), make_batch())
    assert not any(name.startswith("confident") for name in result.losses)


def test_heads_that_are_not_trained_have_no_terms():
    network = models.build("lecture_cnn", {"scene": 2}, size=8)
    assert set(Equalizer().terms(network, make_batch()).losses) == {"cross_entropy/scene"}


def test_two_groups_are_the_papers_equation():
    p = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    torch.testing.assert_close(appearance_confusion(p.log()), torch.tensor([0.8, 0.0]))


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=6))
def test_confusion_is_bounded_and_does_not_depend_on_the_order_of_groups(logits):
    values = torch.tensor([logits, logits[::-1]])
    confusion = appearance_confusion(values)
    assert ((confusion >= 0) & (confusion <= 1 + 1e-6)).all()
    torch.testing.assert_close(confusion[0], confusion[1])


@pytest.mark.parametrize(
    ("form", "expected"),
    [("quotient", 0.4 / (0.6 + 1e-5)), ("difference", 0.8), ("hinge", 0.0)],
)
def test_confident_forms(form, expected):
    logits = torch.tensor([[0.3, 0.6, 0.1]]).log()
    assert confident(logits, torch.tensor([1]), form).item() == pytest.approx(expected)


def test_hinge_grows_once_the_margin_is_missed():
    logits = torch.tensor([[0.5, 0.5]]).log()
    assert confident(logits, torch.tensor([0]), "hinge").item() == pytest.approx(0.1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_cannot_overflow(dtype):
    logits = torch.tensor([[-100.0, 100.0], [5.0, -5.0]], dtype=dtype, requires_grad=True)
    values = confident(logits, torch.tensor([0, 0]))
    assert values.dtype == torch.float32
    assert values[0].item() == pytest.approx(1e5, rel=1e-3)
    (values.sum() + appearance_confusion(logits).sum()).backward()
    assert logits.grad.isfinite().all()


def test_autocast_keeps_the_terms_in_float32():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = Equalizer().terms(make_network(), make_batch())
    assert {loss.dtype for loss in result.losses.values()} == {torch.float32}


def test_the_equalizer_says_what_it_needs():
    Equalizer().check(make_dataset())
    with pytest.raises(InputError, match="needs an attribute"):
        Equalizer().check(make_dataset(attributes={}))
    with pytest.raises(InputError, match="needs masks of the person"):
        Equalizer().check(make_dataset(samples=pd.DataFrame({"mask": [None]})))
    with pytest.raises(InputError, match="'ratio' is not one of quotient, difference"):
        Equalizer(confident="ratio").check(make_dataset())


def test_methods_are_found_by_name():
    assert methods.find("baseline") is Baseline
    with pytest.raises(InputError, match="no method 'magic': choose one of baseline, equalizer"):
        methods.find("magic")


def test_former_names_work_with_a_warning():
    with pytest.warns(FutureWarning, match="Equalizer.Settings is called Equalizer now"):
        assert methods.find("equalizer").Settings(beta=3.0) == Equalizer(beta=3.0)
    with pytest.warns(FutureWarning, match="methods.begin is called Method.start now"):
        objective = methods.begin("equalizer", Equalizer(), make_network(), make_dataset())
    assert set(objective(make_network(), make_batch()).losses) > {"cross_entropy/gender"}
