"""Adversarial removal: features from which an adversary cannot tell the group.

Ganin & Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015 (arXiv 1409.7495),
section 3: the adversary learns to guess the group from the features, and the network, through a
reversed gradient, to make it fail. Its strength rises from 0 to the full one as in their section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fairvision.datasets import Batch, Dataset
from fairvision.methods.adversary import (
    ReverseGradient,
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
    """The attribute to remove, how strongly, and over how many steps that strength is reached."""

    domain: str = ""
    strength: float = 1.0
    ramp: int = 1000


def start(network: Network, dataset: Dataset, settings: Settings) -> Method:
    """Return the method with an untrained adversary."""
    domain = attribute_to_remove(dataset, network, settings.domain, "adversarial removal")
    return Adversarial(network, domain, len(dataset.attributes[domain]), settings)


class Adversarial(Method):
    """Cross entropy of every head, and of an adversary behind a reversed gradient."""

    step: Tensor

    def __init__(self, network: Network, domain: str, groups: int, settings: Settings):
        super().__init__()
        self.domain, self.settings = domain, settings
        self.aside = aside(domain)
        self.adversary = adversary(network, groups)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, network: Network, batch: Batch) -> Terms:
        """Return the loss terms; images of an unknown group take no part in the adversary's."""
        terms, features = classify_with_probe(network, batch, self.domain)
        if torch.is_grad_enabled():
            self.step += 1
        strength = self.settings.strength * _ramp(int(self.step), self.settings.ramp)
        guesses = self.adversary(ReverseGradient.apply(features, strength))
        values, known = cross_entropy(guesses, batch.attributes[self.domain], many=False)
        terms.add(f"adversary/{self.domain}", values, known)
        return terms


def _ramp(step: int, steps: int) -> float:
    """Return the share of the strength in a step: 2 / (1 + exp(-10 p)) - 1 of progress p.

    >>> [round(_ramp(step, 1000), 2) for step in (0, 100, 200, 1000, 5000)]
    [0.0, 0.46, 0.76, 1.0, 1.0]
    """
    progress = min(1.0, step / steps) if steps else 1.0
    return 2 / (1 + math.exp(-10 * progress)) - 1
