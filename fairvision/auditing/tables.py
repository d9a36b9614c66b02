"""The samples table: a row per image with the truth and what one model says about it.

Tables made elsewhere are read by the same rules as those that the audit writes; what a column
means is decided in `schema.py`. Tables too large to be held are in `streaming.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fairvision.auditing import cells
from fairvision.auditing.given import Given, same_ids
from fairvision.auditing.parts import Refuse, Table, is_list, open_table
from fairvision.auditing.schema import infer, score_columns
from fairvision.core.files import whole_file
from fairvision.core.table_files import not_text
from fairvision.datasets import Dataset
from fairvision.errors import InputError, shown
from fairvision.schema import Schema

SCORES = ("score", "hidden", "person")
MEASURES = ("pointing_game", "relevance_mass")
CHANCE = "evidence/chance"


@dataclass(frozen=True)
class Samples:
    """What one model says about the images of one split.

    Attributes
    ----------
    model : name of the model
    truth : the audited rows of the dataset, n of them; images need not exist
    scores : (n rows) float64 columns `score/…`, `hidden/…`, `person/…`, `evidence/…`
    decided : what is predicted, by (kind, head), where tables were counted: there are no scores
        then, and each row stands for many images
    counts : (n,) images that each row stands for; None for one each
    missing_wrong : whether images without an answer count as answered wrong
    """

    model: str
    truth: Dataset
    scores: pd.DataFrame
    decided: Mapping[tuple[str, str], np.ndarray] | None = None
    counts: np.ndarray | None = None
    missing_wrong: bool = False

    @property
    def images(self) -> int:
        """Number of images."""
        return self.count(np.ones(len(self.truth), bool))

    def count(self, rows: np.ndarray) -> int:
        """Return the number of images of some rows, (n,) bool."""
        return int(rows.sum() if self.counts is None else self.counts[rows].sum())

    def probabilities(self, kind: str, head: str) -> np.ndarray | None:
        """Return (n, K) probabilities, rows of NaN where undefined; None without columns of them.

        None too where none is defined with something hidden, as without masks.
        """
        columns = score_columns(kind, head, labels_of(self.truth, head))
        if not set(columns) <= set(self.scores):
            return None
        values = self.scores[columns].to_numpy(np.float64)
        return None if kind != "score" and np.isnan(values).all() else values

    def evidence(self, measure: str, attribute: str) -> np.ndarray | None:
        """Return (n,) values in [0, 1], NaN where undefined; None where all are."""
        ending = evidence_column("", measure, attribute, self.truth).removeprefix("evidence/")
        for column, values in self.scores.items():
            if str(column).startswith("evidence/") and str(column).endswith(ending):
                return values.to_numpy(np.float64) if values.notna().any() else None
        return None


def labels_of(truth: Dataset, head: str) -> tuple[str, ...]:
    """Return the groups of an attribute or the labels of a task."""
    return truth.attributes[head] if head in truth.attributes else truth.tasks[head].labels


def is_many(truth: Dataset, head: str) -> bool:
    """Return whether several labels of a task may hold for one image."""
    return head in truth.tasks and truth.tasks[head].many


def evidence_column(method: str, measure: str, attribute: str, truth: Dataset) -> str:
    """Return the column of a measure: the first attribute's is plain, others add their name."""
    first = attribute == next(iter(truth.attributes))
    return f"evidence/{method}/{measure}" + ("" if first else f"/{attribute}")


def write(samples: Samples, path: Path) -> None:
    """Write a model's samples table as parquet."""
    _write(samples.truth, samples.scores, path)


def write_truth(truth: Dataset, path: Path) -> None:
    """Write `id`, `split` and the truth of a dataset as parquet: the training reference."""
    _write(truth, pd.DataFrame(index=truth.samples.index), path)


def read_predictions(
    paths: Sequence[Path],
    names: Sequence[str],
    *,
    split: str,
    data: Dataset | None = None,
    attributes: Sequence[str] = (),
) -> tuple[list[Samples], Dataset | None, list[str]]:
    """Read the samples tables of several models, aligned by id.

    Parameters
    ----------
    paths : parquet or csv files, or folders of parquet files; the first sets the order of the rows
    names : a name for each model
    split : which rows are audited where there is a column `split`; otherwise all are
    data : a dataset that says what is an attribute and what a task
    attributes : names of columns that are attributes, where nothing else says so

    Returns
    -------
    a `Samples` per table; the truth of the first table's rows of split train, or None where it has
    none; notes on what the columns were taken for

    Raises
    ------
    InputError
        One line naming file, row and column.
    """
    tables = [open_table(path) for path in paths]
    held = tables[0].read()
    given = [None if data is None else Given(data) for _ in tables]
    schema, notes = infer(
        tables[0],
        lambda name: look(tables[0], name, held[name]),
        data=data,
        attributes=attributes,
        covered=covers(given[0], cells.names(held["id"])),
    )
    rounded: set[str] = set()
    models = [
        _samples(table, name, table.read() if i else held, schema, given[i], rounded)
        for i, (table, name) in enumerate(zip(tables, names))
    ]
    notes += notes_of(tables, given, split, rounded)
    splits = models[0].truth.samples["split"]
    training = np.flatnonzero(splits == "train")
    reference = _rows(models[0], training).truth if len(training) and split != "train" else None
    audited = [np.arange(len(model.truth)) for model in models]
    if splits.notna().any():
        audited = [_of_split(table, model, split) for table, model in zip(tables, models)]
    return _align(tables, models, audited, notes), reference, notes


