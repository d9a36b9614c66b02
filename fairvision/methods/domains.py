"""A classifier per group of an attribute, for every task: domain-independent and -discriminative.

Wang Z. et al., "Towards Fairness in Visual Recognition: Effective Strategies for Bias Mitigation",
CVPR 2020 (arXiv 1911.11834). Domain-independent, section 4.4: each task's head has its own logits
for every group; training uses those of the image's group, inference the sum over groups, so a task
is never decided by recognising the group. Domain-discriminative, section 4.3: one softmax over all
pairs of class and group; at inference its probabilities are divided by how frequent the pair is in
training ("prior shift") and summed over groups.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from fairvision.datasets import Batch, Dataset
from fairvision.errors import InputError
from fairvision.methods.method import (
    Method,
    Objective,
    Scores,
    Terms,
    chosen_attribute,
    classify,
    cross_entropy,
)
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


@dataclass(frozen=True)
class DomainDiscriminative(DomainMethod):
    """The attribute whose groups are learnt together with the classes."""

    summary: ClassVar[str] = "classes and groups together, less training's priors (Wang 2020)"
    title: ClassVar[str] = "the domain-discriminative method"
    rule: ClassVar[str] = "prior_shift"

    def start(self, network: Network, dataset: Dataset, scores: Scores | None = None) -> Objective:
        """Give the heads the priors of the training images, and return the method."""
        domain = chosen_attribute(dataset, self.domain, self.title)
        for name in network.head_names:
            head = network.head(name)
            if isinstance(head, DomainHead):
                head.log_prior.copy_(log_prior(dataset, name, domain))
        return DomainObjective(domain, pair_cross_entropy)


def pair_cross_entropy(joint: Tensor, targets: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image's cross entropy over pairs (n,), and whether its pair is labelled (n,).

    Parameters
    ----------
    joint : (n, groups, classes), or (n, groups, classes, 2) where many labels may hold
    targets : (n,) int64, or (n, classes) of 0 and 1 where many may hold; -1 unknown
    group : (n,) int64; -1 unknown

    Examples
    --------
    >>> pair_cross_entropy(torch.zeros(2, 2, 5), torch.tensor([4, -1]), torch.tensor([1, 1]))
    (tensor([2.3026, 0.0000]), tensor([ True, False]))
    """
    if joint.ndim == 4:
        labelled = (targets >= 0).all(dim=1) & (group >= 0)
        pair = group.clamp(min=0)[:, None] * 2 + targets.clamp(min=0).long()
        over_pairs = joint.permute(0, 1, 3, 2).flatten(1, 2).float()
        values = F.cross_entropy(over_pairs, pair, reduction="none").mean(dim=1)
        return values.where(labelled, 0.0), labelled
    labelled = (targets >= 0) & (group >= 0)
    pair = (group * joint.shape[2] + targets).where(labelled, -1)
    over_pairs = joint.flatten(1).float()
    return F.cross_entropy(over_pairs, pair, ignore_index=-1, reduction="none"), labelled


def log_prior(dataset: Dataset, task: str, attribute: str) -> Tensor:
    """Return the logarithm of the share of each pair among labelled training images.

    A pair that training does not have counts as one image.

    Returns
    -------
    (groups, classes) float32; (groups, classes, 2), absent and present, where many may hold
    """
    groups, targets = dataset.codes(attribute), dataset.targets(task)
    labels = len(dataset.tasks[task].labels)
    shape = (len(dataset.attributes[attribute]), labels)
    counts: npt.NDArray[np.float64]
    if dataset.tasks[task].many:
        counts = np.zeros((*shape, 2))
        labelled = (groups >= 0) & (targets >= 0).all(axis=1)
        for group, of_group in enumerate(counts):
            held = targets[labelled & (groups == group)]
            of_group[:, 1] = held.sum(axis=0)
            of_group[:, 0] = len(held) - of_group[:, 1]
    else:
        labelled = (groups >= 0) & (targets >= 0)
        pairs = groups[labelled] * labels + targets[labelled]
        counts = np.bincount(pairs, minlength=shape[0] * labels).reshape(shape).astype(float)
    return torch.from_numpy(np.log(counts.clip(min=1) / max(1, labelled.sum()))).float()
