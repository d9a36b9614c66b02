"""Which images tell most of why a model is right or wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fairvision import metrics
from fairvision.auditing.cause_figures import causes, codes_by_cause
from fairvision.auditing.inputs import predicted
from fairvision.auditing.tables import CHANCE, MEASURES, Samples
from fairvision.metrics.causes import EVIDENCE_CELLS, REASONS, evidence_codes

Rows = npt.NDArray[np.int64]
EVIDENCE = EVIDENCE_CELLS[:4]
"""The cells of evidence in which there is a map to show."""


def codes_by_evidence(model: Samples, attribute: str) -> Rows:
    """Return each image's position in `EVIDENCE`, (n,), as `metrics.evidence_cells` counts them.

    -1 where the group is unknown, or there is no evidence: no mask, or nothing positive in the map.
    """
    truth, predictions = model.truth.codes(attribute), predicted(model, attribute)
    inside = model.evidence(MEASURES[0], attribute)
    if predictions is None or inside is None:
        return np.full(len(truth), -1)
    codes = evidence_codes(metrics.correct(truth, predictions), inside)
    return np.where(codes < len(EVIDENCE), codes, -1)


def telling_labels(models: Sequence[Samples], attribute: str) -> tuple[str, ...]:
    """Return by which labels images are told apart: reasons by cause, if all models have them.

    Otherwise it is by where the evidence lies, which is less: a map shows a place, not a cause.
    """
    by_cause = all(causes(model, attribute) is not None for model in models)
    return REASONS if by_cause else EVIDENCE


def telling_codes(model: Samples, attribute: str, labels: Sequence[str]) -> Rows:
    """Return each image's position in labels that `telling_labels` returned; -1 for none."""
    by = codes_by_cause if tuple(labels) == REASONS else codes_by_evidence
    return by(model, attribute)


def clarity(
    model: Samples, attribute: str, labels: Sequence[str] | None = None
) -> npt.NDArray[np.float64]:
    """Return how clearly each image belongs to its reason or cell, (n,) in [-1, 1].

    Of a reason: the probability of the model's answer, times the share of swaps that put the image
    there: in which a right answer stays, or does not; in which a wrong one is right, or is not.
    Of a cell: the probability times how far the share of the evidence on the person (relevance
    mass) lies beyond chance (the person's share of the image) on the side of the cell; negative
    where peak and share disagree. NaN where there is none.

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
    >>> EVIDENCE[codes_by_evidence(model, "age")[0]], clarity(model, "age").round(2)
    ('right, evidence elsewhere', array([0.36]))

    The same answer, which stays in a quarter of the swaps:

    >>> model = Samples("A", truth, pd.DataFrame(scores | {"holds/age": [0.25]}))
    >>> REASONS[codes_by_cause(model, "age")[0]], clarity(model, "age").round(3)
    ('right, turns with the surroundings', array([0.675]))
    """
    labels = telling_labels([model], attribute) if labels is None else labels
    codes = telling_codes(model, attribute, labels)
    scores = model.probabilities("score", attribute)
    if scores is None:
        return np.full(len(codes), np.nan)
    of_images = causes(model, attribute)
    if tuple(labels) == REASONS and of_images is not None:
        _, holds, elsewhere = of_images
        beyond = np.select(
            [codes == 0, codes == 1, codes == 2], [holds, 1 - holds, elsewhere], 1 - elsewhere
        )
    else:
        mass = model.evidence(MEASURES[1], attribute)
        if mass is None or CHANCE not in model.scores:
            return np.full(len(codes), np.nan)
        chance = model.scores[CHANCE].to_numpy(np.float64)
        beyond = (mass - chance) * np.where(codes % 2, -1, 1)
    return np.where(codes < 0, np.nan, scores.max(axis=1) * beyond)


def most_telling(model: Samples, attribute: str, per_reason: int = 10) -> list[tuple[str, Rows]]:
    """Choose the most telling images of each reason; the same samples give the same choice.

    They are ordered by `clarity`, what is equal by its place in the table. Then the groups take
    turns, the most telling image of each group first, so that no group fills a reason in
    which others occur.

    Parameters
    ----------
    model : samples of one model
    attribute : which answer
    per_reason : largest number of images of each

    Returns
    -------
    per reason by cause, or cell of evidence where surroundings were not exchanged, its name and
    rows of the samples, at most `per_reason`
    """
    labels = telling_labels([model], attribute)
    reasons = telling_codes(model, attribute, labels)
    clear = clarity(model, attribute, labels)
    order = np.argsort(-np.nan_to_num(clear, nan=-2.0), kind="stable")
    groups = model.truth.codes(attribute)
    return [
        (reason, in_turn(order[reasons[order] == code], groups)[:per_reason])
        for code, reason in enumerate(labels)
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
