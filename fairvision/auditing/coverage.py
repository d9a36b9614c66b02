"""Answers that are missing, by group, and answers that agree with the truth too well."""

from __future__ import annotations

from collections.abc import Iterator

from fairvision import metrics
from fairvision.auditing.inputs import Inputs, Values, predicted
from fairvision.auditing.tables import Samples
from fairvision.errors import shown
from fairvision.results.figures import Computed, Key
from fairvision.results.words import shares
from fairvision.schema import UNKNOWN

ENOUGH = 20  # images: a good model may well be right on fewer


def answered(model: Samples, head: str) -> Values | None:
    """Return whether there is an answer, (n,) of 0 and 1; None where the head has none at all."""
    predictions = predicted(model, head)
    if predictions is None:
        return None
    return (predictions.reshape(len(predictions), -1) >= 0).all(axis=1).astype(float)


def coverage_figures(inputs: Inputs) -> Computed:
    """Yield the share of images with an answer: of each head, and by group, with the gap."""
    for head in inputs.truth.schema:
        has_answer = answered(inputs.samples, head)
        if has_answer is None:
            continue
        task = head if head in inputs.truth.tasks else ""
        yield Key("coverage", "" if task else head, task), inputs.mean(has_answer)
        for attribute in inputs.truth.attributes if task else [head]:
            means = inputs.of(attribute).means(has_answer)
            for group, result in means.items():
                yield Key("coverage", attribute, task, group), result
            yield Key("coverage_gap", attribute, task), metrics.gap(means)


def missing(model: Samples, wrong: bool) -> Iterator[str]:
    """Yield how many images of each group have no answer; `wrong` says how they count."""
    consequence = "count as wrong" if wrong else "are left out of its figures (see --missing)"
    for head in model.truth.schema:
        has_answer = answered(model, head)
        if has_answer is None or has_answer.all():
            continue
        none = has_answer == 0
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
        predictions = predicted(model, head)
        if predictions is None:
            continue
        truth, predictions = (
            codes.reshape(len(codes), -1) for codes in (model.truth.encoded(head), predictions)
        )
        has_both = (truth[:, 0] >= 0) & (predictions[:, 0] >= 0)
        agree = has_both & (truth == predictions).all(axis=1)
        if model.count(has_both) >= ENOUGH and (agree == has_both).all():
            heads.append(f"{shown(head)} ({model.count(has_both)})")
    if not heads:
        return ""
    return (
        f"{model.model}: truth and answer are the same in every picture, for {', '.join(heads)}: "
        "either it is always right, or these columns hold its answers and every figure of them is "
        "void (answers belong into answer/…; --data takes the truth from a dataset)"
    )
