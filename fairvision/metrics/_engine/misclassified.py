"""Groups that were observed with errors: what a validated sample says of the true ones, in sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats, Ints, ratio
from fairvision.metrics._engine.inputs import to_numpy_or_pandas

_SINGULAR = 1e-6  # a determinant, below which a table does not tell groups apart
_STREAM = 1  # of random numbers, apart from those that draw images


@dataclass(frozen=True, eq=False)
class Validation:
    """How often true groups were observed as others, in a validated sample.

    Draws are of a Dirichlet distribution: counts plus 1 / groups in each place, of two groups the
    prior of Jeffreys. So that nobody was mistaken in 100 images does not say that nobody ever is.

    Attributes
    ----------
    counts : (strata, true, observed)
        Images; with several strata the second is of values 1.
    evidence : (strata, true, observed)
        Of how many independent images they say as much.
    of_observed : bool
        Whether the share of each true group among those observed as one is what is taken over, from
        a part of the images themselves; else that of each observed group among those truly one.
    """

    counts: Floats
    evidence: Floats
    of_observed: bool

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.counts.shape[-1])

    @property
    def strata(self) -> int:
        """Number of kinds of images with errors of their own."""
        return len(self.counts)

    @property
    def _axis(self) -> int:
        """The axis along which shares add up to 1."""
        return -2 if self.of_observed else -1

    @cached_property
    def shares(self) -> Floats:
        """The shares that are taken over, (strata, true, observed, 1); NaN without images."""
        shares: Floats = ratio(self.counts, self.counts.sum(axis=self._axis, keepdims=True))
        return shares[..., None]

    def draws(self, replicates: int, seed: int) -> Floats:
        """Return shares that may be behind the sample, (strata, true, observed, replicates)."""
        random = np.random.default_rng([seed, _STREAM])
        shape = self.evidence + 1 / max(1, self.groups)
        gammas = random.standard_gamma(np.moveaxis(shape[..., None].repeat(replicates, -1), -1, 0))
        drawn = np.moveaxis(gammas, 0, -1)
        shares: Floats = drawn / drawn.sum(axis=self._axis - 1, keepdims=True)
        return shares

    def figures(self, sums: Floats, shares: Floats, ends: tuple[float, float]) -> Floats:
        """Return by true group the mean, and the least and the most that it could be.

        Parameters
        ----------
        sums : (6 * strata * groups, b)
            Numbers and sums of values, of images whose true group is not known by observed group,
            of those in which it is by true group, and of both by observed group.
        shares : (strata, true, observed, b or 1)
        ends : least and largest value of an image

        Returns
        -------
        (3 * groups, b)
            NaN where a group is estimated to have no images, or the table tells none apart.
        """
        low, high = ends
        parts = sums.reshape(6, self.strata, self.groups, sums.shape[1])
        joint = shares * parts[0][:, None]
        number, total, sure, sure_total, seen, seen_total = parts.sum(axis=1)
        if self.of_observed:
            images = joint.sum(axis=(0, 2))
            if self.strata > 1:  # the values of each are all 0, and all 1
                values = joint[1].sum(axis=1)
            else:
                values = images * _solved(shares[0].swapaxes(0, 1), ratio(seen_total, seen))
            joint = joint.sum(axis=0)
        else:
            images, values = (_solved(shares[0].swapaxes(0, 1), of) for of in (number, total))
            joint = shares[0] * np.maximum(images, 0)[:, None]
        every = np.where(images + sure > 0, images + sure, np.nan)
        inside = np.clip((values + sure_total) / every, low, high)
        above, width = total - low * number, high - low  # of values from 0 on
        least = np.maximum(0, width * (joint - number) + above).sum(axis=1)
        most = np.minimum(width * joint, above).sum(axis=1)
        rest = sure_total + low * images
        bounds = (np.clip((rest + of) / every, low, high) for of in (least, most))
        return np.concatenate([inside, *bounds])


def _solved(matrices: Floats, observed: Floats) -> Floats:
    """Return x (groups, b) with matrix @ x = observed, of matrices (groups, groups, b or 1).

    NaN where a matrix does not tell groups apart.
    """
    matrices = np.moveaxis(matrices, -1, 0)
    apart: Bools = np.isfinite(matrices.sum(axis=1)).all(axis=1)
    apart[apart] = np.abs(np.linalg.det(matrices[apart])) > _SINGULAR
    inverse = np.full(matrices.shape, np.nan)
    inverse[apart] = np.linalg.inv(matrices[apart])
    if len(inverse) == 1:
        return np.asarray(inverse[0] @ observed)
    return np.asarray(np.einsum("bto,ob->tb", inverse, observed))


def read_confusion(confusion: Any, names: Sequence[Any]) -> tuple[list[Any], Floats]:
    """Return the groups, and a table (true, observed) of numbers of images of each pair of them.

    Parameters
    ----------
    confusion : a table with the same groups as rows (true) and columns (observed), a dictionary
        from each true group to one from observed groups to numbers, or an array in the order of
        `names`
    names : of the groups that were observed
    """
    table = _table(confusion, names)
    groups = [*table.index]
    if len(set(groups)) < len(groups) or len(groups) < 2:
        raise InputError("confusion must have a row for each of two true groups or more")
    if {*groups} != {*table.columns}:
        apart = {*groups} ^ {*table.columns}
        raise InputError(
            "confusion must have the same groups as rows (true) and as columns (observed), and "
            f"{shown(next(iter(apart)))} is only one of both"
        )
    strays = [name for name in names if name not in groups]
    if strays:
        raise InputError(f"groups hold {shown(strays[0])}, which confusion does not have")
    try:
        counts = table[groups].to_numpy(float)
    except (TypeError, ValueError):
        raise InputError("confusion must hold numbers of images") from None
    if not (np.isfinite(counts) & (counts >= 0)).all() or (counts % 1).any():
        raise InputError("confusion must hold numbers of images, not shares: whole, 0 or more")
    for group, row in zip(groups, counts):
        if not row.sum():
            raise InputError(f"confusion has no image that is truly {shown(group)}: validate some")
    return groups, counts


def _table(confusion: Any, names: Sequence[Any]) -> pd.DataFrame:
    """Return a confusion as a table with named rows and columns."""
    if isinstance(confusion, pd.DataFrame):
        return confusion
    if isinstance(confusion, Mapping):
        if not all(isinstance(row, Mapping) for row in confusion.values()):
            raise InputError("confusion must map each true group to a dictionary of observed ones")
        return pd.DataFrame({true: dict(row) for true, row in confusion.items()}).T.fillna(0)
    array = np.asarray(to_numpy_or_pandas(confusion))
    if array.shape != (len(names), len(names)):
        raise InputError(
            f"confusion has shape {array.shape}, but groups has {len(names)} names: give a table "
            "with the names of groups"
        )
    return pd.DataFrame(array, index=list(names), columns=list(names))


def dependence(counts: Floats) -> float:
    """Return a p-value that errors do not go with values, by Holm over true groups.

    Parameters
    ----------
    counts : (2, true, observed)
        Images with lower and with higher values.

    Returns
    -------
    float
        The smallest of chi-squared tests (of two groups, Fisher's exact test), each for the images
        of one true group; NaN where none can be made.
    """
    from scipy import stats

    p = []
    for table in np.moveaxis(counts, 1, 0):
        table = table[:, table.sum(axis=0) > 0]
        if min(table.shape) < 2 or not table.sum(axis=1).all():
            continue
        exact = table.shape == (2, 2)
        test = stats.fisher_exact(table) if exact else stats.chi2_contingency(table)
        p.append(float(test.pvalue))
    return min(1.0, min(p) * len(p)) if p else float("nan")


def tally_pairs(pairs: Sequence[Ints], shape: tuple[int, ...], images: ArrayLike) -> Floats:
    """Return numbers of images (rows,) by their codes in several columns, all from 0 on."""
    place = np.ravel_multi_index(tuple(pairs), shape)
    sums: Array = np.bincount(place, np.asarray(images, float), minlength=int(np.prod(shape)))
    return sums.reshape(shape)
