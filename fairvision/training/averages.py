"""Means over an epoch, each over the pictures that took part."""

from __future__ import annotations

import math
from collections import defaultdict

import torch
from torch import Tensor

from fairvision.datasets import Batch
from fairvision.methods.heads import Terms


class NotFinite(ArithmeticError):
    """A loss term became infinite or NaN; the message names it."""


class Averages:
    """Loss terms and accuracies, summed batch by batch.

    Examples
    --------
    A term of 3.0 over one picture and of 0.0 over two is 1.0 on average:

    >>> import torch
    >>> averages = Averages()
    >>> averages.add({"loss": torch.tensor(3.0)}, {"loss": torch.tensor(1)})
    >>> averages.add({"loss": torch.tensor(0.0)}, {"loss": torch.tensor(2)})
    >>> averages.means(), averages.counts()
    ({'loss': 1.0}, {'loss': 3})
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        self.pictures = 0

    def add(self, values: dict[str, Tensor], counts: dict[str, Tensor]) -> None:
        """Add means (scalars) over so many pictures each; `NotFinite` names what is not finite."""
        both = torch.stack([*values.values(), *(counts[name] for name in values)]).tolist()
        for name, value, count in zip(values, both[: len(values)], both[len(values) :]):
            if not math.isfinite(value):
                raise NotFinite(name)
            self._sums[name] += value * count
            self._counts[name] += int(count)

    def means(self) -> dict[str, float]:
        """Return each mean; NaN where no picture took part."""
        return {
            k: s / self._counts[k] if self._counts[k] else math.nan for k, s in self._sums.items()
        }

    def counts(self) -> dict[str, int]:
        """Return how many pictures took part in each."""
        return dict(self._counts)


@torch.no_grad()
def measures(terms: Terms, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return loss terms and the accuracy of each head over a batch, and their counts.

    Where many labels may hold, accuracy is the share of picture-label decisions that are right.
    """
    values, counts = {k: v.detach() for k, v in terms.losses.items()}, dict(terms.counts)
    truth = {**batch.attributes, **batch.tasks}
    for head, logits in terms.logits.items():
        target = truth[head]
        if target.ndim == 2:
            known = (target >= 0).all(dim=1)
            right = ((logits > 0) == (target > 0)).float().mean(dim=1)
        else:
            known = target >= 0
            right = (logits.argmax(dim=1) == target).float()
        counts[f"accuracy/{head}"] = known.sum()
        values[f"accuracy/{head}"] = (right * known).sum() / known.sum().clamp(min=1)
    return values, counts
