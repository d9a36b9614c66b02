"""Subgroups of images: combinations of perceived groups and labels."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from fairvision.datasets import Batch, Dataset
from fairvision.errors import InputError

BY = ("subgroup", "group", "label")
_MOST_COMBINATIONS = 10**8


class Subgroups(nn.Module):
    """The combinations that training images have; called with a batch it returns whose are whose.

    Parameters
    ----------
    dataset : training images with all their annotations
    by : what tells subgroups apart: "group", every attribute; "label", every task in which one
        label holds; "subgroup", both

    Attributes
    ----------
    names : of the subgroups, such as "class=cat, colour=grey"
    codes : (n,) int64, the subgroup of each training image; -1 where any of it is unknown
    counts : (subgroups,) how many training images each has, at least 1

    Raises
    ------
    InputError
        If there is nothing to tell them apart, or fewer than two have images.
    """

    positions: Tensor

    def __init__(self, dataset: Dataset, by: str = "subgroup"):
        super().__init__()
        if by not in BY:
            raise InputError(f"by {by!r} is not one of {', '.join(BY)}")
        one_label = {k: task.labels for k, task in dataset.tasks.items() if not task.many}
        self._named = {
            **({} if by == "group" else one_label),
            **({} if by == "label" else dataset.attributes),
        }
        if not self._named:
            wanted = {"group": "attribute", "label": "task in which one label holds"}
            raise InputError(
                f"{dataset.root} has no {wanted.get(by, 'attribute and no task with one label')} "
                "to tell subgroups apart: use --method baseline"
            )
        self._sizes = [len(own) for own in self._named.values()]
        if math.prod(self._sizes) > _MOST_COMBINATIONS:
            raise InputError(f"too many combinations of {', '.join(self._named)}: use --by group")
        columns = [
            dataset.targets(name) if name in dataset.tasks else dataset.codes(name)
            for name in self._named
        ]
        cells = self._cells(torch.from_numpy(np.stack(columns, axis=1)))
        there = cells[cells >= 0].unique()
        if len(there) < 2:
            raise InputError(
                f"fewer than two combinations of {', '.join(self._named)} have training pictures "
                f"in {dataset.root}: there is nothing to balance"
            )
        # One place more at the end: that of unknown images, whose cell is -1.
        positions = torch.full((math.prod(self._sizes) + 1,), -1)
        positions[there] = torch.arange(len(there))
        self.register_buffer("positions", positions, persistent=False)
        self.codes = positions[cells].numpy()
        self.counts = np.bincount(self.codes[self.codes >= 0])
        self.names = [self._name(int(cell)) for cell in there]

    def forward(self, batch: Batch) -> Tensor:
        """Return each image's subgroup (n,); -1 where unknown, or if training had none such."""
        truth = {**batch.attributes, **batch.tasks}
        cells = self._cells(torch.stack([truth[name] for name in self._named], dim=1))
        return self.positions[cells]

    def weights(self) -> Tensor:
        """Return weights (subgroups,) with which each counts as much as any other.

        images / (subgroups · images of the subgroup): their mean over the images is 1.
        """
        return torch.from_numpy(self.counts.sum() / (len(self.counts) * self.counts)).float()

    def _cells(self, codes: Tensor) -> Tensor:
        cells = torch.zeros_like(codes[:, 0])
        for column, size in zip(codes.T, self._sizes):
            cells = cells * size + column
        return cells.where((codes >= 0).all(dim=1), -1)

    def _name(self, cell: int) -> str:
        codes = np.unravel_index(cell, self._sizes)
        return ", ".join(f"{k}={own[code]}" for (k, own), code in zip(self._named.items(), codes))


def the_attribute(dataset: Dataset, name: str, method: str) -> str:
    """Return the attribute whose groups a method is about: the one named, or the only one.

    Raises
    ------
    InputError
        If there is none, or no such one, or none is named and there are several.
    """
    there = list(dataset.attributes)
    if not there:
        raise InputError(
            f"{method} needs an attribute, and {dataset.root} has none: use --method baseline"
        )
    if not name and len(there) > 1:
        raise InputError(f"{method} is about one attribute: say --domain {' or '.join(there)}")
    if name and name not in there:
        raise InputError(f"{dataset.root} has no attribute {name!r}: it has {', '.join(there)}")
    return name or there[0]