def look(table: Table, name: str, column: Any) -> tuple[bool, set[str] | None]:
    """Return whether a column of truth holds lists, and its labels; None where it is none."""
    kind = table.types[name]
    if not_text(kind.value_type if is_list(kind) else kind):
        return False, None
    return cells.distinct(column)


def covers(given: Given | None, ids: np.ndarray) -> bool:
    """Say whether a dataset has all images of some ids."""
    return given is not None and bool((given.rows(ids) >= 0).all())


def notes_of(
    tables: Sequence[Table], given: Sequence[Given | None], split: str, rounded: Collection[str]
) -> list[str]:
    """Return what to know of how tables were read."""
    notes = [
        note
        for table, own in zip(tables, given)
        if own is not None
        for note in own.notes(table.path, split, "split" in table.types)
    ]
    if rounded:
        notes.append(
            f"probabilities of {', '.join(sorted(rounded))} are rounded: rows that do not sum to 1 "
            "were divided by their sum"
        )
    return notes


def read_truth(path: Path, like: Dataset) -> Dataset:
    """Read the truth of a training table that has the groups and labels of `like`.

    Attributes and tasks for which the table has no column are left out of the result.
    """
    table = open_table(path)
    return _truth(table, table.read(), schema_of_truth(table, like))


def schema_of_truth(table: Table, like: Dataset) -> Schema:
    """Return the attributes and tasks of `like` for which a table has a column."""
    known = Schema(
        {k: v for k, v in like.attributes.items() if k in table.types},
        {k: v for k, v in like.tasks.items() if k in table.types},
    )
    if not known.attributes and not known.tasks:
        wanted = ", ".join([*like.attributes, *like.tasks])
        raise InputError(
            f"{table.path} has none of the columns {wanted}: it has {', '.join(table.names)}"
        )
    return known


def scored_heads(table: Table, schema: Schema) -> dict[tuple[str, str], list[str]]:
    """Return the score columns that a table has, by (kind, head)."""
    found = {}
    for kind in SCORES:
        for head, labels in schema.heads.items():
            columns = score_columns(kind, head, labels)
            prefix = f"{kind}/{head}/"
            there = [column for column in table.names if column.startswith(prefix)]
            for column in columns if there else ():
                if column not in table.types:
                    raise InputError(
                        f"{table.path} has {shown(there[0])} but no column {shown(column)}"
                    )
            if other := [column for column in there if column not in columns]:
                label = shown(other[0].removeprefix(prefix))
                raise InputError(
                    f"{table.path}: column {shown(other[0])} scores {label}, which is none of the "
                    f"names in column {shown(head)}: remove or rename it"
                )
            if there:
                found[kind, head] = columns
    if not found:
        single = [
            name for name in table.names if name.count("/") == 1 and name.startswith("score/")
        ]
        hint = (
            f"; {shown(single[0])} names no label: call it {single[0]}/<label>, and add 1 − p for "
            "the other"
            if single
            else "; write answers alone as probabilities of 1 and 0"
        )
        raise InputError(
            f"{table.path} has no probabilities: columns are called score/<attribute>/<group>, "
            f"with one for every group{hint}"
        )
    return found


def probabilities(
    held: Any, columns: Sequence[str], head: str, many: bool, refuse: Refuse, rounded: set[str]
) -> Any:
    """Return checked probabilities (n, labels) of an arrow table or batch."""
    read = {column: cells.fractions(held.column(column), column, refuse) for column in columns}
    return cells.check_probabilities(read, head, many, refuse, rounded)


def check_truth(table: Table, schema: Schema, given: Given | None = None) -> None:
    """Raise `InputError` unless there is truth, as labels, for everything in the schema."""
    for head in schema.heads:
        if head not in table.types:
            if given is None or head not in given.heads():
                raise InputError(f"{table.path} has no column {shown(head)} with the truth")
            continue
        kind = table.types[head]
        many = schema.is_many(head) and is_list(kind)
        if reason := not_text(kind.value_type if many else kind):
            raise InputError(f"{table.path}: column {shown(head)} {reason}")


def dataset(path: Path, schema: Schema, columns: Mapping[str, np.ndarray]) -> Dataset:
    """Return the truth from `id` and `split`, (n,) objects, and codes of each head."""
    samples = {name: columns[name] for name in ("id", "split")}
    for head, labels in schema.heads.items():
        samples[head] = named(columns[head], labels)
    return Dataset(
        root=path,
        name=path.stem,
        attributes=schema.attributes,
        tasks=schema.tasks,
        samples=pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in samples.items()}),
    )


