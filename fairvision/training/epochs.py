"""From epoch to epoch: train, validate, save, and stop where a loss is no longer finite."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from fairvision.core.processes import Share, is_first, share
from fairvision.datasets import Batch, Dataset, Pixels, batches
from fairvision.datasets.batching import serve
from fairvision.errors import InputError
from fairvision.methods.method import Objective, Scores, ThresholdLearner
from fairvision.models import Network
from fairvision.runs import thresholds
from fairvision.training import checkpoint, output
from fairvision.training.averages import Averages, NotFinite, WorstGroup
from fairvision.training.chance import dropout_in_bulk, generator_of_epoch, seed_step
from fairvision.training.log import Log
from fairvision.training.processes import (
    Place,
    Rows,
    compiler_errors_in_a_line,
    cut,
    sum_over_all,
    whole_batch_norm,
)
from fairvision.training.settings import Settings
from fairvision.training.steps import AveragedNetwork, Learner, evaluate, make_optimizer, train_step


@dataclass(frozen=True)
class Part:
    """A split and its decoded images."""

    dataset: Dataset
    pixels: Pixels


class Training:
    """A run on its way, from where the folder says that it stands to its end.

    Parameters
    ----------
    folder : the run folder
    fabric, network, objective : what computes, what learns, and by which loss
    parts : "train", and "val" if there is one
    settings : how the network learns, with every default filled in
    threshold_learner : learns thresholds when training has ended
    """

    def __init__(
        self,
        folder: Path,
        fabric: Fabric,
        network: Network,
        objective: Objective,
        parts: dict[str, Part],
        settings: Settings,
        threshold_learner: ThresholdLearner | None = None,
    ):
        self.folder, self.fabric, self.parts, self.settings = folder, fabric, parts, settings
        self.network, self.objective = network, objective
        self.threshold_learner = threshold_learner
        network.to(memory_format=torch.channels_last)
        self.steps = len(self._steps(epoch=1))
        self.optimizer, self.schedule = make_optimizer(
            network, settings, settings.epochs * self.steps, companion=objective
        )
        self.averaged = None
        if settings.ema is not None:
            self.averaged = AveragedNetwork(network, settings.ema).to(fabric.device)
        self.place = None
        if fabric.world_size > 1:
            self.place = Place(fabric.device, fabric.global_rank, fabric.world_size)
        if settings.compile:
            network.backbone.compile()
        self.learner, self.optimizer = fabric.setup(Learner(network, objective), self.optimizer)
        self.progress = checkpoint.load(folder, self._state())
        self.rhythm = checkpoint.Rhythm(settings.checkpoint_every)

    @property
    def result(self) -> Network:
        """The network that is validated and stored: the averaged one, where there is one."""
        return self.network if self.averaged is None else self.averaged.network

    def run(self) -> None:
        """Train to the end and write the weights."""
        progress, settings = self.progress, self.settings
        with self._network_at_work() as log:
            while progress.epoch < settings.epochs and not progress.has_waited(settings.patience):
                try:
                    self._epoch(log)
                except NotFinite as error:
                    raise InputError(
                        f"training diverged in epoch {progress.epoch + 1}: {error} is not finite, "
                        f"and {self.folder} stays unfinished. Try a smaller --lr (now "
                        f"{settings.lr:g}) or --precision 32 (now {settings.precision}), with "
                        "--overwrite or into another folder"
                    ) from None
        if is_first():
            last = {k: v.detach().cpu().clone() for k, v in self.result.state_dict().items()}
            best = progress.best or last
            if self.threshold_learner is not None:
                self.result.load_state_dict(best)
                scores = predict(self.result.eval(), self.parts["val"], settings.batch_size)
                thresholds.write(self.folder, self.threshold_learner(scores))
            output.finish(self.folder, best, last)
        self.fabric.barrier()

    @contextmanager
    def _network_at_work(self) -> Iterator[Log]:
        """Change the classes of modules as long as they train, and log what happens."""
        fabric, settings = self.fabric, self.settings
        with ExitStack() as stack:
            if self.place is not None:
                stack.enter_context(whole_batch_norm(self.network, fabric.device))
            if self.place is not None or (fabric.device.type == "cpu" and not settings.compile):
                stack.enter_context(dropout_in_bulk(self.network, self.place))
            if settings.compile:
                stack.enter_context(compiler_errors_in_a_line())
            done = self.progress.epoch
            log = Log(self.folder, settings.epochs, done, quiet=settings.quiet)
            yield stack.enter_context(log)

    def _epoch(self, log: Log) -> None:
        """Train for one epoch, or the rest of it, then validate, log and save."""
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
        row |= _figures("train", averages, self.objective.excluded)
        if "val" in self.parts:
            row |= self._validate(log)
        row["seconds"] = spent + time.perf_counter() - began
        progress.take(row, self.result, self.settings.select)
        log.epoch(progress.history)
        self._save()

    def _train(self, log: Log, averages: Averages, keep: Callable[[], None]) -> None:
        """Take the steps of an epoch that are not taken yet."""
        progress, settings, epoch = self.progress, self.settings, self.progress.epoch + 1
        left = self._steps(epoch)[progress.step :]
        served = self._served("train", [piece for pieces in left for piece in pieces])
        done = progress.step * settings.accumulate
        total = done + sum(map(len, left))
        served = log.follow(served, total, f"epoch {epoch} train", done)
        for pieces in left:
            seed_step(settings.seed, epoch, progress.step, self.place)
            train_step(
                self.fabric,
                self.learner.train(),
                self.optimizer,
                self.schedule,
                islice(served, len(pieces)),
                averages,
                images=sum(map(len, pieces)),
                crop=settings.crop if settings.augment else None,
                place=self.place,
            )
            progress.step += 1
            if self.averaged is not None:
                self.averaged.update(self.network, progress.epoch * self.steps + progress.step)
            if progress.step < self.steps and is_first() and self.rhythm.is_due(progress.step):
                averages.settle()
                _check_weights(self.network)
                keep()
        next(served, None)  # ends the bar
        averages.settle()
        _check_weights(self.network)

    def _validate(self, log: Log) -> dict[str, float]:
        """Return the losses and accuracies on the validation split, with the worst group's."""
        dataset, settings = self.parts["val"].dataset, self.settings
        order = np.arange(len(dataset))
        pieces = cut(order, settings.batch_size, least=self.fabric.world_size)
        served = log.follow(
            self._served("val", pieces), len(pieces), f"epoch {self.progress.epoch + 1} val"
        )
        worst = WorstGroup(dataset.attributes)
        learner = Learner(self.result, self.objective)
        averages = evaluate(self.fabric, learner, served, worst)
        row = _figures("val", averages, self.objective.excluded)
        if dataset.attributes:
            value, n = worst.worst(lambda sums: sum_over_all(self.fabric, sums))
            row |= {"val/worst_group_accuracy": value, "val/n/worst_group_accuracy": n}
        return row

    def _served(self, split: str, pieces: list[Rows]) -> Iterator[tuple[Batch, Share]]:
        """Yield this process's share of each batch of rows, and which it is."""
        part, fabric = self.parts[split], self.fabric
        shares = [share(len(piece), fabric.global_rank, fabric.world_size) for piece in pieces]
        rows = (piece[share.rows] for piece, share in zip(pieces, shares))
        yield from zip(serve(part.dataset, part.pixels, rows, device=fabric.device), shares)

    def _steps(self, epoch: int) -> list[list[Rows]]:
        """Return the rows of each batch of each step of an epoch.

        A batch has at least two images, which batch normalisation needs, and one per process.
        """
        settings, n = self.settings, len(self.parts["train"].dataset)
        order = self.objective.order(n, generator_of_epoch(settings.seed, epoch))
        pieces = cut(order, settings.batch_size, least=max(2, self.fabric.world_size))
        many = settings.accumulate
        return [pieces[start : start + many] for start in range(0, len(pieces), many)]

    def _state(self) -> dict[str, checkpoint.Stateful]:
        """Return the parts of the training that a checkpoint keeps, by name."""
        state: dict[str, checkpoint.Stateful] = {
            "network": self.network,
            "method": self.objective,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "precision": self.fabric.strategy.precision,
        }
        return state if self.averaged is None else {**state, "averaged": self.averaged}

    def _save(self) -> None:
        """Write a checkpoint, in the first process only, and note how long that takes."""
        if is_first():
            began = time.perf_counter()
            checkpoint.save(self.folder, self.progress, self._state())
            self.rhythm.wrote(time.perf_counter() - began)


