"""Deep feature reweighting: the last layer learns anew, from balanced images held out.

Kirichenko, Izmailov & Wilson, "Last Layer Re-Training is Sufficient for Robustness to Spurious
Correlations", ICLR 2023 (arXiv 2204.02937), section 4 and appendix; DFR on the validation split. A
network that answers by the surroundings has also learnt features of the person; on images in which
the two are apart, a logistic regression with an l1 penalty finds those.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fairvision.datasets import Dataset
from fairvision.errors import FairvisionWarning, InputError
from fairvision.methods.counterparts import counterparts
from fairvision.methods.method import Method
from fairvision.models import Network

STRENGTHS = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
"""Inverse strengths of the penalty that are tried, as in the authors' program."""
_LEAST = 2  # images of a combination: one in each half
_MOST_NAMED = 8

Codes = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DFR(Method):
    """What heads are balanced over, and from how many balanced draws the weights are averaged.

    Tasks are balanced over the groups of an attribute, attributes over the labels of a task; by
    default of the only one.
    """

    summary: ClassVar[str] = "the last layer learns anew from balanced images (Kirichenko 2023)"

    domain: str = ""
    context: str = ""
    draws: int = 20

    def last_layer(self, dataset: Dataset, heads: Collection[str]) -> Retraining:
        """Return what retrains the heads when training has ended; warns of those that it cannot.

        Raises
        ------
        InputError
            If there is no validation split, or no head that it could retrain.
        """
        if self.draws < 1:
            raise InputError("draws must be at least 1")
        if not (dataset.samples["split"] == "val").any():
            raise InputError(
                f"dfr learns from the validation split, and {dataset.root} has none: use another "
                "method"
            )
        of_heads = counterparts(
            dataset, heads, domain=self.domain, context=self.context, many=False, method="dfr"
        )
        validation = dataset.split("val")
        questions = [
            question
            for head, partner in of_heads.items()
            for question in _questions(validation, head, partner)
        ]
        lacking = [question for question in questions if question.lacks]
        listed = "; ".join(question.lacks for question in lacking[:_MOST_NAMED])
        if len(lacking) > _MOST_NAMED:
            listed += f"; and {len(lacking) - _MOST_NAMED} more"
        if len(lacking) == len(questions):
            raise InputError(
                f"dfr needs {_LEAST} validation pictures of each combination, and {dataset.root} "
                f"has too few: {listed}. Use a larger validation split, or another method"
            )
        if lacking:
            warnings.warn(
                f"dfr leaves as training made it what has fewer than {_LEAST} validation pictures "
                f"of a combination: {listed}",
                FairvisionWarning,
                stacklevel=4,
            )
        return Retraining([q for q in questions if not q.lacks], self.draws)


class Question(NamedTuple):
    """What is to be told, on the images of a split.

    Attributes
    ----------
    head : of the network
    outputs : which of its logits answer
    answers : (n,) code of the right one; -1 unknown. Where many labels may hold, 1 if the label
        does
    partners : (n,) code of what the answers are balanced over; -1 unknown
    lacks : the combination that has too few images, in words; "" if none
    """

    head: str
    outputs: tuple[int, ...]
    answers: Codes
    partners: Codes
    lacks: str


def _questions(dataset: Dataset, head: str, partner: str) -> Iterator[Question]:
    """Yield the question of a head, or of each label of a head in which many may hold."""
    codes, labels = dataset.encoded(head), dataset.schema.labels(head)
    partners = dataset.encoded(partner) if partner else np.zeros(len(dataset), np.int64)
    groups = dataset.schema.labels(partner) if partner else ("",)
    if codes.ndim == 1:
        lacks = _lack(head, partner, codes, partners, labels, groups)
        yield Question(head, tuple(range(len(labels))), codes, partners, lacks)
        return
    for place, label in enumerate(labels):
        holds = codes[:, place].astype(np.int64)
        lacks = _lack(head, partner, holds, partners, (f"no {label}", label), groups)
        yield Question(head, (place,), holds, partners, lacks)


def _lack(
    head: str,
    partner: str,
    answers: Codes,
    partners: Codes,
    labels: Sequence[str],
    groups: Sequence[str],
) -> str:
    """Return in words the combination of answer and partner with the fewest images, if too few."""
    counts = np.zeros((len(labels), len(groups)), int)
    both = (answers >= 0) & (partners >= 0)
    np.add.at(counts, (answers[both], partners[both]), 1)
    answer, group = divmod(int(counts.argmin()), len(groups))
    fewest = int(counts[answer, group])
    if fewest >= _LEAST:
        return ""
    beside = f", {partner} {groups[group]}" if partner else ""
    return f"{head} {labels[answer]}{beside} has {fewest or 'none'}"


@dataclass(frozen=True)
class Retraining:
    """Retrains heads from the features of the validation split.

    Attributes
    ----------
    questions : on the images of that split
    draws : balanced draws over which weights are averaged
    split : whose features it takes
    """

    questions: Sequence[Question]
    draws: int
    split: str = "val"

    @torch.no_grad()
    def __call__(self, network: Network, features: npt.NDArray[np.floating]) -> None:
        """Give the heads of a network new weights, from the features (n, width)."""
        for question in self.questions:
            head = network.head(question.head)
            assert isinstance(head, nn.Linear)
            rows = (question.answers >= 0) & (question.partners >= 0)
            weight, bias = retrain(
                features[rows],
                question.answers[rows],
                question.partners[rows],
                draws=self.draws,
                random=np.random.default_rng(0),
            )
            if len(question.outputs) == 1:  # the label's logit is that of "holds" less the other
                weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
            places = list(question.outputs)
            head.weight[places] = torch.from_numpy(weight).to(head.weight)
            head.bias[places] = torch.from_numpy(bias).to(head.bias)


