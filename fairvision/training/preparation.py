"""What is decided and checked before anything is written: heads, splits, defaults, the network."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fairvision import models, runs
from fairvision.core.suggestions import did_you_mean
from fairvision.datasets import Dataset
from fairvision.datasets.geometry import Geometry
from fairvision.errors import FairvisionWarning, InputError
from fairvision.methods.method import LastLayer, Method, ThresholdLearner
from fairvision.models import Captioner, Domains, ImageNetwork, Network
from fairvision.models.adapters.captioner_files import KIND, open_network
from fairvision.models.pretrained_vocabulary import PretrainedVocabulary
from fairvision.training.caption_plan import (
    CaptionPlan,
    captioned,
    check_captions,
    make_caption_plan,
)
from fairvision.training.file_heads import take_head
from fairvision.training.settings import Settings

_STEPS = 800
"""Of small captioners: in drawn scenes, equalizers look at the person after 400 to 600."""

_OF_SMALL_CAPTIONERS: Mapping[str, Mapping[str, Any]] = {"equalizer": {"mu": 10.0}}
"""Options of methods, unless given. The weights that were published are for captioners that were
trained before. In one that starts from nothing the other words drive the backbone, by which the
surroundings are learnt first, and with a mu of 1 the person is learnt late or not at all."""


@dataclass(frozen=True)
class Plan:
    """What is learnt, from which images, and by which method.

    Attributes
    ----------
    settings : with every default filled in
    why : reasons for what was chosen by the data, by option
    method : with its options
    annotated : the dataset with all annotations
    learnt : the dataset with the attributes and tasks that are learnt
    domains : heads that have a classifier per group
    last_layer : changes the heads when training has ended, if the method wants that
    thresholds : learns thresholds when that is done, if the method wants that
    captions : how captions are learnt, where they are
    """

    settings: Settings
    why: Mapping[str, str]
    method: Method
    annotated: Dataset
    learnt: Dataset
    domains: Mapping[str, Domains]
    last_layer: LastLayer | None
    thresholds: ThresholdLearner | None
    captions: CaptionPlan | None = None

    @property
    def splits(self) -> dict[str, Dataset]:
        """The splits "train" and, if there is one, "val", with every annotation.

        A method may need groups that are not learnt.
        """
        names = ["train"]
        if (self.learnt.samples["split"] == "val").any():
            names.append("val")
        dataset = captioned(self.annotated) if self.captions else self.annotated
        return {name: dataset.split(name) for name in names}


def make_plan(annotated: Dataset, settings: Settings) -> Plan:
    """Return what is to be done on a dataset.

    Raises
    ------
    InputError
        If the dataset lacks what is asked for.
    """
    method = settings.make_method()
    if settings.captions:
        check_captions(annotated)
        learnt = replace(captioned(annotated), attributes={}, tasks={})
        plan = make_caption_plan(captioned(annotated), settings)
        settings, why = with_defaults(settings, annotated, plan.geometry)
        suited = settings.make_method()
        return Plan(settings, why, suited, annotated, learnt, {}, None, None, plan)
    if settings.model.startswith(KIND):
        raise InputError(f"{settings.model} is of transformers, whose captioners learn: --captions")
    learnt = choose_heads(annotated, settings.attribute, settings.task)
    heads = [*learnt.schema]
    domains = method.domains(annotated.split("train"), heads)
    last_layer = method.last_layer(annotated, heads)
    thresholds = method.thresholds(annotated, heads)
    settings, why = with_defaults(settings, annotated)
    return Plan(settings, why, method, annotated, learnt, domains, last_layer, thresholds)


def check(plan: Plan, splits: Mapping[str, Dataset], processes: int) -> None:
    """Raise `InputError` where a plan cannot be carried out; warn of what should be known."""
    settings, learnt = plan.settings, plan.learnt
    check_training_split(learnt.split("train"))
    is_pretrained = plan.captions is not None and plan.captions.pretrained is not None
    if settings.tune != "all" and settings.weights is None and not is_pretrained:
        warnings.warn(
            f"--tune {settings.tune} without --weights: the frozen backbone is random",
            FairvisionWarning,
            stacklevel=4,
        )
    if settings.select == "worst_group_accuracy" and not learnt.attributes:
        raise InputError("--select worst_group_accuracy needs an attribute, and none is learnt")
    if "val" not in splits and (settings.select != "loss" or settings.patience):
        raise InputError(f"--select and --patience need a validation split: {learnt.root} has none")
    least = min(map(len, splits.values()))
    if least < processes:
        raise InputError(f"{processes} processes cannot share {least} pictures of a split")
    if settings.captions and (settings.keep_head or settings.compile or settings.task):
        wrong = next(name for name in ("keep_head", "compile", "task") if getattr(settings, name))
        raise InputError(f"--{wrong.replace('_', '-')} is not for --captions")
    if settings.compile and plan.method.not_compiled:
        raise InputError(f"--compile cannot take {plan.method.not_compiled}")


def with_defaults(
    settings: Settings, dataset: Dataset, geometry: Geometry | None = None
) -> tuple[Settings, dict[str, str]]:
    """Return settings in which nothing is left to be chosen, and why what was chosen.

    Parameters
    ----------
    settings, dataset : what was asked for, and of which images
    geometry : how images become squares for a network that is there whole, with its weights
    """
    why = {}
    is_whole = geometry is not None  # trained layers learn on in any case
    weights = settings.model if is_whole else settings.weights
    if settings.tune == "auto":
        images = len(dataset.split("train"))
        pretrained = weights is not None
        tune, why["tune"] = models.choose_regime(images, pretrained=pretrained)
        settings = replace(settings, tune=tune)
    writes_small = settings.captions and settings.model in models.SMALL
    chosen: Mapping[str, Any] = {
        "batch_size": 16 if writes_small else 32,
        "lr": default_lr("all" if is_whole else settings.tune, weights, settings.optimizer),
        "weight_decay": default_weight_decay(settings.optimizer),
        "augment": default_augment(settings.tune, settings.model),
        "captions_per_image": 1 if writes_small else None,
        "size": geometry.size if geometry else models.default_size(settings.model, dataset.size),
    }
    unset = {name: value for name, value in chosen.items() if getattr(settings, name) is None}
    settings = replace(settings, **unset)
    if writes_small:
        suited = _OF_SMALL_CAPTIONERS.get(settings.method, {})
        settings = replace(settings, method_options={**suited, **settings.method_options})
    if settings.epochs is None:
        learnt = len(dataset.split("train")) if writes_small else None
        in_a_step = settings.batch_size * settings.accumulate
        settings = replace(settings, epochs=default_epochs(learnt, in_a_step))
    return settings, why


def default_epochs(images: int | None, in_a_step: int) -> int:
    """Return 10, or for small captioners 5 to 100, as many as make about 800 steps.

    A backbone that starts from nothing is driven by few words of each caption: what it needs is
    steps, however many images there are.

    Parameters
    ----------
    images : that a small captioner learns from; None for other networks
    in_a_step : images in a step

    Examples
    --------
    >>> default_epochs(None, 32), default_epochs(2_100, 16), default_epochs(300, 16)
    (10, 6, 42)
    """
    if images is None:
        return 10
    return min(100, max(5, round(_STEPS / math.ceil(images / in_a_step))))


def default_lr(tune: str, weights: str | None, optimizer: str = "adamw") -> float:
    """Return a small learning rate where trained layers learn on, else a larger one.

    >>> default_lr("all", "DEFAULT"), default_lr("all", None), default_lr("all", None, "sgd")
    (0.0001, 0.001, 0.1)
    """
    small, large = (1e-2, 1e-1) if optimizer == "sgd" else (1e-4, 1e-3)
    return small if tune != "head" and weights is not None else large


def default_weight_decay(optimizer: str) -> float:
    """Return the usual decay: by AdamW it is apart from the gradient, by SGD a part of it."""
    return 5e-4 if optimizer == "sgd" else 1e-2


def default_augment(tune: str, model: str) -> bool:
    """Return whether images are augmented unless the user says.

    Not where only heads learn, nor for the small networks, which are also used on digits,
    that must not be mirrored.
    """
    return tune != "head" and model not in models.SMALL


def choose_heads(
    dataset: Dataset, attributes: Collection[str] = (), tasks: Collection[str] = ()
) -> Dataset:
    """Return the dataset with only the chosen attributes and tasks; all if none is chosen.

    Raises
    ------
    InputError
        If the dataset has no such attribute or task, or neither attributes nor tasks.
    """
    for kind, chosen, names in (
        ("attribute", attributes, list(dataset.attributes)),
        ("task", tasks, list(dataset.tasks)),
    ):
        for name in chosen:
            if name not in names:
                has = ", ".join(names) or "none"
                hint = did_you_mean(name, names)
                raise InputError(f"{dataset.root} has no {kind} {name!r}: it has {has}{hint}")
    if not dataset.attributes and not dataset.tasks:
        raise InputError(
            f"{dataset.root} has neither attributes nor tasks, so there is nothing to learn: "
            "name some in dataset.json"
        )
    if not attributes and not tasks:
        return dataset
    return replace(
        dataset,
        attributes={k: v for k, v in dataset.attributes.items() if k in attributes},
        tasks={k: v for k, v in dataset.tasks.items() if k in tasks},
    )


def check_training_split(train: Dataset) -> None:
    """Warn of groups with no image or one; refuse a head of which nothing is known."""
    if len(train) < 2:
        raise InputError(f"{train.root} has a single training picture: two are the least")
    for name, groups in train.attributes.items():
        codes = train.codes(name)
        counts = np.bincount(codes[codes >= 0], minlength=len(groups))
        _refuse_unlabelled(train, name, int(counts.sum()))
        for group, count in zip(groups, counts):
            if count < 2:
                images = "a single training picture" if count else "no training pictures"
                warnings.warn(
                    f"group {group!r} of {name!r} has {images}: nothing general is learnt about it",
                    FairvisionWarning,
                    stacklevel=5,
                )
    for name in train.tasks:
        _refuse_unlabelled(train, name, int((train.targets(name) >= 0).sum()))


def _refuse_unlabelled(train: Dataset, name: str, labelled: int) -> None:
    """Raise `InputError` if no training image has a label of this name."""
    if not labelled:
        raise InputError(
            f"{name!r} is unknown for every training picture of {train.root}: choose other "
            "attributes and tasks"
        )


def first_network(
    model: str,
    dataset: Dataset,
    size: int,
    weights: str | None,
    domains: Mapping[str, Domains] | None = None,
    *,
    keep_head: bool = False,
) -> Network:
    """Return a network with a head for each attribute and task of the dataset.

    Parameters
    ----------
    model, size, weights : as in `models.build`; `weights` may also be a run folder, which gives
        its backbone, and those heads that have the same name and the same groups or labels
    domains : heads that have a classifier per group
    keep_head : take the classifier of a weights file for the one head, see `file_heads.take_head`
    """
    labels = dataset.schema.heads
    heads = {name: len(names) for name, names in labels.items()}
    many = [name for name, task in dataset.tasks.items() if task.many]
    if weights is None or not Path(weights).is_dir():
        network = models.build(model, heads, size=size, weights=weights, many=many, domains=domains)
        take_head(network, model, weights, labels, size=size, keep=keep_head)
        return network

    run, source = _run_of(weights, model)
    network = models.build(model, heads, size=size, many=many, domains=domains)
    models.fit(network.backbone, source.backbone.state_dict(), source=f"of run {weights}")
    if not isinstance(source, Network):
        return network
    trained = dict(zip(source.head_names, source.heads))
    for name, head in zip(network.head_names, network.heads):
        here = asdict(domains[name]) if domains and name in domains else None
        is_alike = run.config.get("domains", {}).get(name) == here
        if run.heads.get(name) == labels[name] and is_alike:
            head.load_state_dict(trained[name].state_dict())
    return network


def first_captioner(
    model: str, plan: CaptionPlan, size: int, weights: str | None, *, is_saved: bool = False
) -> Captioner:
    """Return a captioner, with an untrained decoder unless it is one of transformers.

    Parameters
    ----------
    model, size, weights : as of `first_network`; of a run only the backbone is taken
    plan : how captions are learnt
    is_saved : its weights are set afterwards
    """
    if plan.pretrained is not None and isinstance(plan.vocabulary, PretrainedVocabulary):
        if is_saved:
            return plan.pretrained.untrained(plan.vocabulary, plan.words)
        return open_network(model, plan.pretrained, plan.vocabulary, plan.words)
    of_run = weights is not None and Path(weights).is_dir()
    network = models.build_captioner(
        model,
        plan.vocabulary,
        plan.words,
        size=size,
        weights=None if of_run else weights,
        decoder=plan.decoder,
    )
    if weights is not None and of_run:
        _, source = _run_of(weights, model)
        models.fit(network.backbone, source.backbone.state_dict(), source=f"of run {weights}")
    return network


def _run_of(folder: str, model: str) -> tuple[runs.Run, ImageNetwork]:
    """Return a run and its network; `InputError` where it is another one than that of the name."""
    run = runs.load(folder)
    if run.config["model"] != model:
        raise InputError(f"run {folder} is a {run.config['model']}, not a {model}")
    return run, runs.captioner(run) if run.captions else runs.network(run)
