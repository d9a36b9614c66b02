"""From epoch to epoch: train, validate, save, and stop where a loss is no longer finite."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from fairvision.datasets import Batch, Dataset, Pixels, batches
from fairvision.errors import InputError
from fairvision.methods.method import Method
from fairvision.models import Network
from fairvision.training import chance, checkpoint, output
from fairvision.training.averages import Averages, NotFinite
from fairvision.training.log import Log
from fairvision.training.loop import Learner, evaluate, make_optimizer, shuffled, train_step
from fairvision.training.settings import Settings


@dataclass(frozen=True)
class Part:
    """A split and its decoded pictures."""

    dataset: Dataset
    pixels: Pixels


class Training:
    """A run on its way, from where the folder says that it stands to its end.

    Parameters
    ----------
    folder : the run folder
    fabric, network, method : what computes, what learns, and how
    parts : "train", and "val" if there is one
    settings : how the network learns
    checkpoint_every : steps, see `Rhythm`
    quiet : show no progress
    """

    def __init__(
        self,
        folder: Path,
        fabric: Fabric,
        network: Network,
        method: Method,
        parts: dict[str, Part],
        settings: Settings,
        *,
        checkpoint_every: int | None = None,
        quiet: bool = True,
    ):
        self.folder, self.fabric, self.network, self.method = folder, fabric, network, method
        self.parts, self.settings, self.quiet = parts, settings, quiet
        network.to(memory_format=torch.channels_last)
        self.steps = math.ceil(len(self._order(epoch=1)) / settings.batch_size)
        self.optimizer, self.schedule = make_optimizer(
            network, settings, settings.epochs * self.steps, companion=method
        )
        self.learner, self.optimizer = fabric.setup(Learner(network, method), self.optimizer)
        self.progress = checkpoint.load(folder, self._state())
        self.rhythm = checkpoint.Rhythm(checkpoint_every)

    def run(self) -> None:
        """Train to the end and write the weights."""
        progress = self.progress
        with Log(self.folder, self.settings.epochs, progress.epoch, quiet=self.quiet) as log:
            while progress.epoch < self.settings.epochs:
                try:
                    self._epoch(log)
                except NotFinite as error:
                    raise InputError(
                        f"training diverged in epoch {progress.epoch + 1}: {error} is not finite, "
                        f"and {self.folder} stays unfinished. Try a smaller --lr (now "
                        f"{self.settings.lr:g}) or --precision 32 (now {self.settings.precision}), "
                        "with --overwrite or into another folder"
                    ) from None
        last = self.network.state_dict()
        output.finish(self.folder, progress.best or last, last)

    def _epoch(self, log: Log) -> None:
        began = time.perf_counter()
        progress = self.progress
        if not progress.step:
            progress.begun = {"lr": self.optimizer.param_groups[0]["lr"], "seconds": 0.0}
        spent = progress.begun["seconds"]
        averages = Averages(progress.sums)

        def keep() -> None:
            progress.sums = averages.state()
            progress.begun["seconds"] = spent + time.perf_counter() - began
            self._save()

        self._train(log, averages, keep)
        row = {"epoch": progress.epoch + 1, "lr": progress.begun["lr"]}
        row |= _figures("train", averages)
        if "val" in self.parts:
            row |= _figures("val", self._validate(log))
        row["seconds"] = spent + time.perf_counter() - began
        progress.take(row, self.network)
        log.epoch(progress.history)
        self._save()

    def _train(self, log: Log, averages: Averages, keep: Callable[[], None]) -> None:
        """Take the steps of an epoch that are not taken yet."""
        progress, settings, epoch = self.progress, self.settings, self.progress.epoch + 1
        left = self._order(epoch)[progress.step * settings.batch_size :]
        for batch in log.follow(
            self._served("train", left), self.steps, f"epoch {epoch} train", progress.step
        ):
            chance.of_step(settings.seed, epoch, progress.step)
            train_step(
                self.fabric,
                self.learner.train(),
                self.optimizer,
                self.schedule,
                batch,
                averages,
                augmented=settings.augment,
            )
            progress.step += 1
            if progress.step < self.steps and self.rhythm.is_due(progress.step):
                averages.settle()
                _check_weights(self.network)
                keep()
        averages.settle()
        _check_weights(self.network)

    def _validate(self, log: Log) -> Averages:
        order = np.arange(len(self.parts["val"].dataset))
        steps = math.ceil(len(order) / self.settings.batch_size)
        what = f"epoch {self.progress.epoch + 1} val"
        return evaluate(self.learner, log.follow(self._served("val", order), steps, what))

    def _served(self, split: str, order: np.ndarray) -> Iterator[Batch]:
        part, size = self.parts[split], self.settings.batch_size
        return batches(part.dataset, part.pixels, size, device=self.fabric.device, order=order)

    def _order(self, epoch: int) -> np.ndarray:
        n, settings = len(self.parts["train"].dataset), self.settings
        return shuffled(self.method, n, settings.batch_size, settings.seed, epoch)

    def _state(self) -> dict[str, checkpoint.Stateful]:
        return {
            "network": self.network,
            "method": self.method,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "precision": self.fabric.strategy.precision,
        }

    def _save(self) -> None:
        began = time.perf_counter()
        checkpoint.save(self.folder, self.progress, self._state())
        self.rhythm.wrote(time.perf_counter() - began)


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
