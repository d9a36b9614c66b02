"""Domain-discriminative: classes and groups are told together, and training's priors taken out.

Wang Z. et al., "Towards Fairness in Visual Recognition: Effective Strategies for Bias Mitigation",
CVPR 2020 (arXiv 1911.11834), section 4.3: one softmax over all pairs of class and group; at
inference its probabilities are divided by how frequent the pair is in training ("prior shift") and
summed over groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fairvision.datasets import Batch, Dataset
from fairvision.methods.domains import domain_heads
from fairvision.methods.heads import Terms, classify
from fairvision.methods.method import Method
from fairvision.methods.subgroups import the_attribute
from fairvision.models import DomainHead, Domains, Network


@dataclass(frozen=True)
class Settings:
    """The attribute whose groups are told together with the classes."""

    domain: str = ""


def domains(dataset: Dataset, heads: list[str], settings: Settings) -> dict[str, Domains]:
    """Return the groups of the heads of tasks."""
    domain = the_attribute(dataset, settings.domain, "the domain-discriminative method")
    return domain_heads(dataset, heads, domain, "prior_shift")


def start(network: Network, dataset: Dataset, settings: Settings) -> Method:
    """Give the heads the priors of the training images, and return the method."""
    domain = the_attribute(dataset, settings.domain, "the method")
    for name in network.head_names:
        head = network.head(name)
        if isinstance(head, DomainHead):
            head.log_prior.copy_(log_prior(dataset, name, domain))
    return DomainDiscriminative(domain)


class DomainDiscriminative(Method):
    """Cross entropy of every head, of tasks over pairs of label and group.

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
                values, known = pair_cross_entropy(head.joint(features), batch.tasks[name], group)
                terms.add(f"cross_entropy/{name}", values, known)
        return terms


def pair_cross_entropy(joint: Tensor, truth: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image's cross entropy over pairs (n,), and whether its pair is known (n,).

    Parameters
    ----------
    joint : (n, groups, classes), or (n, groups, classes, 2) where many labels may hold
    truth : (n,) int64, or (n, classes) of 0 and 1 where many may hold; -1 unknown
    group : (n,) int64; -1 unknown

    Examples
    --------
    >>> values, known = pair_cross_entropy(
    ...     torch.zeros(2, 2, 5), torch.tensor([4, -1]), torch.tensor([1, 1]))
    >>> values, known  # log 10 where both are known
    (tensor([2.3026, 0.0000]), tensor([ True, False]))
    """
    if joint.ndim == 4:
        known = (truth >= 0).all(dim=1) & (group >= 0)
        pair = group.clamp(min=0)[:, None] * 2 + truth.clamp(min=0).long()
        over_pairs = joint.permute(0, 1, 3, 2).flatten(1, 2).float()
        values = F.cross_entropy(over_pairs, pair, reduction="none").mean(dim=1)
        return values.where(known, 0.0), known
    known = (truth >= 0) & (group >= 0)
    pair = (group * joint.shape[2] + truth).where(known, -1)
    over_pairs = joint.flatten(1).float()
    return F.cross_entropy(over_pairs, pair, ignore_index=-1, reduction="none"), known


def log_prior(dataset: Dataset, task: str, attribute: str) -> Tensor:
    """Return the logarithm of the share of each pair among known training images.

    A pair that training does not have counts as one image.

    Returns
    -------
    (groups, classes) float32; (groups, classes, 2), absent and present, where many may hold
    """
    groups, truth = dataset.codes(attribute), dataset.targets(task)
    labels = len(dataset.tasks[task].labels)
    shape = (len(dataset.attributes[attribute]), labels)
    counts: np.ndarray
    if dataset.tasks[task].many:
        counts = np.zeros((*shape, 2))
        known = (groups >= 0) & (truth >= 0).all(axis=1)
        for group, own in enumerate(counts):
            present = truth[known & (groups == group)]
            own[:, 1] = present.sum(axis=0)
            own[:, 0] = len(present) - own[:, 1]
    else:
        known = (groups >= 0) & (truth >= 0)
        pairs = groups[known] * labels + truth[known]
        counts = np.bincount(pairs, minlength=shape[0] * labels).reshape(shape).astype(float)
    return torch.from_numpy(np.log(counts.clip(min=1) / max(1, known.sum()))).float()
