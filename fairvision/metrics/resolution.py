"""Which of several texts fits an image best, where each names another group."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Bools, as_objects
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import as_column, check_rows, read_groups, read_scores
from fairvision.metrics._engine.result import Result
from fairvision.metrics.rates import accuracy


def resolution_accuracy(
    scores: ArrayLike, groups: ArrayLike, **sampling: Unpack[Sampling]
) -> Result:
    """Resolution accuracy: share of images whose own group's text has the highest score.

    The texts are the same but for the group that they name ("the doctor and her patient", "the
    doctor and his patient"). The resolution bias is the difference between two groups:
    ``gap(result, reference="male")``.

    Parameters
    ----------
    scores : (n, groups) numbers
        How well each image fits the text of each group: a DataFrame with the names of the groups as
        columns, or columns in the order of the codes, or of the names that occur. Of equal scores
        the first counts. A row with NaN is unknown.
    groups : (n,) names or codes
        Who is shown. None, NaN, -1 or "unknown": the image takes no part.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        In [0, 1]; `pairs` has a row per group. NaN where nothing is known.

    Raises
    ------
    InputError
        Scores do not have a column for each group.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    S. M. Hall et al., "VisoGender: A Dataset for Benchmarking Gender Bias in Image-Text Pronoun
    Resolution", NeurIPS 2023, section 3 (arXiv:2306.12424).

    Examples
    --------
    >>> import pandas as pd
    >>> from fairvision import metrics
    >>> texts = pd.DataFrame({"her": [0.9] * 10 + [0.6] * 10, "his": [0.1] * 10 + [0.4, 0.8] * 5})
    >>> shown = ["her"] * 10 + ["his"] * 10
    >>> result = metrics.resolution_accuracy(texts, shown)
    >>> float(result), float(metrics.gap(result, reference="his"))
    (0.75, 0.5)
    """
    table, columns = read_scores("scores", as_column("scores", scores))
    occurring, read = read_groups(groups=as_column("groups", groups))
    code = read["groups"]
    check_rows(scores=table, groups=code)
    names = columns if any(isinstance(name, str) for name in columns) else occurring
    if not occurring or any(not isinstance(name, str) for name in names):
        names = columns  # codes
    missing = [name for name in occurring if name not in names]
    if missing or len(names) != table.shape[1]:
        raise InputError(
            f"scores have {table.shape[1]} columns, which are not those of the groups "
            f"{', '.join(map(str, occurring))}: give a DataFrame with the groups as columns"
        )
    answers = as_objects([*names, None])
    valid: Bools = np.asarray(~np.isnan(table).any(axis=1))
    chosen = np.where(valid, np.where(valid[:, None], table, 0).argmax(axis=1), len(names))
    truth = as_objects([*occurring, None])[code]
    return accuracy(truth, answers[chosen], truth, **sampling)
