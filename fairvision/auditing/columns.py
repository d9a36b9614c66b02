"""What the columns of a samples table mean: which is an attribute, which a task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fairvision.core.spellings import warn_of_spellings
from fairvision.core.suggestions import did_you_mean
from fairvision.core.tables import Table
from fairvision.datasets import Dataset
from fairvision.datasets.captions import COLUMN
from fairvision.datasets.label_texts import check_label, coded
from fairvision.errors import InputError, shown
from fairvision.schema import RESERVED, UNKNOWN, Schema, Task

NO_TRUTH = (*RESERVED, "distance_percentile", "farther_than")  # of `fairvision predict`
LABELLED = ("predicted", "answer")  # what columns of predicted labels begin with
MOST_GROUPS = 20  # a column of more names, without scores, is asked about
VALIDATED = "validated/"
SMALLEST = 4  # below so many rows for each group, groups cannot be told from names
Look = Callable[[str], tuple[bool, set[str] | None]]
Answered = Mapping[str, Sequence[tuple[str, set[str]]]]
"""Columns of predicted labels, as messages name them, and the labels in them, by head."""


def score_columns(kind: str, head: str, labels: Sequence[str]) -> list[str]:
    """Return the names of the columns of one head.

    >>> score_columns("hidden", "gender", ("female", "male"))
    ['hidden/gender/female', 'hidden/gender/male']
    """
    return [f"{kind}/{head}/{label}" for label in labels]


def infer_schema(
    table: Table,
    look: Look,
    *,
    data: Dataset | None = None,
    attributes: Sequence[str] = (),
    covered: bool = False,
    answered: Answered = MappingProxyType({}),
) -> tuple[Schema, list[str]]:
    """Decide what the columns of a table are.

    In this order: what the file itself carries (a table that an audit wrote); what `data` says;
    `attributes`, or those with a column `validated/…`; columns of truth that hold lists are tasks;
    heads with swapped surroundings are attributes, or those with the person hidden, which is noted
    of several; otherwise the first column of truth is the attribute, which is noted, unless columns
    with and without scores compete for it, or it has more than `MOST_GROUPS` names, which is
    refused.

    Parameters
    ----------
    look : says of a column of truth whether it holds lists, and which labels, or None for too many
    covered : whether `data` has the images of the table, and so the truth that it lacks
    answered : the labels that are predicted where there are no scores

    Returns
    -------
    the schema, and notes on what was guessed or not used
    """
    given = None
    if table.note is not None:
        given = _carried(table.path, table.note)
    elif data is not None:
        given = data.schema
    notes = renamed_columns(table.names)
    if given is None or not {*attributes} <= {*given}:
        schema, guesses = _guessed(table, look, attributes, answered)
        return schema, [*notes, *guesses]
    scored = _heads(table)
    used = {name for name in given if name in table.types or name in scored or covered}
    unread = [] if table.note is not None else _unread(table, given)
    return _chosen(table.path, given, used, attributes), [*notes, *unread]


def _guessed(
    table: Table, look: Look, attributes: Sequence[str], answered: Answered
) -> tuple[Schema, list[str]]:
    """Return the schema that the columns of a table suggest, and notes on what was guessed."""
    path, heads = table.path, _heads(table)
    columns = truth_columns(table)
    attributes = attributes or [
        name.removeprefix(VALIDATED) for name in table.names if name.startswith(VALIDATED)
    ]
    if heads and not {*heads} & {*columns}:
        raise InputError(
            f"{path} has no truth, only what a model says of {_listed(heads)}: add columns of "
            "these names with the truth, or --data DIR with the dataset that the pictures are from"
        )
    heads = {name: labels for name, labels in heads.items() if labels or name in columns}
    for name in (*attributes, *heads):
        if name not in columns:
            hint = did_you_mean(name, columns)
            raise InputError(f"{path} has no column {shown(name)} with the truth{hint}")
    lists = [name for name in columns if look(name)[0]]
    for name in set(lists) & set(attributes):
        raise InputError(f"{path} column {shown(name)} holds lists: it is a task, not an attribute")
    notes = []
    chosen = list(attributes) or _with_columns(table, heads, "swapped")  # of attributes only
    if not chosen:  # tasks may have these as well
        hidden = _with_columns(table, heads, "hidden", "person")
        chosen = [head for head in hidden if head not in lists]
        if len(chosen) > 1:
            notes.append(
                f"columns {_listed(chosen)} have probabilities with the person hidden, and were "
                "taken for attributes (see --attribute)"
            )
    if not chosen:
        chosen = _attribute(table, [name for name in columns if name not in lists], heads, look)
        if len(columns) > 1 and chosen:
            others = [name for name in heads if name not in chosen and name not in lists]
            instead = f", not {_listed(others)}" if others and chosen[0] not in heads else ""
            notes.append(
                f"column {chosen[0]!r} was taken for the attribute{instead} (see --attribute)"
            )
    tasks = [name for name in columns if name not in chosen and (name in heads or name in lists)]
    idle = [name for name in columns if name not in chosen and name not in tasks]
    if idle:
        one = len(idle) == 1
        notes.append(
            f"column{'' if one else 's'} {_listed(idle)} {'has' if one else 'have'} no scores and "
            f"{'was' if one else 'were'} not used (see --attribute)"
        )

    labels = {
        name: _values(table, name, heads.get(name), look, answered.get(name, ()))
        for name in (*chosen, *tasks)
    }
    notes += _never_true(labels, look, answered)
    if line := coded(labels):
        notes.append(line)
    for name, values in labels.items():
        warn_of_spellings(f"column {shown(name)}", values)
    return Schema(
        {name: labels[name] for name in chosen},
        {name: Task(labels[name], name in lists) for name in tasks},
    ), notes


def _with_columns(table: Table, heads: Collection[str], *kinds: str) -> list[str]:
    """Return the heads that have columns of some kind, such as `hidden`."""
    return [
        head
        for head in heads
        if any(name.startswith(tuple(f"{kind}/{head}/" for kind in kinds)) for name in table.names)
    ]


def renamed_columns(names: Sequence[str]) -> list[str]:
    """Return a line on columns that `fairvision predict` calls something else now, or nothing.

    >>> renamed_columns(["id", "sure/hat", "farther_than"])
    ['sure/hat is called confidence/hat now, farther_than is called distance_percentile now']
    >>> renamed_columns(["id", "confidence/hat"])
    []
    """
    new = {"farther_than": "distance_percentile"}
    new |= {name: f"confidence/{name[5:]}" for name in names if name.startswith("sure/")}
    lines = [f"{name} is called {new[name]} now" for name in names if name in new]
    return [", ".join(lines)] if lines else []


def _unread(table: Table, given: Schema) -> list[str]:
    """Return a line that names what a table has beyond the attributes and tasks of a dataset."""
    there = dict.fromkeys([*truth_columns(table), *_heads(table)])
    unread = [name for name in there if name not in given.heads]
    if not unread:
        return []
    one = len(unread) == 1
    return [
        f"{table.path.name}: {_listed(unread)} {'is' if one else 'are'} no attribute or task of "
        f"the dataset and {'was' if one else 'were'} not used"
    ]


def _chosen(path: Path, given: Schema, used: Collection[str], attributes: Sequence[str]) -> Schema:
    """Return what is used of a schema; `attributes` says which of it are, if it says any."""
    for name in attributes:
        if given.is_many(name):
            raise InputError(f"{path}: {shown(name)} holds many labels: it is a task")
    mine = attributes or list(given.attributes)
    tasks = {name: Task(labels) for name, labels in given.heads.items()} | dict(given.tasks)
    return Schema(
        {name: groups for name, groups in given.heads.items() if name in mine and name in used},
        {name: task for name, task in tasks.items() if name not in mine and name in used},
    )


def _attribute(
    table: Table, columns: Sequence[str], heads: Collection[str], look: Look
) -> list[str]:
    """Return the first column of truth; `InputError` where others may be meant as well.

    A column without scores may hold groups, so it comes into question beside one with scores.
    """
    scored = [name for name in columns if name in heads]
    bare = [name for name in columns if name not in heads and _may_be_groups(table, name, look)]
    if not bare:
        return scored[:1] or list(columns)[:1]
    many = bool(scored) and len(look(bare[0])[1] or ()) > MOST_GROUPS
    if (
        len(bare) == 1
        and len(scored) < 2
        and not many
        and columns.index(bare[0]) <= min(map(columns.index, scored), default=len(columns))
    ):
        return bare
    several = [name for name in columns if name in scored or name in bare]
    raise InputError(
        f"{table.path}: say by --attribute which column holds the groups: {_listed(several)} "
        f"({_listed(bare)} {'has' if len(bare) == 1 else 'have'} no scores; one that says which "
        "pictures are of one person or photographer is for --cluster)"
    )


def _may_be_groups(table: Table, name: str, look: Look) -> bool:
    """Say whether a column without scores has groups: values that come again."""
    values = look(name)[1]
    if values is None or len(values - {UNKNOWN}) < 2:
        return False
    return 2 * len(values) <= table.rows or table.rows < 2 * SMALLEST


def truth_columns(table: Table) -> list[str]:
    """Return the columns that may hold the truth of an attribute or a task.

    Captions do not, unless there are scores for something of that name.
    """
    idle = NO_TRUTH if COLUMN in _heads(table) else (*NO_TRUTH, COLUMN)
    return [name for name in table.names if name not in idle and "/" not in name]


def _carried(path: Path, carried: Any) -> Schema:
    """Return the schema that the metadata of a table carry; raise `InputError` if damaged."""
    try:
        return Schema(
            {name: tuple(map(str, groups)) for name, groups in carried["attributes"].items()},
            {
                name: Task(tuple(map(str, task["labels"])), bool(task["many"]))
                for name, task in carried["tasks"].items()
            },
        )
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path}: the note 'fairvision' in its metadata is damaged") from None


def labelled_columns(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the column of predicted labels of each head that has no scores.

    >>> labelled_columns(Path("t.csv"), ["id", "predicted/age", "answer/hat", "score/hat/no"])
    {'age': 'predicted/age'}
    """
    scored, labelled = _scored(names), dict[str, str]()
    for name in names:
        kind, _, head = name.partition("/")
        if kind not in LABELLED or not head or head in scored:
            continue
        if head in labelled:
            both = f"{shown(labelled[head])} and {shown(name)}"
            raise InputError(f"{path} has {both}: remove the one that is not meant")
        labelled[head] = name
    return labelled


