"""Whether attributions add up to the change of the answer: one warning, however many calls."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fairvision.attribution.options import Options
from fairvision.errors import FairvisionWarning

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


def note(options: Options, values: Tensor, ends: Tensor, starts: Tensor) -> None:
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
