"""A training step of every method, against one of the baseline.

    python benchmarks/methods.py [--model small_cnn] [--size 64] [--batch-size 32] [--rounds 15]

Every method takes steps on the same batch with the same optimiser, in turn; printed is the median
time of a step over that of the baseline. The equalizer's forward sees two images where the
baseline's sees one. Freed memory is kept, as in `fairvision train`. Reading images is left out.
JTT and resampling differ in what they draw only, thresholds per group in what comes after training.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fairvision import methods, models
from fairvision.datasets import Batch, Dataset, Task
from fairvision.training.processes import keep_freed_memory
from fairvision.training.steps import Learner

SAME_STEP = ("jtt", "resampling", "threshold_optimizer")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="small_cnn")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    keep_freed_memory()
    dataset, batch = _material(given.batch_size, given.size, given.device)
    steps = {
        name: _step(name, given.model, given.size, dataset, batch)
        for name in methods.METHODS
        if name not in SAME_STEP
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(given.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    baseline = statistics.median(times["baseline"])
    print(f"{given.model}, {given.size} pixels, batches of {given.batch_size}, {given.device}")
    print(f"baseline: {1000 * baseline:.1f} ms a step")
    for name, some in times.items():
        print(f"{name:>22}: {statistics.median(some) / baseline:.2f}")


def _material(n: int, size: int, device: str) -> tuple[Dataset, Batch]:
    chance = np.random.default_rng(0)
    colour, label = chance.integers(0, 2, (2, n))
    samples = pd.DataFrame(
        {
            "mask": "mask.png",
            "colour": np.array(["red", "blue"])[colour],
            "label": np.array(["no", "yes"])[label],
        },
        dtype=object,
    )
    tasks = {"label": Task(("no", "yes"))}
    dataset = Dataset(Path(), "random", {"colour": ("red", "blue")}, tasks, samples)
    masks = torch.zeros(n, 1, size, size)
    masks[..., size // 4 : -size // 4, size // 4 : -size // 4] = 1
    batch = Batch(
        rows=np.arange(n),
        images=torch.rand(n, 3, size, size, device=device).to(memory_format=torch.channels_last),
        masks=masks.to(device),
        has_mask=torch.ones(n, dtype=torch.bool, device=device),
        attributes={"colour": torch.from_numpy(colour).to(device)},
        tasks={"label": torch.from_numpy(label).to(device)},
    )
    return dataset, batch


def _step(name: str, model: str, size: int, dataset: Dataset, batch: Batch) -> Callable[[], None]:
    torch.manual_seed(0)
    method = methods.settings(name, {})
    heads = {"colour": 2, "label": 2}
    network = models.build(model, heads, size=size, domains=method.domains(dataset, [*heads]))
    learner = Learner(network, method.start(network, dataset)).to(batch.images.device)
    learner = learner.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(learner.parameters(), fused=True)

    def step() -> None:
        loss = torch.stack(list(learner(batch).losses.values())).sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        if loss.is_cuda:
            torch.cuda.synchronize()

    return step


if __name__ == "__main__":
    main()
