"""The loss that every method shares: what each head says, against what is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from fairvision.datasets import Batch
from fairvision.models import Network

_AUXILIARY_WEIGHT = 0.4


@dataclass
class Terms:
    """What a method computes over a batch.

    Attributes
    ----------
    losses : named scalars; training minimises their sum. They are weighted already.
    counts : how many images took part in each, scalar tensors under the same names
    logits : answers to the whole images, by head
    """

    logits: dict[str, Tensor]
    losses: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, Tensor] = field(default_factory=dict)

    def add(self, name: str, values: Tensor, takes_part: Tensor, weight: float = 1.0) -> None:
        """Add the weighted mean of per-image values (n,) over those that take part.

        With none that takes part the term is zero, and still has a gradient (of zero).
        """
        count = takes_part.sum()
        chosen = torch.where(takes_part, values, 0.0)
        self.losses[name] = weight * chosen.sum() / count.clamp(min=1)
        self.counts[name] = count


def classify(
    network: Network, batch: Batch, logits: dict[str, Tensor], weights: Tensor | None = None
) -> Terms:
    """Return the cross entropy of every head on the whole images; unknowns take no part.

    Where many labels may hold, it is the binary cross entropy, averaged over the labels.

    Parameters
    ----------
    network : what answered; its heads are attributes or tasks of the batch
    batch : n images
    logits : the network's answers to them, (n, classes) by head
    weights : of the images (n,), with a mean of about 1; by default all 1
    """
    terms = Terms(logits)
    truth = {**batch.attributes, **batch.tasks}
    for name, answer in logits.items():
        values, known = cross_entropy(answer, truth[name], many=name in network.many)
        terms.add(f"cross_entropy/{name}", values if weights is None else weights * values, known)
    return terms


def add_auxiliary(terms: Terms, network: Network, batch: Batch) -> None:
    """Add the loss of the auxiliary classifier, if the network has just used one.

    Its cross entropy on the whole images, weighted by 0.4 as by Szegedy et al. (CVPR 2016), is a
    term of every method; weights of images and groups do not touch it.
    """
    truth = {**batch.attributes, **batch.tasks}
    for name, answer in network.auxiliary.items():
        whole = answer[: len(batch.images)]
        values, known = cross_entropy(whole, truth[name], many=name in network.many)
        terms.add(f"auxiliary/{name}", values, known, _AUXILIARY_WEIGHT)
    network.auxiliary = {}


def cross_entropy(logits: Tensor, truth: Tensor, *, many: bool) -> tuple[Tensor, Tensor]:
    """Return each image's cross entropy in float32 (n,), and whether its truth is known (n,).

    Parameters
    ----------
    logits : (n, classes)
    truth : (n,) int64, -1 unknown; with `many` (n, classes) float32, rows of -1 unknown

    Examples
    --------
    >>> import torch
    >>> values, known = cross_entropy(torch.zeros(2, 4), torch.tensor([3, -1]), many=False)
    >>> values, known
    (tensor([1.3863, 0.0000]), tensor([ True, False]))
    """
    if many:
        known = (truth >= 0).all(dim=1)
        values = F.binary_cross_entropy_with_logits(
            logits.float(), truth.clamp(min=0), reduction="none"
        )
        return values.mean(dim=1), known
    return F.cross_entropy(logits.float(), truth, ignore_index=-1, reduction="none"), truth >= 0
