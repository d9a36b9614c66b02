"""Right for the right reasons: a penalty on input gradients outside the person.

Ross, Hughes & Doshi-Velez, "Right for the Right Reasons: Training Differentiable Models by
Constraining their Explanations", IJCAI 2017 (arXiv 1703.03717), equation 1, with everything but the
person as the region that must not matter:

    loss = cross entropy + penalty * mean over images of Σ outside (∂/∂x Σ_k log p_k)²
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from fairvision.datasets import Batch, Dataset
from fairvision.methods.method import Method, Objective, Scores, Terms, check_person_masks, classify
from fairvision.models import Network


@dataclass(frozen=True)
class AttributionPenalty(Method):
    """Weight of the penalty: of the order at which both terms are alike, as the paper advises."""

    summary: ClassVar[str] = "input gradients outside the person are punished (Ross 2017)"
    not_compiled: ClassVar[str] = "the attribution penalty's gradients of gradients"

    penalty: float = 1.0

    def check(self, dataset: Dataset) -> None:
        """Raise `InputError` where the method has nothing to work on."""
        check_person_masks(dataset, "the attribution penalty")

    def start(self, network: Network, dataset: Dataset, scores: Scores | None = None) -> Objective:
        """Return the method, on a network whose gradients have gradients."""
        for name, module in [*network.named_modules()]:
            if isinstance(module, nn.Hardsigmoid):
                network.set_submodule(name, _Hardsigmoid())
        return Objective(self.terms)

    def terms(self, network: Network, batch: Batch) -> Terms:
        """Return the cross entropy of every head, and each attribute's penalty.

        Images without a mask take no part in the penalty. Like the published one it does not look
        at the true group, so images of an unknown group do.
        """
        learning = torch.is_grad_enabled()
        # Of attention only the plain computation has a gradient of its gradient.
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            images = batch.images.detach().clone().requires_grad_()
            logits = network(images)
            outside = {
                name: gradient_outside(logits[name], images, batch.masks, keep=learning)
                for name in batch.attributes
                if name in logits
            }
        result = classify(network, batch, logits)
        for name, values in outside.items():
            result.add(f"attribution_penalty/{name}", values, batch.has_mask, self.penalty)
        return result


class _Hardsigmoid(nn.Module):
    """The same function as torch's, whose gradient torch cannot differentiate."""

    def forward(self, values: Tensor) -> Tensor:
        """Return what torch's does."""
        return F.relu6(values + 3) / 6


def gradient_outside(logits: Tensor, images: Tensor, masks: Tensor, *, keep: bool) -> Tensor:
    """Return how much the pixels outside the person could change the answer, per image.

    The sum over pixels and channels outside the mask of the squared gradient of Σ_k log p_k, which
    is zero where no probability moves; in [0, ∞).

    Parameters
    ----------
    logits : (n, groups), computed from `images`
    images : (n, channels, height, width) that require a gradient
    masks : (n, 1, height, width), 1 on the person
    keep : make the result differentiable, and keep the graph of the logits

    Returns
    -------
    (n,) float32

    Examples
    --------
    A linear network that looks at the second of two pixels only:

    >>> import torch
    >>> images = torch.ones(1, 1, 1, 2, requires_grad=True)
    >>> logits = torch.stack([images[:, 0, 0, 1], -images[:, 0, 0, 1]], dim=1)
    >>> person = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    >>> gradient_outside(logits, images, person, keep=False)
    tensor([2.3201])
    >>> gradient_outside(logits, images, 1 - person, keep=False)
    tensor([0.])
    """
    evidence = logits.float().log_softmax(dim=1).sum()
    (gradient,) = torch.autograd.grad(evidence, images, create_graph=keep, retain_graph=True)
    return ((gradient.float() * (1 - masks)) ** 2).sum(dim=(1, 2, 3))
