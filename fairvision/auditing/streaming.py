"""Tables too large to be held: read in batches, decided, counted.

What all models answer to the same images is counted jointly: how many images have this truth,
this answer of the first model and that of the second. So differences between models stay paired,
and every figure that needs counts only is the same as if the tables were held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fairvision import metrics
from fairvision.auditing import tables
from fairvision.auditing.columns import infer_schema, truth_columns
from fairvision.auditing.counted_scores import Grids, count
from fairvision.auditing.given import Given
from fairvision.auditing.given_answers import SCORES, Answers, labels_of_answers
from fairvision.auditing.hidden_tables import KIND, by_image
from fairvision.auditing.layouts import PLAIN, Layout, is_long
from fairvision.auditing.tables import Samples
from fairvision.core.files import whole_file
from fairvision.core.spellings import as_number
from fairvision.core.tables import Table, is_csv, open_table
from fairvision.datasets import Dataset
from fairvision.datasets.counterfactuals import ORIGINAL
from fairvision.datasets.label_columns import look, names
from fairvision.errors import InputError, shown
from fairvision.schema import Schema, pack, unpack

LIMIT = 2_000_000  # rows of a table that is held in memory
BATCH = 1 << 17  # rows read at once
COMBINATIONS = 200_000  # combinations of truth and answers that are counted
VALUES = 10_000  # different values of a column of truth that are looked at
TRUTH = "truth"

Codes = dict[tuple[str, str], npt.NDArray[Any]]  # codes by (kind or "truth", head)


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
    train_counts: npt.NDArray[np.int64] | None
    notes: list[str]


@dataclass(frozen=True)
class _Batch:
    """Some audited rows of a table: where they are in it, their ids, and what they say."""

    rows: npt.NDArray[np.int64]
    ids: Any
    codes: Codes

    def part(self, start: int, stop: int) -> _Batch:
        """Return the rows from `start` up to `stop` of a batch."""
        codes = {key: values[start:stop] for key, values in self.codes.items()}
        return _Batch(self.rows[start:stop], self.ids.slice(start, stop - start), codes)


def too_large(paths: Sequence[Path], layout: Layout = PLAIN) -> bool:
    """Say whether any of the tables is too large to be held; csv and the long form are held."""
    opened = [open_table(path) for path in paths if not is_csv(path)]
    return any(table.rows > LIMIT and not is_long(table, layout) for table in opened)


def read_predictions(
    paths: Sequence[Path],
    model_names: Sequence[str],
    *,
    split: str,
    data: Dataset | None = None,
    attributes: Sequence[str] = (),
    layout: Layout = PLAIN,
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
    read = [_open(path, layout) for path in paths]
    opened, notes = [table for table, _ in read], [line for _, lines in read for line in lines]
    first = opened[0]
    looked = _look(first, ["split"] if "split" in first.types else [])

    def look_at(name: str) -> tuple[bool, set[str] | None]:
        if name not in looked:
            looked.update(_look(first, truth_columns(first)))
        return looked[name]

    given = [None if data is None else Given(data) for _ in opened]
    _, start = next(first.batches(["id"], BATCH))
    covered = tables.covers(given[0], names(start.column("id")))
    answered = labels_of_answers(opened, lambda table, name: _look(table, [name])[name])
    options: dict[str, Any] = {"covered": covered, "answered": answered}
    schema, guesses = infer_schema(first, look_at, data=data, attributes=attributes, **options)
    answers = [Answers.of(table, schema, SCORES, layout.logits) for table in opened]
    for dataset in given:
        if dataset is not None:
            dataset.ways.clear()
    splits = looked.get("split", (False, set()))[1]
    chosen = None if splits == set() else split
    training = None
    if split != "train" and (splits is None or "train" in splits):
        training = metrics.Counts()
    grids: list[Grids] = [{} for _ in answers]
    streams = [
        _audited(of_table, chosen, None if i else training, dataset, of_model)
        for i, (of_table, dataset, of_model) in enumerate(zip(answers, given, grids))
    ]
    counts = metrics.Counts()
    as_numbers: set[str] = set()
    for batches in _together(opened, streams, as_numbers):
        truths = [_truth_of(batch.codes) for batch in batches]
        for table, batch, codes in zip(opened[1:], batches[1:], truths[1:]):
            tables.check_same_truth(schema, truths[0], codes, first.path, table, batch.rows)
        columns: dict[str, npt.NDArray[np.int64]] = {}
        for i, batch in enumerate(batches):
            columns |= _flat(i, {k: v for k, v in batch.codes.items() if i == 0 or k[0] != TRUTH})
        _count(counts, columns, first.path)
    notes += [*guesses, *tables.notes_of(opened, given, split, answers)]
    notes += [tables.by_number(name) for name in sorted(as_numbers)]
    if any(ORIGINAL in table.types for table in opened):
        notes.append(
            "tables too large to be held are counted: their counterfactuals are in no figure"
        )
    truth, decided, images = _counted(counts, first.path, schema, len(opened))
    if data is not None:
        truth = replace(truth, predicted_masks=data.predicted_masks)
    models = [
        Samples(
            name, truth, pd.DataFrame(index=truth.samples.index), predicted, images, grids=of_model
        )
        for name, predicted, of_model in zip(model_names, decided, grids)
    ]
    if training is None or not training.total:
        return Counted(models, None, None, notes)
    reference, _, train_counts = _counted(training, first.path, schema, 0)
    return Counted(models, reference, train_counts, notes)


def read_truth(
    path: Path,
    like: Dataset,
    layout: Layout = PLAIN,
) -> tuple[Dataset, npt.NDArray[np.int64]]:
    """Count the truth of a training table; see `tables.read_truth`.

    Returns
    -------
    the different rows, and how many images each stands for
    """
    table, _ = _open(path, layout, partly=True)
    schema = tables.schema_of_truth(table, like.schema)
    counts = metrics.Counts()
    tables.check_truth(table, schema)
    for _, _, codes, _ in _decided(Answers(table, schema, {}, {}), []):
        _count(counts, _flat(0, codes), path)
    truth, _, images = _counted(counts, path, schema, 0)
    return truth, images


def write(models: Sequence[Samples], path: Path) -> None:
    """Write the joint counts of models as parquet: a row per combination of truth and answers."""
    truth = models[0].truth
    columns: dict[str, npt.NDArray[np.object_]] = {}
    for model in models:
        for (kind, head), codes in model.decided.items():
            columns[f"decided/{model.model}/{kind}/{head}"] = truth.schema.decode(head, codes).names
    _write_counts(truth, columns, models[0].counts, path)


def write_truth(truth: Dataset, counts: npt.NDArray[np.int64], path: Path) -> None:
    """Write the counts of a training split as parquet."""
    _write_counts(truth, {}, counts, path)


def _write_counts(
    truth: Dataset, columns: Mapping[str, Any], counts: npt.NDArray[np.int64] | None, path: Path
) -> None:
    """Write a table of the combinations of truth and predictions, and how often each occurs."""
    table = pd.DataFrame({f"{TRUTH}/{head}": truth.samples[head] for head in truth.schema})
    table = table.assign(**columns, n=counts)
    table.attrs["fairvision"] = truth.schema.as_json()
    with whole_file(path) as part:
        table.to_parquet(part, index=False)


def _open(path: Path, layout: Layout, *, partly: bool = False) -> tuple[Table, list[str]]:
    """Return a table of predictions opened for reading in batches; it must be parquet."""
    if is_csv(path):
        raise InputError(
            f"{path}: a table of more than {LIMIT} rows, and those it is compared with, must be "
            "parquet"
        )
    table, notes = tables.open_predictions(path, layout, partly=partly)
    if by_image(table) is not table:
        raise InputError(
            f"{path}: a table with a row per file (column {KIND}) of more than {LIMIT} rows, and "
            "those compared with it, cannot be counted: give columns score/…, hidden/… and person/…"
        )
    return table, notes


def _look(table: Table, columns: Sequence[str]) -> dict[str, tuple[bool, set[str] | None]]:
    """Return whether columns hold lists, and the labels in them, or None for too many."""
    seen: dict[str, tuple[bool, set[str] | None]] = {
        name: (False, None if table.not_text(name, lists=True) else set()) for name in columns
    }
    columns = [name for name in columns if seen[name][1] is not None]
    for _, batch in table.batches(columns, BATCH, coded=columns) if columns else ():
        for name in columns:
            lists, labels = seen[name]
            are_lists, more = look(batch.column(name))
            union = None if labels is None or len(labels | more) > VALUES else labels | more
            seen[name] = lists or are_lists, union
    return seen


def _decided(
    answers: Answers, also: Sequence[str], given: Given | None = None
) -> Iterator[tuple[int, pa.RecordBatch, Codes, Codes]]:
    """Yield the first row of a batch, its columns of `also`, truth and answers, and scores."""
    table, schema = answers.table, answers.schema
    heads = [head for head in schema if head in table.types]
    columns = list(dict.fromkeys([*also, *heads, *answers.columns]))
    coded = [*{"split"} & {*also}, *heads, *answers.labelled.values()]
    for start, batch in table.batches(columns, BATCH, coded=coded):
        truth = tables.truth_of(table, batch, schema, given, start)
        codes: Codes = {(TRUTH, head): truth[head] for head in schema}
        scores = answers.probabilities(batch, start)
        for (kind, head), probabilities in scores.items():
            codes[kind, head] = metrics.decide(probabilities, schema.is_many(head))
        codes |= answers.decisions(batch, start)
        yield start, batch, codes, scores


def _audited(
    answers: Answers,
    split: str | None,
    training: metrics.Counts | None,
    given: Given | None,
    grids: Grids,
) -> Iterator[_Batch]:
    """Yield the rows of a split, or all; count their scores, and the truth of training rows."""
    table = answers.table
    tables.check_truth(table, answers.schema, given)
    has_split = split is not None and "split" in table.types
    pairs = [ORIGINAL] if ORIGINAL in table.types else []
    also = ["id", *["split"] * has_split, *pairs]
    all_splits: set[str] = set()
    audited = 0
    for start, batch, codes, scores in _decided(answers, also, given):
        ids = _ids(table, start, batch.column("id"))
        is_image = ~_is_counterfactual(batch, pairs, given)
        rows = np.flatnonzero(is_image)
        if split is not None:
            splits = names(batch.column("split")) if has_split else np.array([None])
            all_splits |= {name for name in set(splits) if name is not None}
            if training is not None:
                of_training = (splits == "train") & is_image
                truth = {k: v[of_training] for k, v in codes.items() if k[0] == TRUTH}
                _count(training, _flat(0, truth), table.path)
            rows = np.flatnonzero((splits == split) & is_image)
        audited += len(rows)
        if len(rows) < len(batch):
            ids, codes = ids.take(rows), {key: values[rows] for key, values in codes.items()}
            scores = {key: values[rows] for key, values in scores.items()}
        if len(rows):
            count(grids, answers.schema, _truth_of(codes), scores)
        yield _Batch(start + rows, ids, codes)
    if not audited and split is not None:
        raise tables.no_split(table, split, all_splits)


def _is_counterfactual(
    batch: pa.RecordBatch, pairs: Sequence[str], given: Given | None
) -> npt.NDArray[np.bool_]:
    """Return which rows, (n,) bool, were made of others, as the table or the dataset says."""
    if pairs:
        return ~pd.isna(names(batch.column(pairs[0])))
    made = {} if given is None else given.pairs(names(batch.column("id")))
    return np.asarray(made[ORIGINAL].notna()) if made else np.zeros(len(batch), bool)


def _ids(table: Table, start: int, column: Any) -> Any:
    """Return ids as a plain column; raise `InputError` if one is empty."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    empty = column.is_null(nan_is_null=True)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        empty = pc.or_(empty, pc.fill_null(pc.equal(column, ""), True))
    if pc.any(empty).as_py():
        row = start + int(empty.to_numpy(zero_copy_only=False).argmax())
        raise table.place(row, "id").error("is empty")
    return column


