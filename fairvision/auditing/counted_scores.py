"""Scores of tables too large to be held: counted on grids, a batch after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision import metrics
from fairvision.metrics import ScoreCounts
from fairvision.metrics.losses import LEAST
from fairvision.schema import Schema

SUREST, LABEL, GAP, LOSS = "surest", "label", "gap", "loss"
WORST = -math.log(LEAST)  # loss of an image, by which losses are divided
MOST_LABELS = 20  # of tasks of one label per image, each of which is counted by groups
_GRID = 720  # of losses, which are only added up


class Of(NamedTuple):
    """What is counted.

    Attributes
    ----------
    kind : the highest score of an image, beside whether it is right; the score of a label, beside
        whether that holds; the gap between probabilities with the person hidden; or the loss, as a
        part of the worst
    head : attribute or task
    label : of whose scores; "" for the others
    attribute : by whose groups; "" for none
    """

    kind: str
    head: str
    label: str = ""
    attribute: str = ""


Grids = dict[Of, ScoreCounts]
"""Scores of one model, counted."""


def count(
    grids: Grids,
    schema: Schema,
    truth: Mapping[str, npt.NDArray[Any]],
    probabilities: Mapping[tuple[str, str], npt.NDArray[np.float64]],
) -> None:
    """Count the scores of a batch.

    Parameters
    ----------
    grids : where they are added
    schema : of the truth
    truth : by head, codes (n,), -1 where unknown; or (n, labels) of 0 and 1
    probabilities : by kind and head, (n, labels), rows of NaN where there is no answer
    """
    groups = {
        attribute: pd.Categorical.from_codes(truth[attribute], pd.Index(names))
        for attribute, names in schema.attributes.items()
    }

    def add(of: Of, holds: npt.ArrayLike, scores: npt.NDArray[Any]) -> None:
        of_groups = groups[of.attribute] if of.attribute else None
        new = ScoreCounts(_GRID) if of.kind == LOSS else ScoreCounts()
        grids.setdefault(of, new).update(holds, scores, of_groups)

    for (kind, head), scores in probabilities.items():
        there = np.logical_not(np.isnan(scores).any(axis=1))
        if kind == "hidden" and head in groups:
            add(Of(GAP, head, "", head), np.where(there, 0, -1), metrics.probability_gap(scores))
        if kind != "score":
            continue
        labels, codes = schema.labels(head), truth[head]
        if schema.is_many(head):
            for label, score, holds in zip(labels, scores.T, codes.T):
                held = np.where(there, holds, -1)
                add(Of(LABEL, head, label), held, score)
                of_truth = np.where(holds == 1, score, 1 - score)
                add(Of(LOSS, head, label), np.minimum(held, 0), _loss(of_truth, held >= 0))
            continue
        has_both = there & (codes >= 0)
        surest = np.where(there[:, None], scores, 0).argmax(axis=1)
        right = np.where(has_both, surest == codes, -1)
        loss = _loss(scores[np.arange(len(scores)), np.where(has_both, codes, 0)], has_both)
        for attribute in [head] if head in groups else [*groups] or [""]:
            add(Of(SUREST, head, "", attribute), right, scores[np.arange(len(scores)), surest])
            add(Of(LOSS, head, "", attribute), np.where(has_both, 0, -1), loss)
            first = 1 if len(labels) == 2 else 0
            if head not in groups and len(labels) <= MOST_LABELS:
                for code in range(first, len(labels)):
                    holds = np.where(has_both, codes == code, -1)
                    add(Of(LABEL, head, labels[code], attribute), holds, scores[:, code])


def _loss(of_truth: npt.NDArray[Any], has_both: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Return the loss of each image, by its probability of what is true, as a part of the worst."""
    loss: npt.NDArray[Any] = -np.log(np.clip(np.where(has_both, of_truth, 1), LEAST, 1)) / WORST
    return loss
