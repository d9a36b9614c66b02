"""Adversarial confusion: features from which an adversary finds every group equally likely.

Tzeng et al., "Simultaneous Deep Transfer Across Domains and Tasks", ICCV 2015 (arXiv 1510.02192),
section 4.1, and Alvi et al., "Turning a Blind Eye", ECCV Workshops 2018 (arXiv 1809.02169): the
adversary learns from features that it cannot change, and the network learns to bring what the
adversary says to the uniform distribution. In Wang Z. et al. (CVPR 2020) it is "adversarial
training, uniform confusion".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fairvision.datasets import Batch, Dataset
from fairvision.methods.adversary import AdversarialObjective, attribute_to_remove
from fairvision.methods.method import Method, Objective, Scores, Terms
from fairvision.models import Network


@dataclass(frozen=True)
class Confusion(Method):
    """The attribute to remove, and the weight of the confusion."""

    summary: ClassVar[str] = "features that leave an adversary undecided between groups (Alvi 2018)"

    domain: str = ""
    strength: float = 1.0

    def start(self, network: Network, dataset: Dataset, scores: Scores | None = None) -> Objective:
        """Return the method with an untrained adversary."""
        domain = attribute_to_remove(dataset, network, self.domain, "adversarial confusion")
        return UniformConfusion(network, domain, len(dataset.attributes[domain]), self.strength)


class UniformConfusion(AdversarialObjective):
    """Cross entropy of every head, that of an adversary, and the confusion of the adversary."""

    def __init__(self, network: Network, domain: str, groups: int, strength: float):
        super().__init__(network, domain, groups)
        self.strength = strength

    def forward(self, network: Network, batch: Batch) -> Terms:
        """Return the loss terms; every image is confused, the adversary learns the labelled."""
        terms, features = self.classify_with_probe(network, batch)
        self.add_adversary(terms, self.adversary(features.detach()), batch)
        unsure = confusion(_unchanged(self.adversary, features))
        everyone = torch.ones_like(unsure, dtype=torch.bool)
        terms.add(f"confusion/{self.domain}", unsure, everyone, self.strength)
        return terms


def confusion(logits: Tensor) -> Tensor:
    """Return the cross entropy of the uniform distribution against the softmax, per image.

    The least is log(groups), where all groups are equally likely.

    >>> confusion(torch.zeros(1, 2)), confusion(torch.tensor([[4.0, 0.0]]))
    (tensor([0.6931]), tensor([2.0181]))
    """
    return -logits.float().log_softmax(dim=1).mean(dim=1)


def _unchanged(module: nn.Module, features: Tensor) -> Tensor:
    """Return what the module computes, with a gradient to the features and none to the module."""
    fixed = {name: value.detach() for name, value in module.named_parameters()}
    return cast(Tensor, functional_call(module, fixed, (features,)))
