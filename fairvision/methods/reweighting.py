"""Reweighting: every subgroup counts as much as any other in the loss.

Weights by inverse frequency, as in cost-sensitive learning (He & Garcia, "Learning from Imbalanced
Data", IEEE TKDE 2009, section 3.2), over combinations of perceived group and label; "UpWeight" of
Hendricks et al. (ECCV 2018, section 4) is that of groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fairvision.datasets import Batch, Dataset
from fairvision.methods.method import Method, Objective, Scores, Terms, classify
from fairvision.methods.subgroups import Subgroups
from fairvision.models import Network


@dataclass(frozen=True)
class Reweighting(Method):
    """What is balanced: "subgroup", combinations of groups and labels; "group"; or "label"."""

    summary: ClassVar[str] = "every subgroup counts as much in the loss"

    by: str = "subgroup"

    def start(self, network: Network, dataset: Dataset, scores: Scores | None = None) -> Objective:
        """Return the method with the weights of the training images' subgroups."""
        return WeightedLoss(Subgroups(dataset, self.by))


class WeightedLoss(Objective):
    """Cross entropy of every head, weighted by the image's subgroup; 1 where it is unknown."""

    weights: Tensor

    def __init__(self, subgroups: Subgroups):
        super().__init__()
        self.subgroups = subgroups
        # The last place is that of unknown images, whose subgroup is -1.
        weights = torch.cat([subgroups.weights(), torch.ones(1)])
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, network: Network, batch: Batch) -> Terms:
        """Return the weighted cross entropy of every head."""
        weights = self.weights[self.subgroups(batch)]
        return classify(network, batch, network(batch.images), weights)
