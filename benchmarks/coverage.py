"""How often the 95% intervals hold the truth, in simulations in which the truth is known.

    python benchmarks/coverage.py [--data-sets 1000] [--only clusters]

Every line is a simulation: data sets of n images are drawn again and again from one known
population, each is measured with 1000 replicates, and printed is in how many of them the interval
holds the population's figure, and in how many the whole interval lies above or below it; for
percentile intervals and for BCa. A right 95% interval holds it in 95 of 100, and misses as often on
either side. Of 1000 data sets, shares from 93.6 to 96.4 cannot be told from that; of 500, 93.1 to
96.9; of 250, 92.3 to 97.7. Where an interval is stratified, the data sets are drawn so too: with as
many images of each group. Amplification (ten labels, two groups) is measured with the population as
the training set.

The second table is of clusters, several images of each of some people. How likely the model is
right is drawn for each person, so images of one are alike (intraclass correlation 0.1 or 0.4).
Images are drawn again by themselves, and with `cluster=` people are.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from fairvision import metrics
from fairvision.metrics import Result

INTERVALS = ("percentile", "bca")
SIDES = ("holds", "above", "below")
PARTS = 10**9  # images of a population, so that its shares can be given as counts

Cells = dict[str, np.ndarray]
Measure = Callable[..., Result]  # cells as keywords, then those of `Sampling`


@dataclass(frozen=True)
class Population:
    """Kinds of images, how frequent each is, and the stratum of each."""

    cells: Cells
    shares: np.ndarray
    strata: np.ndarray

    def draw(self, n: int, random: np.random.Generator, stratified: bool) -> np.ndarray:
        """Return how many of n images are of each kind."""
        if not stratified:
            return random.multinomial(n, self.shares)
        counts = np.zeros(len(self.shares), int)
        for stratum in np.unique(self.strata):
            own = self.strata == stratum
            share = self.shares[own].sum()
            counts[own] = random.multinomial(round(n * share), self.shares[own] / share)
        return counts


@dataclass(frozen=True)
class Simulation:
    """Data sets of n images of a population, and what is measured in them."""

    name: str
    population: Population
    measure: Measure
    n: int
    stratified: bool = False
    part: float = 1.0  # of the data sets that are asked for

    def data_sets(self, asked: int) -> int:
        """Return how many data sets are drawn."""
        return max(1, round(asked * self.part))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-sets", type=int, default=1000)
    parser.add_argument("--only", choices=["images", "clusters"])
    given = parser.parse_args()
    start = time.perf_counter()
    if given.only != "clusters":
        of_images(given.data_sets)
    if given.only != "images":
        of_clusters(given.data_sets)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    print(f"{time.perf_counter() - start:.0f} s, {used:.0f} s of all processors")


def of_images(asked: int) -> None:
    """Print the coverage of each simulation."""
    print(f"{'':50}{'percentile':>24}{'BCa':>24}")
    print(f"{'':38}{'n':>6}{'sets':>6}" + "".join(f"{word:>8}" for word in SIDES) * 2)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as workers:
        found = [
            (simulation, workers.submit(coverage, simulation, asked))
            for simulation in simulations()
        ]
        for simulation, shares in found:
            name = simulation.name + ", stratified" * simulation.stratified
            sets = simulation.data_sets(asked)
            figures = "".join(f"{share:8.1%}" for some in shares.result() for share in some)
            print(f"{name:38}{simulation.n:6}{sets:6}{figures}", flush=True)


def of_clusters(asked: int) -> None:
    """Print the coverage of images and of people that are drawn again."""
    kinds = ("images", "people", "people, BCa")
    print(f"{'':44}" + "".join(f"{kind:>24}" for kind in kinds))
    print(f"{'':38}{'people':>6}" + "".join(f"{word:>8}" for word in SIDES) * len(kinds))
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as workers:
        futures = [(people, workers.submit(people.coverage, asked)) for people in populations()]
        for people, shares in futures:
            figures = "".join(f"{share:8.1%}" for of_kind in shares.result() for share in of_kind)
            print(f"{people.name:38}{people.number:6}{figures}", flush=True)


@dataclass(frozen=True)
class People:
    """Data sets of several images of each of some people, half of them in either group."""

    number: int
    correlation: float
    uneven: bool
    measure: str

    @property
    def name(self) -> str:
        """What is simulated."""
        images = "1 to 20" if self.uneven else "5"
        return f"{self.measure}, {images} images each, {self.correlation}"

    def draw(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the person of each image, and whether it is right."""
        images = np.minimum(random.geometric(0.2, self.number), 20) if self.uneven else 5
        person = np.repeat(np.arange(self.number), images)
        scale = (1 - self.correlation) / self.correlation
        likely = random.beta(0.8 * scale, 0.2 * scale, self.number)[person]
        return person, (random.random(len(person)) < likely).astype(int)

    def coverage(self, asked: int) -> list[tuple[float, float, float]]:
        """Return per kind of interval the shares that hold the truth, lie above it, and below."""
        truth = {"accuracy": 0.8, "gap": 0.0}[self.measure]
        sides = np.zeros((3, asked, 2), bool)
        for seed in range(asked):
            person, right = self.draw(np.random.default_rng([seed, self.number]))
            ways: tuple[dict[str, Any], ...]
            ways = ({}, {"cluster": person}, {"cluster": person, "interval": "bca"})
            for kind, sampling in enumerate(ways):
                low, high = self.interval(person, right, seed=seed, **sampling)
                sides[kind, seed] = low > truth + 1e-9, high < truth - 1e-9
        return [(1 - of.any(axis=1).mean(), *of.mean(axis=0)) for of in sides]

    def interval(
        self, person: np.ndarray, right: np.ndarray, **sampling: Any
    ) -> tuple[float, float]:
        """Return the interval of the accuracy, or of the second group less the first."""
        if self.measure == "accuracy":
            result = metrics.mean(right, **sampling)
        else:
            means = metrics.mean_by_group(right, person % 2, **sampling)
            result = metrics.compare(means[0], means[1])
        return result.low, result.high


