"""What the columns of a samples table mean: which is an attribute, which a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairvision.auditing.parts import Table
from fairvision.datasets import UNKNOWN, Dataset, Task
from fairvision.errors import InputError

FIXED = ("id", "image", "mask", "split")
Look = Callable[[str], tuple[bool, set[str] | None]]


@dataclass(frozen=True)
class Schema:
    """Attributes with their groups and tasks with their labels, as in a dataset folder."""

    attributes: Mapping[str, tuple[str, ...]]
    tasks: Mapping[str, Task]

    def heads(self) -> dict[str, tuple[str, ...]]:
        """Return the groups or labels of every attribute and task."""
        return {**self.attributes, **{name: task.labels for name, task in self.tasks.items()}}

    def many(self, head: str) -> bool:
        """Return whether several labels may hold at once."""
        return head in self.tasks and self.tasks[head].many

    def as_json(self) -> dict[str, Any]:
        """Return the form in which the parquet file of a samples table carries it."""
        return {
            "attributes": {name: list(groups) for name, groups in self.attributes.items()},
            "tasks": {
                name: {"labels": list(task.labels), "many": task.many}
                for name, task in self.tasks.items()
            },
        }


def score_columns(kind: str, head: str, labels: Sequence[str]) -> list[str]:
    """Return the names of the columns of one head.

    >>> score_columns("hidden", "gender", ("female", "male"))
    ['hidden/gender/female', 'hidden/gender/male']
    """
    return [f"{kind}/{head}/{label}" for label in labels]


def infer(
    table: Table,
    look: Look,
    *,
    data: Dataset | None = None,
    attributes: Sequence[str] = (),
) -> tuple[Schema, list[str]]:
    """Decide what the columns of a table are.

    In this order: what the file itself carries (a table that an audit wrote); what `data` says;
    `attributes`; columns of truth that hold lists are tasks; heads with the person hidden are
    attributes; otherwise the first column of truth is the attribute, which is noted.

    Parameters
    ----------
    look : says of a column of truth whether it holds lists, and which labels, or None for too many

    Returns
    -------
    the schema, and notes on what was guessed or not used
    """
    path = table.path
    heads = _heads(table.names)
    known = None
    if table.note is not None:
        known = _carried(path, table.note)
    elif data is not None:
        known = Schema(data.attributes, data.tasks)
    if known is not None and not attributes:
        used = {name for name in known.heads() if name in table.types or name in heads}
        groups = {name: some for name, some in known.attributes.items() if name in used}
        return Schema(groups, {k: task for k, task in known.tasks.items() if k in used}), []

    columns = truth_columns(table)
    for name in (*attributes, *heads):
        if name not in columns:
            raise InputError(f"{path} has no column {name!r} with the truth")
    lists = [name for name in columns if look(name)[0]]
    for name in set(lists) & set(attributes):
        raise InputError(f"{path} column {name!r} holds lists: it is a task, not an attribute")
    notes = []
    chosen = list(attributes) or [
        head
        for head in heads
        if any(name.startswith((f"hidden/{head}/", f"person/{head}/")) for name in table.names)
    ]
    if not chosen:
        chosen = [name for name in columns if name not in lists and name in heads][:1]
        chosen = chosen or [name for name in columns if name not in lists][:1]
        if len(columns) > 1 and chosen:
            notes.append(f"column {chosen[0]!r} was taken for the attribute (see --attribute)")
    tasks = [name for name in columns if name not in chosen and (name in heads or name in lists)]
    for name in columns:
        if name not in chosen and name not in tasks:
            notes.append(f"column {name!r} has no scores and was not used (see --attribute)")

    labels = {name: _values(path, name, heads.get(name), look) for name in (*chosen, *tasks)}
    return Schema(
        {name: labels[name] for name in chosen},
        {name: Task(labels[name], name in lists) for name in tasks},
    ), notes


def truth_columns(table: Table) -> list[str]:
    """Return the columns that may hold the truth of an attribute or a task."""
    return [name for name in table.names if name not in FIXED and "/" not in name]


def _carried(path: Path, carried: Any) -> Schema:
    try:
        return Schema(
            {name: tuple(map(str, some)) for name, some in carried["attributes"].items()},
            {
                name: Task(tuple(map(str, task["labels"])), bool(task["many"]))
                for name, task in carried["tasks"].items()
            },
        )
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path}: the note 'fairvision' in its metadata is damaged") from None


def _heads(names: Sequence[str]) -> dict[str, list[str]]:
    heads: dict[str, list[str]] = {}
    for name in names:
        kind, _, rest = name.partition("/")
        head, slash, label = rest.partition("/")
        if kind == "score" and slash:
            heads.setdefault(head, []).append(label)
    return heads


def _values(path: Path, name: str, scored: Sequence[str] | None, look: Look) -> tuple[str, ...]:
    """Return the groups or labels of a column: those that have scores, or else those it holds."""
    if UNKNOWN in (scored or ()):
        raise InputError(f"{path}: column 'score/{name}/{UNKNOWN}' scores a reserved name")
    found = scored or look(name)[1]
    if found is None:
        raise InputError(
            f"{path}: column {name!r} has too many different values for an attribute or a task "
            "(see --attribute)"
        )
    values = [value for value in (scored or sorted(found)) if value != UNKNOWN]
    if len(values) < 2:
        raise InputError(
            f"{path}: column {name!r} needs at least two groups or labels, it has {len(values)}"
        )
    return tuple(values)
