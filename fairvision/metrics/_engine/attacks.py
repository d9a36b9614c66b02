"""Attacks: rounds of training and test, attackers that guess groups, and the result of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError, warn_caller
from fairvision.metrics._engine.arrays import (
    Array,
    Bools,
    Floats,
    Ints,
    as_objects,
    mean_of_defined,
    ratio,
)
from fairvision.metrics._engine.bootstrap import Drawing, Sampling
from fairvision.metrics._engine.inputs import read_groups
from fairvision.metrics._engine.outcomes import SMALL
from fairvision.metrics._engine.result import Result, summarise
from fairvision.metrics._engine.rows import Rows

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


def check_whole(arg: str, number: Any) -> None:
    """Raise unless a number is 1 or more, and whole."""
    if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or number < 1:
        raise InputError(f"{arg} must be a whole number, 1 or more, not {number!r}")


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


def most_frequent(clue: Ints, code: Ints, width: int, smoothing: float) -> Floats:
    """Return the probability of each class given each clue, (width, classes).

    From one label per image it is the best guess that there is: naive Bayes with a single clue,
    with `smoothing` added to how often clues, (rows,), have classes, (rows,).
    """
    classes = int(code.max()) + 1
    times = np.bincount(code * width + clue, minlength=classes * width).reshape(classes, width)
    likely = (times + smoothing) / (times.sum(axis=1, keepdims=True) + smoothing * width)
    joint = likely * (times.sum(axis=1, keepdims=True) / len(code))
    chances: Floats = (joint / joint.sum(axis=0)).T
    return chances


def default_attacker(clues: Array, images: int) -> Any:
    """Return an untrained attacker that suits the clues; `images` of each group teach it.

    Tables of 0 and 1 are attacked by logistic regression; scores by that and boosted trees
    together: trees also see what lies in a model's confidence, and need more images where every
    score tells little.
    """
    from sklearn.linear_model import LogisticRegression

    linear = LogisticRegression(C=0.1, max_iter=1000)
    if clues.dtype.kind == "b":
        return linear
    from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    trees = HistGradientBoostingClassifier(early_stopping=images >= _FEW, max_iter=200)
    scaled = make_pipeline(StandardScaler(), linear)
    return VotingClassifier([("linear", scaled), ("trees", trees)], voting="soft")


def untrained_copy(attacker: Any, seed: int) -> Any:
    """Return an untrained copy of an attacker, with its own random state."""
    from sklearn.base import clone

    copy = clone(attacker)
    states = [name for name in copy.get_params() if name.split("__")[-1] == "random_state"]
    return copy.set_params(**dict.fromkeys(states, seed))


def train_and_predict(
    attacker: Any | None,
    clues: Array,
    target: Ints,
    train: Ints,
    test: Ints,
    *,
    seed: int,
    smoothing: float = EXACT,
) -> Floats:
    """Train an attacker on some rows and return its probabilities for others, (test, classes).

    Parameters
    ----------
    attacker : an estimator that is left as it is, or None for the default
    clues : (rows,) codes from 0 on, (rows, labels) booleans or (rows, columns) numbers
    target : (rows,) codes, of which the largest says how many classes there are
    train, test : rows

    Returns
    -------
    Without `predict_proba`, 1 for what the attacker says.
    """
    present, code = np.unique(target[train], return_inverse=True)
    probability = np.zeros((len(test), int(target.max()) + 1))
    if len(present) == 1:
        probability[:, present] = 1
        return probability
    shown: Callable[[Array], Any] = np.asarray
    if clues.ndim == 1:
        width = int(clues.max()) + 1
        if attacker is None:
            chances = most_frequent(clues[train], code, width, smoothing)
            probability[:, present] = chances[clues[test]]
            return probability
        shown = np.eye(width).__getitem__
        asked, place = np.unique(clues[test], return_inverse=True)
    else:
        asked, place = clues[test], np.arange(len(test))
    if attacker is None:
        attacker = default_attacker(clues, len(train) // len(present))
    attacker = untrained_copy(attacker, seed).fit(shown(clues[train]), code)
    if hasattr(attacker, "predict_proba"):
        guesses = np.asarray(attacker.predict_proba(shown(asked)))
        if guesses.shape != (len(asked), len(present)):
            raise InputError("the attacker must give one probability per image and class")
    else:
        guesses = np.eye(len(present))[np.asarray(attacker.predict(shown(asked))).astype(int)]
    probability[:, present] = guesses[place]
    return probability


def share_right(probability: Floats, truth: Ints) -> Floats:
    """Return 1 where the truth is most probable and 0 elsewhere, (rows,).

    A tie is right in part, so that the order of classes decides nothing.
    """
    best = probability == probability.max(axis=1, keepdims=True)
    share: Floats = best[np.arange(len(truth)), truth] / best.sum(axis=1)
    return share


def in_order_of_appearance(codes: Ints) -> Ints:
    """Return codes numbered as they appear, so that names decide nothing; −1 stays."""
    different, first, code = np.unique(codes, return_index=True, return_inverse=True)
    order = [at for at in np.argsort(first) if different[at] >= 0]
    number = np.full(len(different), -1)
    number[order] = np.arange(len(order))
    return number[code]


def renumber_together(truth: Ints, predicted: Ints, valid: Bools) -> tuple[Ints, Ints]:
    """Return codes of the labels that occur in valid rows, the same for both; −1 elsewhere."""
    both = np.where(valid, np.stack([truth, predicted]), -1)
    numbered = in_order_of_appearance(both.T.ravel()).reshape(-1, 2)
    return numbered[:, 0], numbered[:, 1]


@dataclass(frozen=True, eq=False, repr=False)
class LeakageResult(Result):
    """A result of a measure that trains attackers.

    The interval draws the tested images again, each with what the attackers of all rounds said of
    it; attackers are not trained again. So it says how the figure would vary over other images to
    test, and `std` how it varied over splits and trainings.

    Attributes
    ----------
    rounds : (rounds,) ndarray
        The figure in each round; their mean is the value.
    chance : float
        What guessing gives: 1 / number of groups. NaN where the figure is no accuracy.
    model, data : LeakageResult or None
        Of an amplification: how well the model's outputs are attacked, and how well the perturbed
        truth.
    """

    rounds: Floats = field(default_factory=lambda: np.empty(0))
    chance: float = np.nan
    model: LeakageResult | None = None
    data: LeakageResult | None = None

    @property
    def std(self) -> float:
        """Standard deviation over the rounds (ddof 1); NaN with fewer than two."""
        return float(np.std(self.rounds, ddof=1)) if len(self.rounds) > 1 else np.nan

    def __repr__(self) -> str:
        return f"{super().__repr__()}, ± {self.std:.2g} over {len(self.rounds)} rounds"


@dataclass(frozen=True, eq=False)
class AttackRounds:
    """Balanced images for training and test, and what attackers make of them.

    Attributes
    ----------
    names : of the groups
    codes : (rows,) group of each row, −1 where it takes no part
    splits : for each round, the rows to learn from and those to test; none where that cannot be
    rounds : how many were asked for
    sampled : the rows that are drawn again
    """

    names: list[Any]
    codes: Ints
    splits: list[tuple[Ints, Ints]]
    rounds: int
    sampled: Bools
    attacker: Any
    fold: bool
    sampling: Sampling

    @property
    def seed(self) -> int:
        """Of the first round; each round has its own."""
        return self.sampling.get("seed", 0)

    def scores(self, score: Callable[[int, Ints, Ints, Ints], Floats]) -> Floats:
        """Return the score of each row in each round, (rounds, rows); NaN where not tested.

        `score` gives that of the tested rows (test,), from the number of the round, the groups of
        all rows as they appear, and the rows to learn from and to test.
        """
        target = in_order_of_appearance(self.codes)
        scores = np.full((self.rounds, len(target)), np.nan)
        for number, (train, test) in enumerate(self.splits):
            scores[number, test] = score(number, target, train, test)
        return scores

    def guesses(self, clues: Callable[..., Array]) -> Floats:
        """Return how right attackers are about each row, (rounds, rows); NaN where not tested.

        `clues` makes the table that they are shown, from a generator and the two parts of the rows.
        """

        def score(number: int, target: Ints, train: Ints, test: Ints) -> Floats:
            shown = clues(np.random.default_rng([self.seed, number, 1]), train, test)
            seed = self.seed + number
            guess = train_and_predict(self.attacker, shown, target, train, test, seed=seed)
            return share_right(guess, target[test])

        return self.scores(score)

    def result(self, name: str, scores: Floats, minus: Floats | None = None) -> LeakageResult:
        """Make the result of scores (rounds, rows), or of how much higher they are than others."""
        tested = ~np.isnan(scores).all(axis=0)
        both = [scores[:, self.sampled]]
        if minus is not None:
            both.append(minus[:, self.sampled])
        codes = np.where(tested, self.codes, -1)[self.sampled]
        rows, read = scores_of_units(both, self.sampling, groups=codes)
        member = rows["groups"] == np.arange(len(self.names))[:, None]
        of_group = (member @ rows.sample.counts).astype(int)
        shape = self.rounds, len(self.names)
        size = self.rounds * len(self.names), member.shape[1]

        def accuracy(score: Floats, weights: Array) -> Floats:
            """Return the accuracy in each round and group, (rounds, groups, b)."""
            rightly = (member * np.nan_to_num(score)[:, None]).reshape(size)
            times = (member & ~np.isnan(score)[:, None]).reshape(size)
            return ratio(rightly @ weights, times @ weights).reshape(*shape, weights.shape[1])

        def of_rounds(weights: Array) -> tuple[Floats, Floats]:
            """Return the figure in each round (rounds, b), and for each group (groups, b)."""
            by_group = [accuracy(score, weights) for score in read]
            if not of_group.any():
                return np.full((shape[0], weights.shape[1]), np.nan), by_group[0][0]
            means = [rates[:, of_group > 0].mean(axis=1) for rates in by_group]
            if self.fold:
                means = [0.5 + abs(mean - 0.5) for mean in means]
            if minus is None:
                return means[0], by_group[0].mean(axis=0)
            return means[0] - means[1], (by_group[0] - by_group[1]).mean(axis=0)

        def statistic(weights: Array) -> Floats:
            value, by_group = of_rounds(weights)
            return np.vstack([value.mean(axis=0), by_group])

        return summarise(
            rows.sample,
            statistic,
            int(of_group.sum()),
            name,
            pairs={"group": as_objects(self.names), "n": of_group},
            kind=LeakageResult,
            rounds=of_rounds(rows.sample.base)[0][:, 0],
            chance=1 / int((of_group > 0).sum()) if of_group.any() and minus is None else np.nan,
        )


def scores_of_units(
    scores: list[Floats], sampling: Sampling, **columns: Array
) -> tuple[Rows, list[Floats]]:
    """Take images together that are alike in scores (rounds, rows) and columns.

    Returns the rows and the scores of their units, (rounds, units) each.
    """
    places = [(source, number) for source, of in enumerate(scores) for number in range(len(of))]
    named = {f"{source} {number}": scores[source][number] for source, number in places}
    rows = Rows({**columns, **named}, sampling)
    return rows, [
        np.array([rows[f"{source} {number}"] for number in range(len(of))], dtype=float)
        for source, of in enumerate(scores)
    ]


def warn_of_few(train: int, test: int, of: str) -> None:
    """Warn that attackers see few images."""
    if min(train, test) < SMALL:
        warn_caller(
            f"attackers learn from {train} and are tested on {test} images {of}: figures of so "
            "few say little"
        )


def draw_rounds(
    groups: ArrayLike,
    test_groups: ArrayLike | None,
    valid: Bools,
    attack: Attack,
    per_group: int | None = None,
    test_per_group: int | None = None,
    fold: bool = False,
) -> AttackRounds:
    """Draw the rounds from the groups, of which rows that are not `valid` take no part."""
    attacker, rounds, test_size, sampling = read_attack(attack)
    for arg, number in (("per_group", per_group), ("test_per_group", test_per_group)):
        if number is not None:
            check_whole(arg, number)
    names, read = read_groups(groups=groups, test_groups=test_groups)
    held_out = np.repeat([False, True], [len(read["groups"]), len(read.get("test_groups", ()))])
    codes = np.concatenate(list(read.values()))
    codes = np.where(valid, codes, -1)
    members = [np.flatnonzero(codes == code) for code in np.unique(codes[codes >= 0])]
    members.sort(key=lambda of_group: of_group[0])  # by appearance, so that names decide nothing
    if fold and len(members) > 2:
        raise InputError(f"fold is for two groups, not for {len(members)}")
    splits = []
    if len(members) > 1:
        apart = test_groups is not None
        pools = [[of_group[held_out[of_group] == part] for of_group in members] for part in (0, 1)]
        smallest = [min(map(len, pool)) for pool in pools]
        train, test = _sizes(smallest, apart, test_size, per_group, test_per_group)
        for number in range(rounds if train and test else 0):
            random = np.random.default_rng([sampling.get("seed", 0), number])
            drawn = [[random.permutation(of_group) for of_group in pool] for pool in pools]
            to_test = drawn[1] if apart else [of_group[train:] for of_group in drawn[0]]
            splits.append(
                (
                    np.concatenate([of_group[:train] for of_group in drawn[0]]),
                    np.concatenate([of_group[:test] for of_group in to_test]),
                )
            )
        warn_of_few(train, test, "of each group")
    sampled = held_out if test_groups is not None else np.ones(len(codes), bool)
    return AttackRounds(names, codes, splits, rounds, sampled, attacker, fold, sampling)


def _sizes(
    smallest: list[int],
    apart: bool,
    test_size: float,
    per_group: int | None,
    test_per_group: int | None,
) -> tuple[int, int]:
    """Return how many images of each group to learn from and to test; 0 where there are none."""
    there, there_to_test = smallest
    if not apart:
        test = test_per_group or min(max(1, round(test_size * there)), there - 1)
        there, there_to_test = max(0, there - test), test if there >= test else 0
    train, test = per_group or there, test_per_group or there_to_test
    for arg, asked, most in (
        ("per_group", train, there),
        ("test_per_group", test, there_to_test),
    ):
        if asked > most:
            raise InputError(
                f"{arg}={asked} asks for more images of each group than there are: the smallest "
                f"has {most if apart else sum(smallest)}"
            )
    return train, test


def macro_f1(truth: Bools, predicted: Bools) -> float:
    """Return the mean F1 of the labels that occur in the truth, both (rows, labels) booleans.

    F1 = 2 TP / (2 TP + FP + FN). NaN where no label occurs.
    """
    occurs = truth.any(axis=0)
    both = (truth & predicted).sum(axis=0)
    either = truth.sum(axis=0) + predicted.sum(axis=0)
    return float(mean_of_defined(ratio(2 * both[occurs], either[occurs])))


def to_accuracy(truth: Ints, predicted: Ints, classes: int, random: np.random.Generator) -> Ints:
    """Return codes that are wrong in as many rows as the predictions, wherever these are.

    A wrong one is any other class, each with the same probability.
    """
    wrong = random.permutation(len(truth))[: (truth != predicted).sum()]
    moved = truth.copy()
    drawn = random.integers(max(1, classes - 1), size=len(wrong))
    moved[wrong] = drawn + (drawn >= truth[wrong])
    return moved


def to_f1(truth: Bools, f1: float, random: np.random.Generator) -> Bools:
    """Return a table in which every entry is flipped with the same probability, to a macro F1.

    Each flip lowers F1, so the probability is found by bisection over the same random numbers. It
    stays below 1/2, where nothing is left of the truth: beyond it, F1 would fall further only
    because the flipped table says the opposite.
    """
    threshold = random.random(truth.shape)

    def quality(probability: float) -> float:
        return macro_f1(truth, truth ^ (threshold < probability))

    low, high = 0.0, 0.5
    if np.isnan(f1) or f1 >= 1:
        return truth.copy()
    if quality(high) >= f1:
        return truth ^ (threshold < high)
    while high - low > 1e-9:  # quality(low) >= f1 > quality(high)
        middle = (low + high) / 2
        low, high = (middle, high) if quality(middle) >= f1 else (low, middle)
    nearest = min((low, high), key=lambda probability: abs(quality(probability) - f1))
    return truth ^ (threshold < nearest)