def _together(
    opened: Sequence[Table], streams: Sequence[Iterator[_Batch]], as_numbers: set[str]
) -> Iterator[list[_Batch]]:
    """Yield batches of the same images; `InputError` where the ids differ.

    Names of tables whose ids are the same only as numbers are added to `as_numbers`.
    """
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
            if _check_same_ids(opened[0], same[0], opened[i], same[i]):
                as_numbers.add(opened[i].path.name)
        yield same
        waiting = [batch.part(size, len(batch.rows)) for batch in batches]


def _refuse_lengths(opened: Sequence[Table], waiting: Sequence[_Batch | None]) -> NoReturn:
    """Raise `InputError`: one table has more rows than another."""
    longer = next(i for i, batch in enumerate(waiting) if batch is not None)
    shorter = next(i for i, batch in enumerate(waiting) if batch is None)
    batch = waiting[longer]
    assert batch is not None
    raise (
        opened[longer]
        .place(batch.rows[0], "id")
        .error(
            f"{batch.ids[0].as_py()!r}, but {opened[shorter].path} has no more rows: {_ORDER}",
        )
    )


_ORDER = (
    "tables too large to be held must have the same pictures in the same order (sort them by id)"
)


def _check_same_ids(first: Table, a: _Batch, other: Table, b: _Batch) -> bool:
    """Raise `InputError` if ids differ; say whether they are the same as numbers only."""
    if a.ids.type == b.ids.type:
        if a.ids.equals(b.ids):
            return False
        differ = pc.not_equal(a.ids, b.ids).to_numpy(zero_copy_only=False)
    else:
        differ = names(a.ids) != names(b.ids)
    if not differ.any():
        return False
    numbers = [pd.Series(names(ids)).map(as_number) for ids in (a.ids, b.ids)]
    differ = (numbers[0] != numbers[1]).to_numpy()
    if differ.any():
        row = int(differ.argmax())
        raise other.place(b.rows[row], "id").error(
            f"{shown(b.ids[row].as_py())}, but {first.place(a.rows[row])} has "
            f"{shown(a.ids[row].as_py())}: {_ORDER}",
        )
    return True


