"""Equalizer: confident on the person, undecided without (Hendricks et al., ECCV 2018).

"Women also Snowboard: Overcoming Bias in Captioning Models", arXiv 1803.09797, section 3, carried
over from gendered words in captions to a softmax over any number of groups:

    loss = alpha * cross entropy + beta * appearance confusion + mu * confident
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor

from fairvision.datasets import Batch, Dataset, hide_person
from fairvision.errors import InputError
from fairvision.methods.method import Method, Terms, check_person_masks, classify
from fairvision.models import Network

CONFIDENT = ("quotient", "difference", "hinge", "none")


@dataclass(frozen=True)
class Equalizer(Method):
    """Weights of the terms, and the form of the confident one; defaults as published."""

    summary: ClassVar[str] = (
        "undecided with the person hidden, confident on the person (Hendricks 2018)"
    )

    alpha: float = 1.0
    beta: float = 10.0
    mu: float = 1.0
    confident: str = "quotient"

    def check(self, dataset: Dataset) -> None:
        """Raise `InputError` where the method has nothing to work on."""
        check_form(self.confident)
        check_person_masks(dataset, "the equalizer")

    def terms(self, network: Network, batch: Batch) -> Terms:
        """Return cross entropy, appearance confusion and the confident term.

        Images without a mask take no part in the appearance confusion, and images of an unknown
        group none in the confident term.
        """
        # One forward over whole and hidden images together: batch normalisation then sees the same
        # mixture in every step as in its running statistics, which serve both kinds in the audit.
        # Two would normalise each kind by itself and evaluate both by an average of the two.
        n = len(batch.images)
        hidden = hide_person(batch.images[batch.has_mask], batch.masks[batch.has_mask])
        logits = network(torch.cat([batch.images, hidden]))
        result = classify(network, batch, {name: values[:n] for name, values in logits.items()})
        result.losses = {name: self.alpha * loss for name, loss in result.losses.items()}
        for name, groups in batch.attributes.items():
            if name not in logits:
                continue
            confusion = appearance_confusion(logits[name][n:])
            everyone = torch.ones_like(confusion, dtype=torch.bool)
            result.add(f"appearance_confusion/{name}", confusion, everyone, self.beta)
            if self.confident != "none":
                values = confident(logits[name][:n], groups, self.confident)
                result.add(f"confident/{name}", values, groups >= 0, self.mu)
        return result


def check_form(form: str) -> None:
    """Raise `InputError` unless there is a confident term of that form."""
    if form not in CONFIDENT:
        raise InputError(f"confident {form!r} is not one of {', '.join(CONFIDENT)}")


def appearance_confusion(logits: Tensor) -> Tensor:
    """Return how far the groups' probabilities are apart, per image with the person hidden.

    The mean over pairs of groups of |p_i - p_j|, in [0, 1]; for two groups the paper's equation 2.

    Parameters
    ----------
    logits : (n, groups), at least two groups

    Returns
    -------
    (n,) float32

    Examples
    --------
    >>> import torch
    >>> appearance_confusion(torch.tensor([[0.6, 0.3, 0.1]]).log())
    tensor([0.3333])
    """
    return spread(logits.float().softmax(dim=1))


def confident(logits: Tensor, groups: Tensor, form: str = "quotient") -> Tensor:
    """Return how much probability goes to wrong groups, per whole image.

    Parameters
    ----------
    logits : (n, groups); half precision is safe, as all is computed in float32
    groups : true groups (n,) int64; -1 unknown, whose value means nothing
    form : "quotient" wrong / (right + 1e-5), the paper's equation 4; "difference"
        1 - (right - wrong); "hinge" max(0, wrong - right + 0.1)

    Returns
    -------
    (n,) float32

    Examples
    --------
    >>> import torch
    >>> logits = torch.tensor([[0.75, 0.25]]).log()
    >>> confident(logits, torch.tensor([0])), confident(logits, torch.tensor([0]), "difference")
    (tensor([0.3333]), tensor([0.5000]))
    """
    probabilities = logits.float().softmax(dim=1)
    truth = groups.clamp(min=0).unsqueeze(1)
    right = probabilities.gather(1, truth).squeeze(1)
    wrong = probabilities.scatter(1, truth, 0.0).sum(dim=1)
    return doubt(right, wrong, form)


def spread(probabilities: Tensor) -> Tensor:
    """Return how far probabilities (…, groups) are apart: the mean over pairs of |p_i - p_j|.

    >>> import torch
    >>> spread(torch.tensor([0.6, 0.3, 0.1]))
    tensor(0.3333)
    """
    first, second = zip(*combinations(range(probabilities.shape[-1]), 2))
    apart = probabilities[..., list(first)] - probabilities[..., list(second)]
    return apart.abs().mean(dim=-1)


def doubt(right: Tensor, wrong: Tensor, form: str) -> Tensor:
    """Return the confident term of probabilities of the right group and of wrong ones together.

    >>> import torch
    >>> doubt(torch.tensor(0.75), torch.tensor(0.25), "hinge")
    tensor(0.)
    """
    if form == "quotient":
        return wrong / (right + 1e-5)
    if form == "difference":
        return 1 - (right - wrong)
    return (wrong - right + 0.1).clamp(min=0)
