"""Memory that is freed in a step serves the next one."""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
_LARGE = 1 << 30  # bytes


def keep_freed_memory() -> None:
    """Ask the C library to keep up to 1 GiB that is freed, instead of giving it back at once.

    A training step on the CPU allocates the same large tensors again and again. By default glibc
    gives their pages back to the system, which zeroes them anew at each step: a tenth to a fifth of
    the step of a small network. Of other C libraries, and where the environment says what to do
    (`MALLOC_TRIM_THRESHOLD_` and the like), nothing is asked.
    """
    if not sys.platform.startswith("linux") or any(
        name.startswith("MALLOC_") for name in os.environ
    ):
        return
    ask = getattr(ctypes.CDLL(None), "mallopt", None)
    if ask is not None:
        ask(_MMAP_THRESHOLD, _LARGE)
        ask(_TRIM_THRESHOLD, _LARGE)