@torch.inference_mode()
def predict(network: Network, part: Part, batch_size: int) -> Scores:
    """Return the probabilities (n, classes) of every head for the images as they stand."""
    device = network.mean.device
    scores = [
        network.probabilities(batch.images)
        for batch in batches(part.dataset, part.pixels, batch_size, device=device)
    ]
    return {k: np.concatenate([batch[k].cpu().numpy() for batch in scores]) for k in scores[0]}


def _figures(split: str, averages: Averages, excluded: Collection[str]) -> dict[str, float]:
    """Return a split's part of a row of history.csv; the loss leaves out what is `excluded`."""
    means = averages.means()
    terms = {k: v for k, v in means.items() if not k.startswith("accuracy/") and k not in excluded}
    losses = [v for v in terms.values() if not math.isnan(v)]
    row = {f"{split}/n": averages.images, f"{split}/loss": sum(losses) if losses else math.nan}
    row |= {f"{split}/{name}": value for name, value in means.items()}
    return row | {f"{split}/n/{name}": count for name, count in averages.counts().items()}


def _check_weights(network: Network) -> None:
    """Raise `NotFinite` if a weight of the network is infinite or NaN."""
    if not all(bool(p.isfinite().all()) for p in network.parameters()):
        raise NotFinite("a weight")
