"""Training methods: named loss terms over a batch, and what else a method changes in a training.

A method is a file with a frozen dataclass derived from `Method`, whose fields are its options, and
a line of registration: here, by `register`, or as an entry point of the group `fairvision.methods`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, get_type_hints

from fairvision.core.deprecation import warn_renamed
from fairvision.errors import InputError

if TYPE_CHECKING:
    from fairvision.datasets import Dataset
    from fairvision.methods.method import Method, Objective, Scores, Terms
    from fairvision.models import Network

__all__ = [
    "METHODS",
    "Method",
    "Objective",
    "Terms",
    "begin",
    "describe",
    "find",
    "option_names",
    "register",
    "settings",
]

GROUP = "fairvision.methods"
_BUILT_IN = {
    "baseline": "Baseline",
    "equalizer": "Equalizer",
    "attribution_penalty": "AttributionPenalty",
    "reweighting": "Reweighting",
    "resampling": "Resampling",
    "adversarial": "Adversarial",
    "confusion": "Confusion",
    "domain_discriminative": "DomainDiscriminative",
    "domain_independent": "DomainIndependent",
    "group_dro": "GroupDRO",
    "jtt": "JustTrainTwice",
    "threshold_optimizer": "ThresholdOptimizer",
}


class _Summaries(Mapping[str, str]):
    """What each method does, in a line, by its name; those from outside come last."""

    def __getitem__(self, name: str) -> str:
        if name not in _methods():
            raise KeyError(name)
        return find(name).summary

    def __iter__(self) -> Iterator[str]:
        return iter(_methods())

    def __len__(self) -> int:
        return len(_methods())


METHODS: Mapping[str, str] = _Summaries()


@cache
def _methods() -> dict[str, EntryPoint | type[Method]]:
    """Return the methods by name, or the entry points where they are."""
    by_name: dict[str, EntryPoint | type[Method]] = {
        name: EntryPoint(name, f"{GROUP}.{name}:{method}", GROUP)
        for name, method in _BUILT_IN.items()
    }
    for entry in entry_points(group=GROUP):
        by_name.setdefault(entry.name, entry)
    return by_name


def register(name: str, method: type[Method]) -> None:
    """Let a method from outside be used by its name, as those of fairvision are.

    Parameters
    ----------
    name : how it is called by `fairvision.train(method=…)`, in run folders and on leaderboards
    method : a frozen dataclass derived from `Method`

    Raises
    ------
    InputError
        If another method has the name, or this is none.
    """
    if name in METHODS and find(name) is not method:
        raise InputError(f"there is a method {name!r} already: choose another name")
    _methods()[name] = _checked(name, method)


def find(name: str) -> type[Method]:
    """Return the method of that name; `InputError` lists those that there are.

    >>> find("equalizer")()
    Equalizer(alpha=1.0, beta=10.0, mu=1.0, confident='quotient')
    """
    if name not in _methods():
        raise InputError(f"there is no method {name!r}: choose one of {', '.join(METHODS)}")
    method = _methods()[name]
    if not isinstance(method, EntryPoint):
        return method
    try:
        loaded = method.load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"method {name!r} of another package cannot be loaded: {error}: mend or uninstall it"
        ) from None
    return _checked(name, loaded)


def settings(name: str, given: Mapping[str, Any]) -> Method:
    """Return a method with its options; those not given, or None, take the method's defaults.

    Text is read as what the option is, so that options may come from a command.

    Raises
    ------
    InputError
        If the method does not exist or has no such option, or the value is not of its kind.

    Examples
    --------
    >>> settings("equalizer", {"beta": "3", "mu": None})
    Equalizer(alpha=1.0, beta=3.0, mu=1.0, confident='quotient')
    """
    method = find(name)
    kinds = get_type_hints(method)
    options = {option: value for option, value in given.items() if value is not None}
    for option in options:
        if option not in option_names(name):
            listed = ", ".join(f"--{name}" for name in option_names(name)) or "none"
            raise InputError(f"--{option} is not an option of method {name}, which has {listed}")
    return method(**{option: _read(option, kinds[option], v) for option, v in options.items()})


def option_names(*methods: str) -> list[str]:
    """Return the names of the options of some methods; by default of all.

    >>> option_names("reweighting", "jtt")
    ['by', 'first_epochs', 'upweight', 'head']
    """
    names = [field.name for name in methods or METHODS for field in fields(find(name))]
    return list(dict.fromkeys(names))


def begin(
    name: str, settings: Method, network: Network, dataset: Dataset, first: Scores | None = None
) -> Objective:
    """Return a method at work; an older name of `Method.start`."""
    warn_renamed("methods.begin", "Method.start")
    return settings.start(network, dataset, first)


def describe() -> str:
    """Return what methods there are, with their options and defaults.

    >>> print(describe().splitlines()[0])
    baseline: cross entropy
    """
    lines = []
    for name, summary in METHODS.items():
        lines.append(f"{name}: {summary}")
        for option in fields(find(name)):
            default = "(by the data)" if option.default == "" else option.default
            lines.append(f"    --{option.name.replace('_', '-')} {default}")
    return "\n".join(lines)


def _checked(name: str, method: Any) -> type[Method]:
    """Return a method; `InputError` if it is none."""
    from fairvision.methods.method import Method

    if not (isinstance(method, type) and issubclass(method, Method) and is_dataclass(method)):
        raise InputError(
            f"method {name!r} must be a frozen dataclass derived from fairvision.methods.Method"
        )
    return method


def _read(option: str, kind: type, value: Any) -> str | bool | float:
    if kind is str:
        return str(value)
    if kind is bool:
        if str(value).lower() not in ("true", "false"):
            raise InputError(f"{option} must be true or false, not {value!r}")
        return str(value).lower() == "true"
    try:
        number = float(value)
        fits = kind is float or number == int(number)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        wanted = "a number" if kind is float else "a whole number"
        raise InputError(f"{option} must be {wanted}, not {value!r}")
    if not (math.isfinite(number) and number >= 0):
        raise InputError(f"{option} must be 0 or above, not {value}")
    return number if kind is float else int(number)


def __getattr__(name: str) -> Any:
    if name in ("Method", "Objective", "Terms"):
        return getattr(import_module("fairvision.methods.method"), name)
    raise AttributeError(f"module 'fairvision.methods' has no attribute {name!r}")
