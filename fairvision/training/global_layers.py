"""Layers that see the whole batch, of which each process has a share.

With them several processes compute what one would: batch normalisation takes the statistics of all
pictures, and dropout draws one mask for the batch, of which each process takes its part.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from fairvision.processes import Share


class Place:
    """Where the pictures of this process are in the present batch, and the chance that all share.

    Attributes
    ----------
    share : the share of this process
    generator : draws alike in all processes
    """

    def __init__(self, device: torch.device, rank: int, world: int):
        self.rank, self.world = rank, world
        self.share = Share(0, 0, 0)
        self.generator = torch.Generator(device)


def see_whole_batch(network: nn.Module, place: Place) -> None:
    """Let batch normalisation and dropout of a network work over all processes.

    The modules stay who they are, as others may know them. Those of other classes than torch's own
    (timm has some) keep to the share of their process.
    """
    for module in network.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
            on_gpu = place.generator.device.type == "cuda"
            module.__class__ = nn.SyncBatchNorm if on_gpu else _GlobalBatchNorm
            module.process_group = None  # type: ignore[assignment]
        elif type(module) is nn.Dropout:
            module.__class__ = _GlobalDropout
            module.place = place  # type: ignore[assignment]


class _GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """What SyncBatchNorm is on GPUs, for processes on CPUs."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, values: Tensor) -> Tensor:
        """Return (n, channels, …) normalised by the statistics of all processes."""
        if not self.training:
            return super().forward(values)
        others = [i for i in range(values.ndim) if i != 1]
        shape = [1, -1, *[1] * (values.ndim - 2)]
        exact = values.float()  # as torch's own does in mixed precision
        n = _sum(exact.new_tensor(values.numel() / values.shape[1]))
        mean = _sum(exact.sum(others)) / n
        centred = exact - mean.view(shape)
        variance = _sum(centred.square().sum(others)) / n
        self._remember(mean.detach(), (variance * n / (n - 1)).detach())
        result = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            result = result * self.weight.view(shape) + self.bias.view(shape)
        return result.to(values.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _GlobalDropout(nn.Dropout):
    place: Place

    def forward(self, values: Tensor) -> Tensor:
        """Return the values with some set to 0 and the others scaled."""
        if not self.training or self.p in (0, 1):
            return F.dropout(values, self.p, self.training)
        share = self.place.share
        if len(values) != share.size:
            # Not a row per picture: a method made further ones, and each process draws its own.
            n = len(values)
            share = Share(self.place.rank * n, n, self.place.world * n)
        like = values.new_empty((share.total, *values.shape[1:]))
        if values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last):
            like = like.contiguous(memory_format=torch.channels_last)
        kept = like.bernoulli_(1 - self.p, generator=self.place.generator)[share.rows]
        return values * kept / (1 - self.p)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


def _sum(values: Tensor) -> Tensor:
    """Return the sum over all processes, with a gradient."""
    return _Sum.apply(values)
