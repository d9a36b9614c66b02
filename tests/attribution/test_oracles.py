"""Every method against captum, and against pytorch-grad-cam where captum has none."""

from __future__ import annotations

import captum.attr
import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

from fairvision import metrics
from fairvision.attribution import attribute, convergence_delta
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:Setting (backward|forward):UserWarning:captum")


class Modules(nn.Module):
    """A network as captum wants it: each activation a module of its own, used once."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
        )
        self.middle, self.tanh, self.head = nn.Linear(8 * 16, 10), nn.Tanh(), nn.Linear(10, 4)

    def forward(self, images):
        return self.head(self.tanh(self.middle(self.body(images).flatten(1))))


@pytest.fixture
def case():
    torch.manual_seed(0)
    network = Modules().eval()
    network.body[4].running_mean.uniform_(-0.2, 0.2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 3
    return network, torch.rand(5, 3, 8, 8), torch.tensor([0, 1, 2, 3, 1])


def plain(images):
    return images.detach().mean(dim=(2, 3), keepdim=True).expand_as(images)


def enlarged(maps, images):
    return F.interpolate(maps, images.shape[-2:], mode="bilinear", align_corners=False)


def summed(found):
    return found.sum(dim=1).detach().float()


def strongest(found):
    return found.abs().amax(dim=1).detach().float()


def gradcam(network, images, targets):
    return enlarged(
        captum.attr.LayerGradCam(network, network.body).attribute(images, targets), images
    )


def guided_gradcam(network, images, targets):
    method = captum.attr.GuidedGradCam(network, network.body)
    return method.attribute(images.requires_grad_(), targets, interpolate_mode="bilinear")


def guided_backprop(network, images, targets):
    return captum.attr.GuidedBackprop(network).attribute(images.requires_grad_(), targets)


def saliency(network, images, targets):
    return captum.attr.Saliency(network).attribute(images.requires_grad_(), targets)


def input_x_gradient(network, images, targets):
    return captum.attr.InputXGradient(network).attribute(images.requires_grad_(), targets)


def integrated_gradients(network, images, targets):
    method = captum.attr.IntegratedGradients(network)
    return method.attribute(images, plain(images), targets, n_steps=12)


def deep_lift(network, images, targets):
    return captum.attr.DeepLift(network).attribute(images.requires_grad_(), plain(images), targets)


def occlusion(network, images, targets):
    method = captum.attr.Occlusion(network)
    found = method.attribute(images, (3, 3, 3), (3, 2, 2), plain(images), targets)
    return found[:, :1]


def feature_ablation(network, images, targets):
    method = captum.attr.FeatureAblation(network)
    found = method.attribute(images, plain(images), targets, feature_mask=SEGMENTS[None, None])
    return found[:, :1]


SEGMENTS = torch.arange(8)[:, None] // 3 * 3 + torch.arange(8)[None] // 4
CAPTUM = {
    gradcam: summed,
    guided_gradcam: strongest,
    guided_backprop: strongest,
    saliency: strongest,
    input_x_gradient: summed,
    integrated_gradients: summed,
    deep_lift: summed,
    occlusion: summed,
    feature_ablation: summed,
}


@pytest.mark.parametrize("method", CAPTUM, ids=lambda method: method.__name__)
@pytest.mark.parametrize("batch_size", [2, 7, 100])
def test_equals_captum(case, method, batch_size):
    network, images, targets = case
    how = {"layer": "body"} if "gradcam" in method.__name__ else {}
    how |= {"steps": 12, "window": 3, "stride": 2, "segments": SEGMENTS * 5 - 3}
    maps = attribute(
        network, images, targets, method.__name__, signed=True, batch_size=batch_size, **how
    )
    expected = CAPTUM[method](method(network, images, targets))
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-6)
    assert expected.abs().max() > 1e-3


@pytest.mark.parametrize("tunnel", ["smoothgrad", "smoothgrad_sq", "vargrad"])
def test_noise_tunnel_equals_captum(case, tunnel, monkeypatch):
    """With the same noise, which captum draws for all samples of one image at one time."""
    network, images, targets = case
    noise = torch.randn(6, 3, 8, 8)
    monkeypatch.setattr(
        "fairvision.attribution.perturbations.gaussian",
        lambda like, seed, who, samples: noise[samples],
    )
    monkeypatch.setattr(torch, "normal", lambda mean, std: noise * std)
    maps = attribute(
        network,
        images[:1],
        targets[:1],
        "input_x_gradient",
        noise_tunnel=tunnel,
        samples=6,
        noise=0.2,
        signed=True,
        batch_size=4,
    )
    method = captum.attr.NoiseTunnel(captum.attr.InputXGradient(network))
    found = method.attribute(images[:1], tunnel, 6, stdevs=0.2, target=targets[:1])
    torch.testing.assert_close(maps, summed(found), rtol=1e-4, atol=1e-6)


def test_gradient_shap_converges_to_captum(case):
    network, images, targets = case
    pool = torch.rand(3, 3, 8, 8)
    maps = attribute(
        network, images, targets, "gradient_shap", baseline=pool, samples=4000, signed=True,
        noise=0.1, batch_size=4000,
    )  # fmt: skip
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    method = captum.attr.GradientShap(network)
    found = method.attribute(images, pool, 4000, stdevs=0.1, target=targets)
    torch.testing.assert_close(maps, summed(found), rtol=0, atol=0.06 * maps.abs().max().item())


def test_gradient_shap_of_one_plain_image_converges_to_integrated_gradients(case):
    network, images, targets = case
    sampled = attribute(network, images, targets, "gradient_shap", samples=4000, signed=True)
    exact = attribute(network, images, targets, "integrated_gradients", signed=True)
    torch.testing.assert_close(sampled, exact, rtol=0, atol=0.06 * exact.abs().max().item())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layer", ["layer3", "layer4"])
def test_equals_pytorch_grad_cam(layer):
    """Its maps are rescaled to 0…1 per image, so ours are too, here only."""
    torch.manual_seed(0)
    network, images = resnet18(num_classes=5).eval(), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        network.fc.weight *= 1e4  # their rescaling adds 1e-7 to the maximum
    targets = [ClassifierOutputTarget(k) for k in (1, 3)]
    for method, name in (
        (pytorch_grad_cam.GradCAM, "gradcam"),
        (pytorch_grad_cam.GradCAMPlusPlus, "gradcam_plus_plus"),
        (pytorch_grad_cam.LayerCAM, "layercam"),
        (pytorch_grad_cam.HiResCAM, "hirescam"),
    ):
        with method(network, [network.get_submodule(layer)]) as theirs:
            expected = torch.from_numpy(theirs(images, targets))
        maps = attribute(network, images, torch.tensor([1, 3]), name, layer=layer)
        low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
        torch.testing.assert_close((maps - low) / (high - low), expected, rtol=0, atol=2e-3)


def coarse(bias: float) -> nn.Sequential:
    """Maps of 4 × 4 positions, weighted by positive numbers."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 16, stride=16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
    )
    nn.init.constant_(network[0].bias, bias)
    network[3].weight.data.abs_()
    return network


