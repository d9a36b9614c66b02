"""The run folder: training writes it, the audit reads it."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from fairvision.datasets import Task
from fairvision.errors import InputError
from fairvision.files import digest, read_json

if TYPE_CHECKING:
    import torch

    from fairvision.models import Network

CONFIG = "config.json"
BEST = "model.safetensors"
LAST = "last.safetensors"
CHECKPOINT = "last.ckpt"
HISTORY = "history.csv"
FIRST = "first"
CHECKSUMS = "sha256"  # in config.json, by file: of what gives a run its answers

_COUNT = "train/n/"
WEIGHTS = {"best": BEST, "last": LAST}


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes
    ----------
    folder : where it lies
    config : contents of its config.json
    """

    folder: Path
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def size(self) -> int:
        """Side in pixels of the pictures that the network takes."""
        return self.config["size"]

    @property
    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Groups of each attribute that the network predicts."""
        return {name: tuple(groups) for name, groups in self.config["attributes"].items()}

    @property
    def tasks(self) -> dict[str, Task]:
        """Tasks that the network predicts."""
        return {
            name: Task(tuple(task["labels"]), bool(task["many"]))
            for name, task in self.config["tasks"].items()
        }

    @property
    def heads(self) -> dict[str, tuple[str, ...]]:
        """Groups or labels of each head, attributes first."""
        return {**self.attributes, **{name: task.labels for name, task in self.tasks.items()}}


def load(folder: str | Path) -> Run:
    """Read the description of a finished run.

    Raises
    ------
    InputError
        If the folder is no run, or if its training has not ended, or its config.json is damaged.
    """
    folder = Path(folder)
    config = read_config(folder)
    if not (folder / BEST).is_file():
        raise InputError(
            f"run {folder} is unfinished (no {BEST}): "
            "the command that started it continues it with --resume"
        )
    return Run(folder, config)


def read_config(folder: Path) -> dict[str, Any]:
    """Read the config.json of a run, finished or not; `InputError` where it cannot be used."""
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} is not a run folder: it holds no {CONFIG}")
    config = read_json(folder / CONFIG)
    try:
        run = Run(folder, config)
        texts = [config["method"], config["model"], config["data"]["fingerprint"]]
        texts += [label for labels in run.heads.values() for label in labels]
        usable = all(isinstance(text, str) for text in texts) and isinstance(run.size, int)
        usable = usable and run.size > 0 and bool(run.heads) and isinstance(config["options"], dict)
        usable = usable and isinstance(config["seed"], int) and "weights" in config
    except (AttributeError, KeyError, TypeError):
        usable = False
    if not usable:
        raise InputError(f"{folder / CONFIG} is damaged: train the run again with --overwrite")
    return config


def network(run: Run, device: str | torch.device = "cpu", which: str = "best") -> Network:
    """Return the trained network of a run, in evaluation mode.

    Parameters
    ----------
    run : a finished run
    device : where to put it
    which : "best" by the validation split, or "last"

    Raises
    ------
    InputError
        If the weights are damaged or are not those of the network in config.json.
    """
    from fairvision import models

    heads = {name: len(labels) for name, labels in run.heads.items()}
    many = [name for name, task in run.tasks.items() if task.many]
    domains = {name: models.Domains(**told) for name, told in run.config.get("domains", {}).items()}
    built = models.build(run.config["model"], heads, size=run.size, many=many, domains=domains)
    path = run.folder / WEIGHTS[which]
    state = OrderedDict(models.read_tensors(path))
    check_unchanged(run, path)
    # MNASNet does not load without the version numbers of its modules, which safetensors lacks.
    state._metadata = built.state_dict()._metadata  # type: ignore[attr-defined]
    models.fit(built, state, source=str(path))
    return built.to(device).eval()


def check_unchanged(run: Run, path: Path) -> None:
    """Raise `InputError` unless a file of a run is as training wrote it, by its checksum."""
    checksum = (run.config.get(CHECKSUMS) or {}).get(path.name)
    if checksum is not None and checksum != digest(path):
        raise InputError(
            f"{path} is damaged or was changed: its checksum differs from that in {CONFIG}; train "
            f"again, or take {CHECKSUMS!r} out of {CONFIG} if you changed it yourself"
        )


def history(run: Run) -> pd.DataFrame:
    """Return what was measured after each epoch, a row per epoch; docs/training.md names it all."""
    return pd.read_csv((run.folder / HISTORY).absolute())


def score(table: pd.DataFrame, select: str) -> pd.Series:
    """Return how good each epoch is: the larger the better, NaN where undefined.

    Parameters
    ----------
    table : figures by epoch
    select : "loss", the smallest validation loss; "accuracy", the mean validation accuracy of the
        heads; "worst_group_accuracy"

    Examples
    --------
    >>> table = pd.DataFrame({"val/loss": [0.5], "val/accuracy/a": [0.5], "val/accuracy/b": [1.0]})
    >>> score(table, "accuracy").tolist()
    [0.75]
    """
    if select == "accuracy":
        return table.filter(like="val/accuracy/").mean(axis=1)
    if f"val/{select}" not in table:
        return pd.Series(math.nan, index=table.index)
    return table[f"val/{select}"] * (-1 if select == "loss" else 1)


def summary(run: Run) -> dict[str, Any]:
    """Return what a training came to, ready for JSON.

    `best` holds the figures of the epoch whose weights were kept: the one with the largest `score`,
    or the last one without a validation split. `pictures` counts the training
    pictures that took part in each loss term, out of `training_pictures`. Undefined is None.
    """
    table = history(run)
    scores = score(table, run.config["options"].get("select", "loss"))
    best = len(table) - 1 if scores.isna().all() else int(scores.argmax())
    row = {str(k): None if pd.isna(v) else float(v) for k, v in table.iloc[best].items()}
    terms = [name for name in row if name.startswith(_COUNT) and "accuracy/" not in name]
    return {
        "run": str(run.folder),
        "method": run.config["method"],
        "model": run.config["model"],
        "epochs": len(table),
        "best_epoch": best + 1,
        "best": {k: v for k, v in row.items() if k != "epoch" and "/n" not in k},
        "training_pictures": int(table["train/n"].iloc[best]),
        "pictures": {name.removeprefix(_COUNT): int(table[name].iloc[best]) for name in terms},
    }
