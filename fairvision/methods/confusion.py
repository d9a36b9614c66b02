"""Adversarial confusion: features from which an adversary finds every group equally likely.

Tzeng et al., "Simultaneous Deep Transfer Across Domains and Tasks", ICCV 2015 (arXiv 1510.02192),
section 4.1, and Alvi et al., "Turning a Blind Eye", ECCV Workshops 2018 (arXiv 1809.02169): the
adversary learns from features that it cannot change, and the network learns to bring the
adversary's answers to the uniform distribution. In Wang Z. et al. (CVPR 2020) it is
"adversarial training, uniform confusion".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fairvision.datasets import Batch, Dataset
from fairvision.methods.adversary import (
    adversary,
    aside,
    attribute_to_remove,
    classify_with_probe,
)
from fairvision.methods.heads import Terms, cross_entropy
from fairvision.methods.method import Method
from fairvision.models import Network


@dataclass(frozen=True)
class Settings:
    """The attribute to remove, and the weight of the confusion."""

    domain: str = ""
    strength: float = 1.0


def start(network: Network, dataset: Dataset, settings: Settings) -> Method:
    """Return the method with an untrained adversary."""
    domain = attribute_to_remove(dataset, network, settings.domain, "adversarial confusion")
    return Confusion(network, domain, len(dataset.attributes[domain]), settings)


class Confusion(Method):
    """Cross entropy of every head, that of an adversary, and the confusion of the adversary."""

    def __init__(self, network: Network, domain: str, groups: int, settings: Settings):
        super().__init__()
        self.domain, self.settings = domain, settings
        self.aside = aside(domain)
        self.adversary = adversary(network, groups)

    def forward(self, network: Network, batch: Batch) -> Terms:
        """Return the loss terms; every image is confused, and the adversary knows the known."""
        terms, features = classify_with_probe(network, batch, self.domain)
        guesses = self.adversary(features.detach())
        values, known = cross_entropy(guesses, batch.attributes[self.domain], many=False)
        terms.add(f"adversary/{self.domain}", values, known)
        unsure = confusion(_unchanged(self.adversary, features))
        everyone = torch.ones_like(known)
        terms.add(f"confusion/{self.domain}", unsure, everyone, self.settings.strength)
        return terms


def confusion(logits: Tensor) -> Tensor:
    """Return the cross entropy of the uniform distribution against the answers, per image.

    The least is log(groups), where all groups are equally likely.

    >>> confusion(torch.zeros(1, 2)), confusion(torch.tensor([[4.0, 0.0]]))
    (tensor([0.6931]), tensor([2.0181]))
    """
    return -logits.float().log_softmax(dim=1).mean(dim=1)


def _unchanged(module: nn.Module, features: Tensor) -> Tensor:
    """Return what the module says, with a gradient to the features and none to the module."""
    fixed = {name: value.detach() for name, value in module.named_parameters()}
    return functional_call(module, fixed, (features,))
