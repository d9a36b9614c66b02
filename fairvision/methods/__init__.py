"""Training methods: named loss terms over a batch.

A method is a file with `Settings`, a frozen dataclass of its options, and either

- `terms(network, batch, settings)`, where a loss is all that it is, or
- `start(network, dataset, settings)`, which returns a `Method` made from the training split.

It may have `check(dataset, settings)`, which refuses what is to be learnt; `domains(dataset, heads,
settings)`, heads with a classifier per group; `first(settings)`, options of a training that is
done before, whose answers to the training images `start` then gets as `first`; and
`after(dataset, heads, settings)`, which returns what makes a `postprocessing.Rule` of the trained
network's answers to the validation split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_type_hints

from fairvision.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from fairvision.datasets import Dataset
    from fairvision.methods.method import Method
    from fairvision.models import Network

__all__ = ["METHODS", "begin", "describe", "find", "settings"]

METHODS: Mapping[str, str] = {
    "baseline": "cross entropy",
    "equalizer": "undecided with the person hidden, confident on the person (Hendricks 2018)",
    "attribution_penalty": "input gradients outside the person are punished (Ross 2017)",
    "reweighting": "every subgroup counts as much in the loss",
    "resampling": "every subgroup is drawn as often",
    "adversarial": "features that do not tell the group, by a reversed gradient (Ganin 2015)",
    "confusion": "features that leave an adversary undecided between groups (Alvi 2018)",
    "domain_discriminative": "classes and groups together, less training's priors (Wang 2020)",
    "domain_independent": "a classifier per group, all asked together (Wang 2020)",
    "group_dro": "the loss of the worst subgroup is minimised (Sagawa 2020)",
    "jtt": "what a first training gets wrong is shown more often (Liu 2021)",
    "threshold_optimizer": "thresholds per group, which has to be known to answer (Hardt 2016)",
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


def begin(
    name: str, settings: Any, network: Network, dataset: Dataset, **first: Mapping[str, np.ndarray]
) -> Method:
    """Return a method at work on a training split.

    Parameters
    ----------
    name, settings : the method, and its settings
    network : what is to be trained
    dataset : the training split, with all annotations
    first : where the method wants a training before, its answers to the split as `first`
    """
    from fairvision.methods.method import Method

    module = find(name)
    if hasattr(module, "start"):
        return module.start(network, dataset, settings, **first)
    return Method(partial(module.terms, settings=settings))


def describe() -> str:
    """Return what methods there are, with their options and defaults.

    >>> print(describe().splitlines()[0])
    baseline: cross entropy
    """
    lines = []
    for name, summary in METHODS.items():
        lines.append(f"{name}: {summary}")
        for option in fields(find(name).Settings):
            default = "(by the data)" if option.default == "" else option.default
            lines.append(f"    --{option.name.replace('_', '-')} {default}")
    return "\n".join(lines)


def _read(option: str, kind: type, value: Any) -> Any:
    if kind is str:
        return str(value)
    if kind is bool:
        if str(value).lower() not in ("true", "false"):
            raise InputError(f"{option} must be true or false, not {value!r}")
        return str(value).lower() == "true"
    try:
        number = float(value)
        is_right = kind is float or number == int(number)
    except (TypeError, ValueError, OverflowError):
        is_right = False
    if not is_right:
        wanted = "a number" if kind is float else "a whole number"
        raise InputError(f"{option} must be {wanted}, not {value!r}")
    if not (math.isfinite(number) and number >= 0):
        raise InputError(f"{option} must be 0 or above, not {value}")
    return kind(number)
