"""What a sweep trains, and whether every method can learn from the data, before any does."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fairvision import methods as all_methods
from fairvision.datasets import Dataset
from fairvision.errors import FairvisionWarning, InputError
from fairvision.models import default_size
from fairvision.training.preparation import check_training_split, choose_heads, first_network
from fairvision.training.settings import DEFAULTS

VARIED = ("data", "output", "method", "seed", "resume", "overwrite")
_MODEL = "small_cnn"  # what a method refuses does not depend on the network


@dataclass(frozen=True)
class Plan:
    """What is trained: every method with every seed.

    Attributes
    ----------
    methods, seeds : in the order asked for
    shared : keywords of `fairvision.train` that hold for all of them, defaults included
    specific : options of each method
    """

    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    shared: Mapping[str, Any]
    specific: Mapping[str, Mapping[str, Any]]

    def described(self) -> Mapping[str, Any]:
        """Return what is written down of it."""
        return {
            "methods": list(self.methods),
            "seeds": list(self.seeds),
            "options": _plain(self.shared),
            "options_of_methods": {
                name: _plain(options) for name, options in self.specific.items()
            },
        }


def make_plan(
    methods: Sequence[str],
    seeds: Sequence[int],
    options: Mapping[str, Any],
    per_method: Mapping[str, Mapping[str, Any]],
) -> Plan:
    """Return what is trained; options that only some methods have go to those.

    Raises
    ------
    InputError
        If a method, a seed or an option cannot be used.
    """
    _check_lists(methods, seeds, per_method)
    shared = {name: value for name, value in DEFAULTS.items() if name not in VARIED}
    specific: dict[str, dict[str, Any]] = {name: {} for name in methods}
    for option, value in options.items():
        takers = [name for name in methods if option in all_methods.option_names(name)]
        if option in VARIED:
            raise InputError(f"a sweep takes methods and seeds, and decides {option!r} itself")
        if option in shared:
            shared[option] = value
        elif not takers:
            raise InputError(f"--{option} is an option of none of {', '.join(methods)}")
        for name in takers:
            specific[name][option] = value
    if shared["captions"]:
        raise InputError(
            "a sweep compares classifiers: train captioners one by one, and audit them together"
        )
    for name in methods:
        specific[name] |= per_method.get(name, {})
        all_methods.settings(name, specific[name])
    return Plan(tuple(methods), tuple(seeds), shared, specific)


def _check_lists(
    methods: Sequence[str], seeds: Sequence[int], per_method: Mapping[str, object]
) -> None:
    """Raise `InputError` where a list is empty, repeats itself, or names what is not there."""
    lists: dict[str, Sequence[object]] = {"method": methods, "seed": seeds}
    for kind, values in lists.items():
        if not values:
            raise InputError(f"a sweep needs at least one {kind}: give --{kind}s")
        twice = [value for value in values if list(values).count(value) > 1]
        if twice:
            raise InputError(f"{kind} {twice[0]} is there twice in --{kind}s")
    for name in methods:
        all_methods.find(name)
    for name in per_method:
        if name not in methods:
            raise InputError(f"options are given for {name!r}, which is not one of --methods")


def check_learnable(plan: Plan, whole: Dataset) -> None:
    """Raise `InputError` naming every method that cannot learn from the data, with its reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FairvisionWarning)  # training warns again
        dataset = choose_heads(whole, plan.shared["attribute"], plan.shared["task"])
        check_training_split(dataset.split("train"))
        refused = {}
        for name in plan.methods:
            try:
                _try(name, plan.specific[name], whole, dataset)
            except InputError as error:
                refused[name] = str(error)
    if refused:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise InputError(
            f"nothing was trained, because {len(refused)} of {len(plan.methods)} methods cannot "
            f"learn from this data. {reasons}. Leave out of --methods what cannot be mended"
        )


def _try(name: str, options: Mapping[str, Any], whole: Dataset, dataset: Dataset) -> None:
    """Do what a training does before it writes anything, with a small network."""
    training = whole.split("train")
    heads = [*dataset.schema]
    method = all_methods.settings(name, options)
    domains = method.domains(training, heads)
    method.last_layer(whole, heads)
    method.thresholds(whole, heads)
    method.check(dataset.split("train"))
    if not method.pretraining():
        with torch.random.fork_rng(devices=[]):
            network = first_network(_MODEL, dataset, default_size(_MODEL), None, domains)
            method.start(network, training)


def _plain(options: Mapping[str, Any]) -> Mapping[str, object]:
    """Return options as JSON has them."""
    return {
        name: str(value)
        if isinstance(value, Path)
        else list(value)
        if isinstance(value, (list, tuple, set, frozenset))
        else value
        for name, value in options.items()
    }
