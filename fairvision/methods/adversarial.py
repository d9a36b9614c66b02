"""Features that do not tell the group, by an adversary that guesses it: removal and confusion.

Removal: Ganin & Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015 (arXiv
1409.7495), section 3: the adversary learns to guess the group from the features, and the network,
through a reversed gradient, to make it fail. Its strength rises from 0 to the full one as in their
section 4.

Confusion: Tzeng et al., "Simultaneous Deep Transfer Across Domains and Tasks", ICCV 2015 (arXiv
1510.02192), section 4.1, and Alvi et al., "Turning a Blind Eye", ECCV Workshops 2018 (arXiv
1809.02169): the adversary learns from features that it cannot change, and the network learns to
bring what the adversary says to the uniform distribution. In Wang Z. et al. (CVPR 2020) it is
"adversarial training, uniform confusion".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

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
from fairvision.models import Network

_HIDDEN = 128


def attribute_to_remove(dataset: Dataset, network: Network, domain: str, method: str) -> str:
    """Return the attribute that the features should not tell.

    Raises
    ------
    InputError
        If it cannot be told which, or nothing else is learnt.
    """
    name = chosen_attribute(dataset, domain, method)
    if set(network.head_names) == {name}:
        raise InputError(
            f"{method} removes {name!r} from what is learnt, and nothing else is learnt: add a "
            "task, or use --method baseline"
        )
    return name


class AdversarialObjective(Objective):
    """An objective with an adversary: one hidden layer, from features to logits of groups.

    The terms of the adversary and of the probe choose no epoch: the more the features tell of the
    attribute, the smaller they are, so an epoch in which the method does nothing would be the best.

    Parameters
    ----------
    network : what is to be trained
    domain : the attribute to remove
    groups : how many it has
    """

    def __init__(self, network: Network, domain: str, groups: int):
        super().__init__()
        self.domain = domain
        self.excluded = f"adversary/{domain}", f"cross_entropy/{domain}", f"auxiliary/{domain}"
        self.adversary = nn.Sequential(
            nn.Linear(network.width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, groups)
        )

    def classify_with_probe(self, network: Network, batch: Batch) -> tuple[Terms, Tensor]:
        """Return the cross entropy of every head, and the features (n, width).

        A head of the attribute itself, and its auxiliary one, learn from the features without
        changing them, so the head tells in the audit how much of the attribute they still hold.
        """
        domain = self.domain
        logits, features = network(batch.images, with_features=True)
        if domain in logits:
            logits[domain] = network.head(domain)(features.detach())
        if domain in network.auxiliary:
            head = network.auxiliary_heads[network.head_names.index(domain)]
            early = cast(Tensor, network.backbone.auxiliary)
            network.auxiliary[domain] = head(early.detach())
        return classify(network, batch, logits), features

    def add_adversary(self, terms: Terms, guesses: Tensor, batch: Batch) -> None:
        """Add the adversary's cross entropy; images of an unknown group take no part."""
        values, labelled = cross_entropy(guesses, batch.attributes[self.domain], many=False)
        terms.add(f"adversary/{self.domain}", values, labelled)


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
