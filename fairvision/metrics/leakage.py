"""Leakage of Wang et al. (2019): what labels and predictions tell about the group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Array, Bools, Columns, Floats, Ints, Labels
from fairvision.metrics._engine.attacks import (
    Attack,
    LeakageResult,
    draw_rounds,
    macro_f1,
    renumber_together,
    to_accuracy,
    to_f1,
)
from fairvision.metrics._engine.inputs import (
    check_rows,
    is_table,
    read_labels,
    read_table,
    read_values,
    require,
)


def dataset_leakage(
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    test_labels: ArrayLike | None = None,
    test_groups: ArrayLike | None = None,
    per_group: int | None = None,
    test_per_group: int | None = None,
    fold: bool = False,
    **attack: Unpack[Attack],
) -> LeakageResult:
    """Dataset leakage λ_D: how well the true labels tell the group.

    In each round as many images of every group are drawn without replacement, a fresh attacker
    learns the group from the labels of some of them, and is tested on the others. λ_D is its
    accuracy, the mean over rounds: about 1/K for K groups where labels tell nothing, and 1 where
    they tell all. A tie between groups is right in part.

    The default attacker of one label per image guesses the group that is most frequent with the
    label, which is the best there is; of a table, logistic regression. An accuracy of a trained
    attacker is a lower bound of what the labels tell, and falls with fewer images to learn from.

    Parameters
    ----------
    labels : names or codes (n,), or 0 and 1 (n, labels)
        None, NaN or -1: unknown, the row takes no part.
    groups : names or codes (n,)
        Any number of groups. None, NaN, -1 or "unknown": the row takes no part.
    test_labels, test_groups : as `labels`, `groups`, of any number of rows, optional
        The images that attackers are tested on; then `labels` and `groups` are for learning only.
        By default each round parts the images given, `test_size` of them for the test.
    per_group, test_per_group : int, optional
        Images of each group to learn from, and to test, in each round. By default as many as there
        are of the smallest group.
    fold : bool
        Report .5 + |accuracy − .5| in each round, as the authors' program does. For two groups
        only: an attacker below chance then counts as one above it, so that noise leaks too much.
    **attack
        Attacker, rounds and interval; see `Attack`. Rounds are drawn by the position of rows, so
        that two measures on the same rows have the same rounds, and are paired by `compare`.

    Returns
    -------
    LeakageResult
        In [0, 1], with `rounds`, `std` and `chance`. NaN with fewer than two groups, and where one
        has no image for learning or none for the test. n counts the images tested in some round.
        `pairs`: the share of each group's images that is guessed rightly.

    Raises
    ------
    InputError
        There are fewer images of a group than `per_group` and `test_per_group` ask for; or an
        argument is not as described.

    Warns
    -----
    FairvisionWarning
        Fewer than 10 images of each group are learned from or tested in a round.

    References
    ----------
    T. Wang et al., "Balanced Datasets Are Not Enough", ICCV 2019, section 3. arXiv:1811.08489.

    Examples
    --------
    Three of four images of cooking show women, and three of four of work show men.

    >>> from fairvision import metrics
    >>> labels = ["cook"] * 400 + ["work"] * 400
    >>> groups = (["woman"] * 3 + ["man"]) * 100 + (["man"] * 3 + ["woman"]) * 100
    >>> result = metrics.dataset_leakage(labels, groups, replicates=0)
    >>> abs(result - 0.75) < 0.02, result.chance, len(result.rounds)
    (True, 0.5, 5)
    """
    require(labels=labels, groups=groups)
    _, read = read_labels(labels=labels, test_labels=test_labels)
    _check_together(labels=labels, groups=groups)
    _check_together(test_labels=test_labels, test_groups=test_groups)
    clues, valid = _stack(read, "labels", "test_labels")
    rounds = draw_rounds(groups, test_groups, valid, attack, per_group, test_per_group, fold)
    return rounds.result("dataset_leakage", rounds.guesses(lambda *_: clues))


def model_leakage(
    outputs: ArrayLike,
    groups: ArrayLike,
    *,
    test_outputs: ArrayLike | None = None,
    test_groups: ArrayLike | None = None,
    per_group: int | None = None,
    test_per_group: int | None = None,
    fold: bool = False,
    **attack: Unpack[Attack],
) -> LeakageResult:
    """Model leakage λ_M: how well a model's outputs tell the group.

    As `dataset_leakage`, with a model's outputs in place of the true labels. Scores tell more than
    decisions: how sure a model is may differ between groups that it treats alike.

    Parameters
    ----------
    outputs : names or codes (n,), 0 and 1 (n, labels), or numbers (n, columns)
        Predicted labels, or scores of any kind (probabilities, logits, features). A row with NaN,
        or among labels None or -1, is unknown and takes no part. Fractions (n,) are one column.
    groups, per_group, test_per_group, fold, **attack
        As in `dataset_leakage`. The default attacker of scores is the mean of logistic regression
        and boosted trees; of labels, that of `dataset_leakage`.
    test_outputs, test_groups : as `outputs`, `groups`, optional
        The images that attackers are tested on.

    Returns
    -------
    LeakageResult
        As that of `dataset_leakage`.

    Raises
    ------
    InputError
        As in `dataset_leakage`; or scores are infinite.

    Warns
    -----
    FairvisionWarning
        As in `dataset_leakage`.

    References
    ----------
    T. Wang et al., "Balanced Datasets Are Not Enough", ICCV 2019, section 3. arXiv:1811.08489.

    Examples
    --------
    A model that is always right, and less sure where it sees a woman.

    >>> from fairvision import metrics
    >>> scores = [[0.7, 0.3], [0.9, 0.1], [0.3, 0.7], [0.1, 0.9]] * 100
    >>> groups = ["woman", "man"] * 200
    >>> float(metrics.model_leakage(scores, groups))
    1.0
    >>> metrics.model_leakage(metrics.decide(scores, many=False), groups) < 0.55
    True
    """
    require(outputs=outputs, groups=groups)
    clues, valid = _read_outputs(outputs, test_outputs)
    _check_together(outputs=outputs, groups=groups)
    _check_together(test_outputs=test_outputs, test_groups=test_groups)
    rounds = draw_rounds(groups, test_groups, valid, attack, per_group, test_per_group, fold)
    return rounds.result("model_leakage", rounds.guesses(lambda *_: clues))


def leakage_amplification(
    labels: ArrayLike,
    groups: ArrayLike,
    outputs: ArrayLike,
    *,
    pred_labels: ArrayLike | None = None,
    test_labels: ArrayLike | None = None,
    test_groups: ArrayLike | None = None,
    test_outputs: ArrayLike | None = None,
    test_pred_labels: ArrayLike | None = None,
    per_group: int | None = None,
    test_per_group: int | None = None,
    fold: bool = False,
    **attack: Unpack[Attack],
) -> LeakageResult:
    """Leakage amplification λ_M − λ_D(s): do outputs tell the group better than labels as good?

    λ_D(s) is the leakage of the true labels after they were made wrong at random until they are as
    good as the model's predictions: a model that errs would otherwise seem to leak little. In each
    round, and in the images to learn from and those to test each by themselves:

    - one label per image: as many labels are wrong as the model has wrong ones, each any other
      label with the same probability;
    - many: every entry is flipped with the same probability, at most 1/2, so that the macro F1 of
      the labels that occur there is as close as can be to the model's.

    Positive: the model tells more of the group than errors at random leave of it. That is not yet
    bias: errors of a model are not random, and a model that confuses labels which mean alike keeps
    what they tell.

    Parameters
    ----------
    labels, groups, per_group, test_per_group, fold, **attack
        As in `dataset_leakage`. An `attacker` that is given attacks both.
    outputs : as in `model_leakage`
        What is attacked.
    pred_labels : as `labels`, optional
        Predicted labels: they decide how good the model is. By default `outputs`, where these are
        labels; scores need a decision, such as that of `decide`.
    test_labels, test_groups, test_outputs, test_pred_labels : optional
        The images that attackers are tested on; all, or none.

    Returns
    -------
    LeakageResult
        In [−1, 1]. `model` is λ_M and `data` λ_D(s), from the same rounds. A row in which anything
        is unknown takes no part. NaN as in `dataset_leakage`.

    Raises
    ------
    InputError
        As in `dataset_leakage`; or scores are given without `pred_labels`.

    Warns
    -----
    FairvisionWarning
        As in `dataset_leakage`.

    References
    ----------
    T. Wang et al., "Balanced Datasets Are Not Enough", ICCV 2019, section 3. arXiv:1811.08489.

    Examples
    --------
    Three of four cooks are women; the model sees all women cook, and no man.

    >>> from fairvision import metrics
    >>> labels = ["cook"] * 400 + ["work"] * 400
    >>> groups = (["woman"] * 3 + ["man"]) * 100 + (["man"] * 3 + ["woman"]) * 100
    >>> outputs = ["cook" if group == "woman" else "work" for group in groups]
    >>> result = metrics.leakage_amplification(labels, groups, outputs, replicates=0)
    >>> round(result.model - 1, 2), result.data < 0.7, result > 0.3
    (0.0, True, True)
    """
    require(labels=labels, groups=groups, outputs=outputs)
    clues, valid = _read_outputs(outputs, test_outputs)
    if pred_labels is None:
        if clues.dtype.kind == "f" or is_table("labels", labels) != is_table("outputs", outputs):
            raise InputError(
                "outputs are not labels of the kind of `labels`: give pred_labels too, such as "
                "metrics.decide(outputs, many=False), to say how good the model is"
            )
        pred_labels, test_pred_labels = outputs, test_outputs
    _, read = read_labels(
        labels=labels,
        pred_labels=pred_labels,
        test_labels=test_labels,
        test_pred_labels=test_pred_labels,
    )
    truth, truth_valid = _stack(read, "labels", "test_labels")
    predicted, predicted_valid = _stack(read, "pred_labels", "test_pred_labels")
    _check_together(labels=labels, groups=groups, outputs=outputs, pred_labels=pred_labels)
    _check_together(
        test_labels=test_labels,
        test_groups=test_groups,
        test_outputs=test_outputs,
        test_pred_labels=test_pred_labels,
    )
    valid = valid & truth_valid & predicted_valid
    rounds = draw_rounds(groups, test_groups, valid, attack, per_group, test_per_group, fold)
    if truth.ndim == 1:
        truth, predicted = renumber_together(truth, predicted, rounds.codes >= 0)
    classes = 1 + int(max(truth.max(initial=0), predicted.max(initial=0)))

    def perturbed(random: np.random.Generator, *parts: Ints) -> Array:
        moved = truth.copy()
        for part in parts:
            if truth.ndim == 1:
                moved[part] = to_accuracy(truth[part], predicted[part], classes, random)
            else:
                moved[part] = to_f1(truth[part], macro_f1(truth[part], predicted[part]), random)
        return moved

    of_model, of_data = rounds.guesses(lambda *_: clues), rounds.guesses(perturbed)
    return replace(
        rounds.result("leakage_amplification", of_model, of_data),
        model=rounds.result("model_leakage", of_model),
        data=rounds.result("perturbed_leakage", of_data),
    )


def _stack(read: Mapping[str, Labels], *arguments: str) -> tuple[Array, Bools]:
    """Return the labels of arguments that are given, one after the other, and which are valid."""
    given = [read[arg] for arg in arguments if arg in read]
    return np.concatenate([of.held for of in given]), np.concatenate([of.valid for of in given])


def _read_outputs(outputs: ArrayLike, test_outputs: ArrayLike | None) -> tuple[Array, Bools]:
    """Return a model's outputs as labels are stacked, or as scores, and which are valid."""
    given: Columns = {"outputs": outputs, "test_outputs": test_outputs}
    given = {arg: values for arg, values in given.items() if values is not None}
    if any(_has_fractions(arg, values) for arg, values in given.items()):
        given = {arg: read_values(arg, values)[:, None] for arg, values in given.items()}
    if all(is_table(arg, values) for arg, values in given.items()):
        tables = {arg: read_table(arg, values) for arg, values in given.items()}
        numbers = [table for table, _ in tables.values()]
        if any(not np.isin(table, (-1, 0, 1)).all(where=~np.isnan(table)) for table in numbers):
            _check_columns(tables)
            scores = np.concatenate(numbers)
            if np.isinf(scores).any():
                raise InputError("outputs hold infinite numbers: give finite scores")
            return scores, ~np.isnan(scores).any(axis=1)
    _, read = read_labels(**given)
    return _stack(read, "outputs", "test_outputs")


def _has_fractions(arg: str, values: Any) -> bool:
    """Say whether values, one per row, are numbers and not all whole: scores."""
    try:
        return not is_table(arg, values) and bool((read_values(arg, values) % 1 > 0).any())
    except InputError:  # names
        return False


def _check_columns(tables: Mapping[str, tuple[Floats, list[Any]]]) -> None:
    """Raise unless scores for learning and for the test have the same columns."""
    columns = [names for _, names in tables.values()]
    if any(names != columns[0] for names in columns):
        raise InputError("the columns of test_outputs are not those of outputs, in their order")


def _check_together(**given: Any) -> None:
    """Check that arguments that go together are all given, or none, with as many rows."""
    missing = [arg for arg, values in given.items() if values is None]
    if not missing:
        check_rows(**given)
    elif len(missing) < len(given):
        raise InputError(f"{missing[0]} is missing: give all of {', '.join(given)}, or none")