def _write(truth: Dataset, scores: pd.DataFrame, path: Path) -> None:
    columns = ["id", "split", *truth.attributes, *truth.tasks]
    table = pd.concat([truth.samples[columns], scores], axis=1)
    table.attrs["fairvision"] = truth.schema.as_json()
    with whole_file(path) as part:
        table.to_parquet(part, index=False)


def _samples(
    table: Table,
    name: str,
    held: pa.Table,
    schema: Schema,
    given: Given | None,
    rounded: set[str],
) -> Samples:
    truth = _truth(table, held, schema, given)
    scores: dict[str, np.ndarray] = {}
    for (_, head), columns in scored_heads(table, schema).items():
        values = probabilities(held, columns, head, schema.is_many(head), table.refuse, rounded)
        scores |= dict(zip(columns, values.T))
    for column in table.names:
        if column.startswith("evidence/"):
            scores[column] = cells.fractions(held[column], column, table.refuse)
    return Samples(name, truth, pd.DataFrame(scores))


def _truth(table: Table, held: pa.Table, schema: Schema, given: Given | None = None) -> Dataset:
    empty = np.full(table.rows, None)
    check_truth(table, schema, given)
    columns = {
        name: cells.names(held[name]) if name in table.types else empty for name in ("id", "split")
    }
    identity = pd.Series(columns["id"], dtype=object)
    for row in np.flatnonzero(identity.isna()):
        table.refuse(row, "id", "is empty")
    for row in np.flatnonzero(identity.duplicated()):
        table.refuse(row, "id", f"{shown(identity[row])} is there twice")
    codes = {
        head: cells.positions(held[head], head, labels, schema.is_many(head), table.refuse)
        for head, labels in schema.heads.items()
        if head in table.types
    }
    if given is not None:
        given.fill(columns["id"], codes, schema, table.refuse)
    return dataset(table.path, schema, columns | codes)


def named(codes: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Return codes as a dataset's table holds them: names, or tuples of names; None unknown."""
    if codes.ndim == 1:
        return np.array([*labels, None], dtype=object)[codes]
    code, different = pd.factorize(pd.MultiIndex.from_arrays(list(cells.packed(codes).T)))
    some = [
        None if holds[0] < 0 else tuple(label for label, held in zip(labels, holds) if held)
        for holds in cells.unpacked(np.array(different.tolist()), len(labels))
    ]
    tuples = np.empty(len(some), dtype=object)
    tuples[:] = some
    return tuples[code]


def _of_split(table: Table, model: Samples, split: str) -> np.ndarray:
    splits = model.truth.samples["split"]
    rows = np.flatnonzero(splits == split)
    if not len(rows):
        raise no_split(table, split, set(splits.dropna()))
    return rows


def no_split(table: Table, split: str, there: set[str]) -> InputError:
    """Return the error that a table has no rows of a split."""
    return InputError(
        f"{table.path} has no rows of split {split!r}: it has {', '.join(sorted(there))}; "
        "choose by --split"
    )


def other_truth(here: Any, there: Any, path: Path) -> str:
    """Return what is wrong with a cell where the first table has another truth."""
    return (
        f"{shown(here)} but {path} says {shown(there)} for the same id: the truth must be the same"
    )


def _rows(model: Samples, rows: np.ndarray) -> Samples:
    truth = replace(model.truth, samples=model.truth.samples.iloc[rows].reset_index(drop=True))
    return replace(model, truth=truth, scores=model.scores.iloc[rows].reset_index(drop=True))


def _align(
    tables: Sequence[Table],
    models: Sequence[Samples],
    audited: Sequence[np.ndarray],
    notes: list[str],
) -> list[Samples]:
    """Bring the audited rows of every table into the order of the first; the truth is the same."""
    aligned = [_rows(models[0], audited[0])]
    first = aligned[0].truth.samples
    for table, model, own in zip(tables[1:], models[1:], audited[1:]):
        ids = model.truth.samples["id"].iloc[own]
        if not ids.isin(first["id"]).all() and (same := same_ids([*first["id"]], [*ids])):
            ids = ids.map(same)
            notes.append(f"ids of {table.path.name} were found by reading them as numbers (01 = 1)")
        for a, b, where in ((first["id"], ids, table), (ids, first["id"], tables[0])):
            missing = a[~a.isin(b)]
            if len(missing):
                raise InputError(
                    f"{where.path} has no row for id {shown(missing.iloc[0])} (and "
                    f"{len(missing) - 1} more) that another table has: tables are compared on the "
                    "same pictures"
                )
        rows = own[pd.Index(ids).get_indexer(pd.Index(first["id"]))]
        moved = _rows(model, rows)
        for head in [*model.truth.attributes, *model.truth.tasks]:
            here, there = moved.truth.samples[head], first[head]
            for row in np.flatnonzero([a != b for a, b in zip(here, there)]):
                table.refuse(rows[row], head, other_truth(here[row], there[row], tables[0].path))
        aligned.append(replace(moved, truth=aligned[0].truth))
    return aligned
