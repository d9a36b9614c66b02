"""`fairvision.train`: from a dataset folder to a finished run folder, epoch by epoch."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor

from fairvision import datasets, models, runs
from fairvision.core.processes import Share, is_first, none_lost, share
from fairvision.datasets import Batch, Dataset, Pixels, batches
from fairvision.datasets.batching import hold, serve
from fairvision.errors import FairvisionWarning, InputError
from fairvision.methods.method import LastLayer, Objective, Scores, ThresholdLearner
from fairvision.models import Captioner, ImageNetwork, Network
from fairvision.runs import thresholds
from fairvision.training import checkpoint
from fairvision.training import output as outputs
from fairvision.training.caption_plan import EncodedCaptions
from fairvision.training.chance import dropout_in_bulk, generator_of_epoch, seed_step
from fairvision.training.log import Averages, Log, NotFinite, WorstGroup, is_quiet
from fairvision.training.preparation import Plan, check, first_captioner, first_network, make_plan
from fairvision.training.processes import (
    Place,
    Rows,
    arrays_of_first,
    check_compiles,
    compiler_errors_in_a_line,
    cut,
    make_fabric,
    quiet_libraries,
    sum_over_all,
    whole_batch_norm,
)
from fairvision.training.settings import Settings, takes_settings
from fairvision.training.steps import AveragedNetwork, Learner, evaluate, make_optimizer, train_step


@dataclass(frozen=True)
class Part:
    """A split, its decoded images, and its captions as tokens, where these are learnt."""

    dataset: Dataset
    pixels: Pixels
    captions: EncodedCaptions | None = None

    def with_captions(self, batch: Batch, most: int | None = None, turn: int = 0) -> Batch:
        """Return a batch with captions of its images, where these are learnt.

        Parameters
        ----------
        batch : of images of this part
        most, turn : as of `EncodedCaptions.take`
        """
        if self.captions is None:
            return batch
        captions = self.captions.take(batch.rows, batch.images.device, most=most, turn=turn)
        return replace(batch, captions=captions)


class Training:
    """A run on its way, from where the folder says that it stands to its end.

    Parameters
    ----------
    folder : the run folder
    fabric, network, objective : what computes, what learns (a `Network` or a `Captioner`, as the
        method takes), and by which loss
    parts : "train", and "val" if there is one
    settings : how the network learns, with every default filled in
    last_layer : changes the heads when training has ended
    threshold_learner : learns thresholds when that is done
    """

    def __init__(
        self,
        folder: Path,
        fabric: Fabric,
        network: Any,
        objective: Objective,
        parts: dict[str, Part],
        settings: Settings,
        *,
        last_layer: LastLayer | None = None,
        threshold_learner: ThresholdLearner | None = None,
    ):
        self.folder, self.fabric, self.parts, self.settings = folder, fabric, parts, settings
        self.network, self.objective = network, objective
        self.last_layer, self.threshold_learner = last_layer, threshold_learner
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
    def result(self) -> Any:
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
            last = checkpoint.weights(self.result)
            outputs.finish(self.folder, self._finished(progress.best or last), last)
        self.fabric.barrier()

    def _finished(self, best: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the best weights with the heads that the method wants; write its thresholds."""
        network, batch_size = self.result, self.settings.batch_size
        network.load_state_dict(best)
        network.eval()
        if self.last_layer is not None:
            part = self.parts[self.last_layer.split]
            self.last_layer(network, features(network, part, batch_size))
            best = checkpoint.weights(network)
        if self.threshold_learner is not None:
            scores = predict(network, self.parts["val"], batch_size)
            thresholds.write(self.folder, self.threshold_learner(scores))
        return best

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
        is_classifier = isinstance(self.network, Network)
        worst = WorstGroup(dataset.attributes if is_classifier else {})
        learner = Learner(self.result, self.objective)
        averages = evaluate(self.fabric, learner, served, worst)
        row = _figures("val", averages, self.objective.excluded)
        if dataset.attributes and is_classifier:
            value, n = worst.worst(lambda sums: sum_over_all(self.fabric, sums))
            row |= {"val/worst_group_accuracy": value, "val/n/worst_group_accuracy": n}
        return row

    def _served(self, split: str, pieces: list[Rows]) -> Iterator[tuple[Batch, Share]]:
        """Yield this process's share of each batch of rows, and which it is."""
        part, fabric = self.parts[split], self.fabric
        shares = [share(len(piece), fabric.global_rank, fabric.world_size) for piece in pieces]
        rows = (piece[share.rows] for piece, share in zip(pieces, shares))
        served = serve(part.dataset, part.pixels, rows, device=fabric.device)
        most = self.settings.captions_per_image if split == "train" else None
        turn = self.progress.epoch
        yield from zip((part.with_captions(batch, most, turn) for batch in served), shares)

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


