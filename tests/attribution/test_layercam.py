"""LayerCAM and HiResCAM of one layer and of several, and which layers these are."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import densenet121, mobilenet_v2, resnet18, swin_t

from fairvision.attribution import attribute
from fairvision.attribution.layercam import FINE, stages
from fairvision.attribution.layers import gradcam_layer, map_size
from fairvision.attribution.maps import grid_of
from fairvision.errors import InputError


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


class Stages(nn.Module):
    """Three stages, each half as wide as the one before; the last two with a shortcut."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(inplace=True))
        self.down = nn.MaxPool2d(2)
        self.second, self.third = nn.Conv2d(5, 5, 3, padding=1), nn.Conv2d(5, 5, 3, padding=1)
        self.join = nn.ReLU(inplace=True)
        self.head = nn.Linear(5, 3)

    def forward(self, images):
        values = self.down(self.first(images))
        values = self.join(self.second(values) + values)
        values = F.avg_pool2d(values, 2)
        values = F.relu(self.third(values) + values)
        return self.head(values.amax(dim=(2, 3)))


def by_definition(network, layer, image, target, method="layercam"):
    """Return a map of one layer and one image, (height, width), not negative."""
    kept = []

    def keep(module, inputs, output):
        kept.append(output)
        return output.clone()

    handle = network.get_submodule(layer).register_forward_hook(keep)
    (slope,) = torch.autograd.grad(network(image[None])[0, target], kept)
    handle.remove()
    weights = slope.relu() if method == "layercam" else slope
    return (weights * kept[0]).sum(dim=1)[0].relu().detach()


@pytest.mark.parametrize("layer", ["first", "second"])
@pytest.mark.parametrize("method", ["layercam", "hirescam"])
def test_one_layer_by_definition(method, layer):
    network, images = Stages().eval(), torch.rand(4, 3, 16, 16)
    maps = attribute(network, images, torch.tensor([0, 1, 2, 1]), method, layer=layer)
    for i, target in enumerate((0, 1, 2, 1)):
        expected = by_definition(network, layer, images[i], target, method)
        expected = F.interpolate(expected[None, None], (16, 16), mode="bilinear")[0, 0]
        torch.testing.assert_close(maps[i], expected)


def largest(shares):
    """Return what LayerCAM makes of several layers: shallow ones go through tanh."""
    return torch.stack(shares[:2] + [torch.tanh(2 * share) for share in shares[2:]]).amax(dim=0)


def geometric_mean(shares):
    return torch.stack(shares).prod(dim=0) ** (1 / len(shares))


@pytest.mark.parametrize(
    ("method", "together"), [("layercam", largest), ("hirescam", geometric_mean)]
)
def test_several_layers_by_definition(method, together):
    """On the scale of the deepest."""
    network, images = resnet18(num_classes=3).eval(), torch.rand(3, 3, 64, 64)
    maps = attribute(network, images, 2, method)
    names = stages(network, images)
    assert names == ["layer4", "layer3", "layer2", "layer1"]
    for image, values in zip(images, maps):
        layers = [by_definition(network, name, image, 2, method) for name in names]
        shares = [
            F.interpolate((one / one.max())[None, None], (64, 64), mode="bilinear")[0, 0]
            for one in layers
        ]
        torch.testing.assert_close(values, together(shares) * layers[0].max())


def test_layers_beside_a_shortcut_are_no_stage():
    network, images = Stages(), torch.rand(1, 3, 32, 32)
    assert stages(network, images) == ["join"]
    assert map_size(network, images, "join") == (16, 16)
    assert stages(network, torch.rand(1, 3, 16, 16)) == ["join", "first"]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (resnet18, ["layer4", "layer3"]),
        (mobilenet_v2, ["features", "features.14.conv.0"]),
        (densenet121, ["features", "features.transition3.conv"]),
        (swin_t, ["permute", "features.5"]),
        (lambda: timm.create_model("vit_tiny_patch16_224"), ["blocks.10"]),
        (lambda: timm.create_model("vit_tiny_patch16_224", global_pool="avg"), ["blocks"]),
    ],
)
def test_layers_of_networks_at_224_pixels(network, expected):
    network, images = network().eval(), torch.rand(1, 3, 224, 224)
    assert stages(network, images) == expected
    assert map_size(network, images, expected[-1]) == (FINE, FINE)


