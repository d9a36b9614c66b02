"""Attackers guess one thing from another: scikit-learn estimators, fresh in every round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from fairvision.errors import InputError
from fairvision.metrics._bootstrap import Drawing
from fairvision.metrics._sampling import Sampling

EXACT = 2.0**-20  # smoothing so slight that it decides nothing; its sums are exact, so ties stay
_FEW = 50  # training images of each group below which none are put aside to stop early


class Attack(Sampling, total=False):
    """Keywords of every measure that trains attackers.

    Besides those of `Sampling`, without `counts` and `weights`: attackers learn from single images.
    `seed` also draws the rounds, and `strata` are of the images that are tested.

    Attributes
    ----------
    attacker : scikit-learn classifier, optional
        It is cloned in every round and for everything that is attacked, so that nothing learned
        before is left, and all its random states are set. It is given a table of numbers: one label
        per image as one column for each label, 0 and 1. By default the attacker that is named in
        the measure's description.
    rounds : int, default 5
        Each has its own images for training and for test.
    test_size : float, default 0.25
        Share of the images that are tested in each round.
    """

    attacker: Any
    rounds: int
    test_size: float


def read_attack(attack: Attack) -> tuple[Any, int, float, Sampling]:
    """Return the attacker or None, the rounds, the share that is tested, and the sampling."""
    if attack.get("counts") is not None or attack.get("weights") is not None:
        raise InputError("counts and weights are not taken here: attackers learn from single rows")
    sampling: Any = dict(attack)
    attacker = sampling.pop("attacker", None)
    rounds, test_size = sampling.pop("rounds", 5), sampling.pop("test_size", 0.25)
    Drawing(seed=sampling.get("seed", 0))  # the rounds need a valid one too
    check_whole("rounds", rounds)
    if not isinstance(test_size, (int, float)) or not 0 < test_size < 1:
        raise InputError(f"test_size must be between 0 and 1, not {test_size!r}")
    check_attacker(attacker)
    return attacker, rounds, test_size, sampling


def check_whole(what: str, number: Any) -> None:
    """Raise unless a number is 1 or more, and whole."""
    if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or number < 1:
        raise InputError(f"{what} must be a whole number, 1 or more, not {number!r}")


def check_attacker(attacker: Any) -> None:
    """Raise unless an attacker is an estimator that classifies, or None."""
    if attacker is None:
        return
    if isinstance(attacker, type):
        name = attacker.__name__
        raise InputError(f"attacker must be an estimator, not its class: give {name}()")
    if not hasattr(attacker, "fit") or not hasattr(attacker, "get_params"):
        raise InputError(f"attacker must be a scikit-learn classifier, not {attacker!r}")
    from sklearn.base import is_clusterer, is_regressor

    if is_regressor(attacker) or is_clusterer(attacker):
        name = type(attacker).__name__
        raise InputError(f"attacker must be a classifier, which {name} is not")


def default_attacker(clues: np.ndarray, images: int, smoothing: float = EXACT) -> Any:
    """Return an untrained attacker that suits the clues; `images` of each group teach it.

    From one label per image it guesses what is most frequent with that label, which is the best
    there is: naive Bayes with a single clue. Tables of 0 and 1 are attacked by logistic regression;
    scores by that and boosted trees together: trees also see what lies in a model's confidence, and
    need more images where every score tells little.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if clues.ndim == 1:
        return MultinomialNB(alpha=smoothing)
    linear = LogisticRegression(C=0.1, max_iter=1000)
    if clues.dtype.kind == "b":
        return linear
    trees = HistGradientBoostingClassifier(early_stopping=images >= _FEW, max_iter=200)
    scaled = make_pipeline(StandardScaler(), linear)
    return VotingClassifier([("linear", scaled), ("trees", trees)], voting="soft")


def fresh(attacker: Any, seed: int) -> Any:
    """Return an untrained copy of an attacker, with its own random state."""
    from sklearn.base import clone

    copy = clone(attacker)
    states = [name for name in copy.get_params() if name.split("__")[-1] == "random_state"]
    return copy.set_params(**dict.fromkeys(states, seed))


def probabilities(
    attacker: Any | None,
    clues: np.ndarray,
    target: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    *,
    classes: int,
    seed: int,
    smoothing: float = EXACT,
) -> np.ndarray:
    """Train an attacker on some rows and return its probabilities for others, (test, classes).

    Parameters
    ----------
    attacker : an estimator that is left as it is, or None for the default
    clues : (rows,) codes from 0 on, (rows, labels) booleans or (rows, columns) numbers
    target : (rows,) codes below `classes`
    train, test : rows

    Returns
    -------
    Without `predict_proba`, 1 for what the attacker says.
    """
    present, code = np.unique(target[train], return_inverse=True)
    found = np.zeros((len(test), classes))
    if len(present) == 1:
        found[:, present] = 1
        return found
    shown: Callable[[np.ndarray], Any] = np.asarray
    if clues.ndim == 1:
        width = int(clues.max()) + 1
        shown = (lambda c: _one_hot(c, width)) if attacker is None else np.eye(width).__getitem__
        asked, place = np.unique(clues[test], return_inverse=True)
    else:
        asked, place = clues[test], np.arange(len(test))
    if attacker is None:
        attacker = default_attacker(clues, len(train) // len(present), smoothing)
    attacker = fresh(attacker, seed).fit(shown(clues[train]), code)
    if hasattr(attacker, "predict_proba"):
        answers = np.asarray(attacker.predict_proba(shown(asked)))
        if answers.shape != (len(asked), len(present)):
            raise InputError("the attacker must give one probability per image and class")
    else:
        answers = np.eye(len(present))[np.asarray(attacker.predict(shown(asked))).astype(int)]
    found[:, present] = answers[place]
    return found


def right(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return 1 where the truth is most probable and 0 elsewhere, (rows,).

    A tie is right in part, so that the order of classes decides nothing.
    """
    best = probability == probability.max(axis=1, keepdims=True)
    return best[np.arange(len(truth)), truth] / best.sum(axis=1)


def in_order_of_appearance(codes: np.ndarray) -> np.ndarray:
    """Return codes numbered as they appear, so that names decide nothing; −1 stays."""
    found, first, code = np.unique(codes, return_index=True, return_inverse=True)
    order = [at for at in np.argsort(first) if found[at] >= 0]
    number = np.full(len(found), -1)
    number[order] = np.arange(len(order))
    return number[code]


def occurring(
    truth: np.ndarray, predicted: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return codes of what occurs in rows that are known, the same for both; −1 elsewhere."""
    both = np.where(known, np.stack([truth, predicted]), -1)
    numbered = in_order_of_appearance(both.T.ravel()).reshape(-1, 2)
    return numbered[:, 0], numbered[:, 1]


def _one_hot(codes: np.ndarray, width: int) -> Any:
    at = (np.ones(len(codes)), codes, np.arange(len(codes) + 1))
    return sparse.csr_matrix(at, shape=(len(codes), width))
