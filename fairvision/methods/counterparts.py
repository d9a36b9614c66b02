"""What a head is to be told apart from: of a task the attribute, of an attribute the context."""

from __future__ import annotations

from collections.abc import Collection

from fairvision.datasets import Dataset
from fairvision.errors import InputError
from fairvision.methods.method import chosen_attribute


def counterparts(
    dataset: Dataset, heads: Collection[str], *, domain: str, context: str, many: bool, method: str
) -> dict[str, str]:
    """Return the attribute or task on whose account each head should not answer.

    Parameters
    ----------
    dataset : images with all their annotations
    heads : attributes and tasks that are learnt
    domain : the attribute that no task should be told by; by default the only one
    context : the task that no attribute should be told by; by default the only one
    many : whether the context may be a task in which many labels hold
    method : what messages call the method

    Returns
    -------
    By head the name of its counterpart; "" for attributes where there is no task that may be one

    Raises
    ------
    InputError
        If `domain` or `context` is not there, or is not given where there are several.
    """
    of_heads: dict[str, str] = {}
    for name in heads:
        if name in dataset.tasks:
            of_heads[name] = chosen_attribute(dataset, domain, method)
        else:
            of_heads[name] = _chosen_context(dataset, context, many=many, method=method)
    return of_heads


def _chosen_context(dataset: Dataset, name: str, *, many: bool, method: str) -> str:
    """Return the task that is the context: the one named, or the only one, or "" without one."""
    tasks = [task for task, about in dataset.tasks.items() if many or not about.many]
    if not name and len(tasks) > 1:
        raise InputError(f"{method} is about one context: say --context {' or '.join(tasks)}")
    if name and name not in tasks:
        kind = "task" if many else "task with one label"
        listed = ", ".join(tasks) or "none"
        raise InputError(f"{dataset.root} has no {kind} {name!r}: it has {listed}")
    return name or next(iter(tasks), "")
