"""Several processes that train as one: batches to share out, sums over all, one normalisation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn

from fairvision.core.processes import Share

Rows = npt.NDArray[np.int64]


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


def cut(order: Rows, size: int, least: int) -> list[Rows]:
    """Return the rows of an order in batches; a last one smaller than `least` joins the one before.

    >>> [len(rows) for rows in cut(np.arange(9), 4, least=2)]
    [4, 5]
    """
    pieces = [order[start : start + size] for start in range(0, len(order), size)]
    if len(pieces) > 1 and len(pieces[-1]) < least:
        pieces[-2:] = [np.concatenate(pieces[-2:])]
    return pieces


def sum_over_all(fabric: Fabric, values: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    return cast(Tensor, fabric.all_reduce(values, reduce_op="sum"))


def arrays_of_first(
    fabric: Fabric, arrays: Mapping[str, npt.NDArray[Any]]
) -> Mapping[str, npt.NDArray[Any]]:
    """Return the arrays of the first process; those of the others have the same shapes."""
    if fabric.world_size == 1:
        return arrays
    tensors = {name: torch.from_numpy(values).to(fabric.device) for name, values in arrays.items()}
    for tensor in tensors.values():
        dist.broadcast(tensor, 0)
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def means_over_all(
    fabric: Fabric, values: dict[str, Tensor], counts: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return means over the images of all processes, and their counts, from those of this one."""
    if fabric.world_size == 1:
        return values, counts
    n = torch.stack([counts[name] for name in values]).double()
    sums = torch.stack([value.double() for value in values.values()]) * n
    sums, n = sum_over_all(fabric, torch.stack([sums, n]))
    means = sums / n.clamp(min=1)
    return dict(zip(values, means)), dict(zip(values, n))


@contextmanager
def whole_batch_norm(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Let batch normalisation of a network take the statistics of the images of all processes.

    The modules stay who they are, as others may know them, and are of their own class again
    afterwards. Those of other classes than torch's own (timm has some) keep to the share of their
    process.
    """
    kinds = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d
    changed = [(module, type(module)) for module in network.modules() if type(module) in kinds]
    for module, _ in changed:
        module.__class__ = nn.SyncBatchNorm if device.type == "cuda" else _GlobalBatchNorm
        module.process_group = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for module, kind in changed:
            module.__class__ = kind
            del module.process_group


class _GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """What SyncBatchNorm is on GPUs, for processes on CPUs."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept every number of dimensions."""

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
        """Move the running mean and variance (channels,) towards those of a batch."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Return the sum of all processes' values, of their shape."""
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the sum of all processes' gradients, of their shape."""
        return _sum(gradient)


def _sum(values: Tensor) -> Tensor:
    """Return the sum over all processes, with a gradient."""
    return cast(Tensor, _Sum.apply(values))
