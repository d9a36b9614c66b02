"""Where a network runs."""

from __future__ import annotations

import torch

from fairvision.errors import InputError


def find_device(name: str = "auto") -> torch.device:
    """Return the device called "cpu", "cuda" or "mps"; "auto" takes the fastest that there is.

    Raises
    ------
    InputError
        If this machine has no such device.

    Examples
    --------
    >>> find_device("cpu")
    device(type='cpu')
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    there["cpu"] = True
    if name == "auto":
        name = next(kind for kind, is_there in there.items() if is_there)
    if not there.get(name):
        found = ", ".join(["auto", *(kind for kind, is_there in there.items() if is_there)])
        raise InputError(f"there is no device {name!r} here: choose one of {found}")
    return torch.device(name)
