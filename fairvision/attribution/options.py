"""What the attribution methods can be told, and what they explain."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fairvision.attribution.answers import ask, chosen, gradient, logits_of
from fairvision.errors import InputError

PRECISIONS = {"32": None, "bf16": torch.bfloat16, "16": torch.float16}
TUNNELS = ("smoothgrad", "smoothgrad_sq", "vargrad")


@dataclass(frozen=True)
class Options:
    """The options of `fairvision.attribution.attribute`, where each is explained."""

    head: str | None = None
    layer: str | None = None
    baseline: Tensor | float | None = None
    steps: int = 50
    tolerance: float | None = None
    noise_tunnel: str | None = None
    samples: int = 20
    noise: float | None = None
    window: int | None = None
    stride: int | None = None
    segments: Tensor | None = None
    seed: int = 0
    precision: str = "32"
    batch_size: int = 32

    def __post_init__(self) -> None:
        for name in ("steps", "samples", "window", "stride", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        for name in ("tolerance", "noise", "seed"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise InputError(f"{name} must not be negative, but is {value}")
        if self.precision not in PRECISIONS:
            raise InputError(f"precision {self.precision!r}: choose from {', '.join(PRECISIONS)}")
        tunnel = self.noise_tunnel
        if tunnel is not None and tunnel not in TUNNELS:
            raise InputError(f"noise_tunnel {tunnel!r}: choose from {', '.join(TUNNELS)}")


@dataclass(frozen=True)
class Explained:
    """A network with the options of its explanation: from images to the logits in question."""

    network: nn.Module
    options: Options

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (n, classes) of the head, as the network gives them."""
        return logits_of(self.answer(images), self.options.head, images)

    def answer(self, images: Tensor) -> Any:
        """Return what the network gives, of all heads."""
        with self._autocast(images.device):
            return ask(self.network, images)

    def scores(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the logit of each image's target, (n,) in float32 or better."""
        return chosen(self.logits(images), targets)

    def gradients(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the gradient of each image's target logit, shaped as the images."""
        images = images.detach().requires_grad_()
        # The network gets a copy, as its first layer may work in place.
        return gradient(self.scores(images.clone(), targets), images)

    def _autocast(self, device: torch.device) -> AbstractContextManager[None]:
        dtype = PRECISIONS[self.options.precision]
        return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def targets_of(target: Tensor | Sequence[int] | int, images: Tensor) -> Tensor:
    """Return one class per image, (n,) int64 beside the images, from what was given for them.

    >>> targets_of(1, torch.zeros(2, 3, 4, 4))
    tensor([1, 1])
    """
    try:
        targets = torch.as_tensor(target, device=images.device)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"targets must be positions of classes, not {target!r}") from None
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise InputError(f"targets must be whole numbers, not {targets.dtype}")
    if targets.ndim and tuple(targets.shape) != (len(images),):
        raise InputError(
            f"targets have shape {tuple(targets.shape)}; give one for all, or one for each of "
            f"{len(images)} pictures"
        )
    return targets.long().expand(len(images))


def plain_images(images: Tensor, baseline: Tensor | float | None) -> Tensor:
    """Return what stands for "nothing to see", one per image, (n, 3, height, width).

    By default each image's mean colour. A black image would be blind to what is dark
    (Sturmfels, Lundberg & Lee, Distill 2020).
    """
    if baseline is None:
        return images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    plain = torch.as_tensor(baseline, dtype=images.dtype, device=images.device)
    try:
        return plain.expand_as(images)
    except RuntimeError:
        raise InputError(
            f"the baseline has shape {tuple(plain.shape)}, which does not fit pictures of shape "
            f"{tuple(images.shape)}"
        ) from None
