"""Whether images that are alike are decided alike."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import check_rows, read_labels, read_table, require
from fairvision.metrics._engine.outcomes import Groups, group_columns
from fairvision.metrics._engine.result import Result
from fairvision.metrics._engine.rows import Rows
from fairvision.metrics.scores import Scored, figures_of_labels, images_alone, mean_of_scores


def consistency_score(
    features: ArrayLike,
    predicted: ArrayLike,
    groups: Groups = None,
    *,
    n_neighbors: int = 5,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Consistency of decisions: how often the images nearest to one are decided as it is.

    Of positive and negative decisions it is 1 − Σ |ŷ − mean of ŷ over the k nearest| / n (yNN).
    It is no accuracy: a model that always says the same has 1. And it is as good as the distance:
    features that know the group make images of different groups no neighbours.

    Parameters
    ----------
    features : (n, d) numbers
        Of what images are alike by, such as the output of a network's last but one layer; distances
        are Euclidean, so columns should be on one scale. A row with NaN is unknown.
    predicted : (n,) names or codes, or (n, labels) of 0 and 1
        Decisions; None, NaN or -1: unknown. In a table, the share of labels decided alike.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns, optional
        As in `selection_rate`. Neighbours may be of any group.
    n_neighbors : int
        k: how many other images each is set beside. Of equally distant ones the first count.
    where : (n,) bool, optional
        The images that take part, as neighbours too.
    **sampling
        Rows and interval; see `Sampling`. Which images are neighbours is held fixed.

    Returns
    -------
    Result
        In [0, 1]; `pairs` has a row per group. NaN with n = 0 unless there are more than
        `n_neighbors` known images.

    Raises
    ------
    InputError
        `n_neighbors` is no whole number from 1 on, or features hold no numbers.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    R. Zemel et al., "Learning Fair Representations", ICML 2013, section 4 (its formula lacks the
    1/k, and its program counts each image among its own neighbours, as AIF360 does; here it is
    not).

    Examples
    --------
    >>> from fairvision import metrics
    >>> features = [[0.0], [0.1], [0.2], [5.0], [5.1], [5.3]]
    >>> decisions = ["doctor", "doctor", "nurse", "nurse", "nurse", "nurse"]
    >>> result = metrics.consistency_score(features, decisions, n_neighbors=2)
    >>> round(float(result), 3), result.n
    (0.667, 6)
    """
    is_whole = isinstance(n_neighbors, (int, np.integer)) and not isinstance(n_neighbors, bool)
    if not is_whole or n_neighbors < 1:
        raise InputError(f"n_neighbors must be a whole number, 1 or more, not {shown(n_neighbors)}")
    require(features=features, predicted=predicted)
    columns = {"features": features, "predicted": predicted, "where": where}
    rows = Rows({**columns, **group_columns(groups)}, sampling)
    table, _ = read_table("features", rows["features"])
    _, read = read_labels(predicted=rows["predicted"])
    decided = read["predicted"]
    check_rows(features=table, predicted=decided.valid)
    keep: Bools = np.asarray(decided.valid & rows.mask & ~np.isnan(table).any(axis=1))
    if rows.count(keep) <= n_neighbors:
        keep = np.zeros_like(keep)
    unit = np.repeat(np.arange(len(keep)), np.where(keep, rows.sample.counts, 0))
    alike = np.zeros(len(keep))
    if len(unit):
        each = _share_alike(table[unit], decided.held[unit], int(n_neighbors))
        alike = np.bincount(unit, each, len(keep)) / np.maximum(
            np.bincount(unit, minlength=len(keep)), 1
        )
    scored = Scored(keep[:, None], alike[:, None], keep, [0], classes=False)
    name = "consistency_score"
    return figures_of_labels(
        *(name, rows, scored, groups, mean_of_scores), average="micro", shares=images_alone
    )


def _share_alike(features: Floats, decided: Array, neighbours: int) -> Floats:
    """Return the share of each image's neighbours that are decided as it is, (n,)."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=neighbours).fit(features)
    nearest = search.kneighbors(return_distance=False)
    share = np.zeros(len(features))
    for column in nearest.T:  # one of the k nearest of every image
        same = decided[column] == decided
        share += same if same.ndim == 1 else same.mean(axis=1)
    return share / neighbours
