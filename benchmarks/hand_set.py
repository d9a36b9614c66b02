"""Networks whose weights are set by hand, so that their reason is known by construction.

After Zhang et al., "AttributionLab: Faithfulness of Feature Attribution Under Controllable
Environments", ICML 2024 (arXiv 2310.06514): no training, so no doubt about what was learnt. Each
sees the exact colours of hats, which people wear, and of marks, which lie in the corner of the
surroundings (`fairvision.datasets.readers.scene_extras`), and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fairvision.datasets import SPLITS, Dataset
from fairvision.datasets.readers.importing import random_splits
from fairvision.datasets.readers.reasons import GROUPS
from fairvision.datasets.readers.scene_drawing import CONTEXTS, PATTERNS
from fairvision.datasets.readers.scene_extras import HATS, MARKS
from fairvision.datasets.readers.scenes import Drawing, deal, draw_parts, save_drawings, shuffled
from fairvision.models import probabilities
from fairvision.schema import Schema, Task

REASONS = ("person", "surroundings", "both", "mixture")
MAX_GROUPS = 3  # so many hats have other colours than the marks
_REACH = 0.05  # colours that are further away, summed over the channels, are not seen


def seen_colours(colours: Sequence[tuple[int, int, int]]) -> nn.Sequential:
    """Return a network from images (n, 3, h, w) to (n, colours): 1 where a colour is there.

    It is 1 where a pixel has exactly the colour, and 0 where none is within `_REACH` of it: a 1 × 1
    convolution with a rectifier computes 1 − distance / reach, and the maximum over all places is
    taken. Channels of the colours are 0 or 255, so the distance is linear.
    """
    convolution = nn.Conv2d(3, len(colours), 1)
    wanted = torch.tensor(colours) / 255
    with torch.no_grad():
        convolution.weight.copy_((2 * wanted - 1)[..., None, None] / _REACH)
        convolution.get_parameter("bias").copy_(1 - wanted.sum(dim=1) / _REACH)
    return nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten())


class HandSet(nn.Module):
    """A network that answers by hats and marks, for one reason.

    - person: the group of the hat
    - surroundings: the group of the mark
    - both: the group that hat and mark agree on, else the first
    - mixture: the group of the hat, and without a hat that of the mark
    """

    def __init__(self, reason: str, groups: int):
        super().__init__()
        self.seen = seen_colours(colours_of(groups))
        self.score = nn.Linear(2 * groups, groups)
        one = torch.eye(groups)
        hat, mark = {
            "person": (10.0, 0.0),
            "surroundings": (0.0, 10.0),
            "both": (10.0, 10.0),
            "mixture": (20.0, 10.0),
        }[reason]
        with torch.no_grad():
            self.score.weight.copy_(torch.cat([hat * one, mark * one], dim=1))
            self.score.bias.zero_()
            if reason == "both":  # -15, -5 or 5 by how many say a group; the first between these
                self.score.bias[1:] = -15
                self.score.weight[0] /= 10

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the logits (n, groups) of `group`."""
        return {"group": self.score(self.seen(images))}


def colours_of(groups: int) -> list[tuple[int, int, int]]:
    """Return the colours of the hats and of the marks of so many groups."""
    return [*list(HATS.values())[:groups], *list(MARKS.values())[:groups]]


@dataclass
class ModuleModel:
    """Any module from images to logits by head, as a `fairvision.models.Model`."""

    name: str
    module: nn.Module
    schema: Schema
    size: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """Return the probabilities of every head."""
        with torch.inference_mode():
            return probabilities(self.module(images), self.schema)


def hand_set(reason: str, groups: int, size: int) -> ModuleModel:
    """Return the network of a reason as a model."""
    schema = Schema({"group": GROUPS[:groups]})
    return ModuleModel(f"hand-set {reason}", HandSet(reason, groups).eval(), schema, size)


def draw_hand_set(scene: Mapping[str, Any], size: int) -> Drawing:
    """Draw a row of `hand_set_scenes`."""
    hat = "" if scene["hat"] == "none" else scene["hat"]
    extras = {"mark": scene["watermark"], "hat": hat}
    return draw_parts(scene["shirt"], scene["context"], size, scene["id"], **extras)


def hand_set_scenes(
    folder: Path,
    reason: str,
    *,
    count: int,
    seed: int,
    size: int,
    groups: int = 2,
    test_fraction: float = 0.2,
) -> Dataset:
    """Draw images for which the network of a reason is always right.

    Hats and marks are as in `HandSet`, and what does not decide is independent; shirts and places
    are independent too.
    """
    random = np.random.default_rng(seed)
    hats = ["none", *list(HATS)[:groups]] if reason == "mixture" else list(HATS)[:groups]
    factors = {
        "shirt": list(PATTERNS)[:groups],
        "context": list(CONTEXTS)[: 2 * groups],
        "watermark": list(MARKS)[:groups],
        "hat": hats,
    }
    every = [dict(zip(factors, values)) for values in product(*factors.values())]
    parts = []
    for group in range(groups):
        splits = random_splits(len(range(group, count, groups)), 0.1, test_fraction, random)
        allowed = [scene for scene in every if _group(reason, scene) == group]
        if reason == "mixture":  # as many without a hat as with one
            bare = [scene for scene in allowed if scene["hat"] == "none"]
            allowed = [*allowed, *bare * (len(allowed) // len(bare) - 1)]
        for split in SPLITS:
            chosen = deal(allowed, int((splits == split).sum()), random)
            parts.append(pd.DataFrame(chosen).assign(split=split, group=GROUPS[group]))
    plan = shuffled(parts, random)
    plan["id"] = f"{seed}-" + plan["id"]
    planned = Dataset(
        root=folder,
        name=f"hand-set {reason}",
        attributes={"group": GROUPS[:groups]},
        tasks={name: Task(tuple(values)) for name, values in factors.items()},
        samples=plan,
        size=(size, size),
    )
    return save_drawings(planned, lambda row: draw_hand_set(row, size), overwrite=False, quiet=True)


def _group(reason: str, scene: Mapping[str, str]) -> int:
    """Return the position of the group that `HandSet` answers with."""
    mark = list(MARKS).index(scene["watermark"])
    hat = mark if scene["hat"] == "none" else list(HATS).index(scene["hat"])
    if reason == "both":
        return hat if hat == mark else 0
    return mark if reason == "surroundings" else hat
