from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fairvision.attribution import attribute
from fairvision.attribution.at_layers import PLANS
from fairvision.errors import InputError


class Classifier(nn.Module):
    """Convolution, something between, and a linear layer."""

    def __init__(self, between=None, pool=None):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.between = between or nn.Identity()
        self.pool = pool or (lambda maps: maps.mean(dim=(2, 3)))
        self.fc = nn.Linear(6, 4)

    def forward(self, images):
        return self.fc(self.between(self.pool(self.conv(images))))


class Tokens(nn.Module):
    """Class token, patches, one attention: the answer comes from the class token or the mean."""

    def __init__(self, average):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc = nn.Linear(8, 3)
        self.average = average

    def forward(self, images):
        patches = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), patches], dim=1)
        inside = self.norm1(tokens)
        tokens = self.norm2(tokens + self.attention(inside, inside, inside, need_weights=False)[0])
        return self.fc(tokens[:, 1:].mean(dim=1) if self.average else tokens[:, 0])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def linear_of(network):
    (plan,) = PLANS[network].values()
    return plan.linear


def by_definition(network, layer, images, targets, positions=lambda values: values):
    """Return the small signed maps from gradients, one image at a time."""
    kept = []
    handle = network.get_submodule(layer).register_forward_hook(lambda *seen: kept.append(seen[2]))
    maps = []
    for image, target in zip(images, targets):
        score = network(image[None])[0, target]
        (slope,) = torch.autograd.grad(score, kept[-1])
        weights = positions(slope).mean(dim=(2, 3), keepdim=True)
        maps.append((weights * positions(kept[-1])).sum(dim=1, keepdim=True))
    handle.remove()
    small = torch.cat(maps).detach()
    return F.interpolate(small, images.shape[-2:], mode="bilinear")[:, 0]


@pytest.mark.parametrize(
    ("network", "closed"),
    [
        (Classifier(), True),
        (Classifier(pool=lambda maps: nn.AdaptiveAvgPool2d(1)(maps).flatten(1)), True),
        (Classifier(between=nn.Dropout()), True),
        (Classifier(between=nn.ReLU()), False),
        (Classifier(between=nn.LayerNorm(6)), False),
        (Classifier(between=nn.Sequential(nn.Linear(6, 6), nn.ReLU())), False),
        (Classifier(pool=lambda maps: maps.amax(dim=(2, 3))), False),
        (Classifier(pool=lambda maps: maps.square().mean(dim=(2, 3))), False),
        (Classifier(pool=lambda maps: maps.abs().mean(dim=(2, 3))), False),
    ],
)
def test_closed_form_where_it_holds_and_only_there(network, closed):
    network.apply(lambda module: getattr(module, "reset_parameters", lambda: None)())
    images, targets = torch.rand(9, 3, 8, 12), torch.arange(9) % 4
    maps = attribute(network, images, targets, layer="conv", batch_size=2, signed=True)
    expected = by_definition(network.eval(), "conv", images, targets)
    torch.testing.assert_close(maps, expected)
    assert (linear_of(network) is network.fc) == closed


@pytest.mark.parametrize("target", [0, 1, 2, 3])
def test_closed_form_equals_gradients_after_training(target):
    """Weights that changed since the network was looked at are the ones that count."""
    network, images = Classifier(), torch.rand(3, 3, 8, 8)
    attribute(network, images, target, layer="conv")
    nn.init.normal_(network.fc.weight)
    nn.init.normal_(network.conv.weight)
    maps = attribute(network, images, target, layer="conv", signed=True)
    torch.testing.assert_close(maps, by_definition(network, "conv", images, [target] * 3))


def test_positive_activations_behind_another_relu():
    """The mean is the same, the gradient is not: it is 0 where the activation is."""
    network = Classifier(pool=lambda maps: maps.relu().relu().mean(dim=(2, 3)))
    network.conv = nn.Sequential(network.conv, nn.ReLU())
    images = torch.rand(4, 3, 8, 8)
    maps = attribute(network, images, 1, layer="conv", signed=True, batch_size=2)
    torch.testing.assert_close(maps, by_definition(network, "conv", images, [1] * 4))
    assert linear_of(network) is None