@pytest.mark.filterwarnings("ignore")
def test_what_pytorch_grad_cam_does_to_map_and_network():
    """It rescales each map, which moves the share of its mass, and leaves evaluation mode on."""
    network, images = coarse(bias=1.0), torch.rand(2, 3, 64, 64)
    maps = attribute(network, images, 1)
    assert network.training
    assert (maps > 0).all()
    with pytorch_grad_cam.GradCAM(network, [network[0]]) as theirs:
        rescaled = torch.from_numpy(theirs(images, [ClassifierOutputTarget(1)] * 2))
    assert not network.training
    masks = maps > maps.flatten(1).median(dim=1).values[:, None, None]
    moved = metrics.relevance_mass(rescaled, masks) - metrics.relevance_mass(maps, masks)
    assert (moved > 0.1).all()
    network[3].weight.data.mul_(3)
    torch.testing.assert_close(attribute(network, images, 1), 3 * maps)


def test_what_captum_does_by_default():
    """It enlarges by the nearest value, which makes ties, and keeps what speaks against."""
    network, images = coarse(bias=0.0), torch.randn(2, 3, 64, 64)
    small = captum.attr.LayerGradCam(network.eval(), network[0]).attribute(images, 1)
    assert small.amin(dim=(1, 2, 3)).max() < 0 < small.amax(dim=(1, 2, 3)).min()
    nearest = captum.attr.LayerAttribution.interpolate(small, (64, 64))[:, 0]
    maps = attribute(network, images, 1)
    assert maps.min() == 0
    for map, blocks in zip(maps, nearest):
        assert (blocks == blocks.max()).sum() == 16 * 16
        assert (map == map.max()).sum() < 16 * 16


