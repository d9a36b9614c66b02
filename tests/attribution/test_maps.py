from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from fairvision.attribution import METHODS, attribute, attribute_stream, convergence_delta
from fairvision.attribution.explained import TUNNELS
from fairvision.attribution.faithfulness import curves
from fairvision.errors import InputError


class Linear(nn.Module):
    """One weight per pixel and group: every gradient is known."""

    def __init__(self, groups: int = 2, size: int = 6) -> None:
        super().__init__()
        self.flat = nn.Linear(3 * size * size, groups)
        self.groups, self.size = groups, size

    def forward(self, images):
        return {"gender": self.flat(images.flatten(1))}

    @property
    def weights(self):
        return self.flat.weight.detach().reshape(self.groups, 3, self.size, self.size)


class Pooled(nn.Module):
    """Convolutions, the mean over positions, a linear head: Grad-CAM in closed form."""

    def __init__(self, groups: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 5, 3, stride=2, padding=1),
            nn.BatchNorm2d(5),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
        )
        self.heads = nn.ModuleDict({"gender": nn.Linear(5, groups), "age": nn.Linear(5, 4)})

    def forward(self, images):
        features = self.body(images).mean(dim=(2, 3))
        return {name: head(features) for name, head in self.heads.items()}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def closed_form_gradcam(network, images, targets):
    """ReLU of the weighted channels, divided by the number of positions, enlarged."""
    activations = network.body.eval()(images)
    positions = activations.shape[2] * activations.shape[3]
    weights = network.heads["gender"].weight[targets]
    small = torch.einsum("nchw,nc->nhw", activations, weights).relu() / positions
    shape = images.shape[-2:]
    large = F.interpolate(small[:, None], shape, mode="bilinear", align_corners=False)
    return large[:, 0].detach()


def test_gradcam_of_pooling_and_linear_head():
    network, images, targets = Pooled(), torch.rand(4, 3, 12, 16), torch.tensor([0, 1, 2, 1])
    maps = attribute(network, images, targets, head="gender")
    torch.testing.assert_close(maps, closed_form_gradcam(network, images, targets))
    assert maps.shape == (4, 12, 16)


def test_saliency_of_linear_network():
    network = Linear()
    maps = attribute(
        network, torch.rand(2, 3, 6, 6), torch.tensor([1, 0]), "saliency", head="gender"
    )
    torch.testing.assert_close(maps, network.weights[[1, 0]].abs().amax(dim=1))


def test_integrated_gradients_of_linear_network():
    network, images = Linear(), torch.rand(3, 3, 6, 6)
    maps = attribute(network, images, 1, "integrated_gradients", steps=3, head="gender")
    from_mean = images - images.mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(maps, (network.weights[1] * from_mean).sum(dim=1).relu())


def test_integrated_gradients_are_complete():
    class Bright(nn.Module):
        def forward(self, images):
            return {"gender": images.square().sum(dim=(1, 2, 3), keepdim=False)[:, None]}

    images = torch.rand(2, 3, 5, 5)
    images[:, :, 0, 0] = 3
    maps = attribute(Bright(), images, 0, "integrated_gradients", steps=20, head="gender")
    plain = images.mean(dim=(2, 3), keepdim=True)
    signed = (images.square() - plain.square()).sum(dim=1)
    torch.testing.assert_close(maps, signed.relu(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=8, deadline=None)
@given(batch_size=st.integers(1, 12), n=st.integers(0, 7))
def test_batch_size_changes_nothing(method, batch_size, n):
    torch.manual_seed(n)
    network, images, targets = Pooled(), torch.rand(n, 3, 8, 8), torch.arange(n) % 3
    how = {"head": "gender", "steps": 4, "samples": 3, "signed": True}
    together = attribute(network, images, targets, method, batch_size=100, **how)
    split = attribute(network, images, targets, method, batch_size=batch_size, **how)
    torch.testing.assert_close(split, together)


@pytest.mark.parametrize("method", METHODS)
def test_never_more_in_the_network_than_the_batch_size(method):
    network, seen = Pooled(), []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    attribute(network, torch.rand(10, 3, 8, 8), 0, method, steps=7, batch_size=4, head="gender")
    assert max(seen) <= 4


def state(network):
    return {
        "modes": [module.training for module in network.modules()],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for m in network.modules()
        ],
        "requires": [p.requires_grad for p in network.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in network.parameters()],
        "values": copy.deepcopy(network.state_dict()),
    }


