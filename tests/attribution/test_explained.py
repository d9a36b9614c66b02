from __future__ import annotations

import pytest
import torch
from torch import nn

from fairvision.attribution.explained import undisturbed


def networks():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Dropout()))
    network.train()
    network[1].eval()
    network[0].weight.requires_grad_(False)
    return network


def taken(network):
    return (
        [module.training for module in network.modules()],
        [parameter.requires_grad for parameter in network.parameters()],
        [list(module._forward_hooks) for module in network.modules()],
        [list(module._backward_pre_hooks) for module in network.modules()],
    )


@pytest.mark.parametrize("frozen", [True, False])
def test_everything_is_as_it_was_after_an_error(frozen):
    network = networks()
    kept = network[2].register_forward_hook(print)
    before = taken(network)

    def disturb():
        with undisturbed(network, frozen=frozen):
            assert not any(module.training for module in network.modules())
            assert any(p.requires_grad for p in network.parameters()) != frozen
            network[0].register_forward_hook(print, with_kwargs=True, always_call=True)
            network[1].register_full_backward_pre_hook(print)
            network[1].train()
            kept.remove()
            raise KeyError

    with pytest.raises(KeyError):
        disturb()
    assert taken(network) == before
    assert not network[0]._forward_hooks_with_kwargs
    assert not network[0]._forward_hooks_always_called


def test_gradients_stay():
    network = networks()
    network(torch.rand(2, 3, 5, 5)).sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    with undisturbed(network, frozen=True):
        pass
    assert all(a is b.grad for a, b in zip(gradients, network.parameters()))
