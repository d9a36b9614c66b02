"""What a training runs on: the device, its memory, its compiler, and libraries that keep quiet."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision.precision import _PRECISION_INPUT
from lightning_fabric.strategies.ddp import DDPStrategy

from fairvision import models
from fairvision.core.processes import count, device_of_process, only_first_warns
from fairvision.errors import InputError

_PRECISIONS: dict[str, _PRECISION_INPUT] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
_LARGE = 1 << 30  # bytes


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
