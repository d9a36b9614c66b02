"""Which images tell most of a cell: right or wrong, with the evidence on the person or not."""

from __future__ import annotations

import numpy as np

from fairvision.auditing.answers import predicted
from fairvision.auditing.tables import CHANCE, MEASURES, Samples
from fairvision.results.entries.evidence import REASONS as CELLS

__all__ = ["CELLS", "cells", "in_turn", "most_telling", "telling"]


def cells(model: Samples, attribute: str) -> np.ndarray:
    """Return each image's position in `CELLS`, (n,), as `fairvision.metrics.reasons` counts them.

    -1 where the group is unknown, or there is no evidence: no mask, or nothing positive in the map.
    """
    truth, guess = model.truth.codes(attribute), predicted(model, attribute)
    inside = model.evidence(MEASURES[0], attribute)
    if guess is None or inside is None:
        return np.full(len(truth), -1)
    known = (truth >= 0) & (guess >= 0) & ~np.isnan(inside)
    return np.where(known, np.where(guess == truth, 0, 2) + np.where(inside > 0.5, 0, 1), -1)


def telling(model: Samples, attribute: str) -> np.ndarray:
    """Return how clearly each image belongs to its cell, (n,) in [-1, 1].

    The probability of the model's answer, times how far the share of the evidence on the person
    (relevance mass) lies beyond chance (the person's share of the image) on the side of the cell:
    above it where the strongest evidence is on the person, below it elsewhere. Negative where peak
    and share disagree; NaN outside all cells.

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
    >>> CELLS[cells(model, "age")[0]], telling(model, "age").round(2)
    ('right for the wrong reasons', array([0.36]))
    """
    cell = cells(model, attribute)
    scores, mass = model.probabilities("score", attribute), model.evidence(MEASURES[1], attribute)
    if scores is None or mass is None or CHANCE not in model.scores:
        return np.full(len(cell), np.nan)
    beyond = (mass - model.scores[CHANCE].to_numpy(np.float64)) * np.where(cell % 2, -1, 1)
    return np.where(cell < 0, np.nan, scores.max(axis=1) * beyond)


def most_telling(
    model: Samples, attribute: str, per_cell: int = 10
) -> list[tuple[str, np.ndarray]]:
    """Choose the most telling images of each cell; the same samples give the same choice.

    They are ordered by `telling`, what is equal by its place in the table. Then the groups take
    turns, the most telling image of each group first, so that no group fills a cell in which
    others occur.

    Parameters
    ----------
    model : samples of one model
    attribute : which answer and evidence
    per_cell : largest number of images in each cell

    Returns
    -------
    per cell its name and rows of the samples, at most `per_cell`
    """
    own, clarity = cells(model, attribute), telling(model, attribute)
    order = np.argsort(-np.nan_to_num(clarity, nan=-2.0), kind="stable")
    codes = model.truth.codes(attribute)
    chosen = [in_turn(order[own[order] == cell], codes) for cell in range(len(CELLS))]
    return [(name, rows[:per_cell]) for name, rows in zip(CELLS, chosen)]


def in_turn(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Reorder rows so that groups take turns, each in its own order; ties stay as they are.

    >>> in_turn(np.array([4, 2, 0, 1]), codes=np.array([0, 1, 0, 0, 0])).tolist()
    [4, 1, 2, 0]
    """
    turn = np.zeros(len(rows), int)
    for group in np.unique(codes[rows]):
        mine = codes[rows] == group
        turn[mine] = np.arange(mine.sum())
    return rows[np.argsort(turn, kind="stable")]
