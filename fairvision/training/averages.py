"""Means over an epoch, each over the images that took part."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fairvision.datasets import Batch
from fairvision.methods.method import Terms

_PENDING = 32


class NotFinite(ArithmeticError):
    """A loss term became infinite or NaN; the message names it."""


class Averages:
    """Loss terms and accuracies, summed batch by batch.

    Examples
    --------
    A term of 3.0 over one image and of 0.0 over two is 1.0 on average:

    >>> import torch
    >>> averages = Averages()
    >>> averages.add({"loss": torch.tensor(3.0)}, {"loss": torch.tensor(1)})
    >>> averages.add({"loss": torch.tensor(0.0)}, {"loss": torch.tensor(2)})
    >>> averages.means(), averages.counts()
    ({'loss': 1.0}, {'loss': 3})
    """

    def __init__(self, state: dict[str, Any] | None = None):
        state = state or {"sums": {}, "counts": {}, "pictures": 0}
        self._sums: dict[str, float] = dict(state["sums"])
        self._counts: dict[str, int] = dict(state["counts"])
        self.images: int = state["pictures"]
        self._pending: list[tuple[list[str], Tensor]] = []

    def add(self, values: dict[str, Tensor], counts: dict[str, Tensor]) -> None:
        """Add means (scalars) over so many images each.

        They are read from the device some batches later, so that it need not wait. `NotFinite` then
        names what is not finite.
        """
        both = torch.stack([*values.values(), *(counts[name] for name in values)])
        self._pending.append((list(values), both))
        if len(self._pending) >= _PENDING:
            self.settle()

    def settle(self) -> None:
        """Read what was added; raise `NotFinite` with the name of what is not finite."""
        pending, self._pending = self._pending, []
        for names, both in pending:
            numbers = both.tolist()
            for name, value, count in zip(names, numbers[: len(names)], numbers[len(names) :]):
                if not math.isfinite(value):
                    raise NotFinite(name)
                self._sums[name] = self._sums.get(name, 0.0) + value * count
                self._counts[name] = self._counts.get(name, 0) + int(count)

    def state(self) -> dict[str, Any]:
        """Return what a new one continues from."""
        self.settle()
        return {"sums": self._sums, "counts": self._counts, "pictures": self.images}

    def means(self) -> dict[str, float]:
        """Return each mean; NaN where no image took part."""
        self.settle()
        return {
            k: s / self._counts[k] if self._counts[k] else math.nan for k, s in self._sums.items()
        }

    def counts(self) -> dict[str, int]:
        """Return how many images took part in each."""
        self.settle()
        return dict(self._counts)


@torch.no_grad()
def measures(terms: Terms, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return loss terms and the accuracy of each head over a batch, and their counts.

    Where many labels may hold, accuracy is the share of image-label decisions that are right.
    """
    values, counts = {k: v.detach() for k, v in terms.losses.items()}, dict(terms.counts)
    truth = {**batch.attributes, **batch.tasks}
    for head, logits in terms.logits.items():
        right, known = is_right(logits, truth[head])
        counts[f"accuracy/{head}"] = known.sum()
        values[f"accuracy/{head}"] = (right * known).sum() / known.sum().clamp(min=1)
    return values, counts


def is_right(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether answers are right, or their share that is (n,), and whose truth is known (n,).

    Parameters
    ----------
    logits : (n, classes)
    truth : (n,), or (n, classes) where many labels may hold; -1 unknown
    """
    if truth.ndim == 2:
        return ((logits > 0) == (truth > 0)).float().mean(dim=1), (truth >= 0).all(dim=1)
    return (logits.argmax(dim=1) == truth).float(), truth >= 0
