"""A method at work: its loss over a batch, the order of the images, and what it carries along."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from torch import nn

from fairvision.datasets import Batch
from fairvision.methods.heads import Terms
from fairvision.models import Network


class Method(nn.Module):
    """Calling it with a network and a batch gives the loss terms.

    A method that only has a loss is this class around its function. One that also learns something
    (an adversary) or remembers something (weights of groups) derives from it: parameters are
    trained with the network's, and parameters and buffers are part of the checkpoint.

    Parameters
    ----------
    terms : the loss, for a method that has nothing else

    Attributes
    ----------
    aside : terms by which no epoch is chosen, as the network gains nothing, or even loses, where
        they are small: what an adversary learns
    """

    aside: Collection[str] = ()

    def __init__(self, terms: Callable[[Network, Batch], Terms] | None = None):
        super().__init__()
        self._terms = terms

    def forward(self, network: Network, batch: Batch) -> Terms:
        """Return the loss terms of a batch; without gradient where none is wanted."""
        if self._terms is None:
            raise TypeError(f"{type(self).__name__} must say what its loss is")
        return self._terms(network, batch)

    def order(self, n: int, chance: np.random.Generator) -> np.ndarray:
        """Return the rows of the n training images that an epoch shows, in order.

        As long in every epoch; by default each image once.
        """
        return chance.permutation(n)
