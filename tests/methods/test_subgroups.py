from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from fairvision import methods, models
from fairvision.datasets import Batch, Dataset, Task
from fairvision.errors import InputError
from fairvision.methods.adversarial import confusion
from fairvision.methods.domains import (
    DomainDiscriminative,
    log_prior,
    pair_cross_entropy,
)
from fairvision.methods.group_dro import GroupDRO
from fairvision.methods.method import add_auxiliary, chosen_attribute
from fairvision.methods.reweighting import Reweighting
from fairvision.methods.subgroups import Subgroups
from fairvision.models import DomainHead, Domains

#        colour, shape, things
ROWS = [
    ("r", "disc", ("cup",)),
    ("r", "disc", ()),
    ("r", "disc", ("cup", "hat")),
    ("r", "box", ("hat",)),
    ("b", "box", ()),
    ("b", "box", ("hat",)),
    (None, "box", ("cup",)),
    ("b", None, None),
]


@pytest.fixture
def dataset() -> Dataset:
    samples = pd.DataFrame(ROWS, columns=["colour", "shape", "things"], dtype=object)
    tasks = {"shape": Task(("disc", "box")), "things": Task(("cup", "hat"), many=True)}
    return Dataset(Path("d"), "d", {"colour": ("r", "g", "b")}, tasks, samples)


def batch_of(dataset: Dataset) -> Batch:
    n = len(dataset)
    return Batch(
        rows=np.arange(n),
        images=torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0)),
        masks=torch.zeros(n, 1, 8, 8),
        has_mask=torch.zeros(n, dtype=torch.bool),
        attributes={"colour": torch.from_numpy(dataset.codes("colour"))},
        tasks={
            "shape": torch.from_numpy(dataset.targets("shape")),
            "things": torch.from_numpy(dataset.targets("things")).float(),
        },
    )


def network_of(dataset: Dataset, **domains: Domains) -> models.Network:
    torch.manual_seed(0)
    heads = {"colour": 3, "shape": 2, "things": 2}
    network = models.build("lecture_cnn", heads, size=8, many=["things"], domains=domains)
    for parameter in network.heads.parameters():
        torch.nn.init.normal_(parameter)
    return network.eval()


def test_subgroups_are_the_combinations_that_are_there(dataset):
    both = Subgroups(dataset)
    assert both.names == ["shape=disc, colour=r", "shape=box, colour=r", "shape=box, colour=b"]
    assert both.codes.tolist() == [0, 0, 0, 1, 2, 2, -1, -1]
    assert both(batch_of(dataset)).tolist() == both.codes.tolist()
    assert both.weights().tolist() == pytest.approx([6 / 9, 6 / 3, 6 / 6])
    assert Subgroups(dataset, "group").codes.tolist() == [0, 0, 0, 0, 1, 1, -1, 1]
    assert Subgroups(dataset, "label").codes.tolist() == [0, 0, 0, 1, 1, 1, 1, -1]


def test_a_combination_that_training_lacks_is_unknown(dataset):
    training = replace(dataset, samples=dataset.samples.iloc[1:6].reset_index(drop=True))
    new = batch_of(dataset)
    new.attributes["colour"] = torch.tensor([1, 2, 2, 0, 2, 2, 2, 2])
    new.tasks["shape"] = torch.tensor([0, 0, 1, 0, 1, 1, -1, 0])
    assert Subgroups(training)(new).tolist() == [-1, -1, 2, 0, 2, 2, -1, -1]


def test_subgroups_need_two(dataset):
    one = replace(dataset, samples=dataset.samples.iloc[:2])
    with pytest.raises(InputError, match="fewer than two combinations of shape, colour"):
        Subgroups(one)


def test_the_only_attribute_need_not_be_named(dataset):
    assert chosen_attribute(dataset, "", "it") == "colour"
    two = replace(dataset, attributes={"colour": ("r", "b"), "age": ("old", "young")})
    with pytest.raises(InputError, match="say --domain colour or age"):
        chosen_attribute(two, "", "it")
    assert chosen_attribute(two, "age", "it") == "age"


def test_reweighting_weighs_every_head_by_the_subgroup(dataset):
    network, batch = network_of(dataset), batch_of(dataset)
    method = Reweighting().start(network, dataset)
    found = method(network, batch).losses["cross_entropy/shape"]
    weights = torch.tensor([2 / 3, 2 / 3, 2 / 3, 2, 1, 1, 1])
    each = F.cross_entropy(
        network(batch.images)["shape"][:7], batch.tasks["shape"][:7], reduction="none"
    )
    torch.testing.assert_close(found, (weights * each).mean())


