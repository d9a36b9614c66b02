"""What adversarial methods share: a network that guesses the group from the features."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from fairvision.datasets import Batch, Dataset
from fairvision.errors import InputError
from fairvision.methods.heads import Terms, classify
from fairvision.methods.subgroups import the_attribute
from fairvision.models import Network

_HIDDEN = 128


def attribute_to_remove(dataset: Dataset, network: Network, domain: str, method: str) -> str:
    """Return the attribute that the features should not tell.

    Raises
    ------
    InputError
        If it cannot be told which, or nothing else is learnt.
    """
    name = the_attribute(dataset, domain, method)
    if set(network.head_names) == {name}:
        raise InputError(
            f"{method} removes {name!r} from what is learnt, and nothing else is learnt: add a "
            "task, or use --method baseline"
        )
    return name


def adversary(network: Network, groups: int) -> nn.Sequential:
    """Return a network with one hidden layer, from features to logits of groups."""
    return nn.Sequential(nn.Linear(network.width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, groups))


def aside(domain: str) -> tuple[str, ...]:
    """Return the terms of the adversary and of the probe.

    The more the features tell of the attribute, the smaller they are: an epoch in which the method
    does nothing would be the best by them.
    """
    return f"adversary/{domain}", f"cross_entropy/{domain}", f"auxiliary/{domain}"


def classify_with_probe(network: Network, batch: Batch, domain: str) -> tuple[Terms, Tensor]:
    """Return the cross entropy of every head, and the features (n, width).

    A head of the attribute itself, and its auxiliary one, learn from the features without changing
    them, so the head tells in the audit how much of the attribute they still hold.
    """
    answers, features = network(batch.images, with_features=True)
    if domain in answers:
        answers[domain] = network.head(domain)(features.detach())
    if domain in network.auxiliary:
        head = network.auxiliary_heads[network.head_names.index(domain)]
        early = cast(Tensor, network.backbone.auxiliary)
        network.auxiliary[domain] = head(early.detach())
    return classify(network, batch, answers), features


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
    def forward(ctx, values: Tensor, strength: float) -> Tensor:
        """Return the values."""
        ctx.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the gradient turned round."""
        return -ctx.strength * gradient, None
