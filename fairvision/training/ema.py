"""A moving average of the weights, which is often better than the weights of any one step.

Polyak & Juditsky, SIAM J. Control Optim. 30(4), 1992; in the exponential form of Tarvainen &
Valpola, "Mean teachers", NeurIPS 2017 (arXiv 1703.01780).
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from fairvision.models import Network


class Averaged(nn.Module):
    """A network whose weights are the moving average of another's.

    After step t the average keeps a share min(decay, (1 + t) / (10 + t)) of what it was, so that it
    forgets the beginning. Statistics of batch normalisation are averaged too.

    Parameters
    ----------
    network : the other one, as it starts
    decay : in (0, 1)

    Examples
    --------
    >>> from fairvision import models
    >>> network = models.build("small_cnn", {"gender": 2}, size=8)
    >>> averaged = Averaged(network, decay=0.5)
    >>> _ = network.heads[0].bias.data.fill_(1.0)
    >>> for step in (1, 2):
    ...     averaged.update(network, step)
    >>> averaged.network.heads[0].bias.data  # after shares of 2/11 and 3/12
    tensor([0.9545, 0.9545])
    """

    def __init__(self, network: Network, decay: float):
        super().__init__()
        self.network = deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: Network, step: int) -> None:
        """Take in the weights after a step, counted from 1."""
        keep = min(self.decay, (1 + step) / (10 + step))
        pairs = list(zip(_tensors(self.network), _tensors(network)))
        floats = [(own, other) for own, other in pairs if own.is_floating_point()]
        get_ema_multi_avg_fn(keep)(*map(list, zip(*floats)), None)
        for own, other in pairs:
            if not own.is_floating_point():
                own.copy_(other)


def _tensors(network: Network) -> list[Tensor]:
    return list(network.state_dict().values())
