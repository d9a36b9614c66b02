"""Training methods: named loss terms over a batch, and what else a method changes in a training.

A method is a file with a frozen dataclass derived from `Method`, whose fields are its options, and
a line of registration: here, by `register`, or as an entry point of the group `fairvision.methods`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_type_hints

from fairvision.core.moved import warn_renamed
from fairvision.core.plugins import Plugins, Summaries
from fairvision.errors import InputError

if TYPE_CHECKING:
    from fairvision.datasets import Dataset
    from fairvision.methods.method import Method, Objective, Scores, Terms
    from fairvision.models import Network

__all__ = [
    "CAPTION_METHODS",
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


def _checked(name: str, method: Any) -> type[Method]:
    """Return a method; `InputError` if it is none."""
    from fairvision.methods.method import Method

    if not (
        isinstance(method, type)
        and issubclass(method, Method)
        and "__dataclass_fields__" in vars(method)  # else a parent's: its own would be no options
    ):
        raise InputError(
            f"method {name!r} must be a frozen dataclass derived from fairvision.methods.Method"
        )
    for option in fields(method):
        if option.default is MISSING:
            raise InputError(f"method {name!r}: its option {option.name!r} must have a default")
    return method


_METHODS: Plugins[type[Method]] = Plugins(
    "method",
    "fairvision.methods",
    {
        "baseline": "fairvision.methods.baseline:Baseline",
        "equalizer": "fairvision.methods.equalizer:Equalizer",
        "attribution_penalty": "fairvision.methods.attribution_penalty:AttributionPenalty",
        "reweighting": "fairvision.methods.reweighting:Reweighting",
        "resampling": "fairvision.methods.resampling:Resampling",
        "adversarial": "fairvision.methods.adversarial:Adversarial",
        "confusion": "fairvision.methods.adversarial:Confusion",
        "domain_discriminative": "fairvision.methods.domains:DomainDiscriminative",
        "domain_independent": "fairvision.methods.domains:DomainIndependent",
        "group_dro": "fairvision.methods.group_dro:GroupDRO",
        "jtt": "fairvision.methods.jtt:JustTrainTwice",
        "threshold_optimizer": "fairvision.methods.threshold_optimizer:ThresholdOptimizer",
        "swap": "fairvision.methods.swap:Swap",
        "dfr": "fairvision.methods.dfr:DFR",
        "leace": "fairvision.methods.leace:Leace",
    },
    _checked,
)

_CAPTION_METHODS: Plugins[type[Method]] = Plugins(
    "method for captions",
    "fairvision.caption_methods",
    {
        "baseline": "fairvision.methods.captions.method:Baseline",
        "equalizer": "fairvision.methods.captions.equalizer:Equalizer",
        "upweight": "fairvision.methods.captions.upweight:Upweight",
        "balanced": "fairvision.methods.captions.balanced:Balanced",
    },
    _checked,
)

METHODS: Mapping[str, str] = Summaries(_METHODS, lambda method: method.summary)
"""What each method does, in a line, by its name; those from outside come last."""

CAPTION_METHODS: Mapping[str, str] = Summaries(_CAPTION_METHODS, lambda method: method.summary)
"""The same of the methods for captioners."""


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
    _METHODS.register(name, method)


def find(name: str, *, captions: bool = False) -> type[Method]:
    """Return the method of that name; `InputError` lists those that there are.

    Parameters
    ----------
    name : of the method
    captions : whether captions are learnt, not attributes and tasks

    Examples
    --------
    >>> find("equalizer")()
    Equalizer(alpha=1.0, beta=10.0, mu=1.0, confident='quotient')
    """
    return (_CAPTION_METHODS if captions else _METHODS).find(name)


def settings(name: str, given: Mapping[str, Any], *, captions: bool = False) -> Method:
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
    method = find(name, captions=captions)
    names, kinds = [field.name for field in fields(method)], get_type_hints(method)
    options = {option: value for option, value in given.items() if value is not None}
    for option in options:
        if option not in names:
            listed = ", ".join(f"--{name}" for name in names) or "none"
            raise InputError(f"--{option} is not an option of method {name}, which has {listed}")
    return method(**{option: _read(option, kinds[option], v) for option, v in options.items()})


def option_names(*methods: str) -> list[str]:
    """Return the names of the options of some methods; by default of all that can be loaded.

    A name that methods of classifiers and of captioners share stands for both.

    >>> option_names("reweighting", "jtt")
    ['by', 'first_epochs', 'upweight', 'head']
    """
    for name in methods:
        if name not in _CAPTION_METHODS:
            find(name)
    kinds = [
        plugins[name]
        for plugins in (_METHODS, _CAPTION_METHODS)
        for name in (methods or plugins.loadable())
        if name in plugins
    ]
    return list(dict.fromkeys(field.name for kind in kinds for field in fields(kind)))


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
    lines = _described(_METHODS, METHODS)
    return "\n".join(
        [*lines, "", "with --captions:", *_described(_CAPTION_METHODS, CAPTION_METHODS)]
    )


def _described(plugins: Plugins[type[Method]], summaries: Mapping[str, str]) -> list[str]:
    """Return a line for each method and each of its options."""
    lines, usable = [], plugins.loadable()
    for name, summary in summaries.items():
        lines.append(f"{name}: {summary}")
        for option in fields(plugins[name]) if name in usable else ():
            default = "(by the data)" if option.default == "" else option.default
            lines.append(f"    --{option.name.replace('_', '-')} {default}")
    return lines


def _read(option: str, kind: type, value: Any) -> str | bool | float:
    """Return the value of an option as its kind; raise `InputError` if it does not fit."""
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
