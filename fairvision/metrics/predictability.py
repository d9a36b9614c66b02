"""Directional predictability amplification (DPA) of Tokas et al. (2025)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import (
    Array,
    Floats,
    Ints,
    mean_of_defined,
    one_label_each,
    ratio,
)
from fairvision.metrics._engine.attacks import (
    EXACT,
    Attack,
    LeakageResult,
    read_attack,
    renumber_together,
    scores_of_units,
    share_right,
    to_accuracy,
    train_and_predict,
    warn_of_few,
)
from fairvision.metrics._engine.bootstrap import Sampling, Statistic
from fairvision.metrics._engine.inputs import check_rows, read_groups, read_labels, require
from fairvision.metrics._engine.result import summarise

_QUALITIES = ("accuracy", "inverse_error", "inverse_cross_entropy")
_TINY = 1e-15


def directional_predictability_amplification(
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    pred_labels: ArrayLike | None = None,
    pred_groups: ArrayLike | None = None,
    quality: Literal["accuracy", "inverse_error", "inverse_cross_entropy"] = "accuracy",
    **attack: Unpack[Attack],
) -> LeakageResult:
    """Directional predictability amplification: are predictions too easy to guess from one side?

    With `pred_labels` the direction is A->T: attackers guess from the true group what the model
    says of the task, and what the truth would be if it were wrong as often as the model is. With
    `pred_groups` it is T->A, from the true labels. Ψ is how well they guess,

        DPA = (Ψ_M − Ψ_D) / (Ψ_M + Ψ_D)

    for the model's predictions and the perturbed truth. Positive: what the model says depends more
    on the other side than errors at random would leave. It is the mean over rounds, each with its
    own images to learn from and to test, fresh attackers, and a truth perturbed in both parts by
    itself: as many labels are wrong as the model has wrong ones, each any other label with the same
    probability. In a table each label is perturbed, and attacked, by itself; its Ψ is the mean.

    Parameters
    ----------
    labels : names or codes (n,), or 0 and 1 (n, labels)
        True labels. None, NaN or -1: unknown. A row with anything unknown takes no part.
    groups : names or codes (n,)
        True groups. None, NaN, -1 or "unknown": unknown.
    pred_labels, pred_groups : as `labels`, `groups`
        Exactly one of them; it decides the direction.
    quality : {"accuracy", "inverse_error", "inverse_cross_entropy"}
        Ψ: the share of right guesses, as the paper suggests; 1 / the share of wrong ones, as the
        authors' program has by default; or 1 / the mean of −log p of the truth. Accuracy does not
        see a change that leaves the most frequent label the most frequent, cross-entropy does.
        Figures of different qualities cannot be compared.
    **attack
        Attacker, rounds and interval; see `Attack`. The default attacker of groups, and of one
        label per image, knows how frequent each answer is with each clue, which is the best there
        is; of a table it is logistic regression.

    Returns
    -------
    LeakageResult
        In [−1, 1], with `rounds` and `std`; `model` and `data` are Ψ_M and Ψ_D. NaN where Ψ_M + Ψ_D
        = 0, or both are infinite; with fewer than two groups or labels among truth and predictions;
        and with fewer than two images. n counts the images tested in some round.

    Raises
    ------
    InputError
        Not exactly one prediction is given, or an argument is not as described.

    Warns
    -----
    FairvisionWarning
        Attackers learn from, or are tested on, fewer than 10 images.

    References
    ----------
    B. Tokas, R. Nair and H. Kerner, "DPA: A one-stop metric to measure bias amplification in
    classification datasets", NeurIPS 2025. arXiv:2412.11060.

    Examples
    --------
    Three of four women cook, and one of four men; the model sees all women cook, and no man.

    >>> from fairvision import metrics
    >>> groups = ["woman"] * 400 + ["man"] * 400
    >>> labels = ["cook", "cook", "cook", "work"] * 100 + ["cook", "work", "work", "work"] * 100
    >>> seen = ["cook"] * 400 + ["work"] * 400
    >>> result = metrics.directional_predictability_amplification(
    ...     labels, groups, pred_labels=seen, replicates=0
    ... )
    >>> result.name, float(result.model), 0.5 < result.data < 0.75, result > 0.1
    ('predictability A->T', 1.0, True, True)
    """
    if (pred_labels is None) == (pred_groups is None):
        raise InputError("give exactly one of pred_labels (A->T) and pred_groups (T->A)")
    require(labels=labels, groups=groups)
    if quality not in _QUALITIES:
        raise InputError(f"quality must be one of {', '.join(_QUALITIES)}, not {quality!r}")
    attacker, rounds, test_size, sampling = read_attack(attack)
    _, read = read_labels(labels=labels, pred_labels=pred_labels)
    _, codes = read_groups(groups=groups, pred_groups=pred_groups)
    read |= {arg: one_label_each(code) for arg, code in codes.items()}
    check_rows(**{arg: of.valid for arg, of in read.items()})
    valid = np.logical_and.reduce([of.valid for of in read.values()])
    to_task = pred_groups is None
    truth, clues = read["labels"].held, read["groups"].held
    if not to_task:
        truth, clues = clues, truth
    predicted = read["pred_labels" if to_task else "pred_groups"].held
    if truth.ndim == 1:
        truth, predicted = renumber_together(truth, predicted, valid)

    rows = np.flatnonzero(valid)
    scores = np.full((2, rounds, len(valid)), np.nan)  # of the model, and of the perturbed truth
    if _vary(clues[rows]) and _vary(np.concatenate([truth[rows], predicted[rows]])):
        classes = 1 + int(max(truth.max(), predicted.max()))
        tested = min(max(1, round(test_size * len(rows))), len(rows) - 1)
        warn_of_few(len(rows) - tested, tested, "in all")
        for number in range(rounds):
            seed = sampling.get("seed", 0)
            random = np.random.default_rng([seed, number])
            test, train = np.split(random.permutation(rows), [tested])
            moved = truth.copy()
            for part in (train, test):
                moved[part] = _perturbed(truth[part], predicted[part], classes, random)
            for source, target in enumerate((predicted, moved)):
                scores[source, number, test] = _scores(
                    attacker, clues, target, train, test, quality, seed + number
                )
    name = f"predictability {'A->T' if to_task else 'T->A'}"
    return _result(name, scores, quality, sampling)


def _vary(values: Array) -> bool:
    """Say whether rows differ at all."""
    return bool((values[1:] != values[:1]).any())


def _perturbed(truth: Array, predicted: Array, classes: int, random: np.random.Generator) -> Array:
    """Return codes, or each column of a table, wrong in as many rows as the predictions."""
    if truth.ndim == 1:
        return to_accuracy(truth, predicted, classes, random)
    columns = [to_accuracy(*both, 2, random) for both in zip(1 * truth.T, 1 * predicted.T)]
    perturbed: Array = np.column_stack(columns) > 0
    return perturbed


def _scores(
    attacker: Any,
    clues: Array,
    target: Array,
    train: Ints,
    test: Ints,
    quality: str,
    seed: int,
) -> Floats:
    """Return for each test row how right the attacker is, or its loss; of a table, the mean."""
    if target.ndim == 2:
        columns = (1 * target[:, column] for column in range(target.shape[1]))
        scores = [_scores(attacker, clues, c, train, test, quality, seed) for c in columns]
        mean: Floats = np.mean(scores, axis=0)
        return mean
    entropy = quality == "inverse_cross_entropy"
    smoothing = 1 if entropy else EXACT  # what was never seen is not impossible
    guess = train_and_predict(attacker, clues, target, train, test, seed=seed, smoothing=smoothing)
    if entropy:
        return -np.log(np.clip(guess[np.arange(len(test)), target[test]], _TINY, 1))
    rightly = share_right(guess, target[test])
    return rightly if quality == "accuracy" else 1 - rightly


def _result(name: str, scores: Floats, quality: str, sampling: Sampling) -> LeakageResult:
    """Make the result of scores or losses (2, rounds, rows), NaN where not tested."""
    rows, read = scores_of_units(list(scores), sampling)
    loss = quality != "accuracy"

    def means(weights: Array) -> list[Floats]:
        return [
            ratio(np.nan_to_num(of) @ weights, (~np.isnan(of)).astype(float) @ weights)
            for of in read
        ]

    def change(weights: Array) -> Floats:
        model, data = means(weights)
        return ratio(data - model if loss else model - data, model + data)

    def result(name: str, of_rounds: Statistic) -> LeakageResult:
        return summarise(
            rows.sample,
            lambda weights: mean_of_defined(of_rounds(weights)),
            rows.count(~np.isnan(np.concatenate(read)).all(axis=0)),
            name,
            kind=LeakageResult,
            rounds=of_rounds(rows.sample.base)[:, 0],
        )

    def psi(source: int) -> Statistic:
        if loss:
            return lambda weights: ratio(np.ones(1), means(weights)[source])
        return lambda weights: means(weights)[source]

    model, data = (result(f"{quality} of {of}", psi(i)) for i, of in enumerate(("model", "data")))
    return replace(result(name, change), model=model, data=data)
