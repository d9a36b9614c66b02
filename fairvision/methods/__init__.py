"""Training methods: named loss terms over a batch.

A method is a file with `Settings` (a frozen dataclass of its options), `check(dataset, settings)`,
which refuses training data that it cannot use, and `terms(network, batch, settings)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from fairvision.errors import InputError
from fairvision.methods import attribution_penalty, baseline, equalizer
from fairvision.methods.heads import Terms, classify, cross_entropy

__all__ = ["METHODS", "Terms", "classify", "cross_entropy", "find"]

METHODS: Mapping[str, ModuleType] = {
    "baseline": baseline,
    "equalizer": equalizer,
    "attribution_penalty": attribution_penalty,
}


def find(name: str) -> ModuleType:
    """Return the method of that name; `InputError` lists those that there are.

    >>> find("equalizer").Settings()
    Settings(alpha=1.0, beta=10.0, mu=1.0, confident='quotient')
    """
    if name not in METHODS:
        raise InputError(f"there is no method {name!r}: choose one of {', '.join(METHODS)}")
    return METHODS[name]
