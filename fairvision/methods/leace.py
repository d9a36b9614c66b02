"""LEACE: from the features that a head is given, what it should not be told by is erased.

Belrose, Schneider-Joseph, Ravfogel, Cotterell, Raff & Biderman, "LEACE: Perfect linear concept
erasure in closed form", NeurIPS 2023 (arXiv 2306.03819), theorem 4.3. Of all affine maps after
which no linear classifier tells the concept z from the features x, it changes them least:

    r(x) = x − W⁺ P W (x − E[x]),  W = Σxx^(−1/2),  P the projection onto the columns of W Σxz

As r is affine and the heads are, r becomes a part of their weights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

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
    """The attribute erased for tasks, and the task erased for attributes; else the only ones."""

    summary: ClassVar[str] = "what a head should not be told by is erased (Belrose 2023)"

    domain: str = ""
    context: str = ""

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
        concepts = {name: indicators(training, name) for name in dict.fromkeys(erased.values())}
        for name, concept in concepts.items():
            if len(np.unique(concept[~np.isnan(concept).any(axis=1)], axis=0)) < 2:
                raise InputError(
                    f"leace cannot erase {name!r}: it is the same, or unknown, for every training "
                    f"picture of {dataset.root}"
                )
        return Erasure(erased, concepts)


@dataclass(frozen=True)
class Erasure:
    """Erases concepts from what heads are given, by the features of the training split.

    Attributes
    ----------
    of_heads : what is erased for each head
    concepts : by name (n, labels) 0 and 1; rows of NaN where unknown
    split : whose features it takes
    """

    of_heads: Mapping[str, str]
    concepts: Mapping[str, Matrix]
    split: str = "train"

    def __call__(self, network: Network, features: npt.NDArray[np.floating]) -> None:
        """Change the heads of a network so that they see erased features (n, width)."""
        erasers = {name: fit_eraser(features, concept) for name, concept in self.concepts.items()}
        for name, concept_name in self.of_heads.items():
            head = network.head(name)
            assert isinstance(head, nn.Linear)
            fold(head, *erasers[concept_name])


def indicators(dataset: Dataset, name: str) -> Matrix:
    """Return which group or labels each image has, (n, labels) 0 and 1; NaN where unknown."""
    codes = dataset.encoded(name)
    if codes.ndim == 1:
        labels = len(dataset.schema.labels(name))
        return np.where(codes[:, None] < 0, np.nan, np.eye(labels)[codes])
    return np.where(codes < 0, np.nan, codes.astype(np.float64))


def fit_eraser(
    features: npt.NDArray[np.floating], concept: npt.NDArray[np.floating]
) -> tuple[Matrix, Matrix]:
    """Return the affine map after which features and concept are uncorrelated.

    Parameters
    ----------
    features : (n, width)
    concept : (n, labels); rows with NaN take no part

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
    takes_part = ~np.isnan(concept).any(axis=1)
    x, z = features[takes_part].astype(np.float64), concept[takes_part].astype(np.float64)
    mean = x.mean(axis=0)
    x, z = x - mean, z - z.mean(axis=0)
    variances, axes = np.linalg.eigh(x.T @ x / len(x))
    there = variances > variances[-1] * len(variances) * np.finfo(np.float64).eps
    deviations, axes = np.sqrt(variances[there]), axes[:, there]
    # In the axes of the features, in which their covariance is the identity.
    shared, strengths, _ = np.linalg.svd(axes.T @ (x.T @ z / len(x)) / deviations[:, None])
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
