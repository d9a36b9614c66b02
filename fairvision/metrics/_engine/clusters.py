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
from fairvision.metrics._engine.arrays import Bools, Floats, Ints, ratio
from fairvision.metrics._engine.inputs import as_column, check_rows, is_table
from fairvision.schema import UNKNOWN

FEW = 20  # clusters, below which an interval says little
_LEAST = 1e-9  # the level of a percentile that is as far out as can be
_ALIKE = 1e-9  # share of squared sizes, below which these are the same


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
    def sizes(self) -> Floats:
        """Images of a cluster of each kind, (kinds,)."""
        sizes: Floats = self.members.sum(axis=0)
        return sizes

    @property
    def most(self) -> float:
        """Images in a resample, at most."""
        return float(self.times.sum() * self.sizes.max(initial=0))

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


@dataclass(frozen=True, eq=False)
class Parts:
    """What is left out in turn: a cluster of each kind, or several clusters together.

    Attributes
    ----------
    times : (parts,) how often each is there
    powers : (4, parts) sums over its clusters of their sizes, and of the squares, cubes and so on
    """

    times: Floats
    powers: Floats

    def as_equal(self, changes: Floats, moved: Bools) -> Floats:
        """Return of how many clusters of equal size those that figures rest on say as much, (...,).

        A cluster of m images adds m (1 + (m − 1) ρ) to the variance, which is a m + b m²: with
        correlation 1 within clusters only b, with none only a. Both are fitted, by least squares
        per image, to how figures change without each cluster. Of summands with such variances s the
        degrees of freedom are by Satterthwaite (Σ s)² / Σ s² (Imbens and Kolesár 2016). Few
        clusters say little of how alike their images are, so the number is halfway, as a geometric
        mean, to that of images all alike (Carter, Schnepel and Steigerwald 2017), the least there
        can be. It is at least 2, and 1 where a figure rests on one cluster or none.

        Parameters
        ----------
        changes : (..., parts) of figures without each part
        moved : (..., parts) whether they change
        """
        largest = np.nanmax(np.abs(changes), axis=-1, keepdims=True, initial=0)
        size = ratio(self.powers[1], self.powers[0])
        square = ratio(np.nan_to_num(ratio(changes, largest)) ** 2, self.powers[0])
        counted = np.where(moved & ~np.isnan(changes), self.times, 0)
        n, x, xx = (counted @ size**power for power in range(3))
        y, xy = ((counted * square) @ size**power for power in range(2))
        apart = n * xx - x**2
        b = np.where(apart > _ALIKE * n * xx, np.maximum(n * xy - x * y, 0), 1)
        a = np.where(apart > _ALIKE * n * xx, np.maximum(xx * y - x * xy, 0), 0)
        first, second, third, fourth = (np.where(moved, self.times, 0) @ of for of in self.powers)
        fitted = ratio(
            (a * first + b * second) ** 2, a**2 * second + 2 * a * b * third + b**2 * fourth
        )
        least = ratio(second**2, fourth)
        several = np.where(moved, self.times, 0).sum(axis=-1) > 1
        number: Floats = np.where(several, np.fmax(np.sqrt(fitted * least), 2), 1)
        return number


def tails(tail: Floats, clusters: Floats) -> Floats:
    """Return the levels at which percentiles of so few clusters are taken, instead of `tail`.

    Resampling K clusters has (K − 1) / K of the variance that it should have, and the normal
    quantile stands where that of Student's t belongs: both are put right by taking percentiles
    further out (Hesterberg 2015, section 5.3).
    """
    many = np.maximum(clusters, 2)
    wide = np.sqrt(many / (many - 1)) * stdtrit(many - 1, 1 - tail)
    return np.where(clusters > 1, np.maximum(ndtr(-wide), _LEAST), tail)