def populations() -> Iterator[People]:
    for measure, uneven, correlation, number in itertools.product(
        ("accuracy", "gap"), (False, True), (0.1, 0.4), (30, 100, 400)
    ):
        yield People(number, correlation, uneven, measure)


def coverage(simulation: Simulation, asked: int) -> list[tuple[float, float, float]]:
    """Return per kind of interval the shares that hold the truth, lie above it, and below it."""
    population, measure = simulation.population, simulation.measure
    data_sets = simulation.data_sets(asked)
    exact = np.rint(population.shares * PARTS).astype(np.int64)
    truth = float(measure(**population.cells, counts=exact, replicates=0))
    sides = np.zeros((len(INTERVALS), data_sets, 2), bool)
    for seed in range(data_sets):
        random = np.random.default_rng([seed, simulation.n])
        counts = population.draw(simulation.n, random, simulation.stratified)
        there = counts > 0
        cells = {name: values[there] for name, values in population.cells.items()}
        sampling: dict[str, Any] = {"counts": counts[there], "seed": seed}
        if simulation.stratified:
            sampling["strata"] = population.strata[there]
        for i, interval in enumerate(INTERVALS):
            found = measure(**cells, **sampling, interval=interval)
            sides[i, seed] = found.low > truth + 1e-9, found.high < truth - 1e-9
    return [(1 - some.any(axis=1).mean(), *some.mean(axis=0)) for some in sides]


def simulations() -> Iterator[Simulation]:
    for share in (0.5, 0.9, 0.99):
        for n in (20, 100, 1000):
            yield Simulation(f"accuracy {share}", _right([share], [1]), _accuracy, n)
    pairs: list[tuple[str, Population, Measure]] = [
        *((f"gap of 0.9 and {low}", _right([0.9, low], [0.6, 0.4]), _gap) for low in (0.8, 0.89)),
        ("difference of two models", _two_models(), _difference),
    ]
    for name, population, measure in pairs:
        for n, stratified in itertools.product((100, 1000), (False, True)):
            yield Simulation(name, population, measure, n, stratified, part=0.5)
    amplification: dict[str, Measure] = {"T->A": _to_groups, "A->T": _to_labels, "MALS": _mals}
    for name, measure in amplification.items():
        for n, stratified in itertools.product((200, 2000), (False, True)):
            yield Simulation(f"amplification {name}", _answers(), measure, n, stratified, part=0.25)