def assert_same_state(before, after):
    assert before["modes"] == after["modes"]
    assert before["hooks"] == after["hooks"]
    assert before["requires"] == after["requires"]
    torch.testing.assert_close(before["gradients"], after["gradients"], rtol=0, atol=0)
    torch.testing.assert_close(before["values"], after["values"], rtol=0, atol=0)


def network_in_a_mixed_state():
    network = Pooled().train()
    network.body[1].eval()
    network.body[0].weight.requires_grad_(False)
    network.heads["gender"].weight.grad = torch.ones(3, 5)
    network.register_forward_hook(lambda *_: None)
    return network


@pytest.mark.parametrize("method", METHODS)
def test_leaves_no_trace(method):
    network, images = network_in_a_mixed_state(), torch.rand(3, 3, 8, 8)
    before, unchanged = state(network), images.clone()
    attribute(network, images, 0, method, steps=3, head="gender")
    assert_same_state(before, state(network))
    assert torch.equal(images, unchanged)
    assert not images.requires_grad
    assert images.grad is None


@pytest.mark.parametrize("method", METHODS)
def test_leaves_no_trace_after_an_error(method, monkeypatch):
    network = network_in_a_mixed_state()
    calls = []

    def fail_at_last(*_):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("out of memory")

    network.heads["age"].register_forward_pre_hook(fail_at_last)
    before = state(network)
    with pytest.raises(RuntimeError, match="out of memory"):
        attribute(network, torch.rand(3, 3, 8, 8), 0, method, batch_size=1, steps=2, head="gender")
    assert_same_state(before, state(network))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_works_where_gradients_are_off(method, around):
    network = Pooled().requires_grad_(False)
    with around():
        images = torch.rand(2, 3, 8, 8)
        maps = attribute(network, images, 1, method, steps=4, head="gender")
    expected = attribute(network, images.clone(), 1, method, steps=4, head="gender")
    torch.testing.assert_close(maps, expected)


