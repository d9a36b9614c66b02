"""Whether a network can be compiled where it is to train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fairvision.errors import InputError


def check_compiles(device: torch.device) -> None:
    """Raise `InputError` unless `torch.compile` works: on a CPU it needs a C++ compiler.

    A small function is compiled and called, which takes some seconds.
    """
    try:
        torch.compile(torch.sin)(torch.ones(8, device=device))
    except Exception as error:  # whatever a backend raises
        raise InputError(f"--compile does not work here: {_reason(error)}") from None


@contextmanager
def told_in_a_line() -> Iterator[None]:
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
    said = lines[: 2 if lines and lines[0].endswith(":") else 1]
    return " ".join(said) or type(error).__name__
