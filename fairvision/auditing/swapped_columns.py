"""What the columns of swapped surroundings hold, from what a model says of each pair of images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision import metrics
from fairvision.auditing.columns import score_columns
from fairvision.datasets import Dataset


def swapped_columns(
    pairs: pd.DataFrame, truth: Dataset, whole: npt.NDArray[np.float64], attribute: str
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the columns of an attribute, from what a model says of each pair.

    Parameters
    ----------
    pairs : columns `row` (whose person), `donor` (whose surroundings, a row too), `kind` ("others",
        "same" or "own"), and "0", "1", … with the probability of each group; pairs without
        probabilities do not count
    truth : the images, n of them
    whole : (n, groups) probabilities of whole images
    attribute : of the dataset

    Returns
    -------
    (n,) columns of docs/design.md: `swapped/…`, `holds/…`, `swapped_right/…`, `same_swapped/…`,
    `same_swapped_right/…`, `pasted/…` and `others_here/…`; NaN where there is no such pair, and
    `holds/…` where there is no answer for the whole image

    Examples
    --------
    A person whom a model calls *a* in front of *b*'s wall and in front of their own:

    >>> from pathlib import Path
    >>> samples = pd.DataFrame({"id": ["p", "q"], "group": ["a", "b"]})
    >>> truth = Dataset(Path("."), "two", {"group": ("a", "b")}, {}, samples)
    >>> pairs = pd.DataFrame(
    ...     {"row": [0, 0], "donor": [1, 0], "kind": ["others", "own"], "0": 0.75, "1": 0.25}
    ... )
    >>> columns = swapped_columns(pairs, truth, np.array([[0.9, 0.1], [0.2, 0.8]]), "group")
    >>> columns["holds/group"], columns["pasted/group/a"], columns["others_here/group/b"]
    (array([ 1., nan]), array([0.75,  nan]), array([ nan, 0.25]))
    """
    groups = truth.attributes[attribute]
    n, codes = len(truth), truth.codes(attribute)
    before = metrics.decide(whole, many=False)
    answered = pairs.dropna()
    scores = answered[[f"{i}" for i in range(len(groups))]].to_numpy()
    row, donor, kind = (answered[name].to_numpy() for name in ("row", "donor", "kind"))
    after = metrics.decide(scores, many=False)
    others, same, back = (kind == name for name in ("others", "same", "own"))
    asked = others & (before[row] >= 0)
    columns: dict[str, npt.NDArray[np.float64]] = {}

    def add(name: str, values: npt.NDArray[np.float64]) -> None:
        shaped = values.reshape(n, -1)
        one = shaped.shape[1] == 1
        names = [f"{name}/{attribute}"] if one else score_columns(name, attribute, groups)
        columns.update(zip(names, shaped.T))

    add("swapped", _means(scores[others], row[others], n))
    add("holds", _means((after == before[row])[asked], row[asked], n))
    add("swapped_right", _means((after == codes[row])[others], row[others], n))
    add("same_swapped", _means(scores[same], row[same], n))
    add("same_swapped_right", _means((after == codes[row])[same], row[same], n))
    add("pasted", _means(scores[back], row[back], n))
    add("others_here", _means(scores[others], donor[others], n))
    return columns


def _means(
    values: npt.NDArray[np.floating] | npt.NDArray[np.bool_], rows: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.float64]:
    """Return the mean of the values of each of n rows, NaN where there is none."""
    values = values.astype(np.float64)
    sums, number = np.zeros((n, *values.shape[1:])), np.bincount(rows, minlength=n)
    np.add.at(sums, rows, values)
    number = number.reshape(-1, *[1] * (sums.ndim - 1))
    return np.where(number > 0, sums / np.maximum(number, 1), np.nan)
