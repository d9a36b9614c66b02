"""What a training method is, and the loss that every method shares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fairvision.core.moved import warn_renamed
from fairvision.datasets import Batch, Dataset
from fairvision.errors import InputError
from fairvision.models import Domains, ImageNetwork, Network
from fairvision.runs.thresholds import Rule

Scores = Mapping[str, npt.NDArray[Any]]
"""Probabilities (n, classes) of every head."""

_AUXILIARY_WEIGHT = 0.4


@dataclass
class Terms:
    """What a method computes over a batch.

    Attributes
    ----------
    losses : named scalars; training minimises their sum. They are weighted already.
    counts : how many images (of captions: words) took part in each, scalar tensors under the same
        names
    logits : of the whole images, by head
    measures : named scalars that are no losses, such as an accuracy; their counts are in `counts`
    """

    logits: dict[str, Tensor]
    losses: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, Tensor] = field(default_factory=dict)
    measures: dict[str, Tensor] = field(default_factory=dict)

    def add(self, name: str, values: Tensor, takes_part: Tensor, weight: float = 1.0) -> None:
        """Add the weighted mean of values, one per image (n,), over those that take part.

        With none that takes part the term is zero, and still has a gradient (of zero).
        """
        count = takes_part.sum()
        chosen = torch.where(takes_part, values, 0.0)
        self.losses[name] = weight * chosen.sum() / count.clamp(min=1)
        self.counts[name] = count


class Objective(nn.Module):
    """A method at work: its loss over a batch, the order of the images, what it carries along.

    A method that only has a loss is this class around its function. One that also learns something
    (an adversary) or remembers something (weights of groups) derives from it: parameters are
    trained with the network's, and parameters and buffers are part of the checkpoint.

    Parameters
    ----------
    terms : the loss, for a method that has nothing else

    Attributes
    ----------
    excluded : terms by which no epoch is chosen, as the network gains nothing, or even loses, where
        they are small: what an adversary learns
    """

    excluded: Collection[str] = ()

    def __init__(self, terms: Callable[[Network, Batch], Terms] | None = None):
        super().__init__()
        self._terms = terms

    def forward(self, network: Network, batch: Batch) -> Terms:
        """Return the loss terms of a batch; without gradient where none is wanted."""
        if self._terms is None:
            raise TypeError(f"{type(self).__name__} must say what its loss is")
        return self._terms(network, batch)

    def order(self, n: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return the rows of the n training images that an epoch shows, in order.

        As long in every epoch; by default each image once.
        """
        return generator.permutation(n)


class ThresholdLearner(Protocol):
    """Makes thresholds of a trained network's scores of the validation split."""

    @property
    def attribute(self) -> str:
        """Whose groups have thresholds."""
        ...

    def __call__(self, scores: Scores) -> Rule:
        """Return the thresholds that the scores give."""
        ...


class LastLayer(Protocol):
    """Changes the heads of a trained network by what its features of a split are."""

    @property
    def split(self) -> str:
        """Of whose images it takes the features."""
        ...

    def __call__(self, network: Network, features: npt.NDArray[np.floating[Any]]) -> None:
        """Give the heads of a network new weights.

        Parameters
        ----------
        network : in evaluation mode, with its best weights
        features : (n, width) of the split's images, as they stand
        """
        ...


class _FormerName:
    """What `Method.Settings` was, before a method was a dataclass of its options."""

    def __get__(self, instance: object, owner: type[Method]) -> type[Method]:
        warn_renamed(f"{owner.__name__}.Settings", owner.__name__)
        return owner


@dataclass(frozen=True)
class Method:
    """A training method: a frozen dataclass whose fields are its options, each with a default.

    An option is text, a whole number, a number, or true or false. Everything else has a default
    here, which together are the baseline: a method says what it does otherwise.

    Attributes
    ----------
    summary : what it does, in a line
    not_compiled : what `torch.compile` cannot take, where it cannot
    """

    summary: ClassVar[str] = ""
    not_compiled: ClassVar[str] = ""
    Settings = _FormerName()

    def terms(self, network: Network, batch: Batch) -> Terms:
        """Return the loss terms of a batch: by default the cross entropy of every head."""
        return classify(network, batch, network(batch.images))

    def start(self, network: Network, dataset: Dataset, scores: Scores | None = None) -> Objective:
        """Return the method at work on a training split, before the first step.

        Parameters
        ----------
        network : what is to be trained
        dataset : the training split, with all annotations
        scores : where there is a `pretraining`, what its network says of the split
        """
        return Objective(self.terms)

    def check(self, dataset: Dataset) -> None:
        """Raise `InputError` where the training split, as it is learnt, cannot be used."""

    def domains(self, dataset: Dataset, heads: Collection[str]) -> dict[str, Domains]:
        """Return the heads that have a classifier per group: by default none.

        Parameters
        ----------
        dataset : the training split, with all annotations
        heads : attributes and tasks that are learnt
        """
        return {}

    def pretraining(self) -> Mapping[str, Any]:
        """Return how a training differs that is done before; by default there is none."""
        return {}

    def last_layer(self, dataset: Dataset, heads: Collection[str]) -> LastLayer | None:
        """Return what changes the heads when training has ended; by default nothing does.

        Parameters
        ----------
        dataset : all splits, with all annotations
        heads : attributes and tasks that are learnt
        """
        return None

    def thresholds(self, dataset: Dataset, heads: Collection[str]) -> ThresholdLearner | None:
        """Return what learns thresholds when training has ended; by default nothing does.

        Parameters
        ----------
        dataset : all splits, with all annotations
        heads : attributes and tasks that are learnt
        """
        return None


