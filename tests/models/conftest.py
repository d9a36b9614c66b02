"""What tests of models from elsewhere share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fairvision import attribution, models
from fairvision.models.heads import Head


@pytest.fixture(scope="session")
def photograph() -> Image.Image:
    """An image of (300, 260) in which every pixel differs."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (260, 300, 3), np.uint8))


@pytest.fixture(scope="session")
def gender() -> models.SourceOptions:
    """What is told of a model with one head of two labels."""
    return models.SourceOptions(heads={"gender": Head(("female", "male"))})


@pytest.fixture(scope="session")
def seen(photograph: Image.Image) -> Callable[[models.Model], Tensor]:
    """The photograph as a model is given it, (1, 3, size, size)."""

    def see(model: models.Model) -> Tensor:
        pixels = models.geometry_of(model).image(photograph)
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0) / 255

    return see


@pytest.fixture(scope="session")
def explained(seen: Callable[[models.Model], Tensor]) -> Callable[[models.Model, str], Tensor]:
    """The map of an attribution over the photograph, checked to be finite and not empty."""

    def explain(model: models.Model, method: str) -> Tensor:
        images = seen(model)
        maps = attribution.attribute(
            model.module, images, target=1, method=method, head="gender", window=model.size // 2
        )
        assert maps.isfinite().all()
        assert maps.abs().max() > 0
        return maps

    return explain
