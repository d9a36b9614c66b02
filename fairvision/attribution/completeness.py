"""Whether attributions add up to the change of the score, and whether gradients reach the image.

However many calls find that attributions do not add up, one warning tells it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from fairvision.attribution.explained import (
    NOT_REACHED,
    Explained,
    Options,
    generator,
    plain_images,
    targets_of,
    undisturbed,
)
from fairvision.errors import FairvisionWarning, InputError

_TOLERANCE = 0.01  # of the change of the logit
_TOLERANCE_OF_HALF = 0.1  # the same, where the network works in bfloat16 or float16
_NOISE = 0.1  # of the tolerance: how much of the logits themselves is taken for rounding


@dataclass
class Sums:
    """How far the attributions of images are from adding up.

    Attributes
    ----------
    images : how many were looked at
    off : of those that do not add up, by how much and of which change of the logit
    """

    images: int = 0
    off: list[tuple[float, float]] = field(default_factory=list)

    def tell(self) -> None:
        """Warn if there are any that do not add up."""
        if not self.off:
            return
        delta, rise = max(self.off, key=lambda pair: abs(pair[0]) / max(abs(pair[1]), 1e-12))
        share = f"{abs(delta / rise):.0%}" if rise else "all"
        warnings.warn(
            f"deep_lift: the maps of {len(self.off)} of {self.images} pictures do not add up to "
            f"the change of the logit; the worst is off by {delta:.3g} of {rise:.3g} ({share}): "
            "the network does what the rule does not follow, such as attention or functions "
            "written by hand; use integrated_gradients",
            FairvisionWarning,
            stacklevel=2,
        )


_GATHERING: ContextVar[Sums | None] = ContextVar("gathering", default=None)


@contextmanager
def adding_up(gathered: Sums | None = None) -> Iterator[None]:
    """Gather what is noted meanwhile, and warn once at the end.

    Parameters
    ----------
    gathered : where to gather; whoever gives it tells of it. By default what an outer `adding_up`
        gathers, which tells of it then.
    """
    outer = _GATHERING.get()
    sums = gathered or outer or Sums()
    token = _GATHERING.set(sums)
    try:
        yield
    finally:
        _GATHERING.reset(token)
    if gathered is None and outer is None:
        sums.tell()


def note_sums(options: Options, values: Tensor, ends: Tensor, starts: Tensor) -> None:
    """Note whether values (n, …) add up from the scores of plain images to those of images."""
    sums = _GATHERING.get()
    if sums is None:
        return
    rise = ends - starts
    delta = values.to(torch.promote_types(values.dtype, rise.dtype)).flatten(1).sum(dim=1) - rise
    tolerance = _TOLERANCE if options.precision == "32" else _TOLERANCE_OF_HALF
    allowed = tolerance * (rise.abs() + _NOISE * (ends.abs() + starts.abs()))
    sums.images += len(rise)
    for row in (delta.abs() > allowed).nonzero()[:, 0].tolist():
        sums.off.append((float(delta[row]), float(rise[row])))


def score_rises(explained: Explained, images: Tensor, plain: Tensor, targets: Tensor) -> Tensor:
    """Return by how much each target's logit rises from the plain image to the image, (n,)."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(images), explained.options.batch_size):
            rows = slice(start, start + explained.options.batch_size)
            scores = explained.scores(images[rows], targets[rows])
            parts.append(scores - explained.scores(plain[rows], targets[rows]))
    return torch.cat(parts) if parts else images.new_zeros(0)


def convergence_delta(
    network: nn.Module,
    images: Tensor,
    target: Tensor | int,
    maps: Tensor,
    *,
    head: str | None = None,
    baseline: Tensor | float | None = None,
    precision: str = "32",
    batch_size: int = 32,
) -> Tensor:
    """Return by how much signed maps miss the rise of the logit from the plain image.

    Zero is what the axiom of completeness asks of integrated_gradients and deep_lift (Sundararajan
    et al., ICML 2017, section 3).

    Parameters
    ----------
    network, images, target, head, baseline, precision, batch_size : as for `attribute`
    maps : (n, height, width), from `attribute(..., signed=True)`

    Returns
    -------
    (n,) float32 in units of the logit; NaN where the target is unknown

    Examples
    --------
    >>> from fairvision.attribution import attribute
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    >>> images = torch.rand(1, 3, 2, 2)
    >>> maps = attribute(network, images, 1, "integrated_gradients", signed=True)
    >>> bool(convergence_delta(network, images, 1, maps).abs() < 1e-5)
    True
    """
    options = Options(head=head, baseline=baseline, precision=precision, batch_size=batch_size)
    explained = Explained(network, options)
    targets = targets_of(target, images)
    with torch.no_grad(), undisturbed(network):
        plain = plain_images(images, baseline)
        rise = score_rises(explained, images, plain, targets.clamp(min=0))
        delta = maps.to(rise).sum(dim=(1, 2)) - rise
    return torch.where(targets < 0, torch.nan, delta).float()


def check_reach(explained: Explained, images: Tensor, targets: Tensor) -> None:
    """Raise `InputError` where the score changes with the image but no gradient ever shows it.

    Zero is right where the score does not change, or is flat just there. So gradients are looked
    for at the images, at plain ones and at noise: NaN in their place finds its way also through
    weights that are zero.
    """
    plain = plain_images(images, None)
    noise = torch.rand(images.shape, generator=generator(0, 0, 0)).to(images)
    if not any(
        (score_rises(explained, images, other, targets) != 0).any() for other in (plain, noise)
    ):
        return
    for points in (images, plain, noise):
        start = points.detach().clone().requires_grad_()
        scores = explained.scores(start.clone(), targets)
        (reached,) = torch.autograd.grad(scores, start, torch.full_like(scores, torch.nan))
        if reached.isnan().any():
            return
    raise InputError(NOT_REACHED)
