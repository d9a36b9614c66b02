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
        self._sizes = [len(labels) for labels in self._named.values()]
        if math.prod(self._sizes) > _MOST_COMBINATIONS:
            raise InputError(f"too many combinations of {', '.join(self._named)}: use --by group")
        columns = [dataset.encoded(name) for name in self._named]
        combinations = self._combinations(torch.from_numpy(np.stack(columns, axis=1)))
        present = torch.unique(combinations[combinations >= 0])
        if len(present) < 2:
            raise InputError(
                f"fewer than two combinations of {', '.join(self._named)} have training pictures "
                f"in {dataset.root}: there is nothing to balance"
            )
        # One place more at the end: that of unknown images, whose combination is -1.
        positions = torch.full((math.prod(self._sizes) + 1,), -1)
        positions[present] = torch.arange(len(present))
        self.register_buffer("positions", positions, persistent=False)
        self.codes = positions[combinations].numpy()
        self.counts = np.bincount(self.codes[self.codes >= 0])
        self.names = [self._name(int(combination)) for combination in present]

    def forward(self, batch: Batch) -> Tensor:
        """Return each image's subgroup (n,); -1 where unknown, or if training had none such."""
        targets = batch.targets
        codes = torch.stack([targets[name] for name in self._named], dim=1)
        return self.positions[self._combinations(codes)]

    def weights(self) -> Tensor:
        """Return weights (subgroups,) with which each counts as much as any other.

        images / (subgroups · images of the subgroup): their mean over the images is 1.
        """
        return torch.from_numpy(self.counts.sum() / (len(self.counts) * self.counts)).float()

    def _combinations(self, codes: Tensor) -> Tensor:
        """Return the number (n,) of each row's combination of codes (n, names); -1 unknown."""
        numbers = torch.zeros_like(codes[:, 0])
        for column, size in zip(codes.T, self._sizes):
            numbers = numbers * size + column
        return numbers.where((codes >= 0).all(dim=1), -1)

    def _name(self, combination: int) -> str:
        """Return what the number of a combination stands for: `attribute=group, task=label`."""
        codes = np.unravel_index(combination, self._sizes)
        named = zip(self._named.items(), codes)
        return ", ".join(f"{name}={labels[code]}" for (name, labels), code in named)
