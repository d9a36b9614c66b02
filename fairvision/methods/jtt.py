"""Just train twice: what a first, short training gets wrong is shown more often in the second.

Liu et al., "Just Train Twice: Improving Group Robustness without Training Group Information", ICML
2021 (arXiv 2107.09044), algorithm 1. No perceived group is needed to train.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import numpy as np

from fairvision.datasets import Dataset
from fairvision.errors import InputError
from fairvision.methods import baseline
from fairvision.methods.method import Method
from fairvision.models import Network


@dataclass(frozen=True)
class Settings:
    """Epochs of the first training, how often its errors are shown, and whose errors: a head.

    The head is by default the first task in which one label holds, or the first attribute.
    """

    first_epochs: int = 1
    upweight: int = 20
    head: str = ""


def check(dataset: Dataset, settings: Settings) -> None:
    """Raise `InputError` where there are no errors to learn from."""
    if settings.first_epochs < 1 or settings.upweight < 1:
        raise InputError("first_epochs and upweight must be at least 1")
    _head(dataset, settings)


def first(settings: Settings) -> dict[str, object]:
    """Return how the training differs that is done before."""
    return {"method": "baseline", "epochs": settings.first_epochs}


def start(
    network: Network, dataset: Dataset, settings: Settings, first: dict[str, np.ndarray]
) -> Method:
    """Return the method, given the first training's probabilities (n, classes) by head."""
    name = _head(dataset, settings, learnt=network.head_names)
    truth = dataset.targets(name) if name in dataset.tasks else dataset.codes(name)
    wrong = (first[name].argmax(axis=1) != truth) & (truth >= 0)
    return JustTrainTwice(np.where(wrong, settings.upweight, 1))


class JustTrainTwice(Method):
    """Cross entropy of every head, over images that are repeated."""

    def __init__(self, times: np.ndarray):
        super().__init__(partial(baseline.terms, settings=baseline.Settings()))
        self._rows = np.repeat(np.arange(len(times)), times)

    def order(self, n: int, chance: np.random.Generator) -> np.ndarray:
        """Return each row as often as it is to be shown."""
        return chance.permutation(self._rows)


def _head(dataset: Dataset, settings: Settings, learnt: Collection[str] | None = None) -> str:
    one = [name for name, task in dataset.tasks.items() if not task.many] + [*dataset.attributes]
    heads = [name for name in one if learnt is None or name in learnt]
    name = settings.head or next(iter(heads), "")
    if name not in heads:
        raise InputError(
            f"--head {name!r} is not a head in which one label holds: choose "
            f"{', '.join(heads) or 'another method'}"
        )
    return name
