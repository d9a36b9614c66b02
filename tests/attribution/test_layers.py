from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer, get_model

from fairvision.attribution import attribute, gradcam_layer
from fairvision.attribution.explained import undisturbed
from fairvision.attribution.layers import stage_layers, watch
from fairvision.errors import InputError
from fairvision.models.positions import as_maps


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("mobilenet_v3_small", "features"),
        ("resnet18", "layer4"),
        ("shufflenet_v2_x0_5", "conv5"),
        ("squeezenet1_1", "classifier.2"),
        ("alexnet", "features.11"),
    ],
)
def test_last_layer_with_positions(name, layer):
    network = get_model(name, weights=None)
    assert gradcam_layer(network, torch.zeros(1, 3, 64, 64)) == layer


def test_transformer_that_ends_in_maps():
    network = SwinTransformer([4, 4], 8, [1, 1], [2, 2], [4, 4])
    assert gradcam_layer(network, torch.zeros(1, 3, 32, 32)) == "permute"


@pytest.mark.parametrize("zero_head", [True, False])
def test_transformer_that_answers_from_its_class_token(zero_head):
    network = VisionTransformer(16, 8, 2, 2, 8, 16)
    if not zero_head:
        nn.init.normal_(network.heads.head.weight)
    images = torch.zeros(1, 3, 16, 16)
    assert gradcam_layer(network, images) == "encoder.layers.encoder_layer_1.ln_1"
    assert gradcam_layer(network, images, "conv_proj") == "conv_proj"


class ChannelsLast(nn.Module):
    def forward(self, images):
        return images.permute(0, 2, 3, 1)


def test_channels_last_are_maps():
    network = nn.Sequential(nn.Conv2d(3, 5, 1), ChannelsLast(), nn.Flatten())
    assert gradcam_layer(network, torch.zeros(1, 3, 8, 8)) == "1"


@pytest.mark.parametrize(
    ("tokens", "image", "grid"),
    [
        (196, (224, 224), (14, 14)),
        (197, (224, 224), (14, 14)),
        (198, (224, 224), (14, 14)),
        (201, (224, 224), (14, 14)),
        (5, (32, 32), (2, 2)),
        (9, (32, 64), (2, 4)),
        (99, (112, 224), (7, 14)),
        (2, (32, 32), None),
        (300, (32, 32), None),
        (512, (224, 224), None),
    ],
)
def test_tokens_become_a_grid(tokens, image, grid):
    output = torch.arange(float(tokens)).expand(2, 3, -1).transpose(1, 2)
    maps = as_maps(output, torch.zeros(2, 3, *image))
    if grid is None:
        assert maps is None
        return
    assert maps.shape == (2, 3, *grid)
    first = tokens - grid[0] * grid[1]
    assert maps[0, 0].flatten().tolist() == list(range(first, tokens))


def test_number_of_prefix_tokens_may_be_known():
    output = torch.zeros(1, 9, 4)
    images = torch.zeros(1, 3, 32, 32)
    assert as_maps(output, images).shape == (1, 4, 3, 3)
    assert as_maps(output, images, prefix=5).shape == (1, 4, 2, 2)
    assert as_maps(output, images, prefix=4) is None


@pytest.mark.parametrize(
    "shape",
    [(1, 4, 1, 1), (2, 4, 8, 8), (1, 4), (1, 0, 3), (1, 4, 2, 9), (1, 2, 2, 2, 2), (1, 16, 1)],
)
def test_outputs_without_positions(shape):
    assert as_maps(torch.zeros(shape), torch.zeros(1, 3, 32, 32)) is None


def test_layers_that_the_answer_does_not_need_are_passed_over():
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.aside = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, images):
            features = self.body(images)
            self.aside(features)
            return features.mean(dim=(2, 3))

    assert gradcam_layer(Aside(), torch.zeros(1, 3, 8, 8)) == "body"


def test_networks_that_work_in_place():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, images):
            images.sub_(0.5)
            features = self.conv(images)
            features += 1
            return torch.relu_(features).mean(dim=(2, 3))

    images = torch.rand(1, 3, 8, 8)
    before = images.clone()
    assert gradcam_layer(InPlace(), images) == "conv"
    assert torch.equal(images, before)


@pytest.mark.parametrize("shape", [(8, 8), (13, 16), (33, 20), (224, 160)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_images_of_any_shape(shape, stride):
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=stride, padding=1), nn.Flatten())
    assert gradcam_layer(network, torch.zeros(1, 3, *shape)) == "0"


def test_layer_that_gives_no_maps():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    images = torch.zeros(1, 3, 4, 4)
    assert gradcam_layer(network, images) == "0"
    with pytest.raises(InputError, match=r"no layer '2' .* that do: 0$"):
        gradcam_layer(network, images, "2")


def test_network_without_any_maps():
    with pytest.raises(InputError, match="use integrated_gradients"):
        gradcam_layer(nn.Flatten(), torch.zeros(1, 3, 4, 4))


def test_an_answer_that_the_image_does_not_move():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bias = nn.Conv2d(3, 4, 3), nn.Parameter(torch.randn(2))

        def forward(self, images):
            self.conv(images)
            return self.bias.expand(len(images), 2)

    with pytest.raises(InputError, match=r"gradients do not reach the picture.*does not depend"):
        gradcam_layer(Constant(), torch.zeros(1, 3, 8, 8))


def test_rectifiers_that_are_off_for_an_image_hide_no_layer():
    """Bright images turn all units off; others, or noise, show what the answer depends on."""
    network = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 8)),
        *(nn.ReLU(), nn.Linear(8, 2)),
    )
    for parameter in network.parameters():
        nn.init.constant_(parameter, 1.0)
    nn.init.constant_(network[3].weight, -1.0)
    nn.init.constant_(network[3].bias, 1500.0)
    bright, dark = torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    assert not network(bright).equal(network(dark))
    for images in (bright, dark, torch.cat([bright, dark])):
        assert gradcam_layer(network, images) == "0"
        assert stage_layers(network, images, 6) == ["0"]
    maps = attribute(network, torch.cat([bright, dark]), 0, "gradcam")
    assert maps.isfinite().all()


def test_layers_of_one_position_are_passed_over():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 2), nn.Flatten())
    assert gradcam_layer(network, torch.zeros(1, 3, 4, 4)) == "0"


def test_undisturbed_restores_each_module():
    network = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3))
    network[1].eval()

    def fail():
        with undisturbed(network):
            raise KeyError(network.training)

    with pytest.raises(KeyError, match="False"):
        fail()
    assert [m.training for m in network.modules()] == [True, True, False]


def test_watch_removes_its_hooks_after_an_error():
    network = nn.Sequential(nn.Conv2d(3, 4, 3))

    def fail(*_):
        raise ValueError("seen enough")

    with pytest.raises(ValueError, match="seen enough"):
        watch(network, torch.zeros(1, 3, 4, 4), fail)
    assert all(not module._forward_hooks for module in network.modules())
