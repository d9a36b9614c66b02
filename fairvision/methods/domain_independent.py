"""Domain-independent: a classifier per group on shared features, all of them asked together.

Wang Z. et al., "Towards Fairness in Visual Recognition: Effective Strategies for Bias Mitigation",
CVPR 2020 (arXiv 1911.11834), section 4.4. Each task's head has its own logits for every group;
training uses those of the image's group, inference the sum over groups, so a task is never
decided by recognising the group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fairvision.datasets import Dataset
from fairvision.methods.domains import DomainMethod, DomainObjective
from fairvision.methods.method import Objective, Scores, cross_entropy
from fairvision.methods.needs import chosen_attribute
from fairvision.models import Network


@dataclass(frozen=True)
class DomainIndependent(DomainMethod):
    """The attribute whose groups have classifiers of their own."""

    summary: ClassVar[str] = "a classifier per group, all asked together (Wang 2020)"
    title: ClassVar[str] = "the domain-independent method"
    rule: ClassVar[str] = "sum"

    def start(self, network: Network, dataset: Dataset, scores: Scores | None = None) -> Objective:
        """Return the method."""
        domain = chosen_attribute(dataset, self.domain, self.title)
        return DomainObjective(domain, group_cross_entropy)


def group_cross_entropy(joint: Tensor, targets: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image's cross entropy in its group (n,), and whether both are known (n,).

    Parameters
    ----------
    joint : (n, groups, classes)
    targets : (n,) int64, or (n, classes) of 0 and 1 where many may hold; -1 unknown
    group : (n,) int64; -1 unknown
    """
    values, labelled = cross_entropy(of_group(joint, group), targets, many=targets.ndim == 2)
    return values, labelled & (group >= 0)


def of_group(joint: Tensor, group: Tensor) -> Tensor:
    """Return each image's logits in its group; of an unknown one, those in the first.

    >>> import torch
    >>> of_group(torch.arange(8.0).reshape(2, 2, 2), torch.tensor([1, 0]))
    tensor([[2., 3.],
            [4., 5.]])
    """
    index = group.clamp(min=0).reshape(-1, *[1] * (joint.ndim - 1))
    return joint.take_along_dim(index, dim=1).squeeze(1)
