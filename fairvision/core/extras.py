"""Packages that not everybody installs."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from fairvision.errors import InputError


def need(module: str, extra: str) -> ModuleType:
    """Return a module of an optional package; `InputError` says which extra installs it.

    Examples
    --------
    >>> need("json", "hf").__name__
    'json'
    >>> need("no_such_module", "hf")
    Traceback (most recent call last):
    fairvision.errors.InputError: no_such_module is not installed: pip install 'fairvision[hf]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError:
        name = module.partition(".")[0]
        raise InputError(f"{name} is not installed: pip install 'fairvision[{extra}]'") from None
