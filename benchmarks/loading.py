"""An epoch from the decoded cache, from the files, and from the usual ImageFolder and DataLoader.

    python benchmarks/loading.py [--count 600] [--size 224] [--model strided --model small_cnn …]
                                 [--augment]

All train the same network on the same number of images in one process, in turn; the network that
is fed with random tensors waits for nothing. Beside ImageFolder it is trained as such a loop is
written, with torch's defaults, elsewhere as `fairvision train` does: channels last, fused AdamW.
Printed are images per second and ratios. The less a
network computes, the more its loading weighs: `strided` is four 3 × 3 convolutions of stride 2, a
small network for images of this size, and every network of fairvision can be named. With
`--augment` all but the random tensors are mirrored and cropped at random, each in its own way. The
process keeps the memory that a step frees, as `fairvision train` does: all loops gain by it. Only
ratios of one call can be compared: machines differ, and are shared.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from fairvision import datasets, models
from fairvision.datasets.pixels import Pixels, StreamedPixels
from fairvision.training.chance import augment
from fairvision.training.processes import keep_freed_memory

Pairs = Iterator[tuple[Tensor, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--model", action="append", dest="networks")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--augment", action="store_true")
    given = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FAIRVISION_CACHE"] = f"{folder}/cache"
        root = Path(folder)
        _photographs(root / "photographs", given.count)
        dataset = datasets.from_table(
            root / "photographs" / "table.csv", root / "data", attributes={"group": "group"}
        )
        start = time.perf_counter()
        cached = datasets.open_pixels(dataset, given.size)
        print(f"decoded once: {len(dataset) / (time.perf_counter() - start):.0f} pictures/s")
        streamed = StreamedPixels(dataset, given.size)
        loops = {
            "random tensors": lambda: _random(given.count, given.size, given.batch_size),
            "warm cache": lambda: _ours(dataset, cached, given.batch_size, given.augment),
            "no cache": lambda: _ours(dataset, streamed, given.batch_size, given.augment),
            "ImageFolder": lambda: _usual(
                root / "photographs", given.size, given.batch_size, given.augment
            ),
        }
        for name, loop in loops.items():
            print(f"{name:>15}, loading alone: {_speed(loop, lambda *_: None):8.0f} pictures/s")
        for name in given.networks or ["strided"]:
            _compare(name, _network(name, given.size), loops, given.rounds)


def _compare(
    name: str, network: models.Network, loops: dict[str, Callable[[], Pairs]], rounds: int
) -> None:
    """Print how fast a network trains on what each loop yields."""
    fused, plain = _step(copy.deepcopy(network), usual=False), _step(network, usual=True)
    speeds: dict[str, list[float]] = {loop: [] for loop in loops}
    for _ in range(rounds):
        for loop, pairs in loops.items():
            speeds[loop].append(_speed(pairs, plain if loop == "ImageFolder" else fused))
    best = {loop: float(np.median(values)) for loop, values in speeds.items()}
    print(", ".join(f"{loop} {speed:.1f}" for loop, speed in best.items()), "pictures/s")
    for ours in ("warm cache", "no cache"):
        ratios = [best[ours] / best[other] for other in ("ImageFolder", "random tensors")]
        print(f"{name}, {ours}: {ratios[0]:.2f} of ImageFolder, {ratios[1]:.2f} of random tensors")


def _network(name: str, size: int) -> models.Network:
    if name != "strided":
        return models.build(name, {"group": 2}, size=size)
    layers: list[nn.Module] = []
    for channels, width in ((3, 16), (16, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.ReLU()]
    backbone = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return models.Network(backbone, 64, {"group": 2})


def _photographs(folder: Path, count: int) -> None:
    """Write JPEGs of 640 × 480 with the detail of photographs, in the layout of ImageFolder."""
    random = np.random.default_rng(0)
    rows = []
    for i in range(count):
        group = "ab"[i % 2]
        coarse = random.integers(0, 255, (60, 80, 3), np.uint8)
        image = Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)
        path = folder / group / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=90)
        rows.append((f"{group}/{i}.jpg", group, "train"))
    table = pd.DataFrame(rows, columns=["image", "group", "split"])
    table.to_csv(folder / "table.csv", index=False)


def _random(count: int, size: int, batch_size: int) -> Pairs:
    images = torch.rand(batch_size, 3, size, size).contiguous(memory_format=torch.channels_last)
    groups = torch.arange(batch_size) % 2
    for start in range(0, count, batch_size):
        n = min(batch_size, count - start)
        yield images[:n], groups[:n]


def _ours(dataset: datasets.Dataset, pixels: Pixels, batch_size: int, augmented: bool) -> Pairs:
    order = np.random.default_rng(0).permutation(len(dataset))
    for batch in datasets.batches(dataset, pixels, batch_size, order=order):
        batch = augment(batch) if augmented else batch
        yield batch.images, batch.attributes["group"]


def _usual(folder: Path, size: int, batch_size: int, augmented: bool) -> Pairs:
    chance: list[nn.Module] = [v2.RandomResizedCrop(size, (0.5, 1)), v2.RandomHorizontalFlip()]
    shape = chance if augmented else [v2.Resize((size, size))]
    transform = v2.Compose([*shape, v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    workers = os.cpu_count() or 1
    yield from DataLoader(
        ImageFolder(folder, transform), batch_size, shuffle=True, num_workers=workers
    )


def _step(network: models.Network, *, usual: bool) -> Callable[[Tensor, Tensor], None]:
    optimizer = torch.optim.AdamW(network.parameters(), fused=None if usual else True)
    network.train()
    if not usual:
        network.to(memory_format=torch.channels_last)

    def step(images: Tensor, groups: Tensor) -> None:
        loss = torch.nn.functional.cross_entropy(network(images)["group"], groups)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()

    return step


def _speed(loop: Callable[[], Pairs], step: Callable[[Tensor, Tensor], None]) -> float:
    start, n = time.perf_counter(), 0
    for images, groups in loop():
        step(images, groups)
        n += len(images)
    return n / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
