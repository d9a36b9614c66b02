"""Which models have maps of too few cells to be laid over a photograph, or maps of no places."""

from __future__ import annotations

import torch

from fairvision.attribution import DEFAULT
from fairvision.attribution.layercam import FINE
from fairvision.attribution.maps import grid_of
from fairvision.models import Model
from fairvision.models.architectures import sees_places_apart


def coarse_grid(model: Model, method: str) -> tuple[int, int] | None:
    """Return rows and columns of a model's maps where they are few; None where they are not.

    Few are less than 14, unless each covers no more than 2 × 2 pixels of a small image.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Conv2d(3, 2, 8, stride=8), nn.AdaptiveAvgPool2d(1))
    >>> network.extend([nn.Flatten(), nn.Linear(2, 2)])  # doctest: +ELLIPSIS
    Sequential(...
    >>> model = SimpleNamespace(name="A", size=32, device="cpu", module=network)
    >>> coarse_grid(model, "gradcam")
    (4, 4)
    >>> coarse_grid(model, "saliency") is None
    True
    """
    if model.module is None:
        return None
    grid = grid_of(model.module, _blank(model), method)
    return grid if grid is not None and min(grid) < min(FINE, model.size // 2) else None


def note(model: Model, method: str) -> str | None:
    """Return why the maps of a model tell little about places, if they do."""
    if model.module is None:
        return None
    grid = coarse_grid(model, method)
    if grid is not None:
        finer = grid_of(model.module, _blank(model), DEFAULT)
        other = f"choose --attribution {DEFAULT} or " if finer and finer > grid else ""
        return (
            f"{model.name}: its maps have {grid[0]} × {grid[1]} cells, too coarse to say where in "
            "a picture the evidence lies, and their corners are often strongest: "
            f"{other}train with larger pictures (--size)"
        )
    if method.startswith("gradcam") and sees_places_apart(model.module):
        return (
            f"{model.name}: its dense layer weighs every place by itself, so Grad-CAM says little "
            f"about where its evidence lies: choose --attribution {DEFAULT} or integrated_gradients"
        )
    return None


def _blank(model: Model) -> torch.Tensor:
    """Return a black image of the model's size, (1, 3, size, size)."""
    return torch.zeros(1, 3, model.size, model.size, device=model.device)