@pytest.mark.parametrize("batch_size", [2, 100])
def test_deep_lift_shap_is_the_mean_over_plain_images(case, batch_size):
    network, images, targets = case
    pool = torch.rand(3, 3, 8, 8)
    how = {"signed": True, "batch_size": batch_size}
    maps = attribute(network, images, targets, "deep_lift_shap", baseline=pool, **how)
    each = [
        attribute(network, images, targets, "deep_lift", baseline=plain_image, **how)
        for plain_image in pool
    ]
    torch.testing.assert_close(maps, torch.stack(each).mean(dim=0), rtol=1e-4, atol=1e-6)
    method = captum.attr.DeepLiftShap(network)
    theirs = method.attribute(images.clone().requires_grad_(), pool, targets)
    torch.testing.assert_close(maps, summed(theirs), rtol=1e-3, atol=1e-5)
    alone = attribute(network, images, targets, "deep_lift_shap", **how)
    assert torch.equal(alone, attribute(network, images, targets, "deep_lift", **how))
    with pytest.raises(InputError, match=r"deep_lift_shap takes \(any number, 3, 8, 8\)"):
        attribute(network, images, targets, "deep_lift_shap", baseline=pool[:, :, :4])


def test_deep_lift_where_captum_refuses():
    """A ResNet uses each ReLU twice, in place, and pools with overlap: still complete."""
    torch.manual_seed(0)
    network, images = resnet18(num_classes=5).eval(), torch.rand(2, 3, 64, 64)
    with pytest.raises(RuntimeError, match="more than once"):
        captum.attr.DeepLift(network).attribute(images.clone().requires_grad_(), plain(images), 1)
    maps = attribute(network, images, 1, "deep_lift", signed=True)
    delta = convergence_delta(network, images, 1, maps)
    assert delta.abs().max() < 1e-4 * maps.abs().sum(dim=(1, 2)).min()


def test_deep_lift_through_maxima(case):
    """captum's does not add up here; what must come out is known."""

    class Largest(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = nn.MaxPool2d((1, 2))

        def forward(self, images):
            return self.pool(images).flatten(1)

    images = torch.tensor([[3.0, 1.0], [0.0, 2.0], [2.0, 2.0]]).view(3, 1, 1, 2)
    plains = torch.tensor([[0.0, 2.0], [3.0, 1.0], [2.0, 1.0]]).view(3, 1, 1, 2)
    maps = attribute(Largest(), images, 0, "deep_lift", baseline=plains, signed=True)
    assert maps.flatten(1).tolist() == [[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]

    network, images, targets = case
    network.body[2] = nn.MaxPool2d(2)
    maps = attribute(network, images, targets, "deep_lift", signed=True)
    theirs = summed(deep_lift(network, images.clone(), targets))
    assert convergence_delta(network, images, targets, maps).abs().max() < 1e-4
    assert convergence_delta(network, images, targets, theirs).abs().max() > 1e-2


@pytest.mark.parametrize(
    "function",
    [
        *(F.gelu, F.silu, F.hardswish, F.mish, F.elu, F.softplus, torch.tanh, torch.sigmoid),
        *(torch.relu, torch.Tensor.relu_, torch.Tensor.sigmoid),
        lambda values: F.leaky_relu(values, 0.1, True),
        lambda values: F.relu(values, inplace=True),
        lambda values: F.max_pool2d(values, 3, stride=1, padding=1),
        lambda values: F.adaptive_max_pool2d(values, 3),
    ],
)
def test_deep_lift_is_complete_for_functions(function):
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.LazyLinear(3)

        def forward(self, images):
            return self.second(function(self.first(images)).flatten(1))

    torch.manual_seed(0)
    network, images = Functional(), 4 * torch.rand(3, 3, 8, 8)
    network(images)
    maps = attribute(network, images, 2, "deep_lift", signed=True)
    delta = convergence_delta(network, images, 2, maps)
    assert delta.abs().max() < 1e-5
    gradients = attribute(network, images, 2, "input_x_gradient", signed=True)
    assert convergence_delta(network, images, 2, gradients).abs().max() > 1e-3


def test_guided_backprop_sees_functions(case):
    network, images, targets = case

    class Functional(Modules):
        def forward(self, images):
            first, _, pool, *second = self.body[:5]
            features = pool(F.relu(first(images), inplace=True))
            for layer in second:
                features = layer(features)
            return self.head(self.tanh(self.middle(features.relu().flatten(1))))

    other = Functional().eval()
    other.load_state_dict(network.state_dict())
    expected = attribute(network, images, targets, "guided_backprop")
    torch.testing.assert_close(attribute(other, images, targets, "guided_backprop"), expected)
