"""Whether a dataset can be learnt from, and what should be known before it is."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from fairvision.datasets import Dataset
from fairvision.errors import FairvisionWarning, InputError


def choose_heads(
    dataset: Dataset, attributes: Collection[str] = (), tasks: Collection[str] = ()
) -> Dataset:
    """Return the dataset with only the chosen attributes and tasks; all if none is chosen.

    Raises
    ------
    InputError
        If the dataset has no such attribute or task, or neither attributes nor tasks.
    """
    for kind, chosen, there in (
        ("attribute", attributes, dataset.attributes),
        ("task", tasks, dataset.tasks),
    ):
        for name in chosen:
            if name not in there:
                has = ", ".join(there) or "none"
                raise InputError(f"{dataset.root} has no {kind} {name!r}: it has {has}")
    if not dataset.attributes and not dataset.tasks:
        raise InputError(
            f"{dataset.root} has neither attributes nor tasks, so there is nothing to learn: "
            "name some in dataset.json"
        )
    if not attributes and not tasks:
        return dataset
    return replace(
        dataset,
        attributes={k: v for k, v in dataset.attributes.items() if k in attributes},
        tasks={k: v for k, v in dataset.tasks.items() if k in tasks},
    )


def check_training_split(train: Dataset) -> None:
    """Warn of groups with no image or one; refuse a head of which nothing is known."""
    if len(train) < 2:
        raise InputError(f"{train.root} has a single training picture: two are the least")
    for name, groups in train.attributes.items():
        codes = train.codes(name)
        counts = np.bincount(codes[codes >= 0], minlength=len(groups))
        _refuse_unknown(train, name, counts.sum())
        for group, count in zip(groups, counts):
            if count < 2:
                found = "a single training picture" if count else "no training pictures"
                warnings.warn(
                    f"group {group!r} of {name!r} has {found}: nothing general is learnt about it",
                    FairvisionWarning,
                    stacklevel=3,
                )
    for name in train.tasks:
        _refuse_unknown(train, name, int((train.targets(name) >= 0).sum()))


def _refuse_unknown(train: Dataset, name: str, known: int) -> None:
    if not known:
        raise InputError(
            f"{name!r} is unknown for every training picture of {train.root}: choose other "
            "attributes and tasks"
        )
