"""Group DRO: the loss of the worst subgroup is minimised.

Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020 (arXiv
1911.08731), algorithm 1: weights q of the subgroups are raised where the loss is large,
q_g ← q_g exp(step · loss_g), and normalised; the loss is Σ_g q_g loss_g. With the adjustment of
section 3.3, C / √n_g is added to a subgroup's loss, against overfitting small ones. They also
found that strong regularisation is needed: raise --weight-decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.distributed as dist
from torch import Tensor

from fairvision.datasets import Batch, Dataset
from fairvision.methods.method import Method, Objective, Scores, Terms, cross_entropy
from fairvision.methods.subgroups import Subgroups
from fairvision.models import Network


@dataclass(frozen=True)
class GroupDRO(Method):
    """What makes a subgroup, the step of the weights, and the adjustment for small subgroups."""

    summary: ClassVar[str] = "the loss of the worst subgroup is minimised (Sagawa 2020)"

    by: str = "subgroup"
    step: float = 0.01
    adjustment: float = 0.0

    def start(self, network: Network, dataset: Dataset, scores: Scores | None = None) -> Objective:
        """Return the method with equal weights."""
        return WorstSubgroup(Subgroups(dataset, self.by), self.step, self.adjustment)


class WorstSubgroup(Objective):
    """Cross entropy of every head, in which the subgroups with large losses count more.

    Images of an unknown subgroup take no part.

    Attributes
    ----------
    shares : (subgroups,) weights of the subgroups, which sum to 1
    """

    shares: Tensor
    added: Tensor

    def __init__(self, subgroups: Subgroups, step: float, adjustment: float):
        super().__init__()
        self.subgroups, self.step = subgroups, step
        n = torch.from_numpy(subgroups.counts)
        self.register_buffer("shares", torch.full((len(n),), 1 / len(n)))
        self.register_buffer("added", adjustment / n.sqrt(), persistent=False)

    def forward(self, network: Network, batch: Batch) -> Terms:
        """Return a term per head; while training, the weights move first."""
        logits = network(batch.images)
        targets = batch.targets
        codes = self.subgroups(batch)
        sums = torch.zeros_like(self.shares)
        means, counts = {}, {}
        for name, values in logits.items():
            loss, labelled = cross_entropy(values, targets[name], many=name in network.many)
            means[name], counts[name] = self._by_subgroup(loss, codes, labelled & (codes >= 0))
            sums = sums + over_processes(means[name])
        if torch.is_grad_enabled():
            present = over_processes(torch.stack(list(counts.values())).sum(dim=0)) > 0
            risen = self.shares * torch.exp(self.step * (sums + self.added) * present)
            self.shares.copy_(risen / risen.sum())
        terms = Terms(logits)
        for name in logits:
            n = counts[name].sum()
            # The term of all processes is the mean of theirs, weighted by their counts.
            of_all = over_processes(n).clamp(min=1) / n.clamp(min=1)
            terms.losses[f"cross_entropy/{name}"] = (self.shares * means[name]).sum() * of_all
            terms.counts[f"cross_entropy/{name}"] = n
        return terms

    def _by_subgroup(
        self, values: Tensor, codes: Tensor, takes_part: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the mean of each subgroup in the batch (0 where it has none) and its n.

        With several processes it is this one's part of that mean, which is their sum.
        """
        index = codes.clamp(min=0)
        zeros = torch.zeros_like(self.shares)
        n = zeros.index_add(0, index, takes_part.float())
        sums = zeros.index_add(0, index, values.where(takes_part, 0.0))
        return sums / over_processes(n).clamp(min=1), n.long()


def over_processes(values: Tensor) -> Tensor:
    """Return the sum over the processes that train together; itself, where there is one."""
    if dist.is_available() and dist.is_initialized():
        values = values.detach().clone()
        dist.all_reduce(values)
    return values.detach()
