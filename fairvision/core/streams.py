"""The standard output is for figures: what code of others prints goes to the standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Let code of others print to the standard error, so that it is no part of `--json`.

    Not for several threads at a time: the standard output is one for all.

    Examples
    --------
    >>> with prints_to_stderr():
    ...     print("progress")
    """
    with redirect_stdout(sys.stderr):
        yield
