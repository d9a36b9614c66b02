"""Grad-CAM and integrated gradients beside captum and pytorch-grad-cam.

    python benchmarks/attribution.py [--images 8] [--size 224] [--rounds 5] [--device cpu]

All run on the same untrained network and the same random images in one process, in turn. Times
are those of the fastest round, and on a CPU the processor's, which other programs disturb less; the
bare network without gradients is the unit. Before anything is timed the maps are compared. Only
ratios of one call can be compared: machines differ, and are shared. OMP_NUM_THREADS=1 is steadiest.
`grad-cam` (pytorch_grad_cam) is left out where it is not there.

A ResNet answers from the mean of its last maps by a linear layer, so Grad-CAM has a closed form.
The same network with one more layer there has none: that is the general case.

Memory is what the process (or the GPU) holds at most beyond what it held before, each in a process
of its own: it must not grow with the number of images. On a CPU this is read from /proc (Linux).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from captum.attr import IntegratedGradients, LayerGradCam
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model

from fairvision.attribution import attribute, convergence_delta

STEPS = 50


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", choices=["ours", "captum"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory:
        _hold(given.memory, given.images, given.size, given.device)
        return
    torch.manual_seed(0)
    for name in ("resnet18", "resnet50"):
        for closed in (True, False):
            gradcam(name, closed, given.images, given.size, given.rounds, given.device)
    line(given.size, given.rounds, given.device)
    memory(given.size, given.device)


def gradcam(name: str, closed: bool, count: int, size: int, rounds: int, device: str) -> None:
    """Time Grad-CAM at the last maps, in forward passes."""
    network, images = _network(name, device, closed), torch.rand(count, 3, size, size).to(device)
    targets = torch.arange(count, device=device)
    layer = network.get_submodule("layer4")

    def forward() -> Tensor:
        with torch.no_grad():
            scores: Tensor = network(images)
        return scores

    def ours() -> Tensor:
        return attribute(network, images, targets, batch_size=count)

    def captum() -> Tensor:
        small = LayerGradCam(network, layer).attribute(images, targets)
        large = F.interpolate(small.relu(), (size, size), mode="bilinear")
        return large[:, 0].detach()

    ways: dict[str, Callable[[], Tensor]] = {"forward": forward, "ours": ours, "captum": captum}
    torch.testing.assert_close(ours(), captum(), rtol=1e-3, atol=1e-5)
    theirs = _pytorch_grad_cam(network, layer, images, targets)
    if theirs is not None:
        ways["pytorch-grad-cam"] = theirs
    times = _interleaved(ways, rounds)
    form = "closed form" if closed else "general case"
    print(f"{name}, Grad-CAM, {form}, {count} pictures of {size}²:")
    for way, best in times.items():
        forwards = best / times["forward"]
        print(f"  {way:>17} {1000 * best / count:8.1f} ms/picture {forwards:6.2f} forwards")
    for way in list(times)[2:]:
        print(f"  {way} / ours: {times[way] / times['ours']:.2f}")
    if theirs is not None:
        off = (_rescaled(ours()).cpu() - theirs()).abs().nan_to_num().max()
        print(
            f"  ours, rescaled to 0…1 as theirs are, and pytorch-grad-cam: off by {off:.1e} at most"
        )


def line(size: int, rounds: int, device: str) -> None:
    """Time integrated gradients at the same steps, and at the same convergence delta."""
    network, images = _network("resnet18", device), torch.rand(4, 3, size, size, device=device)
    targets = torch.arange(4, device=device)
    plain = images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    batch = 25

    def ours(steps: int, tolerance: float | None = None) -> Tensor:
        return attribute(
            network,
            images,
            targets,
            "integrated_gradients",
            steps=steps,
            tolerance=tolerance,
            signed=True,
            batch_size=batch,
        )

    def captum() -> Tensor:
        attribution: Tensor = IntegratedGradients(network).attribute(
            images, plain, targets, n_steps=STEPS, internal_batch_size=batch
        )
        return attribution.sum(dim=1).float()

    delta = convergence_delta(network, images, targets, captum())
    tolerance = float(delta.abs().max()) * 1.001 + 1e-6

    ways: dict[str, Callable[[], Tensor]] = {
        "50 steps": lambda: ours(STEPS),
        "same delta": lambda: ours(STEPS // 4, tolerance),
        "captum": captum,
    }
    off = (ways["50 steps"]() - captum()).abs().sum() / captum().abs().sum()
    assert off < 1e-3, f"maps differ by {off:.1e} of their sum"
    times = _interleaved(ways, max(2, rounds // 2))
    print(f"resnet18, integrated gradients, 4 pictures of {size}², captum with {STEPS} steps:")
    for way, best in times.items():
        worst = convergence_delta(network, images, targets, ways[way]()).abs().max()
        print(f"  {way:>17} {best / 4:8.2f} s/picture   largest delta {worst:.1e}")
    for way in ("50 steps", "same delta"):
        print(f"  captum / ours ({way}): {times['captum'] / times[way]:.2f}")


def memory(size: int, device: str) -> None:
    """Compare the memory that integrated gradients take for few and for many images."""
    print("resnet18, integrated gradients, 8 steps, 16 at one time: memory beyond the network's")
    for way in ("ours", "captum"):
        held = []
        for images in (8, 32):
            how = f"--memory {way} --pictures {images} --size {size} --device {device}"
            told = subprocess.run(
                [sys.executable, __file__, *how.split()], check=True, capture_output=True, text=True
            )
            held.append(float(told.stdout))
        print(f"  {way:>17} 8 pictures {held[0]:6.0f} MB, 32 pictures {held[1]:6.0f} MB")


def _hold(way: str, count: int, size: int, device: str) -> None:
    """Print by how many MB the images' attribution raises the peak."""
    network, images = _network("resnet18", device), torch.rand(count, 3, size, size, device=device)
    with torch.no_grad():
        network(images[:1])
    before = _peak(device)
    if way == "ours":
        attribute(network, images, 1, "integrated_gradients", steps=8, batch_size=16)
    else:
        IntegratedGradients(network).attribute(images, target=1, n_steps=8, internal_batch_size=16)
    print(_peak(device) - before)