def classify(
    network: Network, batch: Batch, logits: dict[str, Tensor], weights: Tensor | None = None
) -> Terms:
    """Return the cross entropy of every head on the whole images; unknowns take no part.

    Where many labels may hold, it is the binary cross entropy, averaged over the labels.

    Parameters
    ----------
    network : its heads are attributes or tasks of the batch
    batch : n images
    logits : what the network says of them, (n, classes) by head
    weights : of the images (n,), with a mean of about 1; by default all 1
    """
    terms = Terms(logits)
    targets = batch.targets
    for name, values in logits.items():
        loss, labelled = cross_entropy(values, targets[name], many=name in network.many)
        terms.add(f"cross_entropy/{name}", loss if weights is None else weights * loss, labelled)
    return terms


def add_auxiliary(terms: Terms, network: ImageNetwork, batch: Batch) -> None:
    """Add the loss of the auxiliary classifier, if the network has just used one.

    Its cross entropy on the whole images, weighted by 0.4 as by Szegedy et al. (CVPR 2016), is a
    term of every method; weights of images and groups do not touch it.
    """
    targets = batch.targets
    for name, logits in network.auxiliary.items():
        of_whole = logits[: len(batch.images)]
        loss, labelled = cross_entropy(of_whole, targets[name], many=targets[name].ndim == 2)
        terms.add(f"auxiliary/{name}", loss, labelled, _AUXILIARY_WEIGHT)
    network.auxiliary = {}


def cross_entropy(logits: Tensor, targets: Tensor, *, many: bool) -> tuple[Tensor, Tensor]:
    """Return each image's cross entropy in float32 (n,), and whether it is labelled (n,).

    Parameters
    ----------
    logits : (n, classes)
    targets : (n,) int64, -1 unknown; with `many` (n, classes) float32, rows of -1 unknown

    Examples
    --------
    >>> import torch
    >>> cross_entropy(torch.zeros(2, 4), torch.tensor([3, -1]), many=False)
    (tensor([1.3863, 0.0000]), tensor([ True, False]))
    """
    if many:
        labelled = (targets >= 0).all(dim=1)
        values = F.binary_cross_entropy_with_logits(
            logits.float(), targets.clamp(min=0), reduction="none"
        )
        return values.mean(dim=1), labelled
    return F.cross_entropy(logits.float(), targets, ignore_index=-1, reduction="none"), targets >= 0


def chosen_attribute(dataset: Dataset, name: str, method: str) -> str:
    """Return the attribute whose groups a method is about: the one named, or the only one.

    Raises
    ------
    InputError
        If there is none, or no such one, or none is named and there are several.
    """
    names = list(dataset.attributes)
    if not names:
        raise InputError(
            f"{method} needs an attribute, and {dataset.root} has none: use --method baseline"
        )
    if not name and len(names) > 1:
        raise InputError(f"{method} is about one attribute: say --domain {' or '.join(names)}")
    if name and name not in names:
        raise InputError(f"{dataset.root} has no attribute {name!r}: it has {', '.join(names)}")
    return name or names[0]


def check_person_masks(dataset: Dataset, method: str) -> None:
    """Raise `InputError` unless there are an attribute and masks of the person."""
    if not dataset.attributes:
        raise InputError(
            f"{method} needs an attribute, and {dataset.root} has none: use --method baseline"
        )
    check_masks(dataset, method)


def check_masks(dataset: Dataset, method: str) -> None:
    """Raise `InputError` unless there are masks of the person."""
    if not dataset.has_masks:
        raise InputError(
            f"{method} needs masks of the person, and {dataset.root} has none in this split: "
            "add a column 'mask', or use --method baseline"
        )
