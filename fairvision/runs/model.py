"""A run as a `fairvision.models.Model`: what predicts, explains and audits takes it as such."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from fairvision.models import Model, Network
from fairvision.runs.folder import Run, as_run, network
from fairvision.schema import Schema


@dataclass(frozen=True)
class RunModel:
    """The trained network of a run, on a device.

    Thresholds per group (`fairvision.runs.thresholds`) are not part of it: they need the annotated
    groups, which a model is not shown. Whoever has these applies them to the scores.

    Attributes
    ----------
    run : a finished run
    name : what the model is called
    module : its network, in evaluation mode
    device : where that is
    """

    run: Run
    name: str
    module: Network
    device: torch.device

    def __str__(self) -> str:
        return f"run {self.run.folder}"

    @cached_property
    def schema(self) -> Schema:
        """The attributes and tasks that the network predicts: its heads, attributes first."""
        return self.run.schema

    @property
    def size(self) -> int:
        """Side in pixels of the images that the network takes."""
        return self.run.size

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """Return the probabilities (n, labels) of every head."""
        with torch.inference_mode():
            return self.module.probabilities(images)


def as_model(
    run: Model | Run | str | Path,
    device: torch.device | str = "cpu",
    *,
    name: str | None = None,
) -> Model:
    """Return a run, or the run in a folder, as a model; a model is returned as it is.

    Parameters
    ----------
    run : a model, a run, or a run folder
    device : where to put the network of a run
    name : what the model of a run is called; by default as its folder

    Raises
    ------
    InputError
        If the run cannot be read.
    """
    if not isinstance(run, (Run, str, Path)):
        return run
    run = as_run(run)
    device = torch.device(device)
    return RunModel(run, name or run.name, network(run, device), device)
