"""For which reasons answers are right or wrong: by cause, and by where a map has its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Floats, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import read_values
from fairvision.metrics._engine.result import Result, summarise
from fairvision.metrics._engine.rows import Rows

REASONS = (
    "right and holds",
    "right, turns with the surroundings",
    "wrong, right elsewhere",
    "wrong everywhere",
)
"""The labels of `reasons`."""

EVIDENCE_CELLS = (
    "right, evidence on the person",
    "right, evidence elsewhere",
    "wrong, evidence on the person",
    "wrong, evidence elsewhere",
    "no evidence",
)
"""The labels of `evidence_cells`."""

THRESHOLD = 0.75
"""The share of swaps in which an answer has to stay to be one that holds."""
_ROUNDING = 1e-9


def reasons(
    right: ArrayLike,
    holds: ArrayLike,
    elsewhere: ArrayLike,
    *,
    threshold: float = THRESHOLD,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Shares of the four reasons by cause: what answers do when the surroundings are exchanged.

    Each person is shown in the surroundings of other images. A right answer *holds* where it
    stays in at least `threshold` of them: it follows the person; otherwise it *turns with the
    surroundings*. A wrong answer is *right elsewhere* where other surroundings make it right in
    more than 1 - `threshold` of the swaps: these surroundings mislead; otherwise it is *wrong
    everywhere*.

    Parameters
    ----------
    right : (n,) bool or 0 and 1
        Whether the answer to the whole image is right, as from `correct`. NaN: unknown.
    holds : (n,) numbers in [0, 1]
        Share of the swaps, with surroundings of other groups, in which the answer stays. NaN:
        undefined, as without a mask. Read where `right` is 1.
    elsewhere : (n,) numbers in [0, 1]
        Share of swaps answered right; the larger one, where there are surroundings of the own
        group and of others. Read where `right` is 0. NaN: undefined.
    threshold : float
        In (0.5, 1].
    where : (n,) bool, optional
        The images that take part.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        The value is the share of `right and holds`. `pairs` has the four reasons of `REASONS` as
        `label`; they add up to 1, and the first two to the accuracy of these images. Images of
        which something is undefined are left out; n says how many remain. NaN where none does.

    Raises
    ------
    InputError
        Where values lie outside of 0 to 1, lengths differ, or `threshold` is out of range.

    References
    ----------
    K. Xiao, L. Engstrom, A. Ilyas and A. Madry, "Noise or Signal: The Role of Image Backgrounds in
    Object Recognition", ICLR 2021, arXiv:2006.09994, for exchanged backgrounds; the four reasons
    are ours, after the question of L. A. Hendricks et al., "Women Also Snowboard", ECCV 2018.

    Examples
    --------
    >>> from fairvision import metrics
    >>> result = metrics.reasons([1, 1, 0, 0], [1.0, 0.25, 0.0, 1.0], [1.0, 0.5, 0.5, 0.0])
    >>> result.pairs[["label", "value", "n"]]
                                    label  value  n
    0                     right and holds   0.25  4
    1  right, turns with the surroundings   0.25  4
    2              wrong, right elsewhere   0.25  4
    3                    wrong everywhere   0.25  4
    """
    rows = Rows({"right": right, "holds": holds, "elsewhere": elsewhere, "where": where}, sampling)
    codes = reason_codes(rows["right"], rows["holds"], rows["elsewhere"], threshold=threshold)
    return _shares(rows, np.where(rows.mask, codes, -1), REASONS, "reasons")


def reason_codes(
    right: ArrayLike, holds: ArrayLike, elsewhere: ArrayLike, *, threshold: float = THRESHOLD
) -> npt.NDArray[np.int64]:
    """Return the position of each image in `REASONS`, (n,), -1 where undefined; see `reasons`.

    Examples
    --------
    >>> reason_codes([1, 1, 0, 0, 1], [1, 0.5, 0, 1, float("nan")], [1, 0.5, 0.5, 0, 1])
    array([ 0,  1,  2,  3, -1])
    """
    if not 0.5 < threshold <= 1:
        raise InputError(f"threshold must be above 0.5 and at most 1, not {threshold:g}")
    is_right, stays, turned = (
        _shares_of("right", right), _shares_of("holds", holds), _shares_of("elsewhere", elsewhere)
    )  # fmt: skip
    holding = np.where(stays >= threshold - _ROUNDING, 0, 1)
    misled = np.where(turned > 1 - threshold + _ROUNDING, 2, 3)
    codes = np.where(is_right > 0.5, holding, misled)
    undefined = np.isnan(is_right) | np.isnan(np.where(is_right > 0.5, stays, turned))
    return np.where(undefined, -1, codes)


