"""Right or wrong, and for which reasons."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._bootstrap import ratio
from fairvision.metrics._inputs import read_values, read_where
from fairvision.metrics._result import Result, summarise
from fairvision.metrics._rows import Rows
from fairvision.metrics._sampling import Sampling

CELLS = (
    "right for the right reasons",
    "right for the wrong reasons",
    "wrong, evidence on the person",
    "wrong, evidence elsewhere",
)


def reasons(
    right: ArrayLike,
    inside: ArrayLike,
    *,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Shares of the four cells: right or wrong × evidence on the person or elsewhere.

    Parameters
    ----------
    right : (n,) bool or 0 and 1
        Whether the prediction is right, as from `correct`. NaN: unknown.
    inside : (n,) numbers
        Whether the evidence lies on the person: a `pointing_game` hit above 0.5. NaN: undefined.
    where : (n,) bool, optional
        The images that take part.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        The value is the share that is right for the right reasons. `pairs` has the four cells as
        `label`; they add up to 1. Images with `right` or `inside` undefined are left out; n says
        how many remain. NaN where none does.

    References
    ----------
    L. A. Hendricks et al., "Women Also Snowboard", ECCV 2018. arXiv:1803.09797.

    Examples
    --------
    >>> from fairvision import metrics
    >>> result = metrics.reasons([1, 1, 0, 1], [1.0, 0.0, 0.0, float("nan")])
    >>> result.pairs[["label", "value", "n"]]
                               label     value  n
    0    right for the right reasons  0.333333  3
    1    right for the wrong reasons  0.333333  3
    2  wrong, evidence on the person  0.000000  3
    3      wrong, evidence elsewhere  0.333333  3
    """
    rows = Rows({"right": right, "inside": inside, "where": where}, sampling)
    is_right, hit = read_values("right", rows["right"]), read_values("inside", rows["inside"])
    for name, values in (("right", is_right), ("inside", hit)):
        if ((values < 0) | (values > 1)).any():
            raise InputError(f"{name} must hold numbers between 0 and 1")
    known = read_where(rows.get("where"), len(hit)) & ~np.isnan(is_right) & ~np.isnan(hit)
    cell = np.where(is_right > 0.5, 0, 2) + np.where(hit > 0.5, 0, 1)
    members = (known & (cell == np.arange(len(CELLS))[:, None])).astype(float)

    def statistic(weights: np.ndarray) -> np.ndarray:
        counts = members @ weights
        shares = ratio(counts, counts.sum(axis=0))
        return np.vstack([shares[0], shares])

    n = rows.count(known)
    pairs = {"label": CELLS, "n": n}
    images = rows.sample.effective(lambda weights: known[None] @ weights)
    shares = images.repeat(1 + len(CELLS))
    return summarise(rows.sample, statistic, n, "reasons", pairs=pairs, shares=shares)
