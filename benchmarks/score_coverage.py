"""How often 95% intervals of figures of scores hold the truth: drawn by images, and in blocks.

    python benchmarks/score_coverage.py [--data-sets 500]

Scores of images with and without a label are normal, 1.2 apart; the second of two models has the
scores of the first and noise. So areas under curves and their difference are known. Data sets of n
images are drawn again and again, and printed is in how many of them the interval holds the truth,
and in how many the whole interval lies above or below it: where scores are put in order again in
each of 1000 resamples, up to 2,000 images, and in blocks of images (`metrics/_engine/blocks.py`),
as audits of more than 10,000 do. Clusters are of 5 images, whose scores share half of their
variance.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr

from fairvision import metrics
from fairvision.metrics import Result
from fairvision.metrics._engine import blocks

APART, NOISE = 1.2, 0.5
WAYS = {"ordered again": 1 << 60, "in blocks": 0}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-sets", type=int, default=500)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'':32}{'label':>6}{'n':>7}" + "".join(f"{way:>24}" for way in WAYS))
    print(" " * 45 + "".join(f"{word:>8}" for word in ("holds", "above", "below")) * len(WAYS))
    for (name, figure, truth), share, n in itertools.product(
        FIGURES, (0.5, 0.05, 0.01), (200, 2000, 20_000)
    ):
        shares = []
        for way, many in WAYS.items():
            if n > 2000 and way != "in blocks":
                shares.append(f"{'–':>24}")
                continue
            blocks.MANY = many
            sides = np.zeros((given.data_sets, 2), bool)
            for seed in range(given.data_sets):
                result = figure(*_draw(np.random.default_rng([seed, n]), n, share), seed)
                sides[seed] = result.low > truth + 1e-9, result.high < truth - 1e-9
            each = 1 - sides.any(axis=1).mean(), *sides.mean(axis=0)
            shares.append("".join(f"{part:8.1%}" for part in each))
        print(f"{name:32}{share:6.0%}{n:7,}{''.join(shares)}", flush=True)


def _draw(random: np.random.Generator, n: int, share: float) -> tuple[np.ndarray, ...]:
    """Return truth, the scores of two models, scores that are alike within persons, and these."""
    truth = (random.random(n) < share).astype(int)
    person = np.arange(n) // 5
    of_person = random.normal(size=n)[person]
    score = APART * truth + random.normal(size=n)
    alike = APART * truth + np.sqrt(0.5) * (of_person + random.normal(size=n))
    return truth, score, score + NOISE * random.normal(size=n), alike, person


def _area(truth: np.ndarray, score: np.ndarray, *rest: np.ndarray) -> Result:
    return metrics.roc_auc(truth, score, seed=int(rest[-1]))


def _tied(truth: np.ndarray, score: np.ndarray, *rest: np.ndarray) -> Result:
    return metrics.roc_auc(truth, np.round(score), seed=int(rest[-1]))


def _difference(truth: np.ndarray, a: np.ndarray, b: np.ndarray, *rest: np.ndarray) -> Result:
    return metrics.compare(*(metrics.roc_auc(truth, of, seed=int(rest[-1])) for of in (a, b)))


def _clusters(truth: np.ndarray, *rest: np.ndarray) -> Result:
    *_, alike, person, seed = rest
    return metrics.roc_auc(truth, alike, cluster=person, seed=int(seed))


def _area_of_rounded() -> float:
    """Return the area of scores that are rounded to whole numbers."""
    ends = np.arange(-12, 13) + 0.5
    without, with_it = (np.diff(ndtr(ends - at)) for at in (0, APART))
    return float(with_it @ (without.cumsum() - without / 2))


OF_ONE = float(ndtr(APART / np.sqrt(2)))
OF_OTHER = float(ndtr(APART / np.sqrt(2 * (1 + NOISE**2))))
FIGURES: list[tuple[str, Callable[..., Result], float]] = [
    ("area", _area, OF_ONE),
    ("area, 8 different scores", _tied, _area_of_rounded()),
    ("difference of two models", _difference, OF_OTHER - OF_ONE),
    ("area, clusters of 5", _clusters, OF_ONE),
]


if __name__ == "__main__":
    main()
