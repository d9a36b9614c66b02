"""What it costs to be sure and wrong: log loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.metrics._engine.arrays import Array, Bools, Floats, ratio
from fairvision.metrics._engine.blocks import Blocks
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.outcomes import Groups
from fairvision.metrics._engine.result import Result
from fairvision.metrics.scores import check_probabilities, figures_of_labels, read_rows

LEAST = float(np.finfo(float).eps)  # a probability, as scikit-learn clips it


def log_loss(
    truth: ArrayLike,
    scores: ArrayLike,
    groups: Groups = None,
    *,
    labels: Sequence[str] | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Mean of −ln of the probability that was given to what is true.

    Probabilities below 2⁻⁵² count as that, as in scikit-learn: the logarithm of 0 is infinite.

    Parameters
    ----------
    truth : (n,) of 0 and 1, (n,) names or codes, or (n, labels) of 0 and 1
        None, NaN or -1: unknown.
    scores : (n,) or (n, labels) probabilities
        As in `calibration_error`. Those of several classes are taken as they are: they should add
        up to 1. In a table of truth each label has its own loss, also where it does not hold.
    groups, labels
        As in `average_precision`.
    **sampling
        Rows and interval; see `Sampling`. More than 10,000 images times labels are drawn in 2,000
        blocks taken at random: the interval is the same within its noise.

    Returns
    -------
    Result
        0 or more, in natural logarithms; of a table the mean over labels. `pairs` has a row per
        group, per label of a table, or per group and label. NaN with n = 0 where nothing is known.

    Raises
    ------
    InputError
        Scores are not between 0 and 1, or their columns are not those of the labels.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    I. J. Good, "Rational Decisions", Journal of the Royal Statistical Society B 14, 1952.

    Examples
    --------
    >>> from fairvision import metrics
    >>> round(float(metrics.log_loss([1, 0, 1], [0.5, 0.5, 0.25])), 4)  # 4/3 · ln 2
    0.9242
    """
    rows, read = read_rows("truth", truth, scores, groups, sampling, labels)
    check_probabilities(read.scores)
    if read.classes:
        of_truth = np.where(read.held, read.scores, 0).sum(axis=1, keepdims=True)
        read = read.one_column(np.ones_like(of_truth, bool), of_truth)
    blocks = Blocks.of(rows.sample, len(read.names))
    return figures_of_labels(
        "log_loss", rows, read, groups, partial(_mean, blocks), sample=blocks.sample
    )


def _mean(blocks: Blocks, holds: Bools, scores: Floats, valid: Bools) -> Callable[[Array], Floats]:
    """Return the mean loss of one label as a function of weights (blocks, b) → (b,)."""
    loss = -np.log(np.clip(np.where(holds, scores, 1 - scores), LEAST, 1))
    place = np.where(valid, 0, -1)
    losses, images = (blocks.sums(place, of, 1) for of in (loss, np.ones_like(loss)))

    def of_weights(weights: Array) -> Floats:
        mean: Floats = ratio(losses @ weights, images @ weights)[0]
        return mean

    return of_weights