def _peak(device: str) -> float:
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    # Not getrusage, which starts from what the parent process held.
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) / 1e3


def _network(name: str, device: str, closed: bool = True) -> nn.Module:
    torch.manual_seed(0)
    network = get_model(name, weights=None).eval()
    with torch.no_grad():
        network.fc.weight.mul_(100)
    if not closed:
        network.fc = nn.Sequential(nn.LayerNorm(network.fc.in_features), network.fc)
    moved: nn.Module = network.to(device)
    return moved


def _pytorch_grad_cam(
    network: nn.Module, layer: nn.Module, images: Tensor, targets: Tensor
) -> Callable[[], Tensor] | None:
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError:
        return None

    def theirs() -> Tensor:
        wanted = [ClassifierOutputTarget(target) for target in targets.tolist()]
        with GradCAM(network, [layer]) as method:
            return torch.from_numpy(method(images, wanted))

    return theirs


def _rescaled(maps: Tensor) -> Tensor:
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low)


def _interleaved(ways: dict[str, Callable[[], Tensor]], rounds: int) -> dict[str, float]:
    """Return the seconds of each way's fastest round; the ways take turns."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    on_gpu = {way().is_cuda for way in ways.values()} == {True}  # and all have run once
    clock = time.perf_counter if on_gpu else time.process_time
    for _ in range(rounds):
        for name, way in ways.items():
            start = clock()
            way().cpu()
            times[name].append(clock() - start)
    return {name: min(taken) for name, taken in times.items()}


if __name__ == "__main__":
    main()