def test_closed_form_needs_no_way_back(monkeypatch):
    network, images = Classifier(), torch.rand(6, 3, 8, 8)
    seen = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    expected = attribute(network, images, 1)
    seen.clear()
    monkeypatch.setattr(torch.autograd, "grad", None)
    torch.testing.assert_close(attribute(network, images, 1), expected)
    assert seen == [6]


def test_what_comes_after_the_linear_layer_counts():
    """Also where it comes after the network was looked at: the closed form is no longer it."""

    class Scaled(Classifier):
        factor = 1.0

        def forward(self, images):
            logits = super().forward(images)
            return logits if self.factor == 1 else self.factor * logits

    network, images = Scaled(), torch.rand(3, 3, 8, 8)
    attribute(network, images, 1)
    assert linear_of(network) is network.fc
    network.factor = 5.0
    maps = attribute(network, images, 1, signed=True)
    torch.testing.assert_close(maps, by_definition(network, "conv", images, [1] * 3))


def test_the_first_call_gives_the_same_bits_as_the_second():
    network, images = Classifier(), torch.rand(3, 3, 8, 8)
    first = attribute(network, images, 1)
    assert linear_of(network) is network.fc
    assert torch.equal(attribute(network, images, 1), first)


def test_changed_network_is_looked_at_anew():
    network, images = Classifier(), torch.rand(3, 3, 8, 8)
    attribute(network, images, 1)
    network.fc = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))
    maps = attribute(network, images, 1, signed=True)
    torch.testing.assert_close(maps, by_definition(network, "conv", images, [1] * 3))
    network.pool = lambda maps: maps.square().mean(dim=(2, 3))
    network.fc = nn.Linear(6, 4)
    attribute(network, images, 1)
    network.pool = lambda maps: maps.mean(dim=(2, 3))
    maps = attribute(network, images, 1, signed=True)
    torch.testing.assert_close(maps, by_definition(network, "conv", images, [1] * 3))
    network.pool = lambda maps: maps.amax(dim=(2, 3))
    maps = attribute(network, images, 1, signed=True)
    torch.testing.assert_close(maps, by_definition(network, "conv", images, [1] * 3))


def test_networks_are_not_kept_alive():
    network = Classifier()
    attribute(network, torch.rand(1, 3, 8, 8), 1)
    kept = weakref.ref(network)
    del network
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("shape", [(16, 16), (8, 16), (20, 12)])
def test_tokens(average, shape):
    network, images = Tokens(average).eval(), torch.rand(3, 3, *shape)
    grid = (shape[0] // 4, shape[1] // 4)
    layer = "norm2" if average else "norm1"
    maps = attribute(network, images, 2, signed=True)
    expected = by_definition(
        network, layer, images, [2] * 3, lambda t: t[:, 1:].transpose(1, 2).unflatten(2, grid)
    )
    torch.testing.assert_close(maps, expected)
    assert maps.abs().max() > 0
    assert (linear_of(network) is network.fc) == average


def test_layers_that_are_used_more_than_once():
    """What counts is the last time, as in captum."""
    network = Classifier(pool=lambda maps: maps.mean(dim=(2, 3)))
    network.conv = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3))
    network.conv.append(network.conv[1])
    images = torch.rand(2, 3, 12, 12)
    maps = attribute(network, images, 0, layer="conv.1", signed=True)
    torch.testing.assert_close(maps, attribute(network, images, 0, layer="conv", signed=True))


def test_layers_without_positions_or_part():
    network, images = Classifier(), torch.rand(2, 3, 8, 8)
    with pytest.raises(InputError, match="no layer 'fc'"):
        attribute(network, images, 0, layer="fc")
    network.aside = nn.Conv2d(3, 4, 3)
    with pytest.raises(InputError, match="no layer 'aside'"):
        attribute(network, images, 0, layer="aside")


@pytest.mark.parametrize("between", [nn.Identity(), nn.ReLU()])
def test_autocast_of_the_closed_form(between):
    network, images = Classifier(between), torch.rand(4, 3, 8, 8)
    exact = attribute(network, images, 1, signed=True)
    mixed = attribute(network, images, 1, signed=True, precision="bf16", batch_size=2)
    torch.testing.assert_close(mixed, exact, rtol=0.05, atol=0.02 * exact.abs().max().item())
