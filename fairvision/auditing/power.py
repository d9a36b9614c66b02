"""What gaps the images of a dataset can show, before any model is audited on them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from fairvision import datasets, metrics
from fairvision.auditing.clusters import of_dataset
from fairvision.datasets import Dataset
from fairvision.errors import InputError
from fairvision.results.extremes import FEWEST

ACCURACIES = (0.7, 0.9, 0.95)
POWER, CONFIDENCE = 0.8, 0.95


def detectable_gaps(
    data: Dataset | str | Path,
    *,
    split: str = "test",
    accuracies: Sequence[float] = ACCURACIES,
    power: float = POWER,
    confidence: float = CONFIDENCE,
    cluster: str | None = None,
    correlation: float = 0.5,
) -> pd.DataFrame:
    """Return the smallest gap in accuracy that can be shown between any two groups.

    Parameters
    ----------
    data : dataset, or its folder
    split : whose images count
    accuracies, power, confidence : as for `fairvision.metrics.detectable_gap`
    cluster : column of the table that says which images are no independent evidence
    correlation : of two images of one cluster, from 0 to 1; see
        `fairvision.metrics.effective_images`

    Returns
    -------
    DataFrame
        A row for each attribute, two of its groups, and accuracy of the one that fares better:
        `attribute`, `group`, `other`, `n`, `other_n` (images), `effective`, `other_effective` (of
        how many independent images they say as much), `accuracy`, `gap` (NaN where none can be
        shown, as of groups of fewer than ten images, which audits do not compare).

    Raises
    ------
    InputError
        The split has no images, or the table no such column.

    Examples
    --------
    >>> from fairvision.schema import Schema
    >>> schema = Schema({"age": ("young", "old")})
    >>> rows = {"id": list("abcd"), "split": ["test"] * 4}
    >>> ages = {"age": schema.column("age", ["young", "young", "young", "old"])}
    >>> few = Dataset.of_columns(schema, pd.DataFrame(rows), ages, root=Path("."), name="few")
    >>> detectable_gaps(few, accuracies=[0.9])[["group", "n", "other", "other_n", "gap"]]
       group  n other  other_n  gap
    0  young  3   old        1  NaN
    """
    whole = (data if isinstance(data, Dataset) else datasets.load(data)).originals()
    there = list(dict.fromkeys(whole.samples["split"]))
    if split not in there:
        raise InputError(f"{whole.root} has no pictures of split {split!r}: it has {there}")
    chosen = whole.split(split)
    of_image = None if cluster is None else of_dataset(cluster, chosen).codes
    rows = []
    for attribute, groups in chosen.attributes.items():
        codes = chosen.codes(attribute)
        sizes = {group: int((codes == code).sum()) for code, group in enumerate(groups)}
        effective = {
            group: float(sizes[group])
            if of_image is None
            else metrics.effective_images(of_image[codes == code], correlation)
            for code, group in enumerate(groups)
        }
        rows += [
            {
                "attribute": attribute,
                "group": one,
                "other": other,
                "n": sizes[one],
                "other_n": sizes[other],
                "effective": effective[one],
                "other_effective": effective[other],
                "accuracy": accuracy,
            }
            for one, other in combinations(groups, 2)
            for accuracy in accuracies
        ]
    columns = ["attribute", "group", "other", "n", "other_n", "effective", "other_effective"]
    table = pd.DataFrame(rows, columns=[*columns, "accuracy"])
    numbers = table[["effective", "other_effective", "accuracy"]].to_numpy(float).T
    gaps = metrics.detectable_gap(
        *numbers[:2], accuracy=numbers[2], power=power, confidence=confidence
    )
    few = table[["n", "other_n"]].min(axis=1) < FEWEST  # are not compared
    return table.assign(gap=np.where(few, np.nan, gaps))
