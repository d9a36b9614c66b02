"""What the last block is in each family of torchvision and timm, as docs/training.md says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fairvision import models
from fairvision.models.tuning import blocks, count_matrices, last_blocks

LAST = {
    "lecture_cnn": ["dense"],
    "small_cnn": ["conv2"],
    "alexnet": ["classifier"],
    "vgg16": ["classifier"],
    "vgg19_bn": ["classifier"],
    "resnet18": ["layer4"],
    "resnet101": ["layer4"],
    "resnext50_32x4d": ["layer4"],
    "regnet_y_400mf": ["trunk_output.block4"],
    "densenet121": ["features.denseblock4", "features.norm5"],
    "googlenet": ["inception5b"],
    "inception_v3": ["Mixed_7c"],
    "mobilenet_v2": ["features.17", "features.18"],
    "mobilenet_v3_large": ["features.15", "features.16", "classifier"],
    "mnasnet0_5": ["layers.13", "layers.14"],
    "shufflenet_v2_x0_5": ["stage4", "conv5"],
    "squeezenet1_1": ["features.12"],
    "efficientnet_b0": ["features.7", "features.8"],
    "efficientnet_v2_s": ["features.6", "features.7"],
    "convnext_tiny": ["features.7", "classifier"],
    "convnext_base": ["features.7", "classifier"],
    "maxvit_t": ["blocks.3", "classifier"],
    "swin_t": ["features.7", "norm"],
    "swin_v2_s": ["features.7", "norm"],
    "vit_b_32": ["encoder.layers.encoder_layer_11", "encoder.ln"],
    "timm:vgg16": ["pre_logits"],
    "timm:resnet50": ["layer4"],
    "timm:resnetv2_50": ["stages.3", "norm"],
    "timm:regnety_004": ["s4"],
    "timm:densenet121": ["features.denseblock4", "features.norm5"],
    "timm:inception_v3": ["Mixed_7c"],
    "timm:mobilenetv3_small_100": ["blocks.4", "blocks.5", "conv_head"],
    "timm:efficientnet_b0": ["blocks.6", "conv_head"],
    "timm:convnext_atto": ["stages.3", "head"],
    "timm:convnextv2_base": ["stages.3", "head"],
    "timm:vit_tiny_patch16_224": ["blocks.11", "norm"],
    "timm:deit3_small_patch16_224": ["blocks.11", "norm"],
    "timm:eva02_tiny_patch14_224": ["blocks.11", "fc_norm"],
    "timm:swin_tiny_patch4_window7_224": ["layers.3", "norm"],
    "timm:maxvit_tiny_tf_224": ["stages.3", "head"],
    "timm:mixer_s16_224": ["blocks.7", "norm"],
}


def backbone(name):
    with torch.device("cpu" if "regnet" in name else "meta"):
        return models.backbone(name, models.default_size(name)).module


@pytest.mark.parametrize("name", LAST)
def test_the_last_block_of_each_family(name):
    network = backbone(name)
    found = blocks(network)
    last = last_blocks(found)
    assert [next(iter(block)) for block in last] == LAST[name]
    # Blocks are disjoint, in order, and hold all weights but a few that belong to no layer.
    modules = [name for block in found for name in block]
    assert len(modules) == len(set(modules))
    order = [k for k, _ in network.named_modules() if k in set(modules)]
    assert modules == order
    inside = [p for block in found for module in block.values() for p in module.parameters()]
    assert len({id(p) for p in inside}) == len(inside)
    outside = len(list(network.parameters())) - len(inside)
    assert outside <= 3
    assert all(
        2 * count_matrices(b) <= sum(map(count_matrices, found)) or len(b) > 1 for b in found
    )


def test_layers_in_sequence_are_one_block_up_to_the_next_pooling():
    names = [[*block] for block in blocks(backbone("vgg11"))]
    assert [block[0] for block in names] == [
        "features.0", "features.3", "features.6", "features.11", "features.16", "classifier",
    ]  # fmt: skip
    assert [block[-1] for block in names[:-2]] == [
        "features.2", "features.5", "features.10", "features.15",
    ]  # fmt: skip


def test_of_one_block_nothing_is_frozen():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    assert last_blocks(blocks(network)) == blocks(network) == [{**dict(network.named_children())}]
    assert blocks(nn.ReLU()) == last_blocks([]) == []
