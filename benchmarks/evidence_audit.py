"""The audit's pass over the images, against the runs of the network that it cannot do without.

    python benchmarks/evidence_audit.py [--model resnet18] [--size 224] [--counts 500 2000]

Time: every image is shown whole, with the person hidden and with only the person. Printed is what
an image costs in the whole pass (loading from the cache, hiding, Grad-CAM of two attributes,
measures of evidence, table) over what these three runs alone cost, and what the same network costs
as `fairvision.Model`, over its cost as a run. All are taken in turn on the same images, and on a
CPU it is the processor's time, which other programs disturb less.

Memory: in a process of its own for each number of images, what it holds at most beyond what it
held with the network loaded and one batch run. It must not grow with the images.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from fairvision import datasets, models
from fairvision.auditing.collect import collect
from fairvision.datasets import Dataset, Task
from fairvision.models import Model, module_model
from fairvision.runs import Config, Run
from fairvision.runs.model import RunModel

ATTRIBUTES = {"gender": ("female", "male"), "age": ("young", "middle", "old")}
TASKS = {"context": Task(("ski", "surf", "chess"))}
FILES = 50


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="*", default=[500, 2000])
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory:
        _hold(given, given.memory, given.counts[0])
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FAIRVISION_CACHE"] = f"{folder}/cache"
        root = Path(folder) / "data"
        _draw(root, given.size)
        _compare(given, root)
        for count in given.counts:
            datasets.open_pixels(_dataset(root, count), given.size)
            own = ["--counts", str(count), "--memory", str(root)]
            subprocess.run([sys.executable, __file__, *sys.argv[1:], *own], check=True)


def _compare(given: argparse.Namespace, root: Path) -> None:
    dataset, model = _dataset(root, given.batch_size), _model(given)
    images = torch.rand(given.batch_size, 3, given.size, given.size, device=given.device)
    images = images.contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(3):
                model.module(images)

    def ours() -> None:
        _audit(given, model, dataset)

    heads = {**ATTRIBUTES, **{name: task.labels for name, task in TASKS.items()}}
    wrapped = module_model(model.module, heads, size=given.size).in_terms_of(dataset.schema)

    def as_model() -> None:
        _audit(given, wrapped, dataset)

    ways = {"three bare runs": bare, "audit": ours, "as fairvision.Model": as_model}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for name, way in [*ways.items()] * (given.rounds + 1):
        times[name].append(_seconds(way, given.device))
    best = {name: min(taken[1:]) for name, taken in times.items()}
    print(f"{given.model}, {given.size}², batches of {given.batch_size}, {given.device}")
    for name, seconds in best.items():
        print(f"  {name:>19} {1000 * seconds / given.batch_size:8.2f} ms/picture")
    print(f"  audit / three bare runs: {best['audit'] / best['three bare runs']:.3f}")
    print(f"  as fairvision.Model / as a run: {best['as fairvision.Model'] / best['audit']:.3f}")


def _hold(given: argparse.Namespace, root: Path, count: int) -> None:
    model = _model(given)
    _audit(given, model, _dataset(root, 2))
    before = _peak()
    _audit(given, model, _dataset(root, count))
    print(f"  {count:6d} pictures: {_peak() - before:6.0f} MiB beyond the {before:.0f} before")


def _draw(root: Path, size: int) -> None:
    """Write images of noise, with a person in the middle third."""
    random = np.random.default_rng(0)
    mask = np.zeros((size, size), np.uint8)
    mask[size // 3 : -size // 3, size // 3 : -size // 3] = 255
    root.mkdir()
    Image.fromarray(mask).save(root / "mask.png")
    for i in range(FILES):
        Image.fromarray(random.integers(0, 255, (size, size, 3), np.uint8)).save(root / f"{i}.png")


def _dataset(root: Path, count: int) -> Dataset:
    """Return a dataset of any size, in which the images come again and again."""
    samples: dict[str, list[str]] = {
        "id": [str(i) for i in range(count)],
        "image": [f"{i % FILES}.png" for i in range(count)],
        "mask": ["mask.png"] * count,
        "split": ["test"] * count,
    }
    for name, groups in {**ATTRIBUTES, "context": TASKS["context"].labels}.items():
        samples[name] = [groups[i % len(groups)] for i in range(count)]
    return Dataset(root, "noise", ATTRIBUTES, TASKS, pd.DataFrame(samples, dtype=object))


def _model(given: argparse.Namespace) -> RunModel:
    tasks = {name: {"labels": task.labels, "many": task.many} for name, task in TASKS.items()}
    config: Config = {
        "method": "baseline",
        "model": given.model,
        "weights": None,
        "size": given.size,
        "attributes": {name: list(groups) for name, groups in ATTRIBUTES.items()},
        "tasks": tasks,
        "options": {},
        "seed": 0,
        "data": {},
    }
    run = Run(Path("none"), config)
    torch.manual_seed(0)
    heads = {name: len(labels) for name, labels in run.heads.items()}
    network = models.build(given.model, heads, size=given.size).eval().to(given.device)
    for head in network.heads:
        torch.nn.init.normal_(head.get_parameter("weight"))
    network = network.to(memory_format=torch.channels_last)
    return RunModel(run, "model", network, torch.device(given.device))


def _audit(given: argparse.Namespace, model: Model, dataset: Dataset) -> None:
    collect(model, dataset, batch_size=given.batch_size)


def _seconds(way: Callable[[], None], device: str) -> float:
    on_cpu = device == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    start = clock()
    way()
    if not on_cpu:
        torch.cuda.synchronize(device)
    return clock() - start


def _peak() -> float:
    """Return the most memory that the process has held so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
