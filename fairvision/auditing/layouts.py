"""How tables made elsewhere are written: other names of columns, and a row per image and label.

Both are brought into the plain form, a row per image (docs/design.md), before anything is read.
What is wrong is told by the names and rows of the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fairvision.core.suggestions import did_you_mean
from fairvision.core.tables import Table, is_list
from fairvision.datasets.counterfactuals import COLUMNS
from fairvision.datasets.label_columns import texts
from fairvision.errors import InputError, shown

LONG = ("id", "head", "label", "score")
MOST_ROWS = 20_000_000  # of a table in long form, which is held in memory
_MOST_SCORES = 500_000_000  # that it may be once it has a row per image
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """How tables of predictions are written, where they differ from the plain form.

    Attributes
    ----------
    columns : what columns are called in the files, by their name here; where tables differ, several
    logits : whether scores are logits
    cluster : the column that says which pictures are resampled together, which is no truth
    """

    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    logits: bool = False
    cluster: str = ""

    @classmethod
    def of(
        cls, columns: Mapping[str, str | Sequence[str]], logits: bool = False, cluster: str = ""
    ) -> Layout:
        """Return the layout that options say; `InputError` where a name is empty or given twice.

        >>> Layout.of({"id": "image_id"}).columns
        {'id': ['image_id']}
        """
        named = {
            name: [called] if isinstance(called, str) else list(called)
            for name, called in columns.items()
        }
        every = [called for names in named.values() for called in names]
        if not all([*named, *every, *named.values()]):
            raise InputError("--column needs two names: name here=name in the file")
        if twice := [called for called in every if every.count(called) > 1]:
            raise InputError(f"--column names {shown(twice[0])} twice: a column is read as one")
        return cls(named, logits, cluster)

    def as_json(self) -> dict[str, object]:
        """Return what differs from the plain form, as `audit.json` holds it."""
        columns = [f"{name}={column}" for name, of in self.columns.items() for column in of]
        return {
            **({"columns": ", ".join(columns)} if columns else {}),
            **({"scores": "logits"} if self.logits else {}),
        }


PLAIN = Layout()


def plain(table: Table, layout: Layout, *, partly: bool = False) -> tuple[Table, list[str]]:
    """Return a table in the plain form, and notes on what was done.

    Parameters
    ----------
    partly : whether the table may lack columns that the layout names, as one of truth only does

    Raises
    ------
    InputError
        A column is not there; or a table in long form lacks a row, or has one twice.
    """
    table, notes = _renamed(table, layout, partly)
    if not is_long(table):
        return table, notes
    table, more = _pivoted(table)
    return table, [*notes, *more]


def unread(tables: Sequence[Table], layout: Layout) -> list[str]:
    """Return a note on each column that a layout names and no table has.

    Parameters
    ----------
    tables : all that are read, as their files have them
    layout : how they are written
    """
    there = {name for table in tables for name in table.types}
    return [
        f"no table has a column {shown(column)}, which --column names"
        + did_you_mean(column, sorted(there))
        for columns in layout.columns.values()
        for column in columns
        if column not in there
    ]


def is_long(table: Table, layout: Layout | None = None) -> bool:
    """Say whether a table, written in some layout, has a row per image and label."""
    if layout is not None:
        table, _ = _renamed(table, layout, partly=True)
    return {*LONG} <= {*table.types} and not any(n.startswith("score/") for n in table.types)


def _renamed(table: Table, layout: Layout, partly: bool) -> tuple[Table, list[str]]:
    """Return a table with the names of its columns that a layout says, and notes."""
    names = {}
    for name, candidates in layout.columns.items():
        there = [column for column in candidates if column in table.types]
        if len(there) > 1:
            both = " and ".join(map(shown, there))
            raise InputError(f"{table.path} has {both}: name one of them --column {shown(name)}")
        if there:
            names[name] = there[0]
        elif name not in table.types and not partly:
            table.check_columns(candidates[:1])
    cluster = layout.cluster
    if cluster in table.types and cluster not in names and not _is_head(table, cluster):
        names[f"cluster/{cluster}"] = cluster
    unread = [name for name in names if name in table.types and name not in names.values()]
    notes = [
        f"{table.path.name}: column {shown(name)} is not read: {shown(names[name])} is (--column)"
        for name in unread
    ]
    return table.renamed(names), notes


def _is_head(table: Table, name: str) -> bool:
    """Say whether a table says what a model answers about a column."""
    asked = tuple(f"{kind}/{name}" for kind in ("score", "predicted", "answer"))
    return any(f"{column}/".startswith(tuple(f"{of}/" for of in asked)) for column in table.names)


def _pivoted(table: Table) -> tuple[Table, list[str]]:
    """Return a table in long form with a row per image, in the order in which they come first."""
    if table.rows > MOST_ROWS:
        raise InputError(
            f"{table.path} has {table.rows:,} rows of an image and label each, more than "
            f"{MOST_ROWS:,}: write a row per image, with columns score/<head>/<label>"
        )
    held = table.read()
    image_of, images = _texts(table, held, "id")
    head_of, heads = _texts(table, held, "head")
    label_of, labels = _texts(table, held, "label")
    scored_as, slots = _slots(head_of, heads, label_of, labels)
    _check_once(table, image_of, scored_as, len(slots))
    _check_whole(table, image_of, head_of, scored_as, slots)
    if len(images) * len(slots) > _MOST_SCORES:
        raise InputError(
            f"{table.path} scores {len(slots):,} labels, most of them for few of its pictures: "
            "write a table for each head"
        )
    rows = np.full((len(images), len(slots)), -1, np.int64)
    rows[image_of, scored_as] = np.arange(table.rows)
    first = np.full(len(images), table.rows, np.int64)
    np.minimum.at(first, image_of, np.arange(table.rows))
    constant, notes = _constant(table, held, image_of, first, heads)
    columns = {name: held[name].take(pa.array(first)) for name in ("id", *constant)}
    moved, called = {"": first}, dict(table.in_file)
    for (head, label), of_slot in zip(slots, rows.T):
        name = f"score/{head}/{label}"
        columns[name] = held["score"].take(pa.array(of_slot, mask=of_slot < 0))
        moved[name] = np.where(of_slot < 0, first, of_slot)
        called[name] = table.in_file.get("score", "score")
    content = pa.table(columns).combine_chunks()
    types = dict(zip(content.column_names, content.schema.types))
    notes.append(f"{table.path.name} was read as a row per picture, head and label")
    return replace(table, types=types, content=content, in_file=called, file_rows=moved), notes


def _texts(table: Table, held: pa.Table, name: str) -> tuple[Codes, list[str]]:
    """Return the codes (n,) of a column, and their texts; `InputError` where a cell is empty."""
    table.check_text(name)
    codes, values = texts(held[name])
    empty = np.array([value is None for value in [*values, None]])[codes]
    for row in np.flatnonzero(empty):
        raise table.place(int(row), name).error("is empty")
    return codes.astype(np.int64), [str(value) for value in values]


def _slots(
    head_of: Codes, heads: Sequence[str], label_of: Codes, labels: Sequence[str]
) -> tuple[Codes, list[tuple[str, str]]]:
    """Return which head and label each row (n,) scores, and these: labels of a head sorted."""
    pairs, scored_as = np.unique(head_of * len(labels) + label_of, return_inverse=True)
    named = [(int(pair) // len(labels), labels[int(pair) % len(labels)]) for pair in pairs]
    order = sorted(range(len(named)), key=named.__getitem__)
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    return position[scored_as.reshape(-1)], [(heads[named[i][0]], named[i][1]) for i in order]


def _check_once(table: Table, image_of: Codes, scored_as: Codes, slots: int) -> None:
    """Raise `InputError` where an image has two rows for one label."""
    again = pd.Series(image_of * slots + scored_as).duplicated().to_numpy()
    for row in np.flatnonzero(again):
        raise table.place(int(row), "label").error("its picture, head and label are there twice")


def _check_whole(
    table: Table,
    image_of: Codes,
    head_of: Codes,
    scored_as: Codes,
    slots: Sequence[tuple[str, str]],
) -> None:
    """Raise `InputError` where an image has rows for some labels of a head and not for others."""
    labels_of = np.bincount(pd.factorize(np.array([head for head, _ in slots], object))[0])
    asked = image_of * len(labels_of) + head_of
    _, first, inverse, rows = np.unique(
        asked, return_index=True, return_inverse=True, return_counts=True
    )
    for place in np.flatnonzero(rows != labels_of[head_of[first]]):
        row = int(first[place])
        there = {slots[slot] for slot in scored_as[inverse.reshape(-1) == place]}
        head = slots[scored_as[row]][0]
        absent = next(slot for slot in slots if slot[0] == head and slot not in there)
        raise table.place(row, "label").error(
            f"the picture of this row has no row for label {shown(absent[1])} of {shown(head)}"
        )


def _constant(
    table: Table, held: pa.Table, image_of: Codes, first: Codes, heads: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the columns that say one thing of an image, and notes on those that do not."""
    constant, notes = [], []
    for name in held.column_names:
        if name in LONG:
            continue
        codes = _codes_of(held[name])
        differ = codes != codes[first][image_of]
        if not differ.any():
            constant.append(name)
        elif name in heads or name in ("split", *COLUMNS):
            row = int(differ.argmax())
            before = table.place(int(first[image_of[row]])).row
            raise table.place(row, name).error(
                f"is something else than in row {before}, which is of the same picture"
            )
        else:
            notes.append(
                f"{table.path.name}: column {shown(name)} differs between rows of one picture and "
                "was not used"
            )
    return constant, notes


def _codes_of(column: Any) -> npt.NDArray[np.integer]:
    """Return a code (n,) for each cell of any type: equal where the cells are."""
    if is_list(column.type) or pa.types.is_nested(column.type):
        return pd.factorize(np.array([str(cell) for cell in column.to_pylist()], object))[0]
    return texts(column)[0]
