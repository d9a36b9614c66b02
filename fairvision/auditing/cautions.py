"""What an audit cannot say, and what to know before trusting what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from fairvision.auditing.amplification_figures import not_attacked
from fairvision.auditing.cause_figures import causes, column
from fairvision.auditing.counted_score_figures import bound
from fairvision.auditing.coverage import missing
from fairvision.auditing.inputs import Codes, predicted, tied
from fairvision.auditing.tables import CHANCE, MEASURES, Samples
from fairvision.datasets import Dataset
from fairvision.results.words import listed

SMALL = 10
FEW = 3  # groups that have a line each
COUNTED = (
    "pictures were counted: no calibration, no average precision, no gap between probabilities, no "
    "evidence and no attackers, which need scores or every picture, and ids that are there twice "
    "were not looked for"
)
SCORES_COUNTED = (
    "the tables are too large to be held, so pictures and scores were counted: no evidence, no "
    "attackers, no log loss and areas under ROC curves by group where many labels may hold, no "
    "areas of tasks of more than 20 labels, and no differences of models in calibration, log loss, "
    "average precision, areas of ROC curves and gaps between probabilities, which need every "
    "picture, and ids that are there twice were not looked for"
)


def left_out(models: Sequence[Samples], reference: Dataset | None) -> list[str]:
    """Name every measure that is left out, with the reason.

    Parameters
    ----------
    models : samples of the same images
    reference : truth of the training split, or None
    """
    truth = models[0].truth
    lines = []
    if not truth.attributes:
        lines.append("no attribute: nothing about groups, amplification or evidence can be said")
    if not truth.tasks:
        lines.append("no task: amplification, and accuracy by context, need labels beside groups")
    if truth.attributes and truth.tasks:
        if reference is None:
            lines.append(
                "no training split: amplification, and accuracy by context, need its counts"
            )
        else:
            lacking = ({*truth.attributes} - {*reference.attributes}) | (
                {*truth.tasks} - {*reference.tasks}
            )
            lines += [
                f"{name}: not in the training reference, so no amplification"
                for name in sorted(lacking)
            ]
            lines += [
                f"{attribute} and {task}: what attackers guess ({reason})"
                for attribute in truth.attributes
                for task in truth.tasks
                if models[0].counts is None
                and {attribute, task} <= {*reference.attributes, *reference.tasks}
                and (reason := not_attacked(models[0], attribute, task))
            ]
    for model in models:
        lines += _left_out_of(model)
    if models[0].counts is not None:
        lines.append(SCORES_COUNTED if any(model.grids for model in models) else COUNTED)
    return lines


def cautions(models: Sequence[Samples], metrics: pd.DataFrame) -> Iterator[str]:
    """Yield what to know before trusting figures.

    Groups of fewer than ten images, unknown groups, groups never predicted, labels with fewer
    than ten images of a group, and accuracy by context that rests on fewer than ten images.
    """
    for model in models:
        yield from missing(model, model.missing_wrong)
        for head in model.truth.schema:
            ties = tied(model, head)
            if ties is not None and ties.any():
                yield (
                    f"{model.model}: for {model.count(ties)} of {model.images} pictures several "
                    f"answers of {head} are equally probable: the first of "
                    f"{listed(model.truth.schema.labels(head))} counts"
                )
    truth = models[0].truth
    for attribute, groups in truth.attributes.items():
        codes = truth.codes(attribute)
        images = {group: models[0].count(codes == i) for i, group in enumerate(groups)}
        yield from few_images(attribute, images)
        unknown = models[0].count(codes < 0)
        if unknown:
            yield f"{attribute}: unknown for {unknown} of {models[0].images} pictures"
        for model in models:
            predictions = predicted(model, attribute)
            if predictions is None:
                continue
            yield from _without_evidence(model, attribute, predictions)
            never = [g for i, g in enumerate(groups) if not np.any(predictions == i)]
            if never:
                yield f"{model.model}: never predicts {listed(never)} ({attribute})"
        for task in truth.tasks:
            yield from _few_of_labels(models, attribute, task)
    for metric, words in (
        ("accuracy_context_agrees", "is typical of the group"),
        ("accuracy_context_disagrees", "is typical of another group"),
    ):
        small = metrics[(metrics["metric"] == metric) & metrics["n"].between(1, SMALL - 1)]
        for keys, rows in small.groupby(["attribute", "task"], sort=False):
            n = rows["n"].min()
            yield f"{keys[0]}: {keys[1]} {words} in few pictures ({n}): their accuracy says little"
    yield from bound(models)


def few_images(attribute: str, images: Mapping[str, int]) -> Iterator[str]:
    """Yield which groups have few images, given how many each has; of many groups in one line.

    >>> list(few_images("age", {"young": 3, "old": 40}))
    ['age: few pictures of young (3): its figures say little']
    >>> list(few_images("age", {"a": 3, "b": 1, "c": 2, "d": 9, "e": 40}))
    ['4 of 5 groups of age have fewer than 10 pictures: b (1), c (2), a (3), d (9): their ...']
    """
    small = {group: n for group, n in images.items() if n < SMALL}
    if len(small) <= FEW:
        for group, n in small.items():
            yield f"{attribute}: few pictures of {group} ({n}): its figures say little"
        return
    named = listed([f"{group} ({small[group]})" for group in sorted(small, key=small.__getitem__)])
    yield (
        f"{len(small)} of {len(images)} groups of {attribute} have fewer than {SMALL} pictures: "
        f"{named}: their figures say little"
    )


def _few_of_labels(models: Sequence[Samples], attribute: str, task: str) -> Iterator[str]:
    """Yield of how many labels a group has few images: rates by group and label rest on them."""
    if all(predicted(model, task) is None for model in models):
        return
    truth = models[0].truth
    codes, held, labels = truth.codes(attribute), truth.targets(task), truth.tasks[task].labels
    if held.ndim == 1:
        held = held[:, None] == np.arange(len(labels))
    fewest = [
        min(models[0].count((codes == code) & (has == 1)) for code in np.unique(codes[codes >= 0]))
        for has in held.T
        if (codes >= 0).any()
    ]
    few = sum(n < SMALL for n in fewest)
    if few:
        yield (
            f"{attribute}: {few} of {len(labels)} labels of {task} have fewer than {SMALL} "
            "pictures of some group: true positive rates of these say little, and so do gaps "
            "between them"
        )


def _without_evidence(model: Samples, attribute: str, predictions: Codes) -> Iterator[str]:
    """Yield how many images have a mask and a known group, yet no evidence, right and wrong."""
    inside = model.evidence(MEASURES[0], attribute)
    if inside is None:
        return
    truth = model.truth.codes(attribute)
    judged = truth >= 0
    if CHANCE in model.scores:
        judged &= model.scores[CHANCE].notna().to_numpy()
    blank, right = judged & np.isnan(inside), predictions == truth
    if blank.any():
        parts = [
            f"{(blank & rows).sum()} of {(judged & rows).sum()} answered {word}"
            for rows, word in ((right, "right"), (~right, "wrong"))
        ]
        yield (
            f"{attribute}: {model.model} has no evidence for the annotated group in "
            f"{blank.sum()} of {judged.sum()} pictures ({', '.join(parts)}): of the figures of "
            "evidence they are in the cell “no evidence” only"
        )


def _left_out_of(model: Samples) -> Iterator[str]:
    """Yield a sentence per figure that cannot be computed for a model, and why."""
    truth = model.truth
    scored = {of.head for of in model.grids}
    for head in truth.schema if scored or model.counts is None else ():
        if ("score", head) in model.decided and head not in scored:
            yield (
                f"{model.model}, {head}: labels alone are given: no calibration, no average "
                "precision and no gap between probabilities"
            )
    for task in truth.tasks:
        if predicted(model, task) is None:
            yield f"{model.model} does not predict {task}: no accuracy on it, no A->T, no MALS"
    for attribute in truth.attributes:
        if predicted(model, attribute) is None:
            yield (
                f"{model.model} does not predict {attribute}: no accuracy on it, no T->A, no MALS"
            )
            continue
        for kind, words in (("hidden", "the person hidden"), ("person", "only the person visible")):
            if predicted(model, attribute, kind) is None:
                yield f"{model.model}, {attribute}: no figures with {words} (no masks)"
        if model.counts is not None:
            continue
        if causes(model, attribute) is None:
            why = (
                "too few masks, or surroundings were not exchanged"
                if column(model, "holds", attribute) is None
                else f"of more than two groups this needs swapped_right/{attribute} beside "
                f"holds/{attribute}"
            )
            yield f"{model.model}, {attribute}: whether it is right for the right reasons ({why})"
        if all(model.evidence(measure, attribute) is None for measure in MEASURES):
            yield f"{model.model}, {attribute}: where the evidence lies (no masks, or no evidence)"
        elif CHANCE not in model.scores:
            yield f"{model.model}, {attribute}: evidence has no chance level beside it"
