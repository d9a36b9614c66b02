"""From epoch to epoch: train, validate, save, and stop where a loss is no longer finite."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from fairvision import runs
from fairvision.datasets import Dataset, Pixels, batches
from fairvision.errors import InputError
from fairvision.methods.method import Method
from fairvision.models import Network
from fairvision.training import checkpoint, output
from fairvision.training.averages import Averages, NotFinite
from fairvision.training.log import Log
from fairvision.training.loop import Learner, evaluate, make_optimizer, shuffled, train_epoch
from fairvision.training.settings import Settings


@dataclass(frozen=True)
class Part:
    """A split and its decoded pictures."""

    dataset: Dataset
    pixels: Pixels


def run_epochs(
    folder: Path,
    fabric: Fabric,
    network: Network,
    parts: dict[str, Part],
    method: Method,
    settings: Settings,
    *,
    quiet: bool,
) -> None:
    """Train from where the run in `folder` stands to its end, and write its weights.

    All chance of an epoch follows from (seed, epoch), so that an epoch that was interrupted is
    repeated exactly.
    """
    n, size, seed = len(parts["train"].dataset), settings.batch_size, settings.seed
    network.to(memory_format=torch.channels_last)
    steps = settings.epochs * math.ceil(len(shuffled(method, n, size, seed, epoch=1)) / size)
    optimizer, schedule = make_optimizer(network, settings, steps, companion=method)
    learner, optimizer = fabric.setup(Learner(network, method), optimizer)
    state = (fabric, network, method, optimizer, schedule)
    saved = folder / runs.CHECKPOINT
    progress = checkpoint.load(saved, *state) if saved.is_file() else checkpoint.Progress()

    with Log(folder, settings.epochs, progress.epoch, quiet=quiet) as log:

        def served(split: str, order: np.ndarray):
            part = parts[split]
            some = batches(part.dataset, part.pixels, size, device=fabric.device, order=order)
            return log.follow(some, math.ceil(len(order) / size), f"epoch {epoch} {split}")

        for epoch in range(progress.epoch + 1, settings.epochs + 1):
            began = time.perf_counter()
            torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
            row: dict[str, float] = {"epoch": epoch, "lr": optimizer.param_groups[0]["lr"]}
            try:
                some = served("train", shuffled(method, n, size, seed, epoch))
                augmented = settings.augment
                found = train_epoch(fabric, learner, optimizer, schedule, some, augmented=augmented)
                row |= _figures("train", found)
                _check_weights(network)
                if "val" in parts:
                    some = served("val", np.arange(len(parts["val"].dataset)))
                    row |= _figures("val", evaluate(learner, some))
            except NotFinite as error:
                raise InputError(
                    f"training diverged in epoch {epoch}: {error} is not finite, and {folder} "
                    f"stays unfinished. Try a smaller --lr (now {settings.lr:g}) or --precision 32 "
                    f"(now {settings.precision}), with --overwrite or into another folder"
                ) from None
            row["seconds"] = time.perf_counter() - began
            progress.take(row, network)
            log.epoch(progress.history)
            checkpoint.save(saved, progress, *state)
    output.finish(folder, progress.best or network.state_dict(), network.state_dict())


@torch.inference_mode()
def answers(network: Network, part: Part, batch_size: int) -> dict[str, np.ndarray]:
    """Return the probabilities (n, classes) of every head for the pictures as they stand."""
    device = network.mean.device
    found = [
        network.probabilities(batch.images)
        for batch in batches(part.dataset, part.pixels, batch_size, device=device)
    ]
    return {k: np.concatenate([some[k].cpu().numpy() for some in found]) for k in found[0]}


def _figures(split: str, averages: Averages) -> dict[str, float]:
    """Return a split's part of a row of history.csv."""
    means = averages.means()
    losses = [v for k, v in means.items() if not k.startswith("accuracy/") and not math.isnan(v)]
    row = {f"{split}/n": averages.pictures, f"{split}/loss": sum(losses) if losses else math.nan}
    row |= {f"{split}/{name}": value for name, value in means.items()}
    return row | {f"{split}/n/{name}": count for name, count in averages.counts().items()}


def _check_weights(network: Network) -> None:
    if not all(bool(p.isfinite().all()) for p in network.parameters()):
        raise NotFinite("a weight")
