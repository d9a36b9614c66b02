"""Balanced: images whose captions name one group are drawn as often as those of any other.

Hendricks et al., ECCV 2018 (arXiv 1803.09797), section 4. Images whose captions name several
groups, or none, are shown once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairvision.datasets import Dataset
from fairvision.errors import InputError
from fairvision.methods.captions.method import CaptionMethod
from fairvision.methods.method import Objective, Scores
from fairvision.methods.resampling import BalancedDraws
from fairvision.metrics import caption_genders
from fairvision.models import Captioner, ImageNetwork


@dataclass(frozen=True)
class Balanced(CaptionMethod):
    """No options."""

    summary: ClassVar[str] = "images of each group are drawn as often (Hendricks 2018)"

    def start(
        self, network: ImageNetwork, dataset: Dataset, scores: Scores | None = None
    ) -> Objective:
        """Return the method with the groups that the training captions name."""
        assert isinstance(network, Captioner)
        named = caption_genders(dataset.captions, network.words)
        groups = tuple(group for group in network.words if (named == group).any())
        if not groups:
            raise InputError(
                f"no caption of {dataset.root} names one group: balanced has nothing to balance; "
                "say which words do, with --words"
            )
        place = {group: i for i, group in enumerate(groups)}
        codes = np.array([place.get(group, -1) for group in named])
        return BalancedDraws(self, codes, len(groups))
