"""What a training is told, with every default filled in, and how it is written down."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision

from fairvision import methods, models, runs
from fairvision.core import shapes
from fairvision.core.version import __version__
from fairvision.datasets import Dataset
from fairvision.errors import InputError

CRITERIA = ("loss", "accuracy", "worst_group_accuracy")
SCHEDULES = ("cosine", "constant", "steps")
OPTIMIZERS = ("adamw", "sgd")
CROPS = ("zoom", "shift")
PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


@dataclass(frozen=True)
class Settings:
    """How the network learns, whatever the method; see `fairvision.train`."""

    tune: str
    epochs: int
    batch_size: int
    lr: float
    lr_backbone: float
    weight_decay: float
    schedule: str
    augment: bool
    precision: str
    seed: int
    accumulate: int = 1
    ema: float | None = None
    select: str = "loss"
    patience: int | None = None
    compile: bool = False
    optimizer: str = "adamw"
    momentum: float = 0.9
    crop: str = "zoom"

    def __post_init__(self) -> None:
        for name, choices in (
            ("tune", (*models.REGIMES, "auto")),
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("crop", CROPS),
            ("precision", PRECISIONS),
            ("select", CRITERIA),
        ):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} {getattr(self, name)!r} is not one of {', '.join(choices)}"
                )
        if not 0 <= self.seed < 2**63:
            raise InputError(f"the seed must be 0 or above and below 2**63, not {self.seed}")
        if self.epochs < 1:
            raise InputError(f"epochs must be at least 1, not {self.epochs}")
        if self.batch_size < 2:
            raise InputError(f"batch size must be at least 2, not {self.batch_size}")
        if self.accumulate < 1:
            raise InputError(f"accumulate must be at least 1, not {self.accumulate}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise InputError(f"ema must be above 0 and below 1, not {self.ema}")
        if self.patience is not None and self.patience < 1:
            raise InputError(f"patience must be at least 1 epoch, not {self.patience}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InputError(f"the learning rate must be above 0, not {self.lr}")
        if not (math.isfinite(self.lr_backbone) and self.lr_backbone > 0):
            raise InputError(
                f"the backbone's share of the learning rate must be above 0, not {self.lr_backbone}"
            )
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise InputError(f"the weight decay must be 0 or above, not {self.weight_decay}")
        if not 0 <= self.momentum < 1:
            raise InputError(f"the momentum must be 0 or above and below 1, not {self.momentum}")


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


def describe(
    dataset: Dataset,
    *,
    fingerprint: str,
    method: str,
    model: str,
    weights: str | None,
    size: int,
    settings: Settings,
    of_method: Any,
    domains: Mapping[str, models.Domains],
    postprocessing: str | None,
) -> dict[str, Any]:
    """Return the contents of config.json."""
    options = asdict(settings)
    seed = options.pop("seed")
    config = {
        "fairvision": __version__,
        "method": method,
        "model": model,
        "weights": weights,
        "size": size,
        "attributes": dataset.attributes,
        "tasks": {name: asdict(task) for name, task in dataset.tasks.items()},
        "domains": {name: asdict(told) for name, told in domains.items()},
        "postprocessing": postprocessing,
        "options": {**options, **asdict(of_method)},
        "seed": seed,
        "data": {
            "path": str(dataset.root.resolve()),
            "name": dataset.name,
            "fingerprint": fingerprint,
        },
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    }
    return json.loads(json.dumps(config))


def check_same(folder: Path, stored: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `InputError` unless a run is continued with the settings that it was started with."""
    if stored["data"]["fingerprint"] != now["data"]["fingerprint"]:
        raise InputError(
            f"{now['data']['path']} is not, or no longer, what run {folder} was started on: "
            "train again with --overwrite or into another folder"
        )
    before, after = _flat(stored), _flat(now)
    different = [
        f"{name} was {before.get(name)}, now {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    if different:
        raise InputError(
            f"run {folder} was started with other settings ({'; '.join(different)}): repeat them, "
            "or train into another folder"
        )


def stored_options(folder: str | Path) -> dict[str, Any]:
    """Return the keywords of `fairvision.train` with which a run was started; none if no run."""
    folder = Path(folder)
    if not (folder / runs.CONFIG).exists():
        return {}
    config = runs.read_config(folder)
    kinds = {
        **shapes.fields_of(Settings),
        **shapes.fields_of(methods.find(config["method"])),
    }
    shapes.read(
        folder / runs.CONFIG, shapes.table({"options": shapes.table({}, kinds)}), runs.AGAIN
    )
    return {
        **{name: config[name] for name in ("method", "model", "weights", "size", "seed")},
        "attribute": list(config["attributes"]),
        "task": list(config["tasks"]),
        **config["options"],
    }


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    names = ("method", "model", "weights", "size", "attributes", "tasks", "seed")
    return {**{name: config[name] for name in names}, **config["options"]}
