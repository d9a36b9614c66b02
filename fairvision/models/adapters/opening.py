"""Opening a model with another library: without its chatter, and failing in one line."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from fairvision.errors import reading


@contextmanager
def opening(source: str) -> Iterator[None]:
    """Keep a library quiet in the block, and make an `InputError` of whatever it raises.

    Loggers and warning filters are as they were afterwards.

    Parameters
    ----------
    source : how the model was named

    Examples
    --------
    >>> with opening("onnx:a.onnx"):
    ...     logging.warning("no GPU")
    ...     raise RuntimeError("no graph")
    Traceback (most recent call last):
    fairvision.errors.InputError: onnx:a.onnx cannot be read: no graph
    """
    root, silent = logging.getLogger(), logging.NullHandler()
    before = root.manager.disable
    root.addHandler(silent)  # without any, logging.warning() would add one for good
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"), reading(source):
            yield
    finally:
        logging.disable(before)
        root.removeHandler(silent)
