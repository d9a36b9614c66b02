"""What adversarial methods share: a network that guesses the group from the features."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from fairvision.datasets import Batch, Dataset
from fairvision.errors import InputError
from fairvision.methods.method import Objective, Terms, classify, cross_entropy
from fairvision.methods.needs import chosen_attribute
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
