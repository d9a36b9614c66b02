"""Upweight: words that name a group weigh more in the cross entropy.

Hendricks et al., ECCV 2018 (arXiv 1803.09797), section 4, where they weigh ten times as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fairvision.methods.captions.equalizer import groups_of
from fairvision.methods.captions.method import CaptionMethod, Words, next_word
from fairvision.methods.method import Terms
from fairvision.models import Captioner


@dataclass(frozen=True)
class Upweight(CaptionMethod):
    """How much more such a word weighs."""

    summary: ClassVar[str] = "words that name a group weigh more (Hendricks 2018)"

    weight: float = 10.0

    def of_words(self, network: Captioner, words: Words) -> Terms:
        """Return the weighted cross entropy."""
        names_one = groups_of(words.targets, network.membership) >= 0
        return next_word(words, 1 + (self.weight - 1) * names_one.float())
