"""Directional amplification: ours, and the algorithm of the program published with it.

    python benchmarks/amplification.py [--rows 100000] [--labels 80] [--groups 2] [--rounds 5]

The published program (Wang & Russakovsky, ICML 2021) goes over all pairs of group and label, makes
the sets of the images of either, and intersects them. That algorithm is written down here anew and
runs in the same process on the same arrays, in turn with ours: once for the value, and once for the
value with the interval from 1000 resamples, of which the published program has none. Values are
compared. Printed is the shortest of CPU seconds, of all threads, which others on the machine
change less than those of the clock. Still only ratios of one call can be compared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fairvision import metrics


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=80)
    parser.add_argument("--groups", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    labels, groups, pred_labels, pred_groups = _images(given.rows, given.labels, given.groups)
    print(f"{given.rows} images, {given.labels} labels, {given.groups} groups")
    for kind in (np.int64, np.int8):
        arrays = labels.astype(kind), groups
        _race("A->T", kind, given.rounds, *arrays, pred_labels=pred_labels.astype(kind))
        _race("T->A", kind, given.rounds, *arrays, pred_groups=pred_groups)


def _race(
    direction: str, kind: type, rounds: int, labels: np.ndarray, groups: np.ndarray, **said: Any
) -> None:
    """Run all in turn, and print the shortest time of each."""

    def ours(**how: Any) -> float:
        return float(metrics.directional_bias_amplification(labels, groups, **said, **how))

    published, plain, drawn = "published algorithm", "ours", "ours, 1000 resamples"
    seconds: dict[str, list[float]] = {published: [], plain: [], drawn: []}
    values = {}
    for seed in range(rounds):  # other draws each time: those of before are not reused
        works: dict[str, Callable[[], float]] = {
            published: partial(_published, labels, groups, *said.values()),
            plain: partial(ours, replicates=0),
            drawn: partial(ours, replicates=1000, seed=seed),
        }
        for work, run in works.items():
            start = time.process_time()
            values[work] = run()
            seconds[work].append(time.process_time() - start)
    assert max(values.values()) - min(values.values()) < 1e-12, values
    print(f"\n{direction}, tables of {kind.__name__}, value {values[plain]:.6g} in all, to 1e-12")
    for work, of in seconds.items():
        ratio = min(seconds[published]) / min(of)
        print(f"{work:>22}: {1000 * min(of):8.1f} ms   {ratio:6.1f}×")


def _images(rows: int, labels: int, groups: int) -> tuple[np.ndarray, ...]:
    """Labels of about 4% of the images each, which lean to groups; predictions with errors."""
    random = np.random.default_rng(0)
    group = random.integers(0, groups, rows)
    often = random.uniform(0.01, 0.07, (groups, labels))
    held = (random.random((rows, labels)) < often[group]).astype(int)
    wrong = random.random((rows, labels)) < 0.02
    pred_group = np.where(random.random(rows) < 0.1, random.integers(0, groups, rows), group)
    return held, group, np.where(wrong, 1 - held, held), pred_group


def _published(labels: np.ndarray, groups: np.ndarray, said: np.ndarray) -> float:
    """Mean over pairs of the sign of dependence times the change of the conditional share."""
    number = int(groups.max()) + 1
    member = np.eye(number, dtype=int)[groups]
    to_task = said.ndim == 2
    said = said if to_task else np.eye(number, dtype=int)[said]
    n, values = len(labels), []
    for g in range(number):
        for t in range(labels.shape[1]):
            with_label = np.flatnonzero(labels[:, t] == 1)
            in_group = np.flatnonzero(member[:, g] == 1)
            together = len(set(with_label) & set(in_group)) / n
            sign = np.sign(together - len(with_label) / n * len(in_group) / n)
            if to_task:
                change = np.mean(said[in_group, t]) - np.mean(labels[in_group, t])
            else:
                change = np.mean(said[with_label, g]) - np.mean(member[with_label, g])
            values.append(sign * change)
    return float(np.nanmean(values))


if __name__ == "__main__":
    main()
