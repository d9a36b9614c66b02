"""LEACE: from the features that a head is given, what it should not be told by is erased.

Belrose, Schneider-Joseph, Ravfogel, Cotterell, Raff & Biderman, "LEACE: Perfect linear concept
erasure in closed form", NeurIPS 2023 (arXiv 2306.03819), theorem 4.3. Of all affine maps after
which no linear classifier tells the concept z from the features x, it changes them least:

    r(x) = x − W⁺ P W (x − E[x]),  W = Σxx^(−1/2),  P the projection onto the columns of W Σxz

As r is affine and the heads are, r becomes a part of their weights. The theorem holds for any
distribution of the images; by default it is the one in which all combinations of label and concept
are equally frequent, so that what is erased of the concept is not what goes along with it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fairvision.datasets import Dataset
from fairvision.errors import InputError
from fairvision.methods.counterparts import counterparts
from fairvision.methods.method import Method
from fairvision.models import Network

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Leace(Method):
    """The attribute erased for tasks, the task erased for attributes, and for which images.

    The attribute and the task are by default the only ones. `balanced` lets all combinations of a
    head's label and what is erased count as much; else all images do, as published.
    """

    summary: ClassVar[str] = "what a head should not be told by is erased (Belrose 2023)"

    domain: str = ""
    context: str = ""
    balanced: bool = True

    def last_layer(self, dataset: Dataset, heads: Collection[str]) -> Erasure:
        """Return what erases it from the heads when training has ended.

        Raises
        ------
        InputError
            If there is nothing to erase, or too little is known of it in the training split.
        """
        of_heads = counterparts(
            dataset, heads, domain=self.domain, context=self.context, many=True, method="leace"
        )
        erased = {head: name for head, name in of_heads.items() if name}
        if not erased:
            raise InputError(
                f"leace erases a task from what attributes are told by, and {dataset.root} has no "
                "task: use --method baseline"
            )
        training = dataset.split("train")
        concepts = {}
        for head, name in erased.items():
            weights = _balance(training, head, name) if self.balanced else np.ones(len(training))
            concepts[head] = Concept(indicators(training, name), weights)
            columns, _ = concepts[head].counted()
            if len(np.unique(columns, axis=0)) < 2:
                raise InputError(
                    f"leace cannot erase {name!r}: it is the same, or unknown, for every training "
                    f"picture of {dataset.root}"
                )
        return Erasure(concepts)


class Concept(NamedTuple):
    """What is erased.

    Attributes
    ----------
    columns : (n, labels) 0 and 1; rows of NaN where unknown
    weights : (n,) how much the images count
    """

    columns: Matrix
    weights: Matrix

    def counted(self) -> tuple[Matrix, npt.NDArray[np.bool_]]:
        """Return the columns of the images that count, and which these are."""
        counts = (self.weights > 0) & ~np.isnan(self.columns).any(axis=1)
        return self.columns[counts], counts


@dataclass(frozen=True)
class Erasure:
    """Erases concepts from what heads are given, by the features of the training split.

    Attributes
    ----------
    concepts : what is erased for each head, on the images of that split
    split : whose features it takes
    """

    concepts: Mapping[str, Concept]
    split: str = "train"

    def __call__(self, network: Network, features: npt.NDArray[np.floating]) -> None:
        """Change the heads of a network so that they see erased features (n, width)."""
        for name, concept in self.concepts.items():
            head = network.head(name)
            assert isinstance(head, nn.Linear)
            columns, counts = concept.counted()
            fold(head, *fit_eraser(features[counts], columns, concept.weights[counts]))


def indicators(dataset: Dataset, name: str) -> Matrix:
    """Return which group or labels each image has, (n, labels) 0 and 1; NaN where unknown."""
    codes = dataset.encoded(name)
    if codes.ndim == 1:
        labels = len(dataset.schema.labels(name))
        return np.where(codes[:, None] < 0, np.nan, np.eye(labels)[codes])
    return np.where(codes < 0, np.nan, codes.astype(np.float64))


def _balance(dataset: Dataset, head: str, name: str) -> Matrix:
    """Return weights (n,) by which all combinations of two columns that occur count as much.

    0 where either is unknown; all 1 where many labels may hold in either.
    """
    codes = [dataset.encoded(column) for column in (head, name)]
    if any(column.ndim > 1 for column in codes):
        return np.ones(len(dataset))
    both = np.stack(codes, axis=1)
    labelled = (both >= 0).all(axis=1)
    _, places, counts = np.unique(both, axis=0, return_inverse=True, return_counts=True)
    return np.where(labelled, 1 / counts[places.ravel()], 0)


def fit_eraser(
    features: npt.NDArray[np.floating],
    concept: npt.NDArray[np.floating],
    weights: npt.NDArray[np.floating] | None = None,
) -> tuple[Matrix, Matrix]:
    """Return the affine map after which features and concept are uncorrelated.

    Parameters
    ----------
    features : (n, width)
    concept : (n, labels)
    weights : (n,) how much each image counts; by default all alike

    Returns
    -------
    matrix (width, width), mean (width,) : the map is x ↦ mean + matrix (x − mean). It is the
    identity where features and concept are uncorrelated already.

    Examples
    --------
    The first feature tells the concept, the second goes along with the first by chance alone:

    >>> features = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> matrix, mean = fit_eraser(features, np.array([[0.0], [0.0], [1.0], [1.0]]))
    >>> (mean + (features - mean) @ matrix.T).round(6).tolist()
    [[0.5, 0.0], [0.5, 1.0], [0.5, 0.0], [0.5, 1.0]]
    """
    x, z = features.astype(np.float64), concept.astype(np.float64)
    shares = np.ones(len(x)) if weights is None else weights
    shares = shares / shares.sum()
    mean = shares @ x
    x, z = x - mean, z - shares @ z
    variances, axes = np.linalg.eigh((shares * x.T) @ x)
    there = variances > variances[-1] * len(variances) * np.finfo(np.float64).eps
    deviations, axes = np.sqrt(variances[there]), axes[:, there]
    # In the axes of the features, in which their covariance is the identity.
    shared, strengths, _ = np.linalg.svd(axes.T @ ((shares * x.T) @ z) / deviations[:, None])
    # What is uncorrelated, and labels that follow from the others, leave strengths of rounding.
    rank = int((strengths > z.std(axis=0).max() * np.sqrt(np.finfo(np.float64).eps)).sum())
    shared = shared[:, :rank]
    erased = (axes * deviations) @ shared @ (axes / deviations @ shared).T
    return np.eye(len(mean)) - erased, mean


@torch.no_grad()
def fold(head: nn.Linear, matrix: Matrix, mean: Matrix) -> None:
    """Change a head so that it answers as it did for mean + matrix (x − mean) in place of x."""
    weight = head.weight.double().cpu().numpy()
    changed = weight @ matrix
    bias = head.bias.double().cpu().numpy() + (weight - changed) @ mean
    head.weight.copy_(torch.from_numpy(changed))
    head.bias.copy_(torch.from_numpy(bias))
