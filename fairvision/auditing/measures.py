"""From samples tables to the metrics table: which measures there are, and their rows' names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fairvision import metrics
from fairvision.auditing.tables import CHANCE, MEASURES, Samples, is_many, labels_of
from fairvision.datasets import Dataset
from fairvision.metrics import Result

CONFIDENCE = 0.95
FIGURES = ("value", "low", "high", "n")
COLUMNS = ("model", "metric", "attribute", "task", "group", "label", *FIGURES, "unit")


class Key(NamedTuple):
    """What a figure is about; `label` and, for figures of pairs, `group` come from its pairs."""

    metric: str
    attribute: str = ""
    task: str = ""
    group: str = ""


class _Training(NamedTuple):
    """Truth of the training split, and how many pictures each of its rows stands for."""

    truth: Dataset
    counts: np.ndarray | None


UNITS = {
    "accuracy_gap": "difference",
    "context_gap": "difference",
    "pointing_game_lift": "difference",
    "relevance_mass_lift": "difference",
    "bias_amplification_mals": "difference",
    "directional A->T": "difference",
    "directional T->A": "difference",
    "hidden_probability_gap": "probability",
}


def measure(
    models: Sequence[Samples],
    reference: Dataset | None,
    *,
    train_counts: np.ndarray | None = None,
    replicates: int = 1000,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute every figure that the samples allow, and the differences from the first model.

    Parameters
    ----------
    models : samples of the same pictures in the same order, or counted jointly
    reference : truth of the training split, or None, and amplification is left out
    train_counts : pictures that each row of `reference` stands for; None for one each
    replicates, confidence, seed : of the bootstrap; one seed pairs the models

    Returns
    -------
    the metrics table of docs/design.md, with empty keys as "". Undefined figures are NaN.
    """
    first = models[0]
    chance: dict[str, Any] = {"replicates": replicates, "confidence": confidence, "seed": seed}
    if first.counts is not None:
        chance["counts"] = first.counts
    training = None if reference is None else _Training(reference, train_counts)
    figures = [dict(_figures(model, training, chance)) for model in models]
    rows: list[dict[str, Any]] = []
    for model, own in zip(models, figures):
        for key, result in own.items():
            rows += _rows(model.model, key, result, UNITS.get(key.metric, "fraction"))
    for model, own in zip(models[1:], figures[1:]):
        ours, theirs = dict(figures[0]), dict(own)
        for attribute in model.truth.attributes:
            both = _judged(first, attribute) & _judged(model, attribute)
            ours |= dict(_evidence_figures(first, attribute, chance, where=both))
            theirs |= dict(_evidence_figures(model, attribute, chance, where=both))
        for key in ours:
            if key in theirs:
                difference = metrics.compare(ours[key], theirs[key])
                rows += _rows(f"{model.model} - {first.model}", key, difference, "difference")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": int})


def predicted(model: Samples, head: str, kind: str = "score") -> np.ndarray | None:
    """Return predictions as `Dataset.codes` and `Dataset.targets` do; -1 where there are none."""
    if model.decided is not None:
        return model.decided.get((kind, head))
    scores = model.probabilities(kind, head)
    if scores is None:
        return None
    return metrics.decide(scores, many=is_many(model.truth, head))


def named(dataset: Dataset, head: str, codes: np.ndarray | None = None) -> Any:
    """Return the truth, or predicted codes, with the names of groups or labels.

    Returns
    -------
    (n,) categorical, or (n, labels) data frame where many labels may hold
    """
    names = labels_of(dataset, head)
    if codes is None:
        truth = dataset.codes if head in dataset.attributes else dataset.targets
        codes = truth(head)
    if is_many(dataset, head):
        return pd.DataFrame(codes, columns=list(names))
    return pd.Categorical.from_codes(codes.astype(np.int64), pd.Index(names))


def _figures(
    model: Samples, training: _Training | None, chance: dict[str, Any]
) -> Iterator[tuple[Key, Result]]:
    for attribute in model.truth.attributes:
        yield from _attribute_figures(model, attribute, chance)
        yield from _evidence_figures(model, attribute, chance)
        if training is not None:
            for task in model.truth.tasks:
                if attribute in training.truth.attributes and task in training.truth.tasks:
                    yield from _context_figures(model, attribute, task, training, chance)
                    yield from _amplification_figures(model, attribute, task, training, chance)
    for task in model.truth.tasks:
        yield from _task_figures(model, task, chance)


def _attribute_figures(
    model: Samples, attribute: str, chance: dict[str, Any]
) -> Iterator[tuple[Key, Result]]:
    truth = model.truth.codes(attribute)
    guess = predicted(model, attribute)
    if guess is not None:
        right = metrics.correct(truth, guess)
        yield from _by_group(model, attribute, "accuracy", right, chance)
        yield from _by_group(model, attribute, "error", 1 - right, chance)
        groups = model.truth.attributes[attribute]
        yield (
            Key("confusion", attribute),
            metrics.confusion(truth, guess, groups=groups, **chance),
        )
    for kind in ("hidden", "person"):
        guess = predicted(model, attribute, kind)
        if guess is not None:
            right = metrics.correct(truth, guess)
            yield from _by_group(model, attribute, f"{kind}_accuracy", right, chance)
    scores = model.probabilities("hidden", attribute)
    if scores is not None:
        gaps = metrics.probability_gap(scores)
        yield from _by_group(model, attribute, "hidden_probability_gap", gaps, chance)


