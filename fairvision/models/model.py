"""What an audit needs of a network, whatever it is: the `Model` that every stage takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from fairvision.datasets.geometry import Geometry
from fairvision.errors import InputError
from fairvision.schema import Schema


@runtime_checkable
class Model(Protocol):
    """A classifier of images, with a head for each attribute and task.

    A run folder is one (`fairvision.runs.model.RunModel`). Anything else becomes one by these few
    members; messages call it what `str()` of it says.

    Attributes
    ----------
    name : what tables and reports call it
    schema : the attributes and tasks that it predicts, with the labels of each in its own order
    size : height and width in pixels of the images that it takes: whole images resized to it,
        unless it also has an attribute `geometry` (`fairvision.datasets.geometry.Geometry`)
    device : where it runs, and where images are put for it
    module : from images (n, 3, size, size) in [0, 1] to a mapping from each head to its logits
        (n, labels), of which `probabilities` are what `predict` returns. None where there are no
        gradients to take, as of a function: maps then come from hiding parts of the image only.
    """

    @property
    def name(self) -> str:
        """What tables and reports call it."""

    @property
    def schema(self) -> Schema:
        """The attributes and tasks that it predicts."""

    @property
    def size(self) -> int:
        """Height and width in pixels of the images that it takes."""

    @property
    def device(self) -> torch.device:
        """Where it runs."""

    @property
    def module(self) -> nn.Module | None:
        """From images to logits by head; None where there are no gradients."""

    def predict(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the probabilities (n, labels) of every head for images (n, 3, size, size).

        Images are float32 in [0, 1], and so are probabilities. No gradients are kept.
        """


def geometry_of(model: Model) -> Geometry:
    """Return how a model's images become squares: as it says, or whole images at its size."""
    geometry = getattr(model, "geometry", None)
    return geometry if isinstance(geometry, Geometry) else Geometry(model.size)


def probabilities(logits: Mapping[str, Tensor], schema: Schema) -> dict[str, Tensor]:
    """Return probabilities in float32: softmax, or sigmoid where many labels may hold.

    Examples
    --------
    >>> schema = Schema({"hat": ("no", "yes")})
    >>> probabilities({"hat": torch.zeros(1, 2)}, schema)
    {'hat': tensor([[0.5000, 0.5000]])}
    """
    return {
        head: values.float().sigmoid() if schema.is_many(head) else values.float().softmax(dim=1)
        for head, values in logits.items()
    }


def find_device(name: str = "auto") -> torch.device:
    """Return the device called "cpu", "cuda" or "mps"; "auto" takes the fastest that there is.

    Raises
    ------
    InputError
        If this machine has no such device.

    Examples
    --------
    >>> find_device("cpu")
    device(type='cpu')
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    devices = [kind for kind, is_available in available.items() if is_available]
    if name == "auto":
        name = devices[0]
    if name not in devices:
        choices = ", ".join(["auto", *devices])
        raise InputError(f"there is no device {name!r} here: choose one of {choices}")
    return torch.device(name)
