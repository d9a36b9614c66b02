"""Batch normalisation over the whole batch, of which each process has a share."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


def normalise_whole_batch(network: nn.Module, device: torch.device) -> None:
    """Let batch normalisation of a network take the statistics of the images of all processes.

    The modules stay who they are, as others may know them. Those of other classes than torch's own
    (timm has some) keep to the share of their process.
    """
    for module in network.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
            on_gpu = device.type == "cuda"
            module.__class__ = nn.SyncBatchNorm if on_gpu else _GlobalBatchNorm
            module.process_group = None  # type: ignore[assignment]


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
