"""Domain-discriminative: classes and groups are learnt together, and training's priors taken out.

Wang Z. et al., "Towards Fairness in Visual Recognition: Effective Strategies for Bias Mitigation",
CVPR 2020 (arXiv 1911.11834), section 4.3: one softmax over all pairs of class and group; at
inference its probabilities are divided by how frequent the pair is in training ("prior shift") and
summed over groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from fairvision.datasets import Dataset
from fairvision.methods.domains import DomainMethod, DomainObjective
from fairvision.methods.method import Objective, Scores
from fairvision.methods.needs import chosen_attribute
from fairvision.models import DomainHead, Network


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
