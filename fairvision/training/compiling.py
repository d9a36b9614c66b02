"""Whether a network can be compiled where it is to train."""

from __future__ import annotations

import torch

from fairvision.errors import InputError


def check_compiles(device: torch.device) -> None:
    """Raise `InputError` unless `torch.compile` works: on a CPU it needs a C++ compiler.

    A small function is compiled and called, which takes some seconds.
    """
    try:
        torch.compile(torch.sin)(torch.ones(8, device=device))
    except Exception as error:  # whatever a backend raises
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"--compile does not work here: {why}") from None