def test_resampling_draws_subgroups_alike(dataset):
    many = replace(dataset, samples=pd.concat([dataset.samples] * 40, ignore_index=True))
    method = methods.settings("resampling", {}).start(network_of(many), many)
    codes = Subgroups(many).codes
    order = method.order(len(many), np.random.default_rng(0))
    assert len(order) == len(many)
    drawn = codes[order]
    assert (drawn < 0).sum() == 80
    shares = np.bincount(drawn[drawn >= 0]) / (drawn >= 0).sum()
    assert shares == pytest.approx(1 / 3, abs=0.08)
    times = np.bincount(order, minlength=len(many))
    for code in range(3):
        assert np.ptp(times[codes == code]) <= 1


def test_group_dro_moves_to_the_subgroup_with_the_larger_loss(dataset):
    network, batch = network_of(dataset), batch_of(dataset)
    method = GroupDRO(step=0.5).start(network, dataset)
    codes = Subgroups(dataset).codes
    each = F.cross_entropy(
        network(batch.images)["colour"],
        batch.attributes["colour"],
        reduction="none",
        ignore_index=-1,
    )
    shape = F.cross_entropy(
        network(batch.images)["shape"], batch.tasks["shape"], reduction="none", ignore_index=-1
    )
    things = F.binary_cross_entropy_with_logits(
        network(batch.images)["things"], batch.tasks["things"].clamp(min=0), reduction="none"
    ).mean(dim=1)
    losses = torch.stack(
        [sum(v[codes == g].mean() for v in (each, shape, things)) for g in range(3)]
    )
    with torch.no_grad():
        method(network, batch)
    assert method.shares.tolist() == pytest.approx([1 / 3] * 3)  # to look is not to learn
    terms = method(network, batch)
    expected = (losses * 0.5).softmax(dim=0)
    torch.testing.assert_close(method.shares, expected.detach())
    total = torch.stack(list(terms.losses.values())).sum()
    torch.testing.assert_close(total, (expected.detach() * losses).sum())
    assert terms.counts["cross_entropy/shape"] == 6


@pytest.mark.parametrize("many", [False, True])
def test_prior_shift_takes_the_priors_out(dataset, many):
    """Answers that know the pair exactly as often as training has it become undecided."""
    name = "things" if many else "shape"
    full = replace(dataset, attributes={"colour": ("r", "b")})
    prior = log_prior(full, name, "colour")
    head = DomainHead(4, 2, Domains("colour", 2, "prior_shift"), many=many)
    head.log_prior.copy_(prior)
    torch.nn.init.zeros_(head.linear.weight)
    head.linear.bias.data = prior.flatten().clone()
    answers = head(torch.ones(1, 4))
    expected = torch.zeros(1, 2) if many else torch.full((1, 2), math.log(2))
    torch.testing.assert_close(answers, expected)


def test_priors_are_counted(dataset):
    assert log_prior(dataset, "shape", "colour").exp().tolist() == [
        pytest.approx([3 / 6, 1 / 6]),
        pytest.approx([1 / 6, 1 / 6]),  # no image counts as one
        pytest.approx([1 / 6, 2 / 6]),
    ]
    things = log_prior(dataset, "things", "colour").exp()
    assert things[0].tolist() == [pytest.approx([2 / 6, 2 / 6])] * 2
    assert things[2].tolist() == [pytest.approx([2 / 6, 1 / 6]), pytest.approx([1 / 6, 1 / 6])]


def test_pairs_of_many_labels():
    joint = torch.randn(5, 3, 4, 2, generator=torch.Generator().manual_seed(0))
    truth = torch.tensor([[0, 1, 1, 0]] * 4 + [[-1] * 4]).float()
    group = torch.tensor([0, 1, 2, -1, 0])
    values, known = pair_cross_entropy(joint, truth, group)
    assert known.tolist() == [True, True, True, False, False]
    for i in range(3):
        logs = joint[i].permute(1, 0, 2).flatten(1).log_softmax(dim=1).unflatten(1, (3, 2))
        own = torch.stack([logs[label, group[i], int(truth[i, label])] for label in range(4)])
        torch.testing.assert_close(values[i], -own.mean())


