from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from fairvision import models
from fairvision.attribution.layers import gradcam_layer
from fairvision.errors import InputError

HEADS = {"gender": 2}


def build(name, size, **options):
    return models.build(f"timm:{name}", HEADS, size=size, **options)


@pytest.mark.parametrize(
    ("name", "size", "layer"),
    [
        ("test_resnet", 64, "backbone.layer4"),
        ("test_convnext", 64, "backbone.stages"),
        ("test_vit", 64, "backbone.blocks.5.norm1"),
        ("test_efficientnet", 64, "backbone.bn2"),
    ],
)
def test_a_network_of_timm_learns_and_can_be_looked_into(name, size, layer):
    network = build(name, size)
    images = torch.rand(2, 3, size, size)
    logits = network(images)["gender"]
    assert logits.shape == (2, 2)
    logits.sum().backward()
    assert network.heads[0].weight.grad.abs().sum() > 0
    assert not any(getattr(m, "inplace", False) for m in network.modules())
    assert gradcam_layer(network.eval(), images) == layer


@pytest.mark.parametrize("module", ["resnet", "vision_transformer", "mobilenetv3", "inception_v3"])
def test_default_size_and_normalisation_are_those_of_the_published_weights(module):
    for name in (
        timm.list_models(module=module)[0],
        timm.list_models(module=module, pretrained=True)[-1],
    ):
        told = timm.models.get_pretrained_cfg(name)
        with torch.device("meta"):
            found = models.backbone(f"timm:{name}", told.input_size[1])
        assert models.default_size(f"timm:{name}") == told.input_size[1]
        assert (found.mean, found.std) == (told.mean, told.std)


def test_images_are_normalised_as_the_network_wants_them():
    network = build("test_vit", 32).eval()
    seen = []
    network.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.linspace(0, 1, 3).view(3, 1, 1).expand(1, 3, 32, 32))
    assert_close(seen[0][0, :, 0, 0], torch.tensor([-1.0, 0.0, 1.0]))


@pytest.mark.parametrize("kind", ["safetensors", "pth", "half", "no classifier", "parallel"])
@pytest.mark.parametrize("name", ["test_resnet", "test_convnext"])
def test_local_weights_give_the_features_of_the_network_they_come_from(tmp_path, name, kind):
    torch.manual_seed(0)
    source = timm.create_model(name, num_classes=7).eval()
    state = source.state_dict()
    if kind == "no classifier":
        layer = source.pretrained_cfg["classifier"]
        state = {k: v for k, v in state.items() if not k.startswith(f"{layer}.")}
    if kind == "half":
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    if kind == "parallel":
        state = {f"module.{k}": v for k, v in state.items()}
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pth")
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state}, path)
    network = build(name, 64, weights=str(path)).eval()
    assert all(p.dtype == torch.float32 for p in network.parameters())
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = source.forward_head(
            source.forward_features((images - network.mean) / network.std), pre_logits=True
        )
        loose = {"atol": 2e-3, "rtol": 1e-2} if kind == "half" else {}
        assert_close(network.features(images), expected, **loose)


def test_position_embeddings_follow_the_size(tmp_path):
    source = timm.create_model("test_vit", num_classes=3)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    network = build("test_vit", 96, weights=str(tmp_path / "w.safetensors"))
    assert network.backbone.pos_embed.shape == (1, 1 + 36, 64)
    assert_close(network.backbone.pos_embed[:, 0], source.pos_embed[:, 0])
    assert torch.equal(network.backbone.blocks[3].mlp.fc1.weight, source.blocks[3].mlp.fc1.weight)


def test_weights_that_do_not_fit_are_one_clear_line(tmp_path):
    state = timm.create_model("test_resnet", num_classes=3).state_dict()

    def refused(state, match):
        torch.save(state, tmp_path / "w.pth")
        with pytest.raises(InputError, match=match) as e:
            build("test_resnet", 64, weights=str(tmp_path / "w.pth"))
        assert "\n" not in str(e.value)

    refused({**state, "extra": torch.zeros(1)}, "do not fit the network: .*extra")
    refused({k: v for k, v in state.items() if k != "bn1.bias"}, "do not fit .*bn1.bias")
    refused({**state, "bn1.bias": torch.zeros(3)}, "size mismatch for bn1.bias")
    refused({"a": torch.zeros(1)}, "do not fit the network")


def test_names_that_timm_lacks_are_told_with_those_that_come_near():
    for name, match in (
        ("timm:resnet5", "no network 'timm:resnet5': choose timm:resnet"),
        ("timm:resnet50.none", "no network 'timm:resnet50.none': choose timm:resnet50"),
        ("convnext_atto", "no network 'convnext_atto': choose timm:convnext_atto, "),
        ("timm:hf-hub:someone/net", "no network"),
    ):
        for call in (models.default_size, lambda name: models.build(name, HEADS, size=64)):
            with pytest.raises(InputError, match=match) as e:
                call(name)
            assert "\n" not in str(e.value)


def test_a_size_that_does_not_fit_is_one_clear_line():
    with pytest.raises(InputError, match=r"cannot take pictures of 8 × 8 .*usual: 160") as e:
        build("test_vit", 8)
    assert "\n" not in str(e.value)


def test_published_weights_that_cannot_be_had(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        InputError, match=r"cannot have the weights DEFAULT of timm:test_resnet"
    ) as e:
        build("test_resnet", 64, weights="DEFAULT")
    assert "\n" not in str(e.value)
    with pytest.raises(InputError, match=r"'IMAGENET1K_V1' are neither .*published: DEFAULT"):
        build("test_resnet", 64, weights="IMAGENET1K_V1")