def evidence_cells(
    right: ArrayLike,
    inside: ArrayLike,
    *,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Shares of right and wrong answers × evidence on the person or elsewhere, as a map has it.

    A map shows where the evidence lies, not what would change the answer: that is what `reasons`
    are for.

    Parameters
    ----------
    right : (n,) bool or 0 and 1
        Whether the answer is right, as from `correct`. NaN: unknown.
    inside : (n,) numbers
        Whether the evidence lies on the person: a `pointing_game` hit above 0.5. NaN: the map has
        no evidence.
    where : (n,) bool, optional
        The images that take part: those with a mask.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        The value is the share that is right with evidence on the person. `pairs` has the cells of
        `EVIDENCE_CELLS` as `label`, images without evidence in the last; they add up to 1. Images
        with `right` undefined are left out; n says how many remain. NaN where none does.

    Raises
    ------
    InputError
        Where values lie outside of 0 to 1, or lengths differ.

    References
    ----------
    L. A. Hendricks et al., "Women Also Snowboard", ECCV 2018, section 4.3. arXiv:1803.09797.

    Examples
    --------
    >>> from fairvision import metrics
    >>> result = metrics.evidence_cells([1, 1, 0, 1], [1.0, 0.0, 0.0, float("nan")])
    >>> result.pairs[["label", "value", "n"]]
                               label  value  n
    0  right, evidence on the person   0.25  4
    1      right, evidence elsewhere   0.25  4
    2  wrong, evidence on the person   0.00  4
    3      wrong, evidence elsewhere   0.25  4
    4                    no evidence   0.25  4
    """
    rows = Rows({"right": right, "inside": inside, "where": where}, sampling)
    codes = evidence_codes(rows["right"], rows["inside"])
    return _shares(rows, np.where(rows.mask, codes, -1), EVIDENCE_CELLS, "evidence_cells")


def evidence_codes(right: ArrayLike, inside: ArrayLike) -> npt.NDArray[np.int64]:
    """Return the position of each image in `EVIDENCE_CELLS`, (n,), -1 where `right` is unknown.

    Examples
    --------
    >>> evidence_codes([1, 1, 0, 0, 1, float("nan")], [1, 0, 1, 0, float("nan"), 1])
    array([ 0,  1,  2,  3,  4, -1])
    """
    is_right, hit = _shares_of("right", right), _shares_of("inside", inside)
    codes = np.where(is_right > 0.5, 0, 2) + np.where(hit > 0.5, 0, 1)
    return np.where(np.isnan(is_right), -1, np.where(np.isnan(hit), 4, codes))


def _shares_of(name: str, values: ArrayLike) -> Floats:
    """Return values (n,), NaN where unknown; raise `InputError` unless they are in [0, 1]."""
    read = read_values(name, values)
    if ((read < 0) | (read > 1)).any():
        raise InputError(f"{name} must hold numbers between 0 and 1")
    return read


def _shares(rows: Rows, codes: npt.NDArray[np.int64], labels: Sequence[str], name: str) -> Result:
    """Return the share of each code among rows with one; -1 is none. The first is the value."""
    valid = codes >= 0
    members = (codes == np.arange(len(labels))[:, None]).astype(float)

    def statistic(weights: Any) -> Floats:
        counts = members @ weights
        shares = ratio(counts, counts.sum(axis=0))
        return np.vstack([shares[0], shares])

    n = rows.count(valid)
    pairs = {"label": tuple(labels), "n": n}
    images = rows.sample.effective(lambda weights: valid.astype(float)[None] @ weights)
    shares = images.repeat(1 + len(labels))
    return summarise(rows.sample, statistic, n, name, pairs=pairs, shares=shares)