def _truth_of(codes: Codes) -> dict[str, npt.NDArray[Any]]:
    """Return the codes (n,) of the annotations by head, without those of predictions."""
    return {head: values for (kind, head), values in codes.items() if kind == TRUTH}


def _flat(source: int, codes: Codes) -> dict[str, npt.NDArray[np.int64]]:
    """Return codes as columns of whole numbers, of one source each: many labels become words."""
    flat = {}
    for (kind, head), values in codes.items():
        words = pack(values) if values.ndim == 2 else values[:, None]
        for i, word in enumerate(words.T):
            flat[f"{source} {kind} {i} {head}"] = word
    return flat


def _count(counts: metrics.Counts, columns: dict[str, npt.NDArray[np.int64]], path: Path) -> None:
    """Add rows to the counts; raise `InputError` if they hold too many combinations."""
    counts.update(**columns)
    if counts.rows > COMBINATIONS and counts.different > COMBINATIONS:
        raise InputError(
            f"{path}: more than {COMBINATIONS} different combinations of truth and answers, too "
            "many to count: leave out attributes, tasks or labels, or audit fewer models at a time"
        )


def _counted(
    counts: metrics.Counts, path: Path, schema: Schema, models: int
) -> tuple[Dataset, list[Codes], npt.NDArray[np.int64]]:
    """Return the truth of each combination, what each model says, and how many images have it.

    Combinations are sorted, so the order of batches does not matter.
    """
    flat = dict(counts)
    images = flat.pop("counts")
    order = np.lexsort(list(flat.values()))

    def codes(source: int, kind: str, head: str) -> npt.NDArray[Any] | None:
        words = [
            flat[name] for i in range(len(flat)) if (name := f"{source} {kind} {i} {head}") in flat
        ]
        if not words:
            return None
        if schema.is_many(head):
            return unpack(np.column_stack(words)[order], len(schema.labels(head)))
        single: npt.NDArray[Any] = words[0][order]
        return single

    nothing = pd.Series(np.full(len(order), None), dtype=object)
    truth = Dataset.of_columns(
        schema,
        pd.DataFrame({"id": nothing, "split": nothing}),
        {
            head: schema.decode(head, values)
            for head in schema
            if (values := codes(0, TRUTH, head)) is not None
        },
        root=path,
        name=path.stem,
    )
    decided: list[Codes] = []
    for model in range(models):
        predicted = {
            (kind, head): values
            for kind in SCORES
            for head in schema
            if (values := codes(model, kind, head)) is not None
            and (kind == "score" or (values >= 0).any())
        }
        decided.append(predicted)
    return truth, decided, images[order]
