"""Domain-independent: a classifier per group on shared features, all of them asked together.

Wang Z. et al., "Towards Fairness in Visual Recognition: Effective Strategies for Bias Mitigation",
CVPR 2020 (arXiv 1911.11834), section 4.4. Each task's head has its own logits for every group;
training uses those of the image's group, inference the sum over groups, so a task is never
decided by recognising the group.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fairvision.datasets import Batch, Dataset
from fairvision.methods.method import Method, Objective, Scores, Terms, classify, cross_entropy
from fairvision.methods.needs import chosen_attribute, domain_heads
from fairvision.models import DomainHead, Domains, Network


@dataclass(frozen=True)
class DomainIndependent(Method):
    """The attribute whose groups have classifiers of their own."""

    summary: ClassVar[str] = "a classifier per group, all asked together (Wang 2020)"

    domain: str = ""

    def domains(self, dataset: Dataset, heads: Collection[str]) -> dict[str, Domains]:
        """Return the groups of the heads of tasks."""
        domain = chosen_attribute(dataset, self.domain, "the domain-independent method")
        return domain_heads(dataset, heads, domain, "sum")

    def start(
        self, network: Network, dataset: Dataset, pretrained: Scores | None = None
    ) -> Objective:
        """Return the method."""
        return HeadPerGroup(chosen_attribute(dataset, self.domain, "the method"))


class HeadPerGroup(Objective):
    """Cross entropy of every head, of tasks in the image's group.

    Images of an unknown group take no part in those.
    """

    def __init__(self, domain: str):
        super().__init__()
        self.domain = domain

    def forward(self, network: Network, batch: Batch) -> Terms:
        """Return the loss terms."""
        logits, features = network(batch.images, with_features=True)
        terms = classify(network, batch, logits)
        group = batch.attributes[self.domain]
        for name in logits:
            head = network.head(name)
            if isinstance(head, DomainHead):
                in_group = of_group(head.joint(features), group)
                many = name in network.many
                values, labelled = cross_entropy(in_group, batch.tasks[name], many=many)
                terms.add(f"cross_entropy/{name}", values, labelled & (group >= 0))
        return terms


def of_group(joint: Tensor, group: Tensor) -> Tensor:
    """Return each image's logits in its group; of an unknown one, those in the first.

    >>> import torch
    >>> of_group(torch.arange(8.0).reshape(2, 2, 2), torch.tensor([1, 0]))
    tensor([[2., 3.],
            [4., 5.]])
    """
    index = group.clamp(min=0).reshape(-1, *[1] * (joint.ndim - 1))
    return joint.take_along_dim(index, dim=1).squeeze(1)
