from __future__ import annotations

from urllib.error import URLError

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from fairvision import models
from fairvision.errors import InputError

FAMILIES = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v3_small",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11_bn",
    "vit_b_32",
]


def backbone_of(name, size):
    found = models.backbone(name, size)
    return found.module, found.classifier


def test_names_are_ours_and_all_of_torchvision_and_timm():
    names = models.names()
    assert len(names) == len(set(names))
    of_torchvision = torchvision.models.list_models(module=torchvision.models)
    others = [*of_torchvision, *(f"timm:{name}" for name in timm.list_models())]
    ours = names[: -len(others)]
    assert names[len(ours) :] == others
    assert {"lecture_cnn", "small_cnn", "resnet18_32px"} <= set(ours)


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_gets_heads_in_place_of_its_classifier(name):
    with torch.device("meta"):
        network = models.build(name, {"gender": 3, "objects": 5}, size=models.default_size(name))
        size = models.default_size(name)
        logits = network(torch.zeros(2, 3, size, size))
    assert {k: tuple(v.shape) for k, v in logits.items()} == {"gender": (2, 3), "objects": (2, 5)}
    assert not any(getattr(m, "inplace", False) for m in network.modules())
    assert not any(tuple(p.shape)[:1] == (1000,) for p in network.parameters())


@pytest.mark.parametrize("name", ["regnet_y_400mf", "mobilenet_v2"])
def test_a_small_network_on_real_tensors(name):
    network = models.build(name, {"gender": 2}, size=32)
    network(torch.rand(2, 3, 32, 32))["gender"].sum().backward()
    assert network.heads[0].weight.grad.abs().sum() > 0


def test_lecture_cnn_layer_by_layer():
    network = models.build("lecture_cnn", {"digit": 10}, size=28)
    kinds = [
        nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Dropout,
        nn.Flatten, nn.Linear, nn.ReLU, nn.Dropout,
    ]  # fmt: skip
    assert all(isinstance(m, kind) for m, kind in zip(network.backbone, kinds, strict=True))
    weights = [tuple(p.shape) for p in network.parameters() if p.ndim > 1]
    assert weights == [(32, 3, 3, 3), (64, 32, 3, 3), (128, 9216), (10, 128)]
    assert [m.p for m in network.backbone if isinstance(m, nn.Dropout)] == [0.25, 0.5]


@pytest.mark.parametrize(
    ("name", "size"), [("lecture_cnn", 5), ("alexnet", 32), ("vit_b_32", 75), ("maxvit_t", 64)]
)
def test_a_size_that_does_not_fit_is_one_clear_line(name, size):
    with pytest.raises(InputError, match=rf"{name} cannot take pictures of {size} × {size}") as e:
        models.build(name, {"gender": 2}, size=size)
    assert "\n" not in str(e.value)


def test_an_unknown_network_is_named():
    with pytest.raises(InputError, match="no network 'resnet19': choose resnet1"):
        models.build("resnet19", {"gender": 2}, size=32)


def test_head_names_cannot_break_the_network():
    names = ["keys", "a.b", "forward", "", "heads"]
    network = models.build("lecture_cnn", dict.fromkeys(names, 2), size=8)
    assert list(network(torch.rand(1, 3, 8, 8))) == names
    assert list(network.state_dict())[-2:] == ["heads.4.weight", "heads.4.bias"]


def test_probabilities_start_equal_and_follow_the_kind_of_task():
    network = models.build("lecture_cnn", {"gender": 4, "objects": 3}, size=8, many=["objects"])
    probabilities = network.probabilities(torch.rand(2, 3, 8, 8))
    torch.testing.assert_close(probabilities["gender"], torch.full((2, 4), 0.25))
    torch.testing.assert_close(probabilities["objects"], torch.full((2, 3), 0.5))


def test_normalisation_is_inside():
    seen = []
    network = models.build("lecture_cnn", {"gender": 2}, size=8)
    network.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 8, 8))
    assert seen[0].abs().max() < 1e-6


def test_a_frozen_backbone_stays_in_evaluation_mode_and_only_heads_learn():
    network = models.build("mobilenet_v2", {"gender": 2}, size=32)
    models.tune(network, "head")
    network.train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=0.1)
    logits = network(torch.rand(4, 3, 32, 32))["gender"]
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 1, 1])).backward()
    optimizer.step()
    moved = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"heads.0.weight", "heads.0.bias"}
    assert not any(m.training for m in network.backbone.modules())
    models.tune(network, "all")
    assert all(m.training for m in network.modules())
    assert all(p.requires_grad for p in network.parameters())


@pytest.fixture(scope="module")
def squeezenet() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return torchvision.models.squeezenet1_1(num_classes=7).state_dict()


def first_layer(network):
    return network.backbone.features[0].weight


