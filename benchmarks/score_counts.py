"""Scores counted on a grid beside scikit-learn on all of them: bounds, memory, and time.

    python benchmarks/score_counts.py [--millions 10]

Draws scores and truth in batches of a million. `ScoreCounts` takes each and lets it go; for
scikit-learn all are kept. Printed are seconds of the processor, what `ScoreCounts` holds, and
whether the exact area under the ROC curve and average precision lie between its bounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from fairvision import metrics

BATCH = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--millions", type=int, default=10)
    millions = parser.parse_args().millions
    counted, seconds = metrics.ScoreCounts(), 0.0
    for truth, scores in _batches(millions):
        start = time.process_time()
        counted.update(truth, scores)
        seconds += time.process_time() - start
    held = sum(np.asarray(column).nbytes for column in counted.rows().values()) / 1024
    start = time.process_time()
    bounded = [counted.roc_auc(replicates=0), counted.average_precision(replicates=0)]
    asked = time.process_time() - start
    truth, scores = (np.concatenate(parts) for parts in zip(*_batches(millions)))
    start = time.process_time()
    exact = [float(of(truth, scores)) for of in (roc_auc_score, average_precision_score)]
    theirs = time.process_time() - start
    print(f"{millions} million scores, {counted.grid} cells, {held:.0f} kB held")
    print(f"ours: {seconds:.2f} s to count, {asked:.3f} s for two figures")
    kept = (truth.nbytes + scores.nbytes) / 1024
    print(f"scikit-learn: {theirs:.2f} s, {kept:.0f} kB held   {theirs / (seconds + asked):.1f}×")
    for figure, value in zip(bounded, exact):
        inside = figure.lowest <= value <= figure.highest
        width = figure.highest - figure.lowest
        where = "inside" if inside else "OUTSIDE"
        print(f"{figure.name}: {value:.6f} is {where} bounds that are {width:.2g} apart")


def _batches(millions: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield truth and scores, most of which are near 0 and 1."""
    for seed in range(millions):
        random = np.random.default_rng(seed)
        scores = random.beta(0.5, 0.5, BATCH)
        yield (random.random(BATCH) < scores).astype(np.int8), scores


if __name__ == "__main__":
    main()
