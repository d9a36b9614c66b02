"""Just train twice: what a first, short training gets wrong is shown more often in the second.

Liu et al., "Just Train Twice: Improving Group Robustness without Training Group Information", ICML
2021 (arXiv 2107.09044), algorithm 1. No perceived group is needed to train.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fairvision.datasets import Dataset
from fairvision.errors import InputError
from fairvision.methods.method import Method, Objective, Scores
from fairvision.models import Network


@dataclass(frozen=True)
class JustTrainTwice(Method):
    """Epochs of the first training, how often its errors are shown, and whose errors: a head.

    The head is by default the first task in which one label holds, or the first attribute.
    """

    summary: ClassVar[str] = "what a first training gets wrong is shown more often (Liu 2021)"

    first_epochs: int = 1
    upweight: int = 20
    head: str = ""

    def check(self, dataset: Dataset) -> None:
        """Raise `InputError` where there are no errors to learn from."""
        if self.first_epochs < 1 or self.upweight < 1:
            raise InputError("first_epochs and upweight must be at least 1")
        self._choose_head(dataset, [*dataset.schema])

    def pretraining(self) -> Mapping[str, Any]:
        """Return how the training differs that is done before."""
        return {"method": "baseline", "epochs": self.first_epochs}

    def start(self, network: Network, dataset: Dataset, scores: Scores | None = None) -> Objective:
        """Return the method, which shows again what the first training got wrong."""
        assert scores is not None
        name = self._choose_head(dataset, network.head_names)
        targets = dataset.targets(name) if name in dataset.tasks else dataset.codes(name)
        wrong = (scores[name].argmax(axis=1) != targets) & (targets >= 0)
        return Repetition(self, np.where(wrong, self.upweight, 1))

    def _choose_head(self, dataset: Dataset, heads: Collection[str]) -> str:
        """Return the head whose mistakes count; raise `InputError` if many labels may hold."""
        with_one = [name for name, task in dataset.tasks.items() if not task.many]
        names = [name for name in [*with_one, *dataset.attributes] if name in heads]
        name = self.head or next(iter(names), "")
        if name not in names:
            raise InputError(
                f"--head {name!r} is not a head in which one label holds: choose "
                f"{', '.join(names) or 'another method'}"
            )
        return name


class Repetition(Objective):
    """The loss of a method over images that are repeated.

    Parameters
    ----------
    method : whose loss
    times : (n,) how often each image is shown
    """

    def __init__(self, method: Method, times: npt.NDArray[np.int64]):
        super().__init__(method.terms)
        self._rows = np.repeat(np.arange(len(times)), times)

    def order(self, n: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return each row as often as it is to be shown."""
        return generator.permutation(self._rows)