@torch.inference_mode()
def features(network: Network, part: Part, batch_size: int) -> npt.NDArray[np.float32]:
    """Return the features (n, width) of the images as they stand."""
    device = network.mean.device
    return np.concatenate(
        [
            network.features(batch.images).float().cpu().numpy()
            for batch in batches(part.dataset, part.pixels, batch_size, device=device)
        ]
    )


def _figures(split: str, averages: Averages, excluded: Collection[str]) -> dict[str, float]:
    """Return a split's part of a row of history.csv; the loss leaves out what is `excluded`."""
    means = averages.means()
    terms = {k: v for k, v in means.items() if not k.startswith("accuracy/") and k not in excluded}
    losses = [v for v in terms.values() if not math.isnan(v)]
    row = {f"{split}/n": averages.images, f"{split}/loss": sum(losses) if losses else math.nan}
    row |= {f"{split}/{name}": value for name, value in means.items()}
    return row | {f"{split}/n/{name}": count for name, count in averages.counts().items()}


def _check_weights(network: ImageNetwork) -> None:
    """Raise `NotFinite` if a weight of the network is infinite or NaN."""
    if not all(bool(p.isfinite().all()) for p in network.parameters()):
        raise NotFinite("a weight")


@takes_settings
def train(data: str | Path, *, output: str | Path, **options: Any) -> runs.Run:
    """Train a classifier of attributes and tasks on a dataset folder.

    Everything is checked before anything is written. After each epoch, and about once a minute, the
    run folder gets all that `resume` needs: a training that was killed at any moment and resumed
    ends with the weights of an uninterrupted one, on the CPU bit for bit. `model.safetensors`
    appears when training has ended. Started by torchrun, several processes train as one.

    Parameters
    ----------
    data : dataset folder with a training split; the validation split, if any, chooses the best
        epoch
    output : run folder to write
    **options : those of `fairvision.training.Settings`, where each is explained, and those of the
        method, such as `beta` of the equalizer

    Raises
    ------
    InputError
        If data, options or output cannot be used, or a loss is no longer finite.

    Examples
    --------
    >>> import fairvision
    >>> run = fairvision.train("coco-gender", output="baseline", model="mobilenet_v2",
    ...                        weights="IMAGENET1K_V1", tune="head")  # doctest: +SKIP
    """
    settings = Settings.from_options(options)
    with quiet_libraries():
        return _train(data, Path(output), settings)


