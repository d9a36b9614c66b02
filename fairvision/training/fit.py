"""`fairvision.train`: from a dataset folder to a finished run folder."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from fairvision import datasets, methods, models, runs
from fairvision.core.processes import is_first, none_lost
from fairvision.datasets.batching import hold
from fairvision.errors import FairvisionWarning, InputError
from fairvision.training import checkpoint
from fairvision.training import output as outputs
from fairvision.training.allocation import keep_freed_memory
from fairvision.training.compiling import check_compiles
from fairvision.training.epochs import Part, Training, answers
from fairvision.training.learnable import check_training_split, choose_heads
from fairvision.training.log import is_quiet
from fairvision.training.processes import make_fabric, of_first
from fairvision.training.settings import (
    PRECISIONS,
    Settings,
    default_augment,
    default_lr,
    default_weight_decay,
    describe,
)
from fairvision.training.start import choose_regime, first_network

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def train(
    data: str | Path,
    *,
    output: str | Path,
    method: str = "baseline",
    model: str = "lecture_cnn",
    weights: str | None = None,
    size: int | None = None,
    attribute: Collection[str] = (),
    task: Collection[str] = (),
    tune: str = "all",
    epochs: int = 10,
    batch_size: int = 32,
    lr: float | None = None,
    lr_backbone: float = 1.0,
    weight_decay: float | None = None,
    optimizer: str = "adamw",
    momentum: float = 0.9,
    schedule: str = "cosine",
    augment: bool | None = None,
    crop: str = "zoom",
    precision: str = "32",
    accumulate: int = 1,
    ema: float | None = None,
    select: str = "loss",
    patience: int | None = None,
    compile: bool = False,
    seed: int = 0,
    device: str = "auto",
    workers: int | None = None,
    cache: str = "auto",
    checkpoint_every: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
    **method_options: Any,
) -> runs.Run:
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
    method : one of `fairvision.methods.METHODS`: "baseline", "equalizer", …
    model : "lecture_cnn" or the name of a torchvision classification network
    weights : what the network starts from: a name that torchvision publishes for it
        ("IMAGENET1K_V1", "DEFAULT"), a .pth or .safetensors file, or a run folder
    size : side in pixels to which whole images are resized; by default that of the network, and
        for the two small ones that of the images, where they all have one that is smaller
    attribute, task : names of those to learn; by default all that the dataset has
    tune : what learns: "all" of the network, its "last" block and its heads, only its "head"s, or
        "auto", by the number of training images, see `fairvision.models.choose_regime`
    epochs : passes over the training split
    batch_size : images per batch; of several processes, together
    lr : largest learning rate; by default of AdamW 1e-4 where given weights of the backbone
        learn on, else 1e-3; of SGD 1e-2 and 1e-1
    lr_backbone : share of `lr` at which the earliest block that learns does; those between it and
        the heads in geometric progression
    weight_decay : of weight matrices; biases and normalisation have none. By default .01 of AdamW,
        5e-4 of SGD
    optimizer : "adamw" or "sgd"
    momentum : of SGD
    schedule : "cosine" to zero, "constant", or "steps" to a tenth after each quarter of the
        training; after 5% of warm-up
    augment : mirror and crop images and masks at random; by default unless `tune` is "head" or
        the network `lecture_cnn`
    crop : how: "zoom" to 50 to 100% of the area, or "shift" by up to an eighth of the side
    precision : "32", "bf16" or "16" (both mixed)
    accumulate : batches per step; their gradients are averaged, weighted by images
    ema : decay of a moving average of the weights, such as 0.999; the averaged are validated and
        stored. By default there is none.
    select : what makes an epoch the best, on the validation split: the smallest "loss" (the
        method's own), the largest "accuracy" (mean over heads), or the largest
        "worst_group_accuracy" (over subgroups of perceived group and label)
    patience : epochs without a better one after which training stops; by default it does not
    compile : compile the backbone by `torch.compile`
    seed : of weights, order, dropout and augmentation
    device : "auto", "cpu", "cuda" or "mps"
    workers : threads that decode images; by default one per core
    cache : whether decoded images are kept on the disk, see `fairvision.datasets.open_pixels`;
        the weights do not depend on it
    checkpoint_every : steps after which the state is written, besides the end of every epoch; by
        default about once a minute. The weights at the end do not depend on it.
    resume : continue the unfinished run in `output`, which must have been started with the same
        settings; begin anew if there is none
    overwrite : replace the run in `output`
    quiet : show no progress; without a terminal none is shown anyway
    **method_options : of the method, such as `beta` of the equalizer; see its `Settings`

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
    if checkpoint_every is not None and checkpoint_every < 1:
        raise InputError(f"checkpoint every must be at least 1 step, not {checkpoint_every}")
    folder, quiet = Path(output), is_quiet(quiet) or not is_first()
    if not is_first():
        warnings.simplefilter("ignore", FairvisionWarning)
    continues = outputs.check_output(folder, resume=resume, overwrite=overwrite)
    of_method = methods.settings(method, method_options)
    annotated = datasets.load(data)
    tune, why = choose_regime(tune, annotated, weights)
    settings = Settings(
        tune=tune,
        epochs=epochs,
        batch_size=batch_size,
        lr=default_lr(tune, weights, optimizer) if lr is None else lr,
        lr_backbone=lr_backbone,
        weight_decay=default_weight_decay(optimizer) if weight_decay is None else weight_decay,
        optimizer=optimizer,
        momentum=momentum,
        schedule=schedule,
        augment=default_augment(tune, model) if augment is None else augment,
        crop=crop,
        precision=precision,
        seed=seed,
        accumulate=accumulate,
        ema=ema,
        select=select,
        patience=patience,
        compile=compile,
    )
    fabric = _fabric(device, precision)
    fingerprint = annotated.fingerprint()
    dataset = choose_heads(annotated, attribute, task)
    training = annotated.split("train")
    heads = [*dataset.attributes, *dataset.tasks]
    domains = of_method.domains(training, heads)
    after = of_method.thresholds(annotated, heads)
    size = models.default_size(model, annotated.size) if size is None else size
    config = describe(
        dataset,
        fingerprint=fingerprint,
        method=method,
        model=model,
        weights=weights,
        size=size,
        settings=settings,
        of_method=of_method,
        domains=domains,
        postprocessing=after.attribute if after else None,
    )
    if why:
        config["chosen"] = {"tune": why}
        if not quiet:
            print(f"--tune {tune}: {why}", file=sys.stderr)
    if continues and outputs.take_up(folder, config):
        warnings.warn(f"run {folder} is finished already", FairvisionWarning, stacklevel=2)
        return runs.load(folder)

    # Batches hold every annotation: a method may need groups that are not learnt.
    splits = {"train": training}
    if (dataset.samples["split"] == "val").any():
        splits["val"] = annotated.split("val")
    check_training_split(dataset.split("train"))
    if tune != "all" and weights is None:
        warnings.warn(
            f"--tune {tune} without --weights: the frozen backbone is random",
            FairvisionWarning,
            stacklevel=2,
        )
    if select == "worst_group_accuracy" and not dataset.attributes:
        raise InputError("--select worst_group_accuracy needs an attribute, and none is learnt")
    if "val" not in splits and (select != "loss" or patience):
        raise InputError(f"--select and --patience need a validation split: {data} has none")
    least = min(map(len, splits.values()))
    if least < fabric.world_size:
        raise InputError(f"{fabric.world_size} processes cannot share {least} pictures of a split")
    if compile and of_method.not_compiled:
        raise InputError(f"--compile cannot take {of_method.not_compiled}")
    if compile:
        check_compiles(fabric.device)
    of_method.check(dataset.split("train"))
    alike: dict[str, Any] = {
        **{"model": model, "weights": weights, "size": size, "attribute": attribute, "task": task},
        **{key: value for key, value in asdict(settings).items() if key != "epochs"},
        **{"device": device, "workers": workers, "cache": cache, "quiet": quiet},
        "checkpoint_every": checkpoint_every,
    }

    def answers_before(different: dict[str, Any]) -> dict[str, np.ndarray]:
        place = folder / runs.FIRST
        if (place / runs.BEST).is_file():
            run = runs.load(place)
        else:
            run = train(data, output=place, resume=continues, **alike, **different)
        found = answers(runs.network(run, fabric.device, "last"), parts["train"], batch_size)
        return of_first(fabric, found)

    gpus = [fabric.device] if fabric.device.type == "cuda" else []
    with none_lost(), torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        is_saved = continues and checkpoint.is_there(folder)
        # What one process of a machine downloads or decodes, the others find.
        with fabric.rank_zero_first(local=True):
            network = first_network(model, dataset, size, None if is_saved else weights, domains)
            pixels = {
                name: datasets.open_pixels(part, size, workers=workers, quiet=quiet, cache=cache)
                for name, part in splits.items()
            }
        parts = {
            name: Part(part, hold(pixels[name], fabric.device)) for name, part in splits.items()
        }
        models.tune(network, tune)
        pretraining = of_method.pretraining()
        at_work = None if pretraining else of_method.start(network, training)
        if not continues and is_first():
            outputs.begin(folder, config, overwrite=overwrite)
        fabric.barrier()
        with outputs.kept_from_others(folder) if is_first() else nullcontext():
            if at_work is None:
                at_work = of_method.start(network, training, answers_before(pretraining))
            Training(
                *(folder, fabric, network, at_work, parts, settings),
                checkpoint_every=checkpoint_every,
                after=after,
                quiet=quiet,
            ).run()
    return runs.load(folder)


def _fabric(device: str, precision: str) -> Fabric:
    where = models.find_device(device)
    if precision == "16" and where.type == "cpu":
        raise InputError("precision 16 needs a GPU: choose bf16 or 32")
    if where.type == "cpu":
        keep_freed_memory()
    return make_fabric(where, PRECISIONS[precision])
