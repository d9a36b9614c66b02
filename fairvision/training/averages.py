"""Figures of an epoch: means, each over the images that took part, and the worst subgroup."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sized
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


class WorstGroup:
    """Counts right predictions by subgroup, batch by batch: accuracy where it is smallest.

    For every head and every attribute the subgroups are the pairs of group and true label; for the
    attribute's own head, and where many labels may hold, the groups. Unknowns take no part.

    Parameters
    ----------
    attributes : groups of each attribute
    """

    def __init__(self, attributes: Mapping[str, Sized]):
        self._groups = {name: len(groups) for name, groups in attributes.items()}
        self._sums: dict[tuple[str, str], Tensor] = {}

    @torch.no_grad()
    def add(self, terms: Terms, batch: Batch) -> None:
        """Count the right predictions of a batch."""
        targets = batch.targets
        for head, logits in terms.logits.items():
            right, labelled = is_right(logits, targets[head])
            for attribute, n in self._groups.items():
                subgroup, subgroups = batch.attributes[attribute], n
                takes_part = labelled & (subgroup >= 0)
                if attribute != head and targets[head].ndim == 1:
                    subgroup = subgroup * logits.shape[1] + targets[head]
                    subgroups = n * logits.shape[1]
                both = torch.stack([right * takes_part, takes_part.float()])
                sums = torch.zeros(2, subgroups, device=both.device)
                sums.index_add_(1, subgroup.where(takes_part, 0), both)
                key = (head, attribute)
                self._sums[key] = self._sums[key] + sums if key in self._sums else sums

    def worst(self, total: Callable[[Tensor], Tensor] = lambda sums: sums) -> tuple[float, int]:
        """Return the smallest accuracy of a subgroup with images, and how many it has.

        NaN and 0 if none has. `total` sums over processes.
        """
        worst, size = math.nan, 0
        for sums in self._sums.values():
            for right, n in total(sums).T.tolist():
                if n and not right / n >= worst:
                    worst, size = right / n, int(n)
        return worst, size


@torch.no_grad()
def measure(terms: Terms, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return loss terms and the accuracy of each head over a batch, and their counts.

    Where many labels may hold, accuracy is the share of image-label decisions that are right.
    """
    values, counts = {k: v.detach() for k, v in terms.losses.items()}, dict(terms.counts)
    targets = batch.targets
    for head, logits in terms.logits.items():
        right, labelled = is_right(logits, targets[head])
        counts[f"accuracy/{head}"] = labelled.sum()
        values[f"accuracy/{head}"] = (right * labelled).sum() / labelled.sum().clamp(min=1)
    return values, counts


def is_right(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether predictions are right, or their share that is (n,), and who is labelled (n,).

    Parameters
    ----------
    logits : (n, classes)
    targets : (n,), or (n, classes) where many labels may hold; -1 unknown
    """
    if targets.ndim == 2:
        right = ((logits > 0) == (targets > 0)).float().mean(dim=1)
        return right, (targets >= 0).all(dim=1)
    return (logits.argmax(dim=1) == targets).float(), targets >= 0
