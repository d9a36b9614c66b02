"""`fairvision.train`: from a dataset folder to a finished run folder."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from fairvision import datasets, models, runs
from fairvision.core.processes import is_first, none_lost
from fairvision.datasets import Dataset
from fairvision.datasets.batching import hold
from fairvision.errors import FairvisionWarning
from fairvision.methods.method import Scores
from fairvision.models import Network
from fairvision.training import checkpoint
from fairvision.training import output as outputs
from fairvision.training.epochs import Part, Training, predict
from fairvision.training.log import is_quiet
from fairvision.training.preparation import Plan, check, first_network, make_plan
from fairvision.training.processes import (
    arrays_of_first,
    check_compiles,
    make_fabric,
    quiet_libraries,
)
from fairvision.training.settings import Settings, takes_settings


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
            outputs.begin(folder, config, overwrite=settings.overwrite)
        fabric.barrier()
        with outputs.kept_from_others(folder) if is_first() else nullcontext():
            if objective is None:
                first = _pretrain(data, folder / runs.FIRST, plan.settings, pretraining, continues)
                scores = _scores_of_last(first, parts["train"], fabric, settings.batch_size)
                objective = plan.method.start(network, splits["train"], scores)
            Training(
                folder, fabric, network, objective, parts, plan.settings, plan.thresholds
            ).run()
    return runs.load(folder)


def _open(
    plan: Plan, splits: Mapping[str, Dataset], fabric: Fabric, *, is_saved: bool
) -> tuple[Network, dict[str, Part]]:
    """Return the network as it starts, and the splits with their pixels.

    Where the state of a training `is_saved`, its weights come from there.
    """
    settings = plan.settings
    weights = None if is_saved else settings.weights
    # What one process of a machine downloads or decodes, the others find.
    with fabric.rank_zero_first(local=True):
        network = first_network(settings.model, plan.learnt, settings.size, weights, plan.domains)
        pixels = {
            name: datasets.open_pixels(
                dataset,
                settings.size,
                workers=settings.workers,
                quiet=settings.quiet,
                cache=settings.cache,
            )
            for name, dataset in splits.items()
        }
    parts = {
        name: Part(dataset, hold(pixels[name], fabric.device)) for name, dataset in splits.items()
    }
    models.tune(network, settings.tune)
    return network, parts


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
