"""LayerCAM of one layer and of several, and which layers these are."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import densenet121, mobilenet_v2, resnet18, swin_t

from fairvision.attribution import attribute
from fairvision.attribution.layercam import FINE, stages
from fairvision.attribution.layers import map_size
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


def by_definition(network, layer, image, target):
    """Return LayerCAM of one layer and one image, (height, width)."""
    kept = []

    def keep(module, inputs, output):
        kept.append(output)
        return output.clone()

    handle = network.get_submodule(layer).register_forward_hook(keep)
    (slope,) = torch.autograd.grad(network(image[None])[0, target], kept)
    handle.remove()
    return (slope.relu() * kept[0]).sum(dim=1)[0].relu().detach()


@pytest.mark.parametrize("layer", ["first", "second"])
def test_one_layer_by_definition(layer):
    network, images = Stages().eval(), torch.rand(4, 3, 16, 16)
    maps = attribute(network, images, torch.tensor([0, 1, 2, 1]), "layercam", layer=layer)
    for i, target in enumerate((0, 1, 2, 1)):
        expected = by_definition(network, layer, images[i], target)
        expected = F.interpolate(expected[None, None], (16, 16), mode="bilinear")[0, 0]
        torch.testing.assert_close(maps[i], expected)


def test_several_layers_by_definition():
    """The largest of what each says, on the scale of the deepest; shallow ones through tanh."""
    network, images = resnet18(num_classes=3).eval(), torch.rand(3, 3, 64, 64)
    maps = attribute(network, images, 2, "layercam")
    names = stages(network, images)
    assert names == ["layer4", "layer3", "layer2", "layer1"]
    for image, values in zip(images, maps):
        layers = [by_definition(network, name, image, 2) for name in names]
        shares = [
            F.interpolate((one / one.max())[None, None], (64, 64), mode="bilinear")[0, 0]
            for one in layers
        ]
        shares[2:] = [torch.tanh(2 * share) for share in shares[2:]]
        expected = torch.stack(shares).amax(dim=0) * layers[0].max()
        torch.testing.assert_close(values, expected)


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


def test_twice_the_score_is_twice_the_evidence():
    network, images = Stages().eval(), torch.rand(2, 3, 16, 16)
    maps = attribute(network, images, 1, "layercam")
    assert maps.min() >= 0
    with torch.no_grad():
        network.head.weight *= 2
        network.head.bias *= 2
    torch.testing.assert_close(attribute(network, images, 1, "layercam"), 2 * maps)


def test_what_has_no_positions():
    with pytest.raises(InputError, match="no layer 'head'"):
        attribute(Stages(), torch.rand(1, 3, 16, 16), 0, "layercam", layer="head")
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    with pytest.raises(InputError, match="no layer with positions"):
        attribute(network, torch.rand(1, 3, 4, 4), 0, "layercam")