def _heads(table: Table) -> dict[str, list[str]]:
    """Return what a table says answers of, and the labels that have scores, in their order."""
    labelled = labelled_columns(table.path, table.names)
    return _scored(table.names) | {head: [] for head in labelled}


def _scored(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the labels that columns `score/HEAD/LABEL` name, in order, by head."""
    heads: dict[str, list[str]] = {}
    for name in names:
        kind, _, rest = name.partition("/")
        head, slash, label = rest.partition("/")
        if kind == "score" and slash:
            heads.setdefault(head, []).append(label)
    return heads


def _values(
    table: Table,
    name: str,
    scored: Sequence[str] | None,
    look: Look,
    answered: Sequence[tuple[str, set[str]]],
) -> tuple[str, ...]:
    """Return the groups or labels of a column: those that have scores, or else those it holds.

    Labels of which only one has scores, and those that are predicted without any, are added to
    those that the column holds.
    """
    path = table.path
    if UNKNOWN in (scored or ()):
        raise InputError(f"{path}: column 'score/{name}/{UNKNOWN}' scores a reserved name")
    labels: Collection[str] | None = scored
    if not scored or len(scored) == 1:
        labels = look(name)[1]
        if labels is not None:
            labels = sorted({*labels, *(scored or ()), *_predicted(name, labels, answered)})
    if labels is None:
        reason = table.not_text(name) or (
            "has too many different values for an attribute or a task (see --attribute)"
        )
        raise InputError(f"{path}: column {shown(name)} {reason}")
    values = [value for value in labels if value != UNKNOWN]
    if scored and len(scored) == 1 and len(values) != 2:
        raise InputError(
            f"{path}: of {shown(name)} only {shown(scored[0])} has scores, which is enough where "
            f"there are two groups or labels, not {len(values)}: add the others"
        )
    if len(values) < 2:
        raise InputError(
            f"{path}: column {shown(name)} needs at least two groups or labels, it has "
            f"{len(values)}"
        )
    for value in values:
        check_label(f"{path}, column {shown(name)}", value)
    return tuple(values)


def _predicted(
    name: str, labels: Collection[str], answered: Sequence[tuple[str, set[str]]]
) -> set[str]:
    """Return the labels that are predicted; `InputError` where none of a column's is a true one."""
    for column, predicted in answered:
        if predicted - {UNKNOWN} and not predicted & {*labels}:
            raise InputError(
                f"{column} holds {_listed(sorted(predicted))}, and column {shown(name)} "
                f"{_listed(sorted(labels))}: write them alike"
            )
    return {label for _, predicted in answered for label in predicted}


def _never_true(labels: Mapping[str, Sequence[str]], look: Look, answered: Answered) -> list[str]:
    """Return lines on labels that are predicted, and that no image has."""
    return [
        f"{column}: {_listed(sorted(never))} is predicted, but no picture has it as {shown(name)}"
        for name in labels
        for column, predicted in answered.get(name, ())
        if (never := predicted - {UNKNOWN} - (look(name)[1] or {*()}))
    ]


def _listed(names: Iterable[str]) -> str:
    """Return at most six names separated by commas, and how many more there are."""
    listed = [shown(name, 40) for name in names]
    return ", ".join(listed[:6]) + (f" and {len(listed) - 6} more" if len(listed) > 6 else "")
