"""Labels made wrong at random, until they are as good as a model's."""

from __future__ import annotations

import numpy as np

from fairvision.metrics._bootstrap import mean_of_defined, ratio


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean F1 of the labels that occur in the truth, both (rows, labels) booleans.

    F1 = 2 TP / (2 TP + FP + FN). NaN where no label occurs.
    """
    occurs = truth.any(axis=0)
    both = (truth & predicted).sum(axis=0)
    either = truth.sum(axis=0) + predicted.sum(axis=0)
    return float(mean_of_defined(ratio(2 * both[occurs], either[occurs])))


def to_accuracy(
    truth: np.ndarray, predicted: np.ndarray, classes: int, random: np.random.Generator
) -> np.ndarray:
    """Return codes that are wrong in as many rows as the predictions, wherever these are.

    A wrong one is any other class, each with the same probability.
    """
    wrong = random.permutation(len(truth))[: (truth != predicted).sum()]
    moved = truth.copy()
    drawn = random.integers(max(1, classes - 1), size=len(wrong))
    moved[wrong] = drawn + (drawn >= truth[wrong])
    return moved


def to_f1(truth: np.ndarray, f1: float, random: np.random.Generator) -> np.ndarray:
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
