"""Domain-independent: a classifier per group on shared features, all of them asked together.

Wang Z. et al., "Towards Fairness in Visual Recognition: Effective Strategies for Bias Mitigation",
CVPR 2020 (arXiv 1911.11834), section 4.4. Each task's head has its own logits for every group;
training uses those of the image's group, inference the sum over groups, so a task is never
decided by recognising the group.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fairvision.datasets import Batch, Dataset
from fairvision.methods.domains import domain_heads
from fairvision.methods.heads import Terms, classify, cross_entropy
from fairvision.methods.method import Method
from fairvision.methods.subgroups import the_attribute
from fairvision.models import DomainHead, Domains, Network


@dataclass(frozen=True)
class Settings:
    """The attribute whose groups have classifiers of their own."""

    domain: str = ""


def domains(dataset: Dataset, heads: list[str], settings: Settings) -> dict[str, Domains]:
    """Return the groups of the heads of tasks."""
    domain = the_attribute(dataset, settings.domain, "the domain-independent method")
    return domain_heads(dataset, heads, domain, "sum")


def start(network: Network, dataset: Dataset, settings: Settings) -> Method:
    """Return the method."""
    return DomainIndependent(the_attribute(dataset, settings.domain, "the method"))


class DomainIndependent(Method):
    """Cross entropy of every head, of tasks in the image's own group.

    Images of an unknown group take no part in those.
    """

    def __init__(self, domain: str):
        super().__init__()
        self.domain = domain

    def forward(self, network: Network, batch: Batch) -> Terms:
        """Return the loss terms."""
        answers, features = network(batch.images, with_features=True)
        terms = classify(network, batch, answers)
        group = batch.attributes[self.domain]
        for name in answers:
            head = network.head(name)
            if isinstance(head, DomainHead):
                own = of_group(head.joint(features), group)
                values, known = cross_entropy(own, batch.tasks[name], many=name in network.many)
                terms.add(f"cross_entropy/{name}", values, known & (group >= 0))
        return terms


def of_group(joint: Tensor, group: Tensor) -> Tensor:
    """Return each image's logits in its own group; of an unknown one, those in the first.

    >>> import torch
    >>> of_group(torch.arange(8.0).reshape(2, 2, 2), torch.tensor([1, 0]))
    tensor([[2., 3.],
            [4., 5.]])
    """
    index = group.clamp(min=0).reshape(-1, *[1] * (joint.ndim - 1))
    return joint.take_along_dim(index, dim=1).squeeze(1)
