"""A run as a `fairvision.models.Model`: what predicts, explains and audits takes it as such."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from fairvision.models import Model, Network, SourceOptions, is_source, open_source
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
    options: SourceOptions | None = None,
) -> Model:
    """Return a run, the run in a folder, or a model by its name; a model is returned as it is.

    Parameters
    ----------
    run : a model, a run, a run folder, or the name of a model of another library, such as
        "timm:resnet18"
    device : where to put the network
    name : what the model of a run is called; by default as its folder
    options : what is told about a model by name

    Raises
    ------
    InputError
        If the run cannot be read.
    """
    if not isinstance(run, (Run, str, Path)):
        return run
    device = torch.device(device)
    if isinstance(run, str) and is_source(run):
        return open_source(run, replace(options or SourceOptions(), device=device))
    run = as_run(run)
    return RunModel(run, name or run.name, network(run, device), device)
