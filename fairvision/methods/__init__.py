"""Training methods: named loss terms over a batch.

A method is a file with `Settings` (a frozen dataclass of its options), `check(dataset, settings)`,
which refuses training data that it cannot use, and `terms(network, batch, settings)`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from types import ModuleType
from typing import Any, get_type_hints

from fairvision.errors import InputError

__all__ = ["METHODS", "describe", "find", "settings"]

METHODS: Mapping[str, str] = {
    "baseline": "cross entropy",
    "equalizer": "undecided with the person hidden, confident on the person (Hendricks 2018)",
    "attribution_penalty": "input gradients outside the person are punished (Ross 2017)",
}


def find(name: str) -> ModuleType:
    """Return the method of that name; `InputError` lists those that there are.

    >>> find("equalizer").Settings()
    Settings(alpha=1.0, beta=10.0, mu=1.0, confident='quotient')
    """
    if name not in METHODS:
        raise InputError(f"there is no method {name!r}: choose one of {', '.join(METHODS)}")
    return import_module(f"fairvision.methods.{name}")


def settings(name: str, given: Mapping[str, Any]) -> Any:
    """Return a method's settings; options not given, or None, take the method's defaults.

    Text is read as what the option is, so that options may come from a command.

    Raises
    ------
    InputError
        If the method does not exist or has no such option, or the value is not of its kind.

    Examples
    --------
    >>> settings("equalizer", {"beta": "3", "mu": None})
    Settings(alpha=1.0, beta=3.0, mu=1.0, confident='quotient')
    """
    kind = find(name).Settings
    kinds = get_type_hints(kind)
    options = {option: value for option, value in given.items() if value is not None}
    for option in options:
        if option not in kinds:
            own = ", ".join(f"--{known}" for known in kinds) or "none"
            raise InputError(f"--{option} is not an option of method {name}, which has {own}")
    return kind(**{option: _read(option, kinds[option], v) for option, v in options.items()})


def describe() -> str:
    """Return what methods there are, with their options and defaults.

    >>> print(describe().splitlines()[0])
    baseline: cross entropy
    """
    lines = []
    for name, summary in METHODS.items():
        lines.append(f"{name}: {summary}")
        lines += [f"    --{field.name} {field.default}" for field in fields(find(name).Settings)]
    return "\n".join(lines)


def _read(option: str, kind: type, value: Any) -> Any:
    if kind is str:
        return str(value)
    if kind is bool:
        if str(value).lower() not in ("true", "false"):
            raise InputError(f"{option} must be true or false, not {value!r}")
        return str(value).lower() == "true"
    try:
        number = kind(value)
    except (TypeError, ValueError):
        raise InputError(f"{option} must be a number, not {value!r}") from None
    if not (math.isfinite(number) and number >= 0):
        raise InputError(f"{option} must be 0 or above, not {value}")
    return number