def _task_figures(
    model: Samples, task: str, chance: dict[str, Any]
) -> Iterator[tuple[Key, Result]]:
    guess = predicted(model, task)
    if guess is None:
        return
    truth = model.truth.targets(task)
    right = metrics.correct(truth, guess)
    yield Key("accuracy", "", task), metrics.mean(right, **chance)
    yield Key("error", "", task), metrics.mean(1 - right, **chance)
    for attribute in model.truth.attributes:
        for metric, values in (("accuracy", right), ("error", 1 - right)):
            yield from _groups(model, attribute, metric, values, chance, task=task)
    scores = model.probabilities("score", task)
    if model.truth.tasks[task].many and scores is not None:
        labels = model.truth.tasks[task].labels
        yield (
            Key("average_precision", "", task),
            metrics.average_precision(truth, scores, labels=labels, **chance),
        )


def _judged(model: Samples, attribute: str) -> np.ndarray:
    """Return (n,) bool, whether a picture has evidence that can be held against the mask."""
    inside = model.evidence(MEASURES[0], attribute)
    return np.zeros(len(model.truth), bool) if inside is None else ~np.isnan(inside)


def _evidence_figures(
    model: Samples,
    attribute: str,
    chance: dict[str, Any],
    *,
    where: np.ndarray | None = None,
) -> Iterator[tuple[Key, Result]]:
    """Yield the figures of evidence, on all pictures that have any, or on those of `where`.

    Models find evidence on different pictures, so they are compared where both do.
    """
    level = model.scores[CHANCE].to_numpy() if CHANCE in model.scores else None
    inside = model.evidence(MEASURES[0], attribute)
    if inside is not None and where is not None:
        inside = np.where(where, inside, np.nan)
    for measure in MEASURES:
        values = model.evidence(measure, attribute)
        if values is None:
            continue
        if where is not None:
            values = np.where(where, values, np.nan)
        yield from _by_group(model, attribute, measure, values, chance)
        if level is not None:
            lift = values - level
            yield from _by_group(model, attribute, f"{measure}_lift", lift, chance)
            if measure == MEASURES[0]:
                same = np.where(np.isnan(values), np.nan, level)
                yield from _by_group(model, attribute, "chance_level", same, chance)
    guess = predicted(model, attribute)
    if guess is None or inside is None:
        return
    truth = model.truth.codes(attribute)
    right = metrics.correct(truth, guess)
    yield Key("reasons", attribute), metrics.reasons(right, inside, **chance)
    for code, group in enumerate(model.truth.attributes[attribute]):
        own = metrics.reasons(right, inside, where=truth == code, **chance)
        yield Key("reasons", attribute, "", group), own


def _context_figures(
    model: Samples, attribute: str, task: str, training: _Training, chance: dict[str, Any]
) -> Iterator[tuple[Key, Result]]:
    """Accuracy where the labels are typical of the picture's group in training, or of another."""
    guess = predicted(model, attribute)
    if guess is None:
        return
    truth = model.truth.codes(attribute)
    typical = metrics.context_typical_group(
        training.truth.targets(task),
        training.truth.codes(attribute),
        model.truth.targets(task),
        train_counts=training.counts,
    )
    right = metrics.correct(truth, guess)
    agrees = metrics.mean(right, where=(typical >= 0) & (typical == truth), **chance)
    disagrees = metrics.mean(right, where=(typical >= 0) & (typical != truth), **chance)
    yield Key("accuracy_context_agrees", attribute, task), agrees
    yield Key("accuracy_context_disagrees", attribute, task), disagrees
    yield Key("context_gap", attribute, task), metrics.compare(disagrees, agrees)


def _amplification_figures(
    model: Samples, attribute: str, task: str, training: _Training, chance: dict[str, Any]
) -> Iterator[tuple[Key, Result]]:
    trained = {
        "train_labels": named(training.truth, task),
        "train_groups": named(training.truth, attribute),
        "train_counts": training.counts,
    }
    guesses = {"pred_labels": predicted(model, task), "pred_groups": predicted(model, attribute)}
    guessed = {
        argument: named(model.truth, head, codes)
        for head, (argument, codes) in zip((task, attribute), guesses.items())
        if codes is not None
    }
    if len(guessed) == 2:
        yield (
            Key("bias_amplification_mals", attribute, task),
            metrics.bias_amplification_mals(**trained, **guessed, **chance),
        )
    for argument, direction in (("pred_labels", "A->T"), ("pred_groups", "T->A")):
        if argument in guessed:
            yield (
                Key(f"directional {direction}", attribute, task),
                metrics.directional_bias_amplification(
                    named(model.truth, task),
                    named(model.truth, attribute),
                    **{argument: guessed[argument]},
                    **trained,
                    **chance,
                ),
            )


def _by_group(
    model: Samples, attribute: str, metric: str, values: np.ndarray, chance: dict[str, Any]
) -> Iterator[tuple[Key, Result]]:
    """Yield the overall mean of per-image values, then the mean of each group."""
    yield Key(metric, attribute), metrics.mean(values, **chance)
    yield from _groups(model, attribute, metric, values, chance)


def _groups(
    model: Samples,
    attribute: str,
    metric: str,
    values: np.ndarray,
    chance: dict[str, Any],
    *,
    task: str = "",
) -> Iterator[tuple[Key, Result]]:
    means = metrics.mean_by_group(values, named(model.truth, attribute), **chance)
    for group, result in means.items():
        yield Key(metric, attribute, task, group), result
    if metric == "accuracy":
        yield Key("accuracy_gap", attribute, task), metrics.gap(means)


def _rows(model: str, key: Key, result: Result, unit: str) -> Iterator[dict[str, Any]]:
    own = {"model": model, **key._asdict(), "label": "", "unit": unit}
    if key.metric not in ("confusion", "reasons"):
        yield {**own, **{name: getattr(result, name) for name in FIGURES}}
    if result.pairs is not None:
        for pair in result.pairs.to_dict("records"):
            yield {**own, **{k: v for k, v in pair.items() if k in COLUMNS}}