@pytest.mark.parametrize("kind", ["pth", "half", "safetensors", "without", "wrapped", "parallel"])
def test_local_weights_fit_whatever_their_classifier(tmp_path, squeezenet, kind):
    state = dict(squeezenet)
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    if kind == "without":
        state = {k: v for k, v in state.items() if not k.startswith("classifier")}
    if kind == "half":
        state = {k: v.half() for k, v in state.items()}
    if kind == "parallel":
        state = {f"module.{k}": v for k, v in state.items()}
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save({"model": state, "epoch": 3} if kind == "wrapped" else state, path)
    network = models.build("squeezenet1_1", {"gender": 2}, size=32, weights=str(path))
    assert first_layer(network).dtype == torch.float32
    torch.testing.assert_close(
        first_layer(network).detach(), squeezenet["features.0.weight"], atol=1e-3, rtol=1e-2
    )


def test_weights_that_do_not_fit_are_one_clear_line(tmp_path, squeezenet):
    def refused(state, match):
        torch.save(state, tmp_path / "weights.pth")
        with pytest.raises(InputError, match=match) as e:
            models.build("squeezenet1_1", {"a": 2}, size=32, weights=str(tmp_path / "weights.pth"))
        assert "\n" not in str(e.value)

    refused({**squeezenet, "extra": torch.zeros(1)}, "1 tensors are not part of it, such as extra")
    refused({"features.0.weight": torch.zeros(1)}, "size mismatch for features.0.weight")
    refused({"features.0.bias": torch.zeros(64)}, "49 tensors are missing, such as features.0.we")
    refused([1, 2], "holds no named tensors")
    refused({"weight": object()}, "is damaged or holds more than tensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0")
    for path, match in ((tmp_path / "cut.safetensors", "damaged"), ("no.pth", "is not there")):
        with pytest.raises(InputError, match=match):
            models.build("squeezenet1_1", {"a": 2}, size=32, weights=str(path))


def test_old_densenet_names_are_understood():
    state = torchvision.models.densenet121().state_dict()
    old = {k.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): v for k, v in state.items()}
    network, classifier = backbone_of("densenet121", 32)
    models.fit(network, old, classifier=classifier, source="old")
    name = "features.denseblock1.denselayer1.conv2.weight"
    assert torch.equal(network.state_dict()[name], state[name])


def test_mnasnet_weights_without_version_numbers(tmp_path):
    save_file(torchvision.models.mnasnet0_5().state_dict(), tmp_path / "m.safetensors")
    models.build("mnasnet0_5", {"a": 2}, size=32, weights=str(tmp_path / "m.safetensors"))


def test_position_embeddings_follow_the_size(tmp_path):
    small, classifier = backbone_of("vit_b_32", 64)
    large, _ = backbone_of("vit_b_32", 96)
    models.fit(large, small.state_dict(), classifier=classifier, source="small")
    assert large.encoder.pos_embedding.shape[1] == 10
    torch.testing.assert_close(large.encoder.pos_embedding[:, 0], small.encoder.pos_embedding[:, 0])


def test_published_weights(monkeypatch, shared):
    monkeypatch.setenv("TORCH_HOME", str(shared / "weights" / "torch-home"))
    network = models.build("mobilenet_v2", {"gender": 2}, size=64, weights="IMAGENET1K_V1")
    published = torchvision.models.mobilenet_v2(weights="IMAGENET1K_V1").eval()
    published.classifier[1] = nn.Identity()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = published((images - network.mean) / network.std)
        torch.testing.assert_close(network.eval().features(images), expected)


def test_real_half_precision_weights(shared):
    path = shared / "weights" / "squeezenet1_0_deepcompression_fp16.pth"
    network = models.build("squeezenet1_0", {"gender": 2}, size=64, weights=str(path))
    assert all(p.dtype == torch.float32 for p in network.parameters())
    assert network.features(torch.rand(1, 3, 64, 64)).std() > 0


def test_weights_that_are_not_published_or_cannot_be_had(monkeypatch):
    with pytest.raises(InputError, match=r"'V9' are neither .* IMAGENET1K_V1, .*DEFAULT"):
        models.build("resnet50", {"a": 2}, size=32, weights="V9")
    with pytest.raises(InputError, match="published: none"):
        models.build("lecture_cnn", {"a": 2}, size=32, weights="DEFAULT")

    def offline(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(InputError, match=r"cannot download .* give a local file"):
        models.build("resnet18", {"a": 2}, size=32, weights="DEFAULT")


def test_devices():
    assert models.find_device("cpu").type == "cpu"
    assert models.find_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(InputError, match="no device 'tpu' here"):
        models.find_device("tpu")


def test_resnet18_for_32_pixels_is_torchvisions_but_for_the_first_layer():
    torch.manual_seed(0)
    ours, theirs = (models.backbone(n, 32).module for n in ("resnet18_32px", "resnet18"))
    kept = {k: v for k, v in theirs.state_dict().items() if not k.startswith("conv1.")}
    assert kept.keys() == ours.state_dict().keys() - {"conv1.weight"}
    assert all(v.shape == ours.state_dict()[k].shape for k, v in kept.items())
    seen = []
    ours.layer4.register_forward_hook(lambda _, given, out: seen.append(out.shape))
    ours.eval()(torch.zeros(1, 3, 32, 32))
    assert seen == [(1, 512, 4, 4)]
    assert models.default_size("resnet18_32px") == 32
    with pytest.raises(InputError, match=r"nor published for resnet18_32px \(published: none\)"):
        models.build("resnet18_32px", {"a": 2}, size=32, weights="DEFAULT")