def _train(data: str | Path, folder: Path, settings: Settings) -> runs.Run:
    """Train, resume, or find that a run is finished."""
    continues = outputs.check_output(folder, resume=settings.resume, overwrite=settings.overwrite)
    settings = replace(settings, quiet=is_quiet(settings.quiet) or not is_first())
    annotated = datasets.load(data).originals()
    fabric = make_fabric(settings.device, settings.precision)
    plan = make_plan(annotated, settings)
    config = outputs.run_config(plan)
    for name, reason in plan.why.items():
        if not settings.quiet:
            print(f"--{name} {getattr(plan.settings, name)}: {reason}", file=sys.stderr)
    if continues and outputs.take_up(folder, config):
        warnings.warn(f"run {folder} is finished already", FairvisionWarning, stacklevel=3)
        return runs.load(folder)

    splits = plan.splits
    check(plan, splits, fabric.world_size)
    if settings.compile:
        check_compiles(fabric.device)
    plan.method.check(plan.learnt.split("train"))
    gpus = [fabric.device] if fabric.device.type == "cuda" else []
    with none_lost(), torch.random.fork_rng(devices=gpus):
        torch.manual_seed(settings.seed)
        is_saved = continues and checkpoint.is_there(folder)
        network, parts = _open(plan, splits, fabric, is_saved=is_saved)
        pretraining = plan.method.pretraining()
        objective = None if pretraining else plan.method.start(network, splits["train"])
        if not continues and is_first():
            outputs.begin(folder, config, plan.captions, overwrite=settings.overwrite)
        fabric.barrier()
        with outputs.kept_from_others(folder) if is_first() else nullcontext():
            if objective is None:
                first = _pretrain(data, folder / runs.FIRST, plan.settings, pretraining, continues)
                scores = _scores_of_last(first, parts["train"], fabric, settings.batch_size)
                objective = plan.method.start(network, splits["train"], scores)
            Training(
                folder,
                fabric,
                network,
                objective,
                parts,
                plan.settings,
                last_layer=plan.last_layer,
                threshold_learner=plan.thresholds,
            ).run()
    return runs.load(folder)


def _open(
    plan: Plan, splits: Mapping[str, Dataset], fabric: Fabric, *, is_saved: bool
) -> tuple[Any, dict[str, Part]]:
    """Return the network as it starts, and the splits with their pixels.

    Where the state of a training `is_saved`, its weights come from there.
    """
    settings = plan.settings
    weights = None if is_saved else settings.weights
    # What one process of a machine downloads or decodes, the others find.
    with fabric.rank_zero_first(local=True):
        network = _first(plan, weights, is_saved=is_saved)
        geometry = plan.captions.geometry if plan.captions is not None else None
        pixels = {
            name: datasets.open_pixels(
                dataset,
                settings.size if geometry is None else geometry,
                workers=settings.workers,
                quiet=settings.quiet,
                cache=settings.cache,
            )
            for name, dataset in splits.items()
        }
    parts = {
        name: Part(
            dataset,
            hold(pixels[name], fabric.device),
            _encoded(dataset, plan),
        )
        for name, dataset in splits.items()
    }
    models.tune(network, settings.tune)
    return network, parts


def _first(plan: Plan, weights: str | None, *, is_saved: bool) -> Network | Captioner:
    """Return the network as it starts: a classifier, or a captioner."""
    settings = plan.settings
    if plan.captions is not None:
        return first_captioner(
            settings.model, plan.captions, settings.size, weights, is_saved=is_saved
        )
    keep_head = settings.keep_head and not is_saved
    return first_network(
        settings.model, plan.learnt, settings.size, weights, plan.domains, keep_head=keep_head
    )


def _encoded(dataset: Dataset, plan: Plan) -> EncodedCaptions | None:
    """Return the captions of a split, where these are learnt."""
    if plan.captions is None:
        return None
    return EncodedCaptions(dataset.captions, plan.captions.vocabulary, seed=plan.settings.seed)


def _pretrain(
    data: str | Path, folder: Path, settings: Settings, changes: Mapping[str, Any], resume: bool
) -> runs.Run:
    """Do the training that a method wants before its own, unless it is done."""
    if (folder / runs.BEST).is_file():
        return runs.load(folder)
    options = {**settings.as_options(), "resume": resume, "overwrite": False, **changes}
    return _train(data, folder, Settings.from_options(options))


def _scores_of_last(run: runs.Run, part: Part, fabric: Fabric, batch_size: int) -> Scores:
    """Return what the last weights of a run say of a split."""
    network = runs.network(run, fabric.device, "last")
    return arrays_of_first(fabric, predict(network, part, batch_size))