def retrain(
    features: npt.NDArray[np.floating],
    answers: Codes,
    partners: Codes,
    *,
    draws: int,
    random: np.random.Generator,
) -> tuple[Matrix, Matrix]:
    """Return a linear classifier of features, learnt from balanced draws.

    A draw has as many images of each combination of answer and partner as the rarest has. The
    strength of the l1 penalty is the one by which, learnt on a half of the images, the combination
    that fares worst on the other half fares best; of equal ones that with the better mean over
    combinations, and of these the weakest, as in the authors' program. Features are
    standardised, and the weights of the draws averaged, then carried over to the features as they
    are.

    Parameters
    ----------
    features : (n, width)
    answers, partners : (n,) codes; at least two answers, and at least two images of every
        combination that occurs
    draws : how many are averaged, at least 1
    random : of the halves and the draws

    Returns
    -------
    weight (answers, width), bias (answers,)

    Examples
    --------
    The first feature tells the answer, the second the partner, which mostly goes with it:

    >>> random = np.random.default_rng(0)
    >>> answers = np.repeat([0, 0, 1, 1], [90, 10, 10, 90])
    >>> partners = np.repeat([0, 1, 0, 1], [90, 10, 10, 90])
    >>> features = np.stack([answers, partners], axis=1) + random.normal(size=(200, 2)) / 5
    >>> weight, bias = retrain(features, answers, partners, draws=5, random=random)
    >>> bool(abs(weight[1, 0]) > 10 * abs(weight[1, 1]))
    True
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features.astype(np.float64))
    values = scaler.transform(features.astype(np.float64))
    combinations = np.unique(np.stack([answers, partners], axis=1), axis=0, return_inverse=True)[1]
    strength = _choose_strength(values, answers, combinations.ravel(), random)
    classes = int(answers.max()) + 1
    fitted = []
    for _ in range(draws):
        rows = balanced(combinations.ravel(), random)
        fitted.append(_fit(values[rows], answers[rows], classes, strength))
    weight = np.mean([weight for weight, _ in fitted], axis=0) / scaler.scale_
    bias = np.mean([bias for _, bias in fitted], axis=0)
    return weight, bias - weight @ scaler.mean_


def balanced(combinations: Codes, random: np.random.Generator) -> Codes:
    """Return rows with as many of each combination as the rarest has, drawn without replacement.

    >>> rows = balanced(np.array([0, 0, 0, 1, 1]), np.random.default_rng(0))
    >>> np.array([0, 0, 0, 1, 1])[rows].tolist()
    [0, 0, 1, 1]
    """
    by_combination = _shuffled(combinations, random)
    fewest = min(map(len, by_combination))
    return np.concatenate([np.sort(rows[:fewest]) for rows in by_combination])


def _shuffled(combinations: Codes, random: np.random.Generator) -> list[Codes]:
    """Return the rows of each combination in a random order."""
    return [random.permutation(np.flatnonzero(combinations == c)) for c in np.unique(combinations)]


def _choose_strength(
    values: Matrix, answers: Codes, combinations: Codes, random: np.random.Generator
) -> float:
    """Return the inverse strength by which the worst combination of a half fares best."""
    by_combination = _shuffled(combinations, random)
    half = np.concatenate([rows[: len(rows) // 2] for rows in by_combination])
    others = [rows[len(rows) // 2 :] for rows in by_combination]
    rows, classes = half[balanced(combinations[half], random)], int(answers.max()) + 1
    scores = {}
    for strength in STRENGTHS:
        weight, bias = _fit(values[rows], answers[rows], classes, strength)
        right = (values @ weight.T + bias).argmax(axis=1) == answers
        shares = [float(right[rest].mean()) for rest in others]
        scores[strength] = min(shares), sum(shares)
    return max(STRENGTHS, key=lambda strength: scores[strength])


def _fit(values: Matrix, answers: Codes, classes: int, strength: float) -> tuple[Matrix, Matrix]:
    """Return weight (classes, width) and bias (classes,): each class against the rest.

    Of two classes it is one regression, and each has half of its logit.
    """
    against = range(classes) if classes > 2 else [1]
    fitted = [_logistic(strength).fit(values, answers == answer) for answer in against]
    weight = np.concatenate([regression.coef_ for regression in fitted])
    bias = np.concatenate([regression.intercept_ for regression in fitted])
    if classes > 2:
        return weight, bias
    return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2


def _logistic(strength: float) -> Any:
    """Return scikit-learn's logistic regression with an l1 penalty."""
    from sklearn.linear_model import LogisticRegression

    # Until 1.8 scikit-learn took the name of a penalty, and now it takes the share of l1 only.
    penalty: Mapping[str, Any]
    penalty = {"penalty": "l1"} if LogisticRegression().penalty == "l2" else {"l1_ratio": 1.0}
    return LogisticRegression(
        C=strength, solver="liblinear", random_state=0, max_iter=1000, **penalty
    )
