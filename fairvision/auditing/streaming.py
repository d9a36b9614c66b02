"""Tables too large to be held: read in batches, decided, counted.

What all models answer to the same images is counted jointly: how many images have this truth,
this answer of the first model and that of the second. So differences between models stay paired,
and every figure that needs counts only is the same as if the tables were held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, SupportsInt

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fairvision import metrics
from fairvision.auditing import cells, tables
from fairvision.auditing.given import Given
from fairvision.auditing.parts import Table, is_csv, is_list, open_table
from fairvision.auditing.schema import Schema, infer, truth_columns
from fairvision.auditing.tables import Samples
from fairvision.core.files import whole_file
from fairvision.core.ids import as_number
from fairvision.core.table_files import not_text
from fairvision.datasets import Dataset
from fairvision.errors import InputError, shown

LIMIT = 2_000_000  # rows of a table that is held in memory
BATCH = 1 << 17  # rows read at once
CELLS = 200_000  # combinations of truth and answers that are counted
VALUES = 10_000  # different values of a column of truth that are looked at
TRUTH = "truth"

Columns = dict[tuple[str, str], np.ndarray]  # codes by (kind or "truth", head)


@dataclass(frozen=True)
class Counted:
    """Tables that were counted.

    Attributes
    ----------
    models : samples whose rows stand for many images each, the same rows for all models
    reference, train_counts : the same of the training split of the first table, or None
    notes : on what the columns were taken for
    """

    models: list[Samples]
    reference: Dataset | None
    train_counts: np.ndarray | None
    notes: list[str]


@dataclass(frozen=True)
class _Batch:
    """Some audited rows of a table: where they are in it, their ids, and what they say."""

    rows: np.ndarray
    ids: Any
    codes: Columns

    def part(self, start: int, stop: int) -> _Batch:
        codes = {key: values[start:stop] for key, values in self.codes.items()}
        return _Batch(self.rows[start:stop], self.ids.slice(start, stop - start), codes)


def too_large(paths: Sequence[Path]) -> bool:
    """Say whether any of the tables is too large to be held; csv is held."""
    return any(open_table(path).rows > LIMIT for path in paths if not is_csv(path))


def read_predictions(
    paths: Sequence[Path],
    names: Sequence[str],
    *,
    split: str,
    data: Dataset | None = None,
    attributes: Sequence[str] = (),
) -> Counted:
    """Count what models say of the same images, in memory that does not grow with the images.

    Parameters are those of `tables.read_predictions`, but the tables are parquet files, or folders
    of them, that hold the same images *in the same order*. Whether an id is there twice is not
    checked: that would take memory for every image.

    Raises
    ------
    InputError
        One line naming file, row and column; or there are too many combinations to count.
    """
    opened = [_open(path) for path in paths]
    first = opened[0]
    looked = _look(first, ["split"] if "split" in first.types else [])

    def look(name: str) -> tuple[bool, set[str] | None]:
        if name not in looked:
            looked.update(_look(first, truth_columns(first)))
        return looked[name]

    given = [None if data is None else Given(data) for _ in opened]
    _, start = next(first.batches(["id"], BATCH))
    covered = tables.covers(given[0], cells.names(start.column("id")))
    schema, notes = infer(first, look, data=data, attributes=attributes, covered=covered)
    rounded: set[str] = set()
    for own in given:
        if own is not None:
            own.ways.clear()
    splits = looked.get("split", (False, set()))[1]
    chosen = None if splits == set() else split
    training = None
    if split != "train" and (splits is None or "train" in splits):
        training = metrics.Counts()
    streams = [
        _audited(table, schema, chosen, training if table is first else None, own, rounded)
        for table, own in zip(opened, given)
    ]
    counts = metrics.Counts()
    for batches in _together(opened, streams):
        _check_same_truth(opened, batches, schema)
        columns: dict[str, np.ndarray] = {}
        for i, batch in enumerate(batches):
            columns |= _flat(i, {k: v for k, v in batch.codes.items() if i == 0 or k[0] != TRUTH})
        _count(counts, columns, first.path)
    notes += tables.notes_of(opened, given, split, rounded)
    truth, decided, images = _counted(counts, first.path, schema, len(opened))
    models = [
        Samples(name, truth, pd.DataFrame(index=truth.samples.index), said, images)
        for name, said in zip(names, decided)
    ]
    if training is None or not training.total:
        return Counted(models, None, None, notes)
    reference, _, train_counts = _counted(training, first.path, schema, 0)
    return Counted(models, reference, train_counts, notes)


def read_truth(path: Path, like: Dataset) -> tuple[Dataset, np.ndarray]:
    """Count the truth of a training table; see `tables.read_truth`.

    Returns
    -------
    the different rows, and how many images each stands for
    """
    table = _open(path)
    schema = tables.schema_of_truth(table, like)
    counts = metrics.Counts()
    tables.check_truth(table, schema)
    for _, _, codes in _decided(table, schema, {}, []):
        _count(counts, _flat(0, codes), path)
    truth, _, images = _counted(counts, path, schema, 0)
    return truth, images


def write(models: Sequence[Samples], path: Path) -> None:
    """Write the joint counts of models as parquet: a row per combination of truth and answers."""
    truth = models[0].truth
    columns: dict[str, Any] = {}
    for model in models:
        for (kind, head), codes in (model.decided or {}).items():
            columns[f"decided/{model.model}/{kind}/{head}"] = tables.named(
                codes, tables.labels_of(truth, head)
            )
    _write_counts(truth, columns, models[0].counts, path)


def write_truth(truth: Dataset, counts: np.ndarray, path: Path) -> None:
    """Write the counts of a training split as parquet."""
    _write_counts(truth, {}, counts, path)


def _write_counts(
    truth: Dataset, columns: Mapping[str, Any], counts: np.ndarray | None, path: Path
) -> None:
    heads = [*truth.attributes, *truth.tasks]
    table = pd.DataFrame({f"{TRUTH}/{head}": truth.samples[head] for head in heads})
    table = table.assign(**columns, n=counts)
    with whole_file(path) as part:
        table.to_parquet(part, index=False)


def _open(path: Path) -> Table:
    if is_csv(path):
        raise InputError(
            f"{path}: a table of more than {LIMIT} rows, and those it is compared with, must be "
            "parquet"
        )
    return open_table(path)


def _look(table: Table, columns: Sequence[str]) -> dict[str, tuple[bool, set[str] | None]]:
    """Return whether columns hold lists, and the labels in them, or None for too many."""
    seen: dict[str, tuple[bool, set[str] | None]] = {name: (False, set()) for name in columns}
    for name in columns:
        kind = table.types[name]
        if not_text(kind.value_type if is_list(kind) else kind):
            seen[name] = False, None
    columns = [name for name in columns if seen[name][1] is not None]
    for _, batch in table.batches(columns, BATCH, coded=columns) if columns else ():
        for name in columns:
            lists, known = seen[name]
            listed, found = cells.distinct(batch.column(name))
            union = None if known is None else known | found
            too_many = union is None or len(union) > VALUES
            seen[name] = lists or listed, None if too_many else union
    return seen


def _decided(
    table: Table,
    schema: Schema,
    scored: Mapping[tuple[str, str], list[str]],
    also: Sequence[str],
    given: Given | None = None,
    rounded: set[str] | None = None,
) -> Iterator[tuple[int, pa.RecordBatch, Columns]]:
    """Yield the first row of a batch, its columns of `also`, the truth and what is predicted."""
    heads = {head: labels for head, labels in schema.heads.items() if head in table.types}
    columns = [*also, *heads, *(name for some in scored.values() for name in some)]
    for start, batch in table.batches(columns, BATCH, coded=[*{"split"} & {*also}, *heads]):

        def refuse(row: SupportsInt, column: str, problem: str, start: int = start) -> NoReturn:
            table.refuse(start + int(row), column, problem)

        codes: Columns = {}
        for head, labels in heads.items():
            cell = batch.column(head)
            codes[TRUTH, head] = cells.positions(cell, head, labels, schema.is_many(head), refuse)
        if given is not None:
            truth = {head: codes[TRUTH, head] for head in heads}
            given.fill(cells.names(batch.column("id")), truth, schema, refuse)
            codes = {(TRUTH, head): truth[head] for head in schema.heads}
        for (kind, head), names in scored.items():
            many = schema.is_many(head)
            values = tables.probabilities(
                batch, names, head, many, refuse, set() if rounded is None else rounded
            )
            codes[kind, head] = metrics.decide(values, many)
        yield start, batch, codes


def _audited(
    table: Table,
    schema: Schema,
    split: str | None,
    training: metrics.Counts | None,
    given: Given | None,
    rounded: set[str],
) -> Iterator[_Batch]:
    """Yield the rows of a split, or all; count the truth of the training rows on the way."""
    tables.check_truth(table, schema, given)
    also = ["id", "split"] if split is not None and "split" in table.types else ["id"]
    there: set[str] = set()
    audited = 0
    scored = tables.scored_heads(table, schema)
    for start, batch, codes in _decided(table, schema, scored, also, given, rounded):
        ids = _ids(table, start, batch.column("id"))
        rows = np.arange(len(batch))
        if split is not None:
            splits = cells.names(batch.column("split")) if len(also) > 1 else np.array([None])
            there |= {name for name in set(splits) if name is not None}
            if training is not None:
                of_training = splits == "train"
                truth = {k: v[of_training] for k, v in codes.items() if k[0] == TRUTH}
                _count(training, _flat(0, truth), table.path)
            rows = np.flatnonzero(splits == split)
        audited += len(rows)
        if len(rows) < len(batch):
            ids, codes = ids.take(rows), {key: values[rows] for key, values in codes.items()}
        yield _Batch(start + rows, ids, codes)
    if not audited and split is not None:
        raise tables.no_split(table, split, there)


def _ids(table: Table, start: int, column: Any) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    empty = column.is_null(nan_is_null=True)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        empty = pc.or_(empty, pc.fill_null(pc.equal(column, ""), True))
    if pc.any(empty).as_py():
        table.refuse(start + int(empty.to_numpy(zero_copy_only=False).argmax()), "id", "is empty")
    return column


def _together(
    opened: Sequence[Table], streams: Sequence[Iterator[_Batch]]
) -> Iterator[list[_Batch]]:
    """Yield batches of the same images; `InputError` where the ids differ."""
    waiting: list[_Batch | None] = [None] * len(streams)
    while True:
        for i, stream in enumerate(streams):
            while (batch := waiting[i]) is None or not len(batch.rows):
                waiting[i] = batch = next(stream, None)
                if batch is None:
                    break
        batches = [batch for batch in waiting if batch is not None]
        if not batches:
            return
        if len(batches) < len(streams):
            _refuse_lengths(opened, waiting)
        size = min(len(batch.rows) for batch in batches)
        same = [batch.part(0, size) for batch in batches]
        for i in range(1, len(same)):
            _check_same_ids(opened[0], same[0], opened[i], same[i])
        yield same
        waiting = [batch.part(size, len(batch.rows)) for batch in batches]


def _refuse_lengths(opened: Sequence[Table], waiting: Sequence[_Batch | None]) -> NoReturn:
    longer = next(i for i, batch in enumerate(waiting) if batch is not None)
    shorter = next(i for i, batch in enumerate(waiting) if batch is None)
    batch = waiting[longer]
    assert batch is not None
    opened[longer].refuse(
        batch.rows[0],
        "id",
        f"{batch.ids[0].as_py()!r}, but {opened[shorter].path} has no more rows: {_ORDER}",
    )


_ORDER = (
    "tables too large to be held must have the same pictures in the same order (sort them by id)"
)


def _check_same_ids(first: Table, a: _Batch, other: Table, b: _Batch) -> None:
    if a.ids.type == b.ids.type:
        if a.ids.equals(b.ids):
            return
        differ = pc.not_equal(a.ids, b.ids).to_numpy(zero_copy_only=False)
    else:
        differ = cells.names(a.ids) != cells.names(b.ids)
    if differ.any():
        numbers = [pd.Series(cells.names(ids)).map(as_number) for ids in (a.ids, b.ids)]
        differ = (numbers[0] != numbers[1]).to_numpy()
    if differ.any():
        row = int(differ.argmax())
        other.refuse(
            b.rows[row],
            "id",
            f"{shown(b.ids[row].as_py())}, but {first.place(int(a.rows[row]))} has "
            f"{shown(a.ids[row].as_py())}: {_ORDER}",
        )


def _check_same_truth(opened: Sequence[Table], batches: Sequence[_Batch], schema: Schema) -> None:
    first = batches[0]
    for table, batch in zip(opened[1:], batches[1:]):
        for head, labels in schema.heads.items():
            a, b = first.codes[TRUTH, head], batch.codes[TRUTH, head]
            if np.array_equal(a, b):
                continue
            row = int((a != b).reshape(len(a), -1).any(axis=1).argmax())
            here, there = (tables.named(codes[row : row + 1], labels)[0] for codes in (b, a))
            table.refuse(batch.rows[row], head, tables.other_truth(here, there, opened[0].path))


def _flat(source: int, codes: Columns) -> dict[str, np.ndarray]:
    """Return codes as columns of whole numbers, of one source each: many labels become words."""
    flat = {}
    for (kind, head), values in codes.items():
        words = cells.packed(values) if values.ndim == 2 else values[:, None]
        for i, word in enumerate(words.T):
            flat[f"{source} {kind} {i} {head}"] = word
    return flat


def _count(counts: metrics.Counts, columns: dict[str, np.ndarray], path: Path) -> None:
    counts.update(**columns)
    if counts.rows > CELLS and counts.different > CELLS:
        raise InputError(
            f"{path}: more than {CELLS} different combinations of truth and answers, too many to "
            "count: leave out attributes, tasks or labels, or audit fewer models at a time"
        )


def _counted(
    counts: metrics.Counts, path: Path, schema: Schema, models: int
) -> tuple[Dataset, list[dict[tuple[str, str], np.ndarray]], np.ndarray]:
    """Return the truth of each combination, what each model says, and how many images have it.

    Combinations are sorted, so the order of batches does not matter.
    """
    flat = dict(counts)
    images = flat.pop("counts")
    order = np.lexsort(list(flat.values()))

    def codes(source: int, kind: str, head: str) -> np.ndarray | None:
        words = [
            flat[name] for i in range(len(flat)) if (name := f"{source} {kind} {i} {head}") in flat
        ]
        if not words:
            return None
        if not schema.is_many(head):
            return words[0][order]
        return cells.unpacked(np.column_stack(words)[order], len(schema.heads[head]))

    columns = {name: np.full(len(order), None) for name in ("id", "split")}
    for head in schema.heads:
        if (truth := codes(0, TRUTH, head)) is not None:
            columns[head] = truth
    held = tables.dataset(path, schema, columns)
    decided: list[dict[tuple[str, str], np.ndarray]] = []
    for model in range(models):
        said = {
            (kind, head): codes(model, kind, head)
            for kind in tables.SCORES
            for head in schema.heads
        }
        decided.append(
            {
                key: answers
                for key, answers in said.items()
                if answers is not None and (key[0] == "score" or (answers >= 0).any())
            }
        )
    return held, decided, images[order]
