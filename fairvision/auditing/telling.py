"""Which images tell most of why a model is right or wrong."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fairvision.auditing.inputs import predicted
from fairvision.auditing.tables import CHANCE, MEASURES, Samples
from fairvision.results.entries.evidence import REASONS

Rows = npt.NDArray[np.int64]


def reason_codes(model: Samples, attribute: str) -> Rows:
    """Return each image's position in `REASONS`, (n,), as `fairvision.metrics.reasons` counts them.

    -1 where the group is unknown, or there is no evidence: no mask, or nothing positive in the map.
    """
    truth, predictions = model.truth.codes(attribute), predicted(model, attribute)
    inside = model.evidence(MEASURES[0], attribute)
    if predictions is None or inside is None:
        return np.full(len(truth), -1)
    valid = (truth >= 0) & (predictions >= 0) & ~np.isnan(inside)
    codes = np.where(predictions == truth, 0, 2) + np.where(inside > 0.5, 0, 1)
    return np.where(valid, codes, -1)


def clarity(model: Samples, attribute: str) -> npt.NDArray[np.float64]:
    """Return how clearly each image belongs to its reason, (n,) in [-1, 1].

    The probability of the model's answer, times how far the share of the evidence on the person
    (relevance mass) lies beyond chance (the person's share of the image) on the side of the reason:
    above it where the strongest evidence is on the person, below it elsewhere. Negative where peak
    and share disagree; NaN where there is none.

    Examples
    --------
    A sure answer, right, with a tenth of the evidence on a person who fills half of the image:

    >>> import pandas as pd
    >>> from fairvision.datasets import Dataset
    >>> row = pd.DataFrame({"id": ["p"], "age": ["old"]})
    >>> scores = {"score/age/old": [0.9], "score/age/young": [0.1], "evidence/chance": [0.5]}
    >>> names = ["evidence/gradcam/pointing_game", "evidence/gradcam/relevance_mass"]
    >>> evidence = dict(zip(names, ([0.0], [0.1])))
    >>> truth = Dataset("", "one", {"age": ("old", "young")}, {}, row)
    >>> model = Samples("A", truth, pd.DataFrame(scores | evidence))
    >>> REASONS[reason_codes(model, "age")[0]], clarity(model, "age").round(2)
    ('right for the wrong reasons', array([0.36]))
    """
    reasons = reason_codes(model, attribute)
    scores, mass = model.probabilities("score", attribute), model.evidence(MEASURES[1], attribute)
    if scores is None or mass is None or CHANCE not in model.scores:
        return np.full(len(reasons), np.nan)
    beyond = (mass - model.scores[CHANCE].to_numpy(np.float64)) * np.where(reasons % 2, -1, 1)
    return np.where(reasons < 0, np.nan, scores.max(axis=1) * beyond)


def most_telling(model: Samples, attribute: str, per_reason: int = 10) -> list[tuple[str, Rows]]:
    """Choose the most telling images of each reason; the same samples give the same choice.

    They are ordered by `clarity`, what is equal by its place in the table. Then the groups take
    turns, the most telling image of each group first, so that no group fills a reason in
    which others occur.

    Parameters
    ----------
    model : samples of one model
    attribute : which answer and evidence
    per_reason : largest number of images of each

    Returns
    -------
    per reason its name and rows of the samples, at most `per_reason`
    """
    reasons = reason_codes(model, attribute)
    order = np.argsort(-np.nan_to_num(clarity(model, attribute), nan=-2.0), kind="stable")
    groups = model.truth.codes(attribute)
    return [
        (reason, in_turn(order[reasons[order] == code], groups)[:per_reason])
        for code, reason in enumerate(REASONS)
    ]


def in_turn(rows: Rows, codes: Rows) -> Rows:
    """Reorder rows so that groups take turns, each in its own order; ties stay as they are.

    >>> in_turn(np.array([4, 2, 0, 1]), codes=np.array([0, 1, 0, 0, 0])).tolist()
    [4, 1, 2, 0]
    """
    turn = np.zeros(len(rows), int)
    for group in np.unique(codes[rows]):
        of_group = codes[rows] == group
        turn[of_group] = np.arange(of_group.sum())
    return rows[np.argsort(turn, kind="stable")]
