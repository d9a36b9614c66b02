from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from fairvision import models
from fairvision.datasets import Batch
from fairvision.errors import InputError
from fairvision.methods.attribution_penalty import AttributionPenalty, gradient_outside
from fairvision.methods.baseline import Baseline
from tests.methods.test_methods import make_batch, make_dataset, make_network


def linear(weight: torch.Tensor, size: int) -> models.Network:
    """Return a network whose logits of two groups are a linear function of the pixels."""
    network = models.Network(nn.Flatten(), 3 * size * size, {"gender": 2}).eval()
    network.mean.zero_()
    network.std.fill_(1)
    network.heads[0].weight.data.copy_(weight)
    return network


def test_linear_network_in_closed_form():
    torch.manual_seed(0)
    weight, images = torch.randn(2, 3 * 16), torch.rand(5, 3, 4, 4)
    masks = (torch.rand(5, 1, 4, 4) < 0.5).float()
    network = linear(weight, 4)
    batch = Batch(
        np.arange(5),
        images,
        masks,
        torch.ones(5, dtype=torch.bool),
        {"gender": torch.zeros(5, dtype=torch.int64)},
        {},
    )
    p = network(images)["gender"].softmax(dim=1)
    # Σ_k log p_k = Σ_k z_k − K log Σ exp z, so its gradient is Σ_k (1 − K p_k) w_k
    gradient = ((1 - 2 * p) @ weight).reshape(5, 3, 4, 4)
    expected = ((gradient * (1 - masks)) ** 2).sum(dim=(1, 2, 3)).mean()
    found = AttributionPenalty(penalty=2.0).terms(network, batch)
    assert found.losses["attribution_penalty/gender"].item() == pytest.approx(
        2 * expected.item(), rel=1e-5
    )


def test_adds_to_the_baseline_and_only_where_there_is_a_mask():
    network, batch = make_network(), make_batch()
    batch.has_mask[:4] = False
    found = AttributionPenalty().terms(network, batch)
    plain = Baseline().terms(network, batch)
    for name, loss in plain.losses.items():
        assert found.losses[name].item() == pytest.approx(loss.item())
    assert set(found.losses) - set(plain.losses) == {"attribution_penalty/gender"}
    assert found.counts["attribution_penalty/gender"] == 2


def test_the_penalty_has_a_gradient_and_descending_it_moves_the_evidence():
    torch.manual_seed(0)
    network = linear(torch.randn(2, 3 * 64), 8)
    batch = make_batch()
    batch.attributes["gender"] %= 2
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    values = []
    for _ in range(60):
        loss = AttributionPenalty(1.0).terms(network, batch).losses["attribution_penalty/gender"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.05 * values[0]


def test_measured_without_gradients_as_in_validation():
    network, batch = make_network(), make_batch()
    expected = AttributionPenalty().terms(network, batch)
    with torch.no_grad():
        found = AttributionPenalty().terms(network, batch)
    for name, loss in expected.losses.items():
        assert found.losses[name].item() == pytest.approx(loss.item(), rel=1e-6)
    assert all(p.grad is None for p in network.parameters())
    assert not batch.images.requires_grad


def test_an_answer_that_cannot_move_costs_nothing():
    batch = make_batch()
    found = AttributionPenalty().terms(make_network(trained=False), batch)
    assert found.losses["attribution_penalty/gender"] == 0
    assert found.losses["cross_entropy/gender"].item() == pytest.approx(math.log(3))


def test_person_and_context_add_up():
    network, batch = make_network(), make_batch()
    images = batch.images.clone().requires_grad_()
    logits = network(images)["gender"]
    parts = [
        gradient_outside(logits, images, masks, keep=False)
        for masks in (batch.masks, 1 - batch.masks)
    ]
    whole = gradient_outside(logits, images, torch.zeros_like(batch.masks), keep=False)
    assert sum(parts).tolist() == pytest.approx(whole.tolist(), rel=1e-5)


def test_says_what_it_needs():
    with pytest.raises(InputError, match="needs an attribute"):
        AttributionPenalty().check(make_dataset(attributes={}))
    without = make_dataset()
    without.samples["mask"] = None
    with pytest.raises(InputError, match="needs masks"):
        AttributionPenalty().check(without)


def hard() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.Conv2d(4, 4, 1), nn.Hardsigmoid(), nn.Flatten()
    )


def attending() -> nn.Module:
    network = VisionTransformer(
        image_size=8, patch_size=4, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8
    )
    network.heads = nn.Identity()
    return network


@pytest.mark.parametrize(("backbone", "width"), [(hard, 4 * 36), (attending, 8)])
def test_networks_whose_gradients_torch_does_not_differentiate(backbone, width):
    torch.manual_seed(0)
    network = models.Network(backbone(), width, {"gender": 3}).train()
    nn.init.normal_(network.heads[0].weight)
    batch = make_batch()
    before = network(batch.images)["gender"]
    method = AttributionPenalty().start(network, make_dataset())
    torch.testing.assert_close(network(batch.images)["gender"], before)
    method(network, batch).losses["attribution_penalty/gender"].backward()
    first = next(network.backbone.parameters())
    assert first.grad.isfinite().all()
    assert first.grad.abs().sum() > 0
