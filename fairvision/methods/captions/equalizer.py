"""Equalizer for captioners, as published (Hendricks et al., ECCV 2018, arXiv 1803.09797).

    loss = alpha * cross entropy + beta * appearance confusion + mu * confident

Both further terms look at the steps at which a caption names a group: where the word is one of
*any* group. With the person hidden, the groups' summed probabilities are to be equal (equation 2);
in the whole image, those of the wrong groups are to be small beside that of the right one
(equations 3 and 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fairvision.datasets import Batch, Dataset, hide_person
from fairvision.methods.captions.method import (
    CaptionMethod,
    Words,
    group_probabilities,
    next_word,
)
from fairvision.methods.equalizer import check_form, doubt, spread
from fairvision.methods.method import Terms, check_masks
from fairvision.models import Captioner, ImageNetwork

BOUND = 10.0
"""The confident term of a word at most. The gradient of a quotient by the logits is as large as it
is: beyond, the cross entropy alone moves the word."""


@dataclass(frozen=True)
class Equalizer(CaptionMethod):
    """Weights of the terms, and the form of the confident one; defaults as published."""

    summary: ClassVar[str] = (
        "no group named by its surroundings, confident on the person (Hendricks 2018)"
    )

    alpha: float = 1.0
    beta: float = 10.0
    mu: float = 1.0
    confident: str = "quotient"

    def check(self, dataset: Dataset) -> None:
        """Raise `InputError` where the method has nothing to work on."""
        check_form(self.confident)
        check_masks(dataset, "the equalizer")

    def terms(self, network: ImageNetwork, batch: Batch) -> Terms:
        """Return cross entropy, appearance confusion and the confident term.

        Images without a mask take no part in the appearance confusion.
        """
        assert isinstance(network, Captioner)
        assert batch.captions is not None
        tokens, of = batch.captions.tokens, batch.captions.of
        n, has_mask = len(batch.images), batch.has_mask
        # One forward of the backbone, as in the equalizer of classifiers.
        hidden = hide_person(batch.images[has_mask], batch.masks[has_mask])
        memory = network.encode(torch.cat([batch.images, hidden]))
        targets = tokens[:, 1:]
        words = Words(network.decoder(memory.rows(of), tokens[:, :-1]), targets)
        terms = next_word(words, weight=self.alpha)
        groups = groups_of(targets, network.membership)

        masked = has_mask[of] & (groups >= 0).any(dim=1)
        values = torch.zeros_like(targets, dtype=torch.float32)
        if bool(masked.any()):
            place = n + has_mask.cumsum(0) - 1
            # What is written after the last word that names a group changes nothing before it.
            steps = 1 + int((groups[masked] >= 0).any(dim=0).nonzero().max())
            shown = memory.rows(place[of[masked]])
            logits = network.decoder(shown, tokens[masked, :steps])
            confusion = appearance_confusion(logits, groups[masked, :steps], network.membership)
            values[masked, :steps] = confusion
        takes_part = words.present & has_mask[of][:, None]
        terms.add("appearance_confusion/captions", values, takes_part, self.beta)
        if self.confident != "none":
            values = confident(words.logits, groups, network.membership, self.confident)
            terms.add("confident/captions", values, words.present, self.mu)
        return terms


def groups_of(tokens: Tensor, membership: Tensor) -> Tensor:
    """Return the group that each word names, -1 for none.

    >>> groups_of(torch.tensor([[2, 0, 1]]), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    tensor([[ 1, -1,  0]])
    """
    of_word = torch.where(membership.sum(dim=1) > 0, membership.argmax(dim=1), -1)
    return of_word[tokens]


def appearance_confusion(logits: Tensor, groups: Tensor, membership: Tensor) -> Tensor:
    """Return how far the groups' probabilities are apart where a group is named; else 0.

    The mean over pairs of groups of |p_i - p_j|, in [0, 1]; for two groups equation 2.

    Parameters
    ----------
    logits : (m, t, vocabulary) of images whose person is hidden
    groups : (m, t) that the caption names, -1 for none
    membership : (vocabulary, groups)

    Returns
    -------
    (m, t) float32

    Examples
    --------
    >>> membership = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> logits = torch.tensor([[[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]]).log()
    >>> appearance_confusion(logits, torch.tensor([[0, -1]]), membership)
    tensor([[0.1000, 0.0000]])
    """
    apart = spread(group_probabilities(logits, membership))
    return torch.where(groups >= 0, apart, 0.0)


def confident(logits: Tensor, groups: Tensor, membership: Tensor, form: str) -> Tensor:
    """Return how much probability goes to wrong groups where a group is named; else 0.

    Parameters
    ----------
    logits : (m, t, vocabulary) of whole images
    groups : (m, t) that the caption names, -1 for none
    membership : (vocabulary, groups)
    form : "quotient" wrong / (right + 1e-5), equation 4, at most `BOUND`; or another one of
        `fairvision.methods.equalizer`

    Returns
    -------
    (m, t) float32

    Examples
    --------
    >>> membership = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> logits = torch.tensor([[[0.2, 0.6, 0.2], [0.2, 0.6, 0.2]]]).log()
    >>> confident(logits, torch.tensor([[0, 1]]), membership, "quotient")
    tensor([[0.3333, 2.9999]])
    """
    probabilities = group_probabilities(logits, membership)
    truth = groups.clamp(min=0)[..., None]
    right = probabilities.gather(2, truth)[..., 0]
    wrong = probabilities.scatter(2, truth, 0.0).sum(dim=2)
    return torch.where(groups >= 0, doubt(right, wrong, form).clamp(max=BOUND), 0.0)