def test_tokens_of_a_transformer():
    network = timm.create_model("vit_tiny_patch16_224", num_classes=4, depth=2).eval()
    images = torch.rand(2, 3, 224, 224)
    maps = attribute(network, images, 1, "layercam")
    tokens = []
    handle = network.blocks[0].register_forward_hook(lambda *seen: tokens.append(seen[2]))
    slope = torch.autograd.grad(network(images)[:, 1].sum(), tokens)[0]
    handle.remove()
    small = (slope.relu() * tokens[0])[:, 1:].sum(dim=2).view(2, 1, 14, 14).relu().detach()
    expected = F.interpolate(small, (224, 224), mode="bilinear")[:, 0]
    torch.testing.assert_close(maps, expected, rtol=1e-3, atol=1e-6)
    assert maps.amax(dim=(1, 2)).min() > 0


@pytest.mark.parametrize("method", ["layercam", "hirescam"])
def test_twice_the_score_is_twice_the_evidence(method):
    network, images = Stages().eval(), torch.rand(2, 3, 16, 16)
    maps = attribute(network, images, 1, method)
    assert maps.min() >= 0
    with torch.no_grad():
        network.head.weight *= 2
        network.head.bias *= 2
    torch.testing.assert_close(attribute(network, images, 1, method), 2 * maps)


def test_what_has_no_positions():
    with pytest.raises(InputError, match="no layer 'head'"):
        attribute(Stages(), torch.rand(1, 3, 16, 16), 0, "layercam", layer="head")
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    with pytest.raises(InputError, match="no layer with positions"):
        attribute(network, torch.rand(1, 3, 4, 4), 0, "layercam")


def test_hirescam_is_gradcam_where_a_linear_layer_sees_the_mean():
    network, images = small(), torch.rand(3, 3, 32, 32)
    for signed in (True, False):
        maps = attribute(network, images, 1, "hirescam", signed=signed)
        torch.testing.assert_close(maps, attribute(network, images, 1, "gradcam", signed=signed))


def test_hirescam_says_what_each_place_gives_to_a_dense_layer():
    """The map of a linear answer adds up to it, which Grad-CAM's does not."""
    conv = nn.Conv2d(3, 4, 3, padding=1)
    network = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 2, bias=False))
    images = torch.rand(2, 3, 8, 8)
    maps = attribute(network, images, 1, "hirescam", signed=True)
    with torch.no_grad():
        torch.testing.assert_close(maps.sum(dim=(1, 2)), network(images)[:, 1])
    assert (attribute(network, images, 1, signed=True) - maps).abs().max() > 1e-3


def small():
    """Return a network of one stage, whose answer is linear in the mean over its positions."""
    conv = nn.Conv2d(3, 6, 3, padding=1)
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))


@pytest.mark.parametrize(
    ("method", "grid"), [("gradcam", (7, 7)), ("hirescam", (14, 14)), ("saliency", None)]
)
def test_rows_and_columns_of_a_map(method, grid):
    assert grid_of(resnet18(), torch.rand(1, 3, 224, 224), method) == grid


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_hirescam_of_tokens_is_more_than_rounding(pool):
    network = timm.create_model("test_vit", num_classes=2, global_pool=pool).eval()
    nn.init.normal_(network.get_classifier().weight)
    images = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    maps = attribute(network, images, 1, "hirescam", signed=True)
    layer = gradcam_layer(network, images)
    ours = attribute(network, images, 1, "hirescam", signed=True, layer=layer)
    torch.testing.assert_close(maps, ours)
    assert (maps.abs().amax(dim=(1, 2)) > 1e-3).all()
    if pool == "token":  # the residual stream, which only a normalisation sees
        stream = attribute(network, images, 1, "hirescam", signed=True, layer="blocks.4")
        assert (stream.abs().amax(dim=(1, 2)) < 1e-5).all()
