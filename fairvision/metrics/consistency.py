"""Pairs of images that differ in one thing: answers that change and should not, or reverse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Bools, Columns, Floats, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.clusters import clusters_of
from fairvision.metrics._engine.inputs import (
    as_column,
    check_rows,
    is_table,
    read_labels,
    read_mask,
)
from fairvision.metrics._engine.result import Result
from fairvision.metrics._engine.rows import Rows
from fairvision.metrics.contrasts import mean, mean_of_units

_LABELS = ("truth", "predicted", "changed_truth", "changed_predicted")


def counterfactual_flips(
    truth: ArrayLike,
    predicted: ArrayLike,
    changed_truth: ArrayLike,
    changed_predicted: ArrayLike,
    *,
    originals: ArrayLike | None = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Answers that should not change and do: share of pairs with one truth and two answers.

    A pair is an image, the original, and a counterfactual of it, in which one thing was changed.
    Pairs count where the truth is the same for both and the original is answered right. It is 0 for
    a model that looks at nothing that was changed; 1 where each of these answers turns with it.

    Parameters
    ----------
    truth, predicted : (n,) names or codes
        Of the original of each pair. None, NaN or -1: unknown, the pair takes no part.
    changed_truth, changed_predicted : (n,) names or codes
        The same of the counterfactual.
    originals : (n,) names or numbers, optional
        Which original each pair has. Pairs of one original are no independent evidence: the figure
        is the mean over originals of the share of their pairs, and originals are drawn again as
        wholes. Without it each pair stands by itself.
    where : (n,) bool, optional
        The pairs that take part. Leaving pairs out this way keeps results paired.
    **sampling
        Rows and interval; see `Sampling`. With `originals` there are no `counts`, `weights` and
        `strata`.

    Returns
    -------
    Result
        In [0, 1]; NaN without such pairs. n counts the pairs.

    Raises
    ------
    InputError
        An original is unknown.

    References
    ----------
    S. Garg et al., "Counterfactual Fairness in Text Classification through Robustness", AIES 2019,
    section 3 (arXiv:1809.10610). K. C. Fraser and S. Kiritchenko, "Examining Gender and Racial Bias
    in Large Vision-Language Models Using a Novel Dataset of Parallel Images", EACL 2024
    (arXiv:2402.05779). C. A. Field and A. H. Welsh, "Bootstrapping clustered data", Journal of the
    Royal Statistical Society B 69, 2007.

    Examples
    --------
    Two people, each moved to two places: the answer for one turns in both, for the other in none.

    >>> from fairvision import metrics
    >>> truth = ["cook", "cook", "nurse", "nurse"]
    >>> moved = ["nurse", "nurse", "nurse", "nurse"]
    >>> metrics.counterfactual_flips(
    ...     truth, truth, truth, moved, originals=[1, 1, 2, 2], replicates=0
    ... )
    counterfactual_flips = 0.5 [nan, nan] (n = 4)
    """
    columns = dict(zip(_LABELS, (truth, predicted, changed_truth, changed_predicted)))
    return _share(columns, originals, where, sampling, turns=False, name="counterfactual_flips")


def counterfactual_misses(
    truth: ArrayLike,
    predicted: ArrayLike,
    changed_truth: ArrayLike,
    changed_predicted: ArrayLike,
    *,
    originals: ArrayLike | None = None,
    where: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Answers that should change and do not: share of pairs with two truths and one answer.

    Pairs count where the truth differs between the two and the original is answered right. It is 0
    for a model whose answers follow what was changed, and 1 for one that does not look at it. With
    more than two labels an answer that changes to a wrong one has changed.

    Parameters
    ----------
    truth, predicted, changed_truth, changed_predicted, originals, where, **sampling
        As for `counterfactual_flips`.

    Returns
    -------
    Result
        In [0, 1]; NaN without such pairs. n counts the pairs.

    Raises
    ------
    InputError
        An original is unknown.

    References
    ----------
    As for `counterfactual_flips`. D. Kaushik et al., "Learning the Difference that Makes a
    Difference with Counterfactually-Augmented Data", ICLR 2020 (arXiv:1909.12434): pairs whose
    truth was changed.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.counterfactual_misses(
    ...     ["cook", "cook"], ["cook", "cook"], ["nurse", "nurse"], ["cook", "nurse"], replicates=0
    ... )
    counterfactual_misses = 0.5 [nan, nan] (n = 2)
    """
    columns = dict(zip(_LABELS, (truth, predicted, changed_truth, changed_predicted)))
    return _share(columns, originals, where, sampling, turns=True, name="counterfactual_misses")


def _share(
    columns: Columns,
    originals: ArrayLike | None,
    where: ArrayLike | None,
    sampling: Sampling,
    *,
    turns: bool,
    name: str,
) -> Result:
    """Return the share of wrong pairs among those whose truth turns, or does not."""
    for argument, values in columns.items():
        if is_table(argument, values):
            raise InputError(f"{argument} must hold one label per row, not a table")
    if originals is None:
        rows = Rows({**columns, "where": where}, sampling)
        return mean_of_units(rows, _wrong(rows, turns), name)
    for argument in ("counts", "weights", "strata"):
        if sampling.get(argument) is not None:
            raise InputError(f"give {argument} or originals, not both")
    read = {argument: as_column(argument, values) for argument, values in columns.items()}
    cluster, different = _clusters(originals, read)
    values = np.where(read_mask(where, len(cluster)), _wrong(read, turns), np.nan)
    counted = ~np.isnan(values)
    of_each = np.bincount(cluster, counted, minlength=different)
    wrong = np.bincount(cluster, np.where(counted, values, 0), minlength=different)
    sampling = sampling.copy()
    sampling["cluster"] = clusters_of(sampling.get("cluster"), cluster, "originals")
    result = mean(ratio(wrong, of_each), **sampling)
    return replace(result, n=int(counted.sum()), name=name)


def _clusters(originals: ArrayLike, columns: Mapping[str, Any]) -> tuple[Any, int]:
    """Return which original each pair has, (n,) ints from 0 on, and how many there are."""
    shown = pd.Series(as_column("originals", originals))
    check_rows(**{name: len(values) for name, values in columns.items()}, originals=len(shown))
    try:
        cluster, different = pd.factorize(shown, sort=True)
    except TypeError:
        raise InputError("originals must hold names or numbers, one per pair") from None
    if (cluster < 0).any():
        raise InputError(f"originals is unknown in row {np.argmax(cluster < 0)}")
    return cluster, len(different)


def _wrong(columns: Mapping[str, Any], turns: bool) -> Floats:
    """Return 1 for a pair whose answers are as they should not be, else 0; NaN: it does not count.

    Answers should differ where the truth `turns`, and be the same where it does not.
    """
    _, labels = read_labels(**{name: columns[name] for name in _LABELS})
    truth, predicted, changed_truth, changed_predicted = (labels[name].held for name in _LABELS)
    complete: Bools = (truth >= 0) & (changed_truth >= 0) & (changed_predicted >= 0)
    counts = complete & (predicted == truth) & ((changed_truth != truth) == turns)
    same = predicted == changed_predicted
    return np.where(counts, same if turns else ~same, np.nan)