@pytest.mark.parametrize("method", METHODS)
def test_unknown_target_is_undefined(method):
    network, images = Pooled(), torch.rand(3, 3, 8, 8)
    maps = attribute(network, images, torch.tensor([1, -1, 2]), method, steps=4, head="gender")
    assert maps[1].isnan().all()
    expected = attribute(network, images, torch.tensor([1, 0, 2]), method, steps=4, head="gender")
    torch.testing.assert_close(maps[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize("method", METHODS)
def test_nan_spoils_its_own_image_only(method):
    network, images = Pooled(), torch.rand(3, 3, 8, 8)
    clean = attribute(network, images, 0, method, steps=4, head="gender")
    images[1, :, 2, 2] = torch.nan
    maps = attribute(network, images, 0, method, steps=4, head="gender")
    assert maps[1].isnan().all()
    torch.testing.assert_close(maps[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("method", METHODS)
def test_head_without_weights_gives_no_evidence(method):
    network = Pooled()
    nn.init.zeros_(network.heads["gender"].weight)
    maps = attribute(network, torch.rand(2, 3, 8, 8), 0, method, steps=4, head="gender")
    assert (maps == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_gives_float_maps(method):
    network = Pooled().to(torch.bfloat16)
    images = torch.rand(2, 3, 8, 8)
    maps = attribute(network, images.to(torch.bfloat16), 0, method, steps=4, head="gender")
    assert maps.dtype == torch.float32
    expected = attribute(network.float(), images, 0, method, steps=4, head="gender")
    torch.testing.assert_close(maps, expected, atol=0.03, rtol=0.1)


def test_multi_label_head_and_one_target_per_image():
    network, images = Pooled(), torch.rand(2, 3, 8, 8)
    each = attribute(network, images, torch.tensor([3, 3]), head="age")
    torch.testing.assert_close(attribute(network, images, 3, head="age"), each)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tunnel", TUNNELS)
def test_noise_tunnel_does_not_depend_on_the_batches(method, tunnel):
    network, images = Pooled(), torch.rand(3, 3, 8, 8)
    how = {"head": "gender", "noise_tunnel": tunnel, "samples": 4, "steps": 2, "signed": True}
    maps = [attribute(network, images, 1, method, batch_size=size, **how) for size in (2, 5, 100)]
    torch.testing.assert_close(maps[1], maps[0])
    torch.testing.assert_close(maps[2], maps[0])
    assert not torch.equal(attribute(network, images, 1, method, seed=1, **how), maps[0])


@pytest.mark.parametrize("method", METHODS)
def test_chance_leaves_no_trace(method):
    network, images = Pooled(), torch.rand(2, 3, 8, 8)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    attribute(network, images, 0, method, head="gender", noise_tunnel="smoothgrad", samples=2)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_mixed_precision(method, precision):
    network, images = Pooled(), torch.rand(2, 3, 8, 8)
    how = {"head": "gender", "steps": 4}
    exact = attribute(network, images, 1, method, **how)
    mixed = attribute(network, images, 1, method, precision=precision, **how)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, atol=0.05, rtol=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_double_precision(method):
    network, images = Pooled(), torch.rand(2, 3, 8, 8)
    exact = attribute(network, images, 1, method, steps=4, head="gender")
    maps = attribute(network.double(), images.double(), 1, method, steps=4, head="gender")
    assert maps.dtype == torch.float32
    torch.testing.assert_close(maps, exact, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_signed_maps(method):
    network, images = Pooled(), torch.rand(2, 3, 8, 8)
    how = {"steps": 4, "head": "gender"}
    signed = attribute(network, images, 1, method, signed=True, **how)
    plain = attribute(network, images, 1, method, **how)
    if "cam" in method:  # its positive part is taken before it is enlarged
        assert (plain >= signed.relu() - 1e-6).all()
    else:
        torch.testing.assert_close(plain, signed.relu())


@pytest.mark.parametrize("method", ["integrated_gradients", "deep_lift", "occlusion"])
def test_each_image_has_its_own_baseline(method):
    network, images = Pooled(), torch.rand(5, 3, 8, 8)
    baselines = torch.rand(5, 3, 8, 8)
    how = {"head": "gender", "steps": 4, "signed": True}
    targets = torch.tensor([0, -1, 1, 2, 0])
    maps = attribute(network, images, targets, method, baseline=baselines, batch_size=2, **how)
    for i in (0, 2, 3, 4):
        alone = attribute(
            network, images[i : i + 1], targets[i], method, baseline=baselines[i], **how
        )
        torch.testing.assert_close(maps[i : i + 1], alone)


@pytest.mark.parametrize("method", METHODS)
def test_targets_beyond_the_classes(method):
    with pytest.raises(InputError, match="target 3: the head has 3 classes"):
        attribute(Pooled(), torch.rand(2, 3, 8, 8), 3, method, head="gender")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (torch.tensor([0.0, 1.0]), "whole numbers, not torch.float32"),
        (torch.tensor([True, False]), "whole numbers, not torch.bool"),
        (torch.tensor([0, 1, 2]), r"shape \(3,\); give one for all, or one for each of 2"),
        (torch.tensor([[0], [1]]), "give one for all"),
        (None, "positions of classes, not None"),
    ],
)
def test_what_are_no_targets(target, said):
    images, maps = torch.rand(2, 3, 8, 8), torch.rand(2, 8, 8)
    for call in (
        lambda: attribute(Pooled(), images, target),
        lambda: convergence_delta(Pooled(), images, target, maps),
        lambda: curves(Pooled(), images, target, maps),
        lambda: list(attribute_stream(Pooled(), [(images, target)])),
    ):
        with pytest.raises(InputError, match=said):
            call()


def test_targets_of_any_whole_type():
    network, images = Pooled(), torch.rand(2, 3, 8, 8)
    expected = attribute(network, images, torch.tensor([0, 2]), "saliency", head="gender")
    for target in ([0, 2], *(torch.tensor([0, 2], dtype=t) for t in (torch.uint8, torch.int32))):
        maps = attribute(network, images, target, "saliency", head="gender")
        torch.testing.assert_close(maps, expected)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"tolerance": -1.0}, "tolerance must not be negative"),
        ({"noise": float("nan")}, "noise must not be negative"),
        ({"precision": "8"}, "choose from 32, bf16, 16"),
        ({"noise_tunnel": "loud"}, "choose from smoothgrad, "),
        ({"baseline": torch.zeros(7)}, "does not fit pictures"),
        ({"method": "occlusion", "window": 2, "stride": 3}, "does not cover pictures of 8 × 8"),
        ({"method": "feature_ablation", "segments": torch.zeros(8, 8)}, "whole numbers, 8 × 8"),
        ({"method": "feature_ablation", "segments": torch.zeros(4, 8).long()}, "whole numbers"),
        ({"method": "feature_ablation", "segments": torch.zeros(2, 8, 8).long()}, "one drawing"),
        ({"method": "gradient_shap", "baseline": torch.zeros(2, 3, 4, 4)}, "takes .any number"),
        ({"head": None}, "say which head is explained: one of gender, age"),
        ({"method": "gradcam", "layer": "body.9"}, "no layer 'body.9'"),
    ],
)
def test_options_out_of_range(how, said):
    how = {"method": "integrated_gradients", "head": "gender"} | how
    with pytest.raises(InputError, match=said):
        attribute(Pooled(), torch.rand(2, 3, 8, 8), 0, **how)


