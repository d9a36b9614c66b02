from __future__ import annotations

import pytest
import torch
from torch import nn

from fairvision.attribution import attribute
from fairvision.attribution.one_pass import IN_ONE_PASS, logits_and_maps
from fairvision.errors import InputError
from fairvision.models import build

HEADS = {"hat": 2, "shirt": 3}


@pytest.fixture(scope="module", params=["small_cnn", "lecture_cnn", "resnet18", "vit_b_16"])
def network(request):
    """Average and linear; dense layers; batch norm in place; tokens."""
    torch.manual_seed(0)
    network = build(request.param, HEADS, size=32)
    for head in network.heads:
        nn.init.normal_(head.weight)
    return network.eval()


@pytest.mark.parametrize("method", IN_ONE_PASS)
@pytest.mark.parametrize("signed", [True, False])
def test_the_same_as_one_after_the_other(network, method, signed):
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    targets = {"shirt": torch.tensor([0, 1, 2, -1, 0]), "hat": torch.tensor([0, -1, 1, 1, 0])}
    logits, maps = logits_and_maps(network, images, targets, method, signed=signed)
    with torch.inference_mode():
        expected = network(images)
    for head, target in targets.items():
        # Attention is computed otherwise where gradients are wanted: rounding of logits near 20.
        torch.testing.assert_close(logits[head], expected[head], rtol=1e-5, atol=1e-4)
        alone = attribute(network, images, target, method, head=head, signed=signed)
        torch.testing.assert_close(maps[head], alone, equal_nan=True)


def test_the_network_runs_once_and_is_as_it_was():
    network = build("small_cnn", HEADS, size=16).train()
    targets = {head: torch.zeros(4, dtype=torch.int64) for head in HEADS}
    seen = []
    logits_and_maps(network, torch.rand(4, 3, 16, 16), targets)  # finds the layer
    handle = network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    with torch.inference_mode():
        images = torch.rand(4, 3, 16, 16)
        logits_and_maps(network, images, targets)
    assert seen == [4]
    handle.remove()
    assert network.training
    assert all(not module._forward_hooks for module in network.modules())
    assert all(p.requires_grad and p.grad is None for p in network.parameters())


def test_broken_images_are_undefined_and_alone_so():
    network = build("small_cnn", HEADS, size=16).eval()
    nn.init.normal_(network.heads[0].weight)
    images = torch.rand(3, 3, 16, 16)
    target = torch.tensor([0, 0, 1])
    _, whole = logits_and_maps(network, images, {"hat": target})
    images[1, 0, 3, 3] = torch.nan
    _, maps = logits_and_maps(network, images, {"hat": target})
    assert maps["hat"][1].isnan().all()
    torch.testing.assert_close(maps["hat"][[0, 2]], whole["hat"][[0, 2]])


def test_without_targets_only_answers():
    network = build("small_cnn", HEADS, size=16).eval()
    logits, maps = logits_and_maps(network, torch.rand(2, 3, 16, 16), {})
    assert list(logits) == list(HEADS)
    assert maps == {}


def test_unknown_heads_and_classes_are_named():
    network = build("small_cnn", HEADS, size=16).eval()
    images = torch.rand(2, 3, 16, 16)
    with pytest.raises(InputError, match="no head 'coat'; it has hat, shirt"):
        logits_and_maps(network, images, {"coat": torch.zeros(2, dtype=torch.int64)})
    with pytest.raises(InputError, match="target 5: the head has 2 classes"):
        logits_and_maps(network, images, {"hat": torch.tensor([0, 5])})
