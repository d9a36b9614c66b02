"""Clusters: images that are drawn together, such as all images of one person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.special import ndtr, stdtrit

from fairvision.errors import InputError, shown, warn_caller
from fairvision.metrics._engine.arrays import Floats, Ints
from fairvision.metrics._engine.inputs import as_column, check_rows, is_table
from fairvision.schema import UNKNOWN

FEW = 20  # clusters, below which an interval says little
_LEAST = 1e-9  # the level of a percentile that is as far out as can be


def cluster_codes(values: Any) -> tuple[Ints, int]:
    """Return the cluster of each row, from 0 on as they appear, and how many are unknown.

    A row whose cluster is unknown (None, NaN, −1 or "unknown") is a cluster of its own.
    """
    if is_table("cluster", values):
        raise InputError("cluster must hold one name or code per row, not a table")
    try:
        codes, names = pd.factorize(pd.Series(values))
    except TypeError:
        raise InputError("cluster must hold names or codes, one per row") from None
    nameless = np.array([name in (-1, UNKNOWN) for name in names] + [True])
    unknown = np.flatnonzero(nameless[codes])
    codes[unknown] = len(names) + np.arange(len(unknown))
    if len(unknown):
        codes = pd.factorize(codes)[0]
    return codes, len(unknown)


def read_clusters(values: Any, row_counts: Ints | None) -> Ints | None:
    """Return the cluster of each row as a code; None where every image is one by itself.

    Warn of unknown and of few clusters.
    """
    codes, unknown = cluster_codes(values)
    clusters = int(codes.max(initial=-1)) + 1
    if unknown:
        warn_caller(
            f"cluster is unknown in {unknown} of {len(codes)} rows, which are clusters of their own"
        )
    if 0 < clusters < FEW:
        warn_caller(
            f"there are only {clusters} clusters: intervals of fewer than {FEW} are rough, and "
            "rather too narrow"
        )
    single = row_counts is None or bool((row_counts == 1).all())
    return None if single and clusters == len(codes) else codes


def clusters_of(cluster: ArrayLike | None, whole: Ints, named: str) -> ArrayLike | None:
    """Return the cluster of each thing that has several rows, (things,).

    Parameters
    ----------
    cluster : of each row, or None
    whole : (rows,) which thing each row is of
    named : what they are, for the message where one has rows in several clusters
    """
    if cluster is None:
        return None
    column = as_column("cluster", cluster)
    check_rows(**{named: len(whole), "cluster": len(column)})
    codes, _ = cluster_codes(column)
    _, first = np.unique(whole, return_index=True)
    if (codes != codes[first][whole]).any():
        raise InputError(f"cluster: all rows of one of the {named} must lie in one cluster")
    return pd.Series(column).iloc[first].reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters, those that have as many images of every unit taken together as a kind.

    Attributes
    ----------
    times : (kinds,) int64
        Clusters of each kind.
    members : (units, kinds) sparse
        Images of each unit in a cluster of each kind.
    stratum : (kinds,) ints from 0 on, or None
    """

    times: Ints
    members: sparse.csr_array
    stratum: Ints | None = None

    @classmethod
    def of(
        cls,
        code: Ints,
        unit: Ints,
        images: Ints,
        units: int,
        stratum: Ints | None = None,
        alike: bool = True,
    ) -> Clusters:
        """Take alike clusters together, given cluster, unit and images of each row (rows,).

        Without `alike` each is a kind, in the order in which they appear.
        """
        shape = units, int(code.max(initial=-1)) + 1
        members = sparse.csc_array((images.astype(float), (unit, code)), shape=shape)
        times: Ints = np.ones(shape[1], np.int64)
        kinds = members
        if alike and 2 * units <= len(code):  # otherwise most have a unit that no other has
            times, kinds = _alike(members)
        if stratum is not None:
            stratum = stratum[kinds.indices[kinds.indptr[:-1]]]
        return cls(times, kinds.tocsr(), stratum)

    @cached_property
    def evenness(self) -> float:
        """How many clusters of equal size say as much, for each cluster; 1 where sizes are equal.

        A cluster whose images are all alike adds the square of their number to the variance. Of
        such summands the degrees of freedom are by Satterthwaite (Σ images²)² / Σ images⁴, the
        effective number of clusters of Carter, Schnepel and Steigerwald (2017).
        """
        square = self.members.sum(axis=0) ** 2
        return float((self.times @ square) ** 2 / (self.times @ square**2) / self.times.sum())

    @property
    def most(self) -> float:
        """Images in a resample, at most."""
        return float(self.times.sum() * self.members.sum(axis=0).max(initial=0))

    def squares(
        self, images: Callable[[Any], Floats], share: Floats, at_once: int
    ) -> tuple[Floats, Floats]:
        """Return Σ w and Σ w² over clusters, of what the images of each share in a cluster weigh.

        Parameters
        ----------
        images : adds up weights (units, b), sparse ones too, to (..., b)
        share : (units,) what an image weighs
        at_once : sums of `images` that are held together
        """
        weights = sparse.csc_array(self.members.multiply(share[:, None]))
        total = images(np.asarray(weights @ self.times.astype(float))[:, None])[..., 0]
        squares = np.zeros(total.shape)
        width = max(1, at_once // max(1, total.size))
        for start in range(0, len(self.times), width):
            part = slice(start, start + width)
            squares += images(weights[:, part]) ** 2 @ self.times[part]
        return total, squares


def _alike(members: sparse.csc_array) -> tuple[Ints, sparse.csc_array]:
    """Return how often each different column (units, clusters) is there, and these columns.

    Their order depends on what they hold and not on that of the clusters.
    """
    random = np.random.default_rng(0).integers(1 << 63, size=members.shape[0], dtype=np.uint64)
    marks = random[members.indices] * members.data.astype(np.uint64)  # modulo 2**64
    _, first, kind, times = np.unique(
        np.add.reduceat(marks, members.indptr[:-1]),
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    kinds = members[:, first]
    if (kinds[:, kind] != members).nnz:  # two different ones have the same mark
        return np.ones(members.shape[1], np.int64), members
    return times, kinds


def check_strata(strata: Ints, names: Sequence[Any], cluster: Ints) -> None:
    """Raise where the rows of a cluster are in several strata, (rows,) each."""
    _, first = np.unique(cluster, return_index=True)
    apart = np.flatnonzero(strata != strata[first][cluster])
    if len(apart):
        name = shown(names[apart[0]])
        raise InputError(
            f"cluster {name} has rows in several strata: clusters are drawn as wholes, so each "
            "must lie in one stratum"
        )


def tails(tail: Floats, clusters: Floats, evenness: float = 1.0) -> Floats:
    """Return the levels at which percentiles of so few clusters are taken, instead of `tail`.

    Of unequal clusters there are as many as `evenness` times their number, at least two.

    Resampling K clusters has (K − 1) / K of the variance that it should have, and the normal
    quantile stands where that of Student's t belongs: both are put right by taking percentiles
    further out (Hesterberg 2015, section 5.3).
    """
    many = np.maximum(clusters * evenness, 2)
    wide = np.sqrt(many / (many - 1)) * stdtrit(many - 1, 1 - tail)
    return np.where(clusters > 1, np.maximum(ndtr(-wide), _LEAST), tail)