@pytest.mark.parametrize("stride", [None, 2, 9])
def test_a_image_smaller_than_the_window_of_occlusion_is_hidden_whole(stride):
    network, images = Pooled(), torch.rand(2, 3, 4, 6)
    how = {"head": "gender", "baseline": torch.zeros_like(images), "signed": True}
    maps = attribute(network, images, 0, "occlusion", window=9, stride=stride, **how)
    whole = torch.zeros(4, 6, dtype=torch.long)
    hidden = attribute(network, images, 0, "feature_ablation", segments=whole, **how)
    torch.testing.assert_close(maps, hidden)


def test_networks_that_answer_with_a_tensor():
    network, images = Pooled(), torch.rand(2, 3, 8, 8)
    alone = nn.Sequential(network.body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), network.heads["age"])
    expected = attribute(network, images, 3, head="age")
    torch.testing.assert_close(attribute(alone, images, 3), expected)
    with pytest.raises(InputError, match="answers with one tensor"):
        attribute(alone, images, 3, head="age")
    with pytest.raises(InputError, match="must answer with logits"):
        attribute(network.body, images, 0, "saliency")
    with pytest.raises(InputError, match="images must be"):
        attribute(alone, torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 0)


def test_unknown_method_and_head():
    with pytest.raises(InputError, match="choose from gradcam"):
        attribute(Linear(), torch.rand(1, 3, 6, 6), 0, "lime", head="gender")
    with pytest.raises(InputError, match=r"no head 'race'; it has gender, age"):
        attribute(Pooled(), torch.rand(1, 3, 8, 8), 0, head="race")


def test_no_warnings():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for method in METHODS:
            attribute(
                Pooled(), torch.rand(5, 3, 8, 8), 0, method, batch_size=2, steps=3, head="gender"
            )
    assert caught == []
