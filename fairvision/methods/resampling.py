"""Resampling: every subgroup is drawn as often as any other.

An epoch has as many images as the training split; each is drawn from a subgroup (combination of
perceived group and label) chosen at random, so that rare ones are seen repeatedly. With --by group
it is "Balanced" of Hendricks et al. (ECCV 2018, section 4); with subgroups the strategic sampling
of Wang Z. et al. (CVPR 2020, section 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from fairvision.datasets import Dataset
from fairvision.methods import baseline
from fairvision.methods.method import Method
from fairvision.methods.subgroups import Subgroups
from fairvision.models import Network


@dataclass(frozen=True)
class Settings:
    """What is balanced: "subgroup", combinations of groups and labels; "group"; or "label"."""

    by: str = "subgroup"


def start(network: Network, dataset: Dataset, settings: Settings) -> Method:
    """Return the method with the training images' subgroups."""
    return Resampling(Subgroups(dataset, settings.by))


class Resampling(Method):
    """Cross entropy of every head over images that are drawn with replacement.

    Images of an unknown subgroup are shown once, as they stand.
    """

    def __init__(self, subgroups: Subgroups):
        super().__init__(partial(baseline.terms, settings=baseline.Settings()))
        self._rows = [np.flatnonzero(subgroups.codes == i) for i in range(len(subgroups.names))]
        self._unknown = np.flatnonzero(subgroups.codes < 0)

    def order(self, n: int, chance: np.random.Generator) -> np.ndarray:
        """Return n rows in which subgroups are equally likely."""
        drawn = chance.integers(len(self._rows), size=n - len(self._unknown))
        known = np.empty(len(drawn), dtype=int)
        for subgroup, rows in enumerate(self._rows):
            places = np.flatnonzero(drawn == subgroup)
            # Whole rounds through the subgroup, then some of it: no image is seen much more often
            # than another of its subgroup.
            rounds = [chance.permutation(rows) for _ in range(-(-len(places) // len(rows)))]
            known[places] = np.concatenate([*rounds, rows[:0]])[: len(places)]
        return chance.permutation(np.concatenate([known, self._unknown]))
