"""What a training runs on: a device, its memory and compiler; processes that train as one."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision.precision import _PRECISION_INPUT
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from fairvision import models
from fairvision.core.processes import Share, count, device_of_process, only_first_warns
from fairvision.errors import InputError

_PRECISIONS: dict[str, _PRECISION_INPUT] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
_LARGE = 1 << 30  # bytes

Rows = npt.NDArray[np.int64]


def make_fabric(device: str, precision: str) -> Fabric:
    """Return a Fabric over all processes, which have found each other.

    Raises
    ------
    InputError
        If there is no such device, it cannot be shared out, or cannot compute so.
    """
    kind = models.find_device(device)
    if precision == "16" and kind.type == "cpu":
        raise InputError("precision 16 needs a GPU: choose bf16 or 32")
    if count() == 1:
        return Fabric(accelerator=kind.type, devices=1, precision=_PRECISIONS[precision])
    device_of_process(kind)
    here = int(os.environ.get("LOCAL_WORLD_SIZE", count()))
    fabric = Fabric(
        accelerator=kind.type,
        devices=here,
        num_nodes=count() // here,
        precision=_PRECISIONS[precision],
        # Buffers agree without being sent: batch normalisation and methods see all processes.
        strategy=DDPStrategy(broadcast_buffers=False),
    )
    fabric.launch()
    return fabric


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Let lightning say only what matters, and of several processes only the first warn."""
    logger = logging.getLogger("lightning_fabric")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with only_first_warns():
            yield
    finally:
        logger.setLevel(level)


def keep_freed_memory() -> None:
    """Ask the C library to keep up to 1 GiB that is freed, instead of giving it back at once.

    It holds for the whole process and cannot be taken back, so a command asks for it, and no
    function of the library does. A training step on the CPU allocates the same large tensors again
    and again. By default glibc gives their pages back to the system, which zeroes them anew at each
    step: a tenth to a fifth of the step of a small network. Of other C libraries, and where the
    environment says what to do (`MALLOC_TRIM_THRESHOLD_` and the like), nothing is asked.
    """
    if not sys.platform.startswith("linux") or any(
        name.startswith("MALLOC_") for name in os.environ
    ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)


def check_compiles(device: torch.device) -> None:
    """Raise `InputError` unless `torch.compile` works: on a CPU it needs a C++ compiler.

    A small function is compiled and called, which takes some seconds.
    """
    try:
        torch.compile(torch.sin)(torch.ones(8, device=device))
    except Exception as error:  # whatever a backend raises
        raise InputError(f"--compile does not work here: {_reason(error)}") from None


@contextmanager
def compiler_errors_in_a_line() -> Iterator[None]:
    """Raise `InputError` where what runs within is a network that the compiler gives up."""
    from torch._dynamo.exc import TorchDynamoException

    try:
        yield
    except TorchDynamoException as error:
        raise InputError(
            f"--compile does not work for this network: {_reason(error)}. Train it without"
        ) from None


def _reason(error: Exception) -> str:
    """Return the first line of a message, and the second where the first announces it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    shown = lines[: 2 if lines and lines[0].endswith(":") else 1]
    return " ".join(shown) or type(error).__name__


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
