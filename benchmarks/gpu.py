"""Evidence of ResNet-50 and ViT-B in bf16: images per second, and the bare network's share of it.

    python benchmarks/gpu.py [--device cuda] [--models resnet50 vit_b_16] [--precision bf16]

Per network, in turn and on the same random images: the network alone without gradients; Grad-CAM
of a class per image; and Grad-CAM with all measures of its maps against a mask. The images are
on the device beforehand, and the figures stay there. The share is the time of the network alone
over that of each: 1 would be evidence for nothing. Printed is the median of the rounds.

It runs on a CPU, too, with `--device cpu --size 64 --images 4`: then it says that it works, and
nothing about a GPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torchvision.models import get_model

from fairvision import metrics
from fairvision.attribution import attribute
from fairvision.attribution.explained import PRECISIONS

MODELS = ["resnet50", "vit_b_16"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--precision", choices=[*PRECISIONS], default="bf16")
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    device = torch.device(given.device)
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"{chip}, torch {torch.__version__}, {given.precision}")
    for name in given.models:
        compare(name, device, given.precision, given.images, given.size, given.rounds)


def compare(
    name: str, device: torch.device, precision: str, count: int, size: int, rounds: int
) -> None:
    """Time the network alone and with evidence, and print images per second."""
    torch.manual_seed(0)
    shape = {"image_size": size} if name.startswith("vit") else {}
    network = get_model(name, weights=None, **shape).eval().to(device)
    for last in (module for module in network.modules() if isinstance(module, torch.nn.Linear)):
        torch.nn.init.normal_(last.weight, std=0.02)
    images = torch.rand(count, 3, size, size, device=device)
    if not shape:
        network = network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    targets = torch.arange(count, device=device) % 10
    masks = torch.zeros(count, size, size, dtype=torch.bool, device=device)
    masks[:, size // 4 : -size // 4, size // 3 : -size // 3] = True
    dtype = PRECISIONS[precision]

    def alone() -> None:
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype is not None):
            network(images)

    def gradcam() -> torch.Tensor:
        return attribute(network, images, targets, precision=precision, batch_size=count)

    def measured() -> None:
        metrics.localisation(gradcam(), masks)

    ways: dict[str, Callable[[], object]] = {
        "the network alone": alone,
        "Grad-CAM": gradcam,
        "Grad-CAM, measured": measured,
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 2):
        for way, call in ways.items():
            seconds = _seconds(call, device)
            if turn > 1:  # the first ones choose kernels, and look for the layer
                times[way].append(seconds)
    print(f"{name}, {count} pictures of {size}² at one time:")
    bare = median(times["the network alone"])
    for way, taken in times.items():
        seconds = median(taken)
        share = bare / seconds
        print(f"  {way:>18} {count / seconds:9.0f} pictures/s   network's share {share:6.1%}")


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    call()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
