"""Answers that are missing, by group, and answers that agree with the truth too well."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fairvision import metrics
from fairvision.auditing.answers import Chance, named, predicted
from fairvision.auditing.shares import shares
from fairvision.auditing.tables import Samples
from fairvision.errors import shown
from fairvision.results.table import Computed, Key
from fairvision.schema import UNKNOWN

ENOUGH = 20  # images: a good model may well be right on fewer


def answered(model: Samples, head: str) -> np.ndarray | None:
    """Return whether there is an answer, (n,) of 0 and 1; None where the head has none at all."""
    guess = predicted(model, head)
    if guess is None:
        return None
    return (guess.reshape(len(guess), -1) >= 0).all(axis=1).astype(float)


def coverage_figures(model: Samples, chance: Chance) -> Computed:
    """Yield the share of images with an answer: of each head, and by group, with the gap."""
    for head in model.truth.schema:
        there = answered(model, head)
        if there is None:
            continue
        is_task = head in model.truth.tasks
        whole = Key("coverage", "", head) if is_task else Key("coverage", head)
        yield whole, metrics.mean(there, **chance)
        for attribute in model.truth.attributes if is_task else [head]:
            task = head if is_task else ""
            means = metrics.mean_by_group(there, named(model.truth, attribute), **chance)
            for group, result in means.items():
                yield Key("coverage", attribute, task, group), result
            yield Key("coverage_gap", attribute, task), metrics.gap(means)


def missing(model: Samples, wrong: bool) -> Iterator[str]:
    """Yield how many images of each group have no answer; `wrong` says how they count."""
    consequence = "count as wrong" if wrong else "are left out of its figures (see --missing)"
    for head in model.truth.schema:
        there = answered(model, head)
        if there is None or there.all():
            continue
        none = there == 0
        for attribute in [head] if head in model.truth.attributes else model.truth.attributes:
            codes = model.truth.codes(attribute)
            groups = [*model.truth.attributes[attribute], UNKNOWN]
            rows = [codes == code for code in (*range(len(groups) - 1), -1)]
            listed = shares(
                {
                    group: (model.count(none & of_group), model.count(of_group))
                    for group, of_group in zip(groups, rows)
                }
            )
            yield (
                f"{model.model}: no prediction of {head} for {model.count(none)} of "
                f"{model.images} pictures ({attribute}: {listed}); they {consequence}"
            )
        if not model.truth.attributes:
            yield (
                f"{model.model}: no prediction of {head} for {model.count(none)} of "
                f"{model.images} pictures; they {consequence}"
            )


def always_right(model: Samples) -> str:
    """Return a line where truth and answer agree in every image; "" elsewhere.

    Either the model is always right, or the columns of truth hold its answers.
    """
    heads = []
    for head in model.truth.schema:
        guess = predicted(model, head)
        if guess is None:
            continue
        truth = model.truth.encoded(head)
        flat = [codes.reshape(len(codes), -1) for codes in (truth, guess)]
        labelled = (flat[0][:, 0] >= 0) & (flat[1][:, 0] >= 0)
        agree = labelled & (flat[0] == flat[1]).all(axis=1)
        if model.count(labelled) >= ENOUGH and (agree == labelled).all():
            heads.append(f"{shown(head)} ({model.count(labelled)})")
    if not heads:
        return ""
    return (
        f"{model.model}: truth and answer are the same in every picture, for {', '.join(heads)}: "
        "either it is always right, or these columns hold its answers and every figure of them is "
        "void (answers belong into answer/…; --data takes the truth from a dataset)"
    )
