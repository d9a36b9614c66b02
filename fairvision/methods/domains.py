"""Which heads of a network have a classifier per group."""

from __future__ import annotations

from collections.abc import Collection

from fairvision.datasets import Dataset
from fairvision.errors import InputError
from fairvision.models import Domains


def domain_heads(
    dataset: Dataset, heads: Collection[str], attribute: str, rule: str
) -> dict[str, Domains]:
    """Return the groups of every head of a task.

    Parameters
    ----------
    dataset : training images with all their annotations
    heads : what is learnt
    attribute, rule : see `Domains`

    Raises
    ------
    InputError
        If no task is learnt.
    """
    tasks = [name for name in heads if name in dataset.tasks]
    if not tasks:
        raise InputError(
            f"a classifier per group of {attribute!r} is for tasks, and none is learnt: use "
            "--method baseline"
        )
    return {name: Domains(attribute, len(dataset.attributes[attribute]), rule) for name in tasks}