def _right(accuracies: list[float], sizes: list[float]) -> Population:
    """Return groups of some sizes and accuracies."""
    groups, right = (axis.ravel() for axis in np.indices((len(sizes), 2)))
    own = np.array(accuracies)[groups]
    shares = np.array(sizes)[groups] * np.where(right == 1, own, 1 - own)
    return Population({"groups": groups, "right": right}, shares, groups)


def _accuracy(groups: np.ndarray, right: np.ndarray, **sampling: Any) -> Result:
    return metrics.accuracy(np.ones(len(right), int), right, **sampling)


def _gap(groups: np.ndarray, right: np.ndarray, **sampling: Any) -> Result:
    return metrics.gap(metrics.mean_by_group(right, groups, **sampling))


def _two_models() -> Population:
    """Return two models, mostly right on the same images; the second is better by 0.05."""
    groups, a, b = (axis.ravel() for axis in np.indices((2, 2, 2)))
    of_group = np.array([[[0.02, 0.06], [0.02, 0.9]], [[0.12, 0.12], [0.06, 0.7]]])
    return Population({"a": a, "b": b}, of_group[groups, a, b] / 2, groups)


def _difference(a: np.ndarray, b: np.ndarray, **sampling: Any) -> Result:
    return metrics.compare(metrics.mean(a, **sampling), metrics.mean(b, **sampling))


def _answers() -> Population:
    """Return ten labels, of which some go with one of two groups, and answers that lean further."""
    groups, labels, pred_groups, pred_labels = (axis.ravel() for axis in np.indices((2, 10, 2, 10)))
    frequency = np.linspace(1, 3, 10)
    female = np.linspace(0.2, 0.8, 10)[labels]
    shares = (frequency / frequency.sum())[labels] * np.where(groups == 0, female, 1 - female)
    guess = 0.1 + 0.2 * np.linspace(0, 1, 10)[labels]  # how often group 0 is taken for group 1
    wrong = np.where(groups == 0, 0.3 - guess, guess)
    shares = shares * np.where(pred_groups == groups, 1 - wrong, wrong)
    other = np.abs((pred_labels - labels) % 10 - 5 * groups) == 1
    shares = shares * np.where(pred_labels == labels, 0.7, np.where(other, 0.15, 0))
    names = ("groups", "labels", "pred_groups", "pred_labels")
    kept = shares > 0
    cells = dict(zip(names, (axis[kept] for axis in (groups, labels, pred_groups, pred_labels))))
    return Population(cells, shares[kept] / shares[kept].sum(), groups[kept])


def _trained() -> dict[str, Any]:
    population = _answers()
    return {
        "train_labels": population.cells["labels"],
        "train_groups": population.cells["groups"],
        "train_counts": np.rint(population.shares * PARTS).astype(np.int64),
    }


def _to_groups(
    groups: np.ndarray,
    labels: np.ndarray,
    pred_groups: np.ndarray,
    pred_labels: np.ndarray,
    **sampling: Any,
) -> Result:
    return metrics.directional_bias_amplification(
        labels, groups, pred_groups=pred_groups, **TRAINED, **sampling
    )


def _to_labels(
    groups: np.ndarray,
    labels: np.ndarray,
    pred_groups: np.ndarray,
    pred_labels: np.ndarray,
    **sampling: Any,
) -> Result:
    return metrics.directional_bias_amplification(
        labels, groups, pred_labels=pred_labels, **TRAINED, **sampling
    )


def _mals(
    groups: np.ndarray,
    labels: np.ndarray,
    pred_groups: np.ndarray,
    pred_labels: np.ndarray,
    **sampling: Any,
) -> Result:
    trained = TRAINED["train_labels"], TRAINED["train_groups"]
    return metrics.bias_amplification_mals(
        *trained, pred_labels, pred_groups, train_counts=TRAINED["train_counts"], **sampling
    )


TRAINED = _trained()


if __name__ == "__main__":
    main()
