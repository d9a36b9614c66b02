"""Maps of few places are told, with what to do; others are not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from fairvision.auditing.coarse_maps import coarse_grid, note
from fairvision.models import build


def model(name, size):
    torch.manual_seed(0)
    network = build(name, {"hat": 2}, size=size).eval()
    return SimpleNamespace(name="A", size=size, device="cpu", module=network)


@pytest.mark.parametrize(
    ("name", "size", "method", "grid"),
    [
        ("resnet18", 224, "gradcam", (7, 7)),
        ("resnet18", 224, "layercam", None),
        ("resnet18", 224, "hirescam", None),
        ("timm:vit_tiny_patch16_224", 64, "hirescam", (4, 4)),
        ("resnet18", 32, "saliency", None),
        ("small_cnn", 48, "gradcam", None),
        ("small_cnn", 16, "gradcam", None),
        ("lecture_cnn", 28, "hirescam", None),
    ],
)
def test_few_are_less_than_fourteen(name, size, method, grid):
    assert coarse_grid(model(name, size), method) == grid


def test_what_to_do_is_said():
    coarse = model("resnet18", 64)
    assert "2 × 2 cells" in note(coarse, "gradcam")
    assert "choose --attribution hirescam or train with larger pictures" in note(coarse, "gradcam")
    assert note(coarse, "hirescam") is None
    assert note(model("timm:vit_tiny_patch16_224", 64), "hirescam").endswith(
        "strongest: train with larger pictures (--size)"
    )
    lecture = model("lecture_cnn", 48)
    assert "weighs every place by itself" in note(lecture, "gradcam")
    assert note(lecture, "hirescam") is None


def test_a_function_has_no_layers():
    function = SimpleNamespace(name="F", size=32, device="cpu", module=None)
    assert coarse_grid(function, "occlusion") is None
    assert note(function, "occlusion") is None
