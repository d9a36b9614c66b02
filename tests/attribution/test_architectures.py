"""A sample of architectures, untrained and small: each method finds its way through."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import get_model

from fairvision import models
from fairvision.attribution import METHODS, attribute, gradcam_layer

timm = pytest.importorskip("timm")

# Name, side in pixels, options, expected layer.
SAMPLE = [
    ("resnet18", 64, {}, "layer4"),
    ("efficientnet_b0", 64, {}, "bn2"),
    ("convnext_atto", 64, {}, "stages"),
    ("vit_tiny_patch16_224", 64, {"img_size": 64, "depth": 2}, "blocks.1.norm1"),
    ("vit_tiny_patch16_224", 64, {"img_size": 64, "depth": 2, "global_pool": "avg"}, "blocks"),
    ("vit_small_patch14_reg4_dinov2", 56, {"img_size": 56, "depth": 2}, "blocks.1.norm1"),
    ("deit_tiny_distilled_patch16_224", 64, {"img_size": 64, "depth": 2}, "blocks.1.norm1"),
    (
        "swin_tiny_patch4_window7_224",
        64,
        {"img_size": 64, "window_size": 2, "depths": (1, 1, 2, 1), "embed_dim": 24},
        "norm",
    ),
    ("mixer_s32_224", 64, {"img_size": 64}, "norm"),
    ("levit_128s", 128, {"img_size": 128}, "stages"),
]


@pytest.mark.parametrize(("name", "side", "options", "layer"), SAMPLE)
def test_timm(name, side, options, layer):
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, num_classes=5, **options)
    heads = network.get_classifier()
    for head in heads if isinstance(heads, tuple) else (heads,):
        torch.nn.init.normal_(getattr(head, "linear", head).weight)
    images = torch.rand(2, 3, side, side)
    assert gradcam_layer(network, images) == layer
    for method in METHODS:
        how = {"steps": 2, "samples": 1, "window": side // 2, "stride": side // 2}
        maps = attribute(network, images, torch.tensor([1, 4]), method, signed=True, **how)
        assert maps.isfinite().all(), method
        may_be_blank = method in ("guided_gradcam", "hirescam")  # where parts do not agree
        assert maps.abs().max() > 0 or may_be_blank, method
    assert network.training


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("densenet121", "features"),
        ("mobilenet_v3_small", "features"),
        ("squeezenet1_1", "classifier.2"),
        ("regnet_y_400mf", "trunk_output"),
    ],
)
@pytest.mark.parametrize("method", ["gradcam", "deep_lift", "guided_backprop"])
def test_torchvision(name, layer, method):
    torch.manual_seed(0)
    network, images = get_model(name, weights=None), torch.rand(1, 3, 64, 64)
    assert gradcam_layer(network, images) == layer
    maps = attribute(network, images, 7, method, signed=True)
    assert maps.isfinite().all()
    assert maps.std() > 0


@pytest.mark.parametrize("name", ["lecture_cnn", "small_cnn", "resnet18", "vit_b_32"])
def test_networks_of_fairvision(name):
    torch.manual_seed(0)
    network = models.build(name, {"gender": 2, "a.b": 3}, size=32 if name != "vit_b_32" else 64)
    for head in network.heads:
        torch.nn.init.normal_(head.weight)
    images = torch.rand(2, 3, 32, 32) if name != "vit_b_32" else torch.rand(2, 3, 64, 64)
    for head in ("gender", "a.b"):
        maps = attribute(network, images, 1, head=head, signed=True)
        assert maps.isfinite().all()
        assert maps.std() > 0
