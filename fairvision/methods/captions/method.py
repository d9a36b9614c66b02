"""What a method for captioners is, and the loss that all of them share.

The terms are those of Hendricks et al. (ECCV 2018, arXiv 1803.09797, section 3): sums over the
steps of all captions of a batch. All of them are divided by the number of its words, so that they
stand to each other as published, whatever the length of captions and the size of batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fairvision.datasets import Batch
from fairvision.methods.method import Method, Terms
from fairvision.models import Captioner, ImageNetwork
from fairvision.models.vocabulary import PAD


class Words(NamedTuple):
    """The words of captions, and what a network says of them.

    Attributes
    ----------
    logits : (m, t, vocabulary)
    targets : (m, t) the words, then padding
    """

    logits: Tensor
    targets: Tensor

    @property
    def present(self) -> Tensor:
        """Where there is a word, (m, t) bool."""
        return self.targets != PAD


@dataclass(frozen=True)
class CaptionMethod(Method):
    """A method for captioners: a frozen dataclass whose fields are its options."""

    def terms(self, network: ImageNetwork, batch: Batch) -> Terms:
        """Return the loss terms of a batch: by default the cross entropy of each next word."""
        assert isinstance(network, Captioner)
        assert batch.captions is not None
        tokens, of = batch.captions.tokens, batch.captions.of
        logits = network(batch.images, tokens[:, :-1], of)
        return self.of_words(network, Words(logits, tokens[:, 1:]))

    def of_words(self, network: Captioner, words: Words) -> Terms:
        """Return the loss terms of what a network says of captions of whole images."""
        return next_word(words)


@dataclass(frozen=True)
class Baseline(CaptionMethod):
    """No options."""

    summary: ClassVar[str] = "cross entropy of each next word"


def next_word(words: Words, weights: Tensor | None = None, weight: float = 1.0) -> Terms:
    """Return the cross entropy of each next word, and how often the likeliest is right.

    Parameters
    ----------
    words : of a batch
    weights : of the words (m, t); by default all 1
    weight : of the whole term

    Examples
    --------
    >>> words = Words(torch.zeros(1, 2, 8), torch.tensor([[4, PAD]]))
    >>> terms = next_word(words)
    >>> terms.losses, terms.counts["cross_entropy/captions"]
    ({'cross_entropy/captions': tensor(2.0794)}, tensor(1))
    """
    terms = Terms({})
    logits = words.logits.float()
    loss = F.cross_entropy(logits.flatten(0, 1), words.targets.flatten(), reduction="none")
    loss = loss.view(words.targets.shape)
    terms.add(
        "cross_entropy/captions", loss if weights is None else weights * loss, words.present, weight
    )
    right = (words.logits.argmax(dim=2) == words.targets) & words.present
    count = words.present.sum()
    terms.measures["accuracy/captions"] = right.sum() / count.clamp(min=1)
    terms.counts["accuracy/captions"] = count
    return terms


def group_probabilities(logits: Tensor, membership: Tensor) -> Tensor:
    """Return the summed probabilities of the words of each group, (m, t, groups) in float32.

    Parameters
    ----------
    logits : (m, t, vocabulary)
    membership : (vocabulary, groups), 1 where a word is one of a group

    Examples
    --------
    >>> membership = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> group_probabilities(torch.zeros(1, 1, 4), membership)
    tensor([[[0.5000, 0.2500]]])
    """
    # In full precision also within autocast, which would take the product in half.
    with torch.autocast(logits.device.type, enabled=False):
        return logits.float().softmax(dim=2) @ membership.float()
