"""Accuracy where it is smallest: over subgroups of perceived group and label."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sized

import torch
from torch import Tensor

from fairvision.datasets import Batch
from fairvision.methods.method import Terms
from fairvision.training.averages import is_right


class WorstGroup:
    """Counts right answers by subgroup, batch by batch.

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
        """Count the answers to a batch."""
        truth = {**batch.attributes, **batch.tasks}
        for head, logits in terms.logits.items():
            right, known = is_right(logits, truth[head])
            for attribute, n in self._groups.items():
                cell, cells = batch.attributes[attribute], n
                takes_part = known & (cell >= 0)
                if attribute != head and truth[head].ndim == 1:
                    cell, cells = cell * logits.shape[1] + truth[head], n * logits.shape[1]
                both = torch.stack([right * takes_part, takes_part.float()])
                sums = torch.zeros(2, cells, device=both.device)
                sums.index_add_(1, cell.where(takes_part, 0), both)
                key = (head, attribute)
                self._sums[key] = self._sums[key] + sums if key in self._sums else sums

    def worst(self, total: Callable[[Tensor], Tensor] = lambda sums: sums) -> tuple[float, int]:
        """Return the smallest accuracy of a subgroup with images, and how many it has.

        NaN and 0 if none has. `total` sums over processes.
        """
        worst, of = math.nan, 0
        for sums in self._sums.values():
            for right, n in total(sums).T.tolist():
                if n and not right / n >= worst:
                    worst, of = right / n, int(n)
        return worst, of
