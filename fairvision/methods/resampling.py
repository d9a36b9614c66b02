"""Resampling: every subgroup is drawn as often as any other.

An epoch has as many images as the training split; each is drawn from a subgroup (combination of
perceived group and label) chosen at random, so that rare ones are seen repeatedly. With --by group
it is "Balanced" of Hendricks et al. (ECCV 2018, section 4); with subgroups the strategic sampling
of Wang Z. et al. (CVPR 2020, section 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fairvision.datasets import Dataset
from fairvision.methods.method import Method, Objective, Scores
from fairvision.methods.subgroups import Subgroups
from fairvision.models import Network


@dataclass(frozen=True)
class Resampling(Method):
    """What is balanced: "subgroup", combinations of groups and labels; "group"; or "label"."""

    summary: ClassVar[str] = "every subgroup is drawn as often"

    by: str = "subgroup"

    def start(self, network: Network, dataset: Dataset, scores: Scores | None = None) -> Objective:
        """Return the method with the training images' subgroups."""
        subgroups = Subgroups(dataset, self.by)
        return BalancedDraws(self, subgroups.codes, len(subgroups.names))


class BalancedDraws(Objective):
    """The loss of a method over images that are drawn with replacement.

    Parameters
    ----------
    method : whose loss it is
    codes : (n,) subgroup of each image; those of -1, unknown, are shown once, as they stand
    count : how many subgroups there are
    """

    def __init__(self, method: Method, codes: npt.NDArray[np.int64], count: int):
        super().__init__(method.terms)
        self._rows = [np.flatnonzero(codes == i) for i in range(count)]
        self._unknown = np.flatnonzero(codes < 0)

    def order(self, n: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return n rows in which subgroups are equally likely."""
        drawn = generator.integers(len(self._rows), size=n - len(self._unknown))
        chosen = np.empty(len(drawn), dtype=int)
        for subgroup, rows in enumerate(self._rows):
            places = np.flatnonzero(drawn == subgroup)
            # Whole rounds through the subgroup, then a part of it: no image is seen much more
            # often than another of its subgroup.
            rounds = [generator.permutation(rows) for _ in range(-(-len(places) // len(rows)))]
            chosen[places] = np.concatenate([*rounds, rows[:0]])[: len(places)]
        return generator.permutation(np.concatenate([chosen, self._unknown]))
