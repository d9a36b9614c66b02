"""Before anything is measured: how large a gap has to be for so many images to show it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Array
from fairvision.metrics._engine.clusters import cluster_codes
from fairvision.metrics._engine.inputs import as_column


def detectable_gap(
    n: ArrayLike,
    other: ArrayLike,
    *,
    accuracy: ArrayLike = 0.9,
    power: float = 0.8,
    confidence: float = 0.95,
) -> Array:
    """Return the smallest gap in accuracy between two groups that can be shown.

    Of data sets in which one group is right as often as `accuracy` says, and the other by the gap
    less, a share of `power` has an interval of the gap that lies above zero. With p the accuracy
    and n_a, n_b images, the gap δ solves

        δ = (z_{(1 + confidence) / 2} + z_power) √(p (1 − p) / n_a + (p − δ) (1 − p + δ) / n_b)

    Either group may be the one that fares worse; the larger δ of the two counts. The formula takes
    shares for normal, so it is rough below some 10 wrong answers in a group.

    Parameters
    ----------
    n, other : numbers of images, broadcast
        Of both groups. Where images come in clusters, of how many independent images these say as
        much; see `effective_images`.
    accuracy : numbers in (0, 1), broadcast
        How often the group that fares better is right.
    power : float
        In (0, 1). How often the gap shall be shown.
    confidence : float
        In (0, 1). Of the interval.

    Returns
    -------
    ndarray
        In (0, accuracy]. NaN without images, and where not even a gap as large as the accuracy
        would be shown so often.

    Raises
    ------
    InputError
        A number is not in its range.

    References
    ----------
    J. L. Fleiss, B. Levin and M. C. Paik, "Statistical Methods for Rates and Proportions", 3rd
    edition, 2003, section 4.2, without the correction for continuity and the pooled variance.

    Examples
    --------
    >>> from fairvision import metrics
    >>> gap = metrics.detectable_gap(500, [500, 50])
    >>> [round(float(of), 3) for of in gap]
    [0.059, 0.182]
    """
    sizes = [np.asarray(of, float) for of in (n, other)]
    p = np.asarray(accuracy, float)
    if not all((of >= 0).all() for of in sizes):
        raise InputError("numbers of images must be 0 or more")
    for arg, given in (("accuracy", p), ("power", power), ("confidence", confidence)):
        if not np.all((np.asarray(given) > 0) & (np.asarray(given) < 1)):
            raise InputError(f"{arg} must be between 0 and 1")
    square = (ndtri((1 + confidence) / 2) + ndtri(power)) ** 2
    a, b, p = np.broadcast_arrays(*(np.where(of > 0, of, np.nan) for of in sizes), p)
    worse_b, worse_a = (_root(p, square, *pair) for pair in ((a, b), (b, a)))
    gap = np.maximum(worse_a, worse_b)
    return np.where(gap <= p, gap, np.nan)


def _root(p: Array, square: float, better: Array, worse: Array) -> Array:
    """Return the gap that solves the equation, which is quadratic, by numbers of images."""
    leading = 1 + square / worse
    half = square * (2 * p - 1) / worse / 2
    rest = square * p * (1 - p) * (1 / better + 1 / worse)
    root: Array = (half + np.sqrt(half**2 + leading * rest)) / leading
    return root


def effective_images(cluster: ArrayLike, correlation: float = 0.5) -> float:
    """Return of how many independent images some in clusters say as much, about a mean of them.

    With m_c images in cluster c, n / (1 + (Σ m_c² / n − 1) ρ): the design effect of Kish.

    Parameters
    ----------
    cluster : (n,) names or codes
        Of each image. Every image whose cluster is unknown is one by itself.
    correlation : float
        In [0, 1]. ρ, of what is measured in two images of one cluster: 0 counts images, and 1
        clusters, if these are of equal size.

    Raises
    ------
    InputError
        The correlation is not in [0, 1].

    References
    ----------
    L. Kish, "Survey Sampling", 1965, section 5.4 and chapter 8.

    Examples
    --------
    >>> from fairvision import metrics
    >>> [metrics.effective_images([1, 1, 2, 2], correlation) for correlation in (0, 0.5, 1)]
    [4.0, 2.6666666666666665, 2.0]
    """
    if not 0 <= correlation <= 1:
        raise InputError(f"correlation must be from 0 to 1, not {correlation}")
    codes, _ = cluster_codes(as_column("cluster", cluster))
    if not len(codes):
        return 0.0
    sizes = np.bincount(codes)
    return float(len(codes) / (1 + ((sizes**2).sum() / len(codes) - 1) * correlation))
