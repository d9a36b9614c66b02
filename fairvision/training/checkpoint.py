"""The state of an unfinished training, written whole after each epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fairvision.errors import InputError
from fairvision.files import whole_file
from fairvision.methods.method import Method
from fairvision.models import Network

_FORMAT = 2


@dataclass
class Progress:
    """How far a training has come.

    Attributes
    ----------
    epoch : epochs that are done
    history : what was measured after each
    best : weights of the epoch with the smallest validation loss so far
    best_loss : that loss; infinite while there is none
    """

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_loss: float = float("inf")

    def take(self, row: dict[str, float], network: Network) -> None:
        """Add an epoch, whose figures and weights these are."""
        self.epoch += 1
        self.history.append(row)
        if row.get("val/loss", float("nan")) < self.best_loss:
            self.best_loss = row["val/loss"]
            self.best = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}


def save(
    path: Path,
    progress: Progress,
    fabric: Fabric,
    network: Network,
    method: Method,
    optimizer: Optimizer,
    schedule: LRScheduler,
) -> None:
    """Write everything from which the next epoch follows."""
    content = {
        "format": _FORMAT,
        "progress": vars(progress),
        "network": network.state_dict(),
        "method": method.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "precision": fabric.strategy.precision.state_dict(),
    }
    with whole_file(path) as part:
        torch.save(content, part)


def load(
    path: Path,
    fabric: Fabric,
    network: Network,
    method: Method,
    optimizer: Optimizer,
    schedule: LRScheduler,
) -> Progress:
    """Bring everything to the state that was saved.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if content["format"] != _FORMAT:
            raise InputError(f"{path} was written by another version of fairvision")
        network.load_state_dict(content["network"])
        method.load_state_dict(content["method"])
        optimizer.load_state_dict(content["optimizer"])
        schedule.load_state_dict(content["schedule"])
        fabric.strategy.precision.load_state_dict(content["precision"])
        return Progress(**content["progress"])
    except InputError:
        raise
    except Exception as error:  # damage has no one kind of error
        reason = (str(error) or "cut off").splitlines()[0].partition(". ")[0]
        raise InputError(
            f"{path} is damaged ({reason}): "
            "delete it and --resume starts the run from its first epoch"
        ) from None
