"""Where a process stands among those that train together."""

from __future__ import annotations

import torch

from fairvision.core.processes import Share


class Place:
    """Where the images of this process are in the present batch, and the chance that all share.

    Attributes
    ----------
    share : the share of this process
    generator : draws alike in all processes
    """

    def __init__(self, device: torch.device, rank: int, world: int):
        self.rank, self.world = rank, world
        self.share = Share(0, 0, 0)
        self.generator = torch.Generator(device)