@pytest.mark.parametrize("rule", ["sum", "prior_shift"])
@pytest.mark.parametrize("method", ["domain_independent", "domain_discriminative"])
def test_only_the_own_group_learns(dataset, method, rule):
    """An image of red things moves nothing of what is said of blue ones, by one head per group."""
    if (method == "domain_independent") != (rule == "sum"):
        return
    domains = {name: Domains("colour", 3, rule) for name in ("shape", "things")}
    network, batch = network_of(dataset, **domains), batch_of(dataset)
    at_work = methods.settings(method, {}).start(network, dataset)
    batch.attributes["colour"][:] = 0
    network.zero_grad()
    terms = at_work(network, batch)
    (terms.losses["cross_entropy/shape"] + terms.losses["cross_entropy/things"]).backward()
    for name in ("shape", "things"):
        moved = network.head(name).linear.bias.grad.unflatten(0, network.head(name)._shape)
        assert moved[0].abs().sum() > 0
        if rule == "sum":
            assert moved[1:].abs().sum() == 0


def test_unknown_groups_take_no_part_in_domains(dataset):
    for method, rule in (("domain_independent", "sum"), ("domain_discriminative", "prior_shift")):
        network = network_of(dataset, shape=Domains("colour", 3, rule))
        at_work = methods.settings(method, {}).start(network, dataset)
        terms = at_work(network, batch_of(dataset))
        assert terms.counts["cross_entropy/shape"] == 6
        assert terms.counts["cross_entropy/things"] == 7  # not a head with groups here


def test_domain_methods_name_their_heads(dataset):
    found = DomainDiscriminative().domains(dataset, ["colour", "shape"])
    assert found == {"shape": Domains("colour", 3, "prior_shift")}


@pytest.mark.parametrize("method", ["adversarial", "confusion"])
def test_adversaries(dataset, method):
    """The adversary learns as it would alone, the backbone against it, and the probe looks on."""
    network, batch = network_of(dataset), batch_of(dataset)
    options = {"ramp": 0, "strength": 2.0} if method == "adversarial" else {"strength": 2.0}
    at_work = methods.settings(method, options).start(network, dataset)
    terms = at_work(network, batch)
    assert terms.counts["adversary/colour"] == 7
    features = network.features(batch.images)
    guess = at_work.adversary(features)
    alone = F.cross_entropy(guess, batch.attributes["colour"], ignore_index=-1)
    first = network.backbone.conv1.weight
    own = [*at_work.adversary.parameters()]
    against = -2 * alone if method == "adversarial" else 2 * confusion(guess).mean()
    found = [v for k, v in terms.losses.items() if not k.startswith("cross_entropy")]
    for parameters, expected in ((own, alone), ([first], against)):
        wanted = torch.autograd.grad(expected, parameters, retain_graph=True)
        moved = torch.autograd.grad(sum(found), parameters, retain_graph=True)
        for one, other in zip(moved, wanted):
            torch.testing.assert_close(one, other)
    probe = terms.losses["cross_entropy/colour"]
    assert torch.autograd.grad(probe, first, retain_graph=True, allow_unused=True) == (None,)
    assert torch.autograd.grad(probe, network.head("colour").weight)[0].abs().sum() > 0


class Early(torch.nn.Module):
    """A backbone with an auxiliary classifier, as Inception v3 has one."""

    auxiliary_width = 4

    def __init__(self):
        super().__init__()
        self.early, self.late = torch.nn.Linear(3, 4), torch.nn.Linear(4, 5)

    def forward(self, images):
        self.auxiliary = self.early(images.mean(dim=(2, 3)))
        return self.late(self.auxiliary)


@pytest.mark.parametrize("method", ["adversarial", "confusion"])
def test_the_auxiliary_classifier_does_not_teach_what_is_to_be_removed(dataset, method):
    torch.manual_seed(0)
    network = models.Network(Early(), 5, {"colour": 3, "shape": 2})
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    batch = batch_of(dataset)
    at_work = methods.settings(method, {}).start(network, dataset)
    terms = at_work(network, batch)
    add_auxiliary(terms, network, batch)
    features = network.backbone.early.weight
    of_attribute, of_task = (terms.losses[f"auxiliary/{name}"] for name in ("colour", "shape"))
    assert torch.autograd.grad(of_attribute, features, retain_graph=True, allow_unused=True) == (
        None,
    )
    head = network.auxiliary_heads[0].weight
    assert torch.autograd.grad(of_attribute, head, retain_graph=True)[0].abs().sum() > 0
    assert torch.autograd.grad(of_task, features)[0].abs().sum() > 0
