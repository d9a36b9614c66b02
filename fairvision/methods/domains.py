"""What domain methods share: a classifier per group of an attribute, for every task."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fairvision.datasets import Batch, Dataset
from fairvision.errors import InputError
from fairvision.methods.method import Method, Objective, Terms, classify
from fairvision.methods.needs import chosen_attribute
from fairvision.models import DomainHead, Domains, Network

HeadLoss = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Of joint logits (n, groups, classes, …), targets and groups: values and whom they count, (n,)."""


@dataclass(frozen=True)
class DomainMethod(Method):
    """The attribute whose groups have classifiers.

    Attributes
    ----------
    title : what messages call the method
    rule : how the groups' logits become one, see `fairvision.models.Domains`
    """

    title: ClassVar[str]
    rule: ClassVar[str]

    domain: str = ""

    def domains(self, dataset: Dataset, heads: Collection[str]) -> dict[str, Domains]:
        """Return the groups of the heads of tasks; `InputError` if no task is learnt."""
        attribute = chosen_attribute(dataset, self.domain, self.title)
        tasks = [name for name in heads if name in dataset.tasks]
        if not tasks:
            raise InputError(
                f"a classifier per group of {attribute!r} is for tasks, and none is learnt: use "
                "--method baseline"
            )
        groups = len(dataset.attributes[attribute])
        return {name: Domains(attribute, groups, self.rule) for name in tasks}


class DomainObjective(Objective):
    """Cross entropy of every head, but for heads per group the loss that a method gives them.

    Parameters
    ----------
    domain : the attribute
    head_loss : images of an unknown group take no part in it
    """

    def __init__(self, domain: str, head_loss: HeadLoss):
        super().__init__()
        self.domain, self.head_loss = domain, head_loss

    def forward(self, network: Network, batch: Batch) -> Terms:
        """Return the loss terms."""
        logits, features = network(batch.images, with_features=True)
        terms = classify(network, batch, logits)
        for name in logits:
            head = network.head(name)
            if isinstance(head, DomainHead):
                joint, targets = head.joint(features), batch.tasks[name]
                loss = self.head_loss(joint, targets, batch.attributes[self.domain])
                terms.add(f"cross_entropy/{name}", *loss)
        return terms
