"""Rounds of attacks on as many images of every group, and the result of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import FairvisionWarning, InputError
from fairvision.metrics._attackers import (
    Attack,
    check_whole,
    in_order_of_appearance,
    probabilities,
    read_attack,
    right,
)
from fairvision.metrics._bootstrap import ratio
from fairvision.metrics._inputs import read_groups
from fairvision.metrics._means import SMALL
from fairvision.metrics._result import Result, summarise
from fairvision.metrics._rows import Rows
from fairvision.metrics._sampling import Sampling


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

    rounds: np.ndarray = field(default_factory=lambda: np.empty(0))
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
    codes: np.ndarray
    splits: list[tuple[np.ndarray, np.ndarray]]
    rounds: int
    sampled: np.ndarray
    attacker: Any
    fold: bool
    sampling: Sampling

    def scores(self, clues: Callable[..., np.ndarray]) -> np.ndarray:
        """Return how right attackers are about each row, (rounds, rows); NaN where not tested.

        `clues` makes what they are shown of a generator and the two parts of the rows.
        """
        seed = self.sampling.get("seed", 0)
        target = in_order_of_appearance(self.codes)
        found = np.full((self.rounds, len(target)), np.nan)
        for number, (train, test) in enumerate(self.splits):
            random = np.random.default_rng([seed, number, 1])
            said = probabilities(
                self.attacker,
                clues(random, train, test),
                target,
                train,
                test,
                classes=int(target.max()) + 1,
                seed=seed + number,
            )
            found[number, test] = right(said, target[test])
        return found

    def result(
        self, name: str, scores: np.ndarray, minus: np.ndarray | None = None
    ) -> LeakageResult:
        """Make the result of scores (rounds, rows), or of how much higher they are than others."""
        tested = ~np.isnan(scores).all(axis=0)
        both = [scores[:, self.sampled]]
        if minus is not None:
            both.append(minus[:, self.sampled])
        codes = np.where(tested, self.codes, -1)[self.sampled]
        rows, read = units(both, self.sampling, groups=codes)
        member = rows["groups"] == np.arange(len(self.names))[:, None]
        of_group = (member @ rows.sample.counts).astype(int)
        shape = self.rounds, len(self.names)
        size = self.rounds * len(self.names), member.shape[1]

        def accuracy(score: np.ndarray, weights: np.ndarray) -> np.ndarray:
            """Return the accuracy in each round and group, (rounds, groups, b)."""
            rightly = (member * np.nan_to_num(score)[:, None]).reshape(size)
            times = (member & ~np.isnan(score)[:, None]).reshape(size)
            return ratio(rightly @ weights, times @ weights).reshape(*shape, weights.shape[1])

        def of_rounds(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Return the figure in each round (rounds, b), and for each group (groups, b)."""
            by_group = [accuracy(score, weights) for score in read]
            if not of_group.any():
                return np.full((shape[0], weights.shape[1]), np.nan), by_group[0][0]
            means = [found[:, of_group > 0].mean(axis=1) for found in by_group]
            if self.fold:
                means = [0.5 + abs(mean - 0.5) for mean in means]
            if minus is None:
                return means[0], by_group[0].mean(axis=0)
            return means[0] - means[1], (by_group[0] - by_group[1]).mean(axis=0)

        def statistic(weights: np.ndarray) -> np.ndarray:
            value, by_group = of_rounds(weights)
            return np.vstack([value.mean(axis=0), by_group])

        return summarise(
            rows.sample,
            statistic,
            int(of_group.sum()),
            name,
            pairs={"group": np.array(self.names, dtype=object), "n": of_group},
            kind=LeakageResult,
            rounds=of_rounds(rows.sample.base)[0][:, 0],
            chance=1 / int((of_group > 0).sum()) if of_group.any() and minus is None else np.nan,
        )


def units(
    scores: list[np.ndarray], sampling: Sampling, **columns: np.ndarray
) -> tuple[Rows, list[np.ndarray]]:
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


def warn_of_few(train: int, test: int, of: str, *, stacklevel: int) -> None:
    """Warn the caller of a measure that attackers see few images."""
    if min(train, test) < SMALL:
        warnings.warn(
            f"attackers learn from {train} and are tested on {test} images {of}: figures of so "
            "few say little",
            FairvisionWarning,
            stacklevel=stacklevel,
        )


def draw_rounds(
    groups: ArrayLike,
    test_groups: ArrayLike | None,
    known: np.ndarray,
    *,
    per_group: int | None,
    test_per_group: int | None,
    fold: bool,
    attack: Attack,
) -> AttackRounds:
    """Draw the rounds from the groups, of which rows that are not `known` take no part."""
    attacker, rounds, test_size, sampling = read_attack(attack)
    for what, number in (("per_group", per_group), ("test_per_group", test_per_group)):
        if number is not None:
            check_whole(what, number)
    names, read = read_groups(groups=groups, test_groups=test_groups)
    held_out = np.repeat([False, True], [len(read["groups"]), len(read.get("test_groups", ()))])
    codes = np.concatenate(list(read.values()))
    codes = np.where(known, codes, -1)
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
        warn_of_few(train, test, "of each group", stacklevel=4)
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
    for what, asked, most in (
        ("per_group", train, there),
        ("test_per_group", test, there_to_test),
    ):
        if asked > most:
            raise InputError(
                f"{what}={asked} asks for more images of each group than there are: the smallest "
                f"has {most if apart else sum(smallest)}"
            )
    return train, test
