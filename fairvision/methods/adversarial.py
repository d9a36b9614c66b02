"""Adversarial removal: features from which an adversary cannot tell the group.

Ganin & Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015 (arXiv 1409.7495),
section 3: the adversary learns to guess the group from the features, and the network, through a
reversed gradient, to make it fail. Its strength rises from 0 to the full one as in their section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from fairvision.datasets import Batch, Dataset
from fairvision.methods.adversary import AdversarialObjective, attribute_to_remove
from fairvision.methods.method import Method, Objective, Scores, Terms
from fairvision.models import Network


@dataclass(frozen=True)
class Adversarial(Method):
    """The attribute to remove, how strongly, and over how many steps that strength is reached."""

    summary: ClassVar[str] = (
        "features that do not tell the group, by a reversed gradient (Ganin 2015)"
    )

    domain: str = ""
    strength: float = 1.0
    ramp: int = 1000

    def start(self, network: Network, dataset: Dataset, scores: Scores | None = None) -> Objective:
        """Return the method with an untrained adversary."""
        domain = attribute_to_remove(dataset, network, self.domain, "adversarial removal")
        return Removal(network, domain, len(dataset.attributes[domain]), self.strength, self.ramp)


class Removal(AdversarialObjective):
    """Cross entropy of every head, and of an adversary behind a reversed gradient."""

    step: Tensor

    def __init__(self, network: Network, domain: str, groups: int, strength: float, ramp: int):
        super().__init__(network, domain, groups)
        self.strength, self.ramp = strength, ramp
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, network: Network, batch: Batch) -> Terms:
        """Return the loss terms; images of an unknown group take no part in the adversary's."""
        terms, features = self.classify_with_probe(network, batch)
        if torch.is_grad_enabled():
            self.step += 1
        strength = self.strength * ramp_share(int(self.step), self.ramp)
        guesses = self.adversary(ReverseGradient.apply(features, strength))
        self.add_adversary(terms, guesses, batch)
        return terms


class ReverseGradient(torch.autograd.Function):
    """The identity, whose gradient is turned round and scaled.

    Examples
    --------
    >>> x = torch.ones(2, requires_grad=True)
    >>> ReverseGradient.apply(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, strength: float) -> Tensor:
        """Return the values."""
        ctx.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the gradient turned round."""
        return -ctx.strength * gradient, None


def ramp_share(step: int, steps: int) -> float:
    """Return the share of the strength in a step: 2 / (1 + exp(-10 p)) - 1 of progress p.

    >>> [round(ramp_share(step, 1000), 2) for step in (0, 100, 200, 1000, 5000)]
    [0.0, 0.46, 0.76, 1.0, 1.0]
    """
    progress = min(1.0, step / steps) if steps else 1.0
    return 2 / (1 + math.exp(-10 * progress)) - 1
