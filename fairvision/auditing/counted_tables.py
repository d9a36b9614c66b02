"""Tables of counts: a row per combination of truth and answers, and how many images have it.

It is what a GROUP BY gives where the predictions are, and what an audit of tables that it counted
writes. It is read as a table of so many rows, each of which then counts so often; so the figures
are those of the rows that were counted.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.auditing import tables
from fairvision.auditing.layouts import PLAIN, Layout, plain
from fairvision.auditing.names import model_names
from fairvision.auditing.probabilities import finite_numbers
from fairvision.auditing.streaming import LIMIT, TRUTH, Counted
from fairvision.core.tables import Table, is_csv, open_table
from fairvision.datasets import Dataset
from fairvision.errors import InputError, shown

COLUMNS = ("counts", "n")
"""What the column is called that says how many images a row stands for."""
_DECIDED = "decided/"  # what columns of answers begin with in the counts that an audit writes
_LARGEST = 1 << 24  # bytes of csv, which are read to look at the names of its columns

Numbers = npt.NDArray[np.int64]


def is_counted(path: Path, layout: Layout) -> bool:
    """Say whether a table has a column of counts, and no ids."""
    if path.is_file() and is_csv(path) and path.stat().st_size > _LARGEST:
        return False
    table, _ = plain(open_table(path), layout, partly=True)
    return "id" not in table.types and any(name in table.types for name in COLUMNS)


def read_predictions(
    files: Sequence[Path],
    names: Sequence[str] | None,
    *,
    split: str,
    attributes: Sequence[str] = (),
    layout: Layout = PLAIN,
) -> Counted:
    """Read the counts of what one model answers, or several to the same images.

    One model's table has a column of counts, the truth, and `predicted/<head>`. That of several has
    `truth/<head>` and `decided/<model>/score/<head>`, as an audit writes them.

    Parameters
    ----------
    files : one table: counts of each model apart do not say what two answer to the same image
    names : of the models; by default those in the columns, or the file's
    split, attributes, layout : as for `tables.read_predictions`

    Raises
    ------
    InputError
        One line naming file, row and column; or there are several tables.
    """
    if len(files) > 1:
        raise InputError(
            f"{files[0]} is a table of counts: give one table, with what all models answer to the "
            f"same pictures in a row ({_DECIDED}<model>/score/<attribute or task>)"
        )
    table, notes = plain(open_table(files[0]), layout)
    held, counts = _read(table)
    decided = [name.split("/", 3) for name in held.column_names if name.startswith(_DECIDED)]
    models = list(dict.fromkeys(parts[1] for parts in decided if len(parts) == 4))
    if names is not None or models:
        called = model_names([Path()] * max(1, len(models)), models if names is None else names)
    else:
        called = model_names(files)
    with _as_rows(table, [_of_model(held, model) for model in models or [""]]) as (rows, as_given):
        samples, reference, more = tables.read_predictions(
            rows, called, split=split, attributes=attributes
        )
    if any(len(parts) == 4 and parts[2] != "score" for parts in decided):
        more.append(f"{files[0].name}: answers to pictures with something hidden were not read")
    counted = [replace(of, counts=_counts_of(of.truth, counts)) for of in samples]
    train_counts = None if reference is None else _counts_of(reference, counts)
    return Counted(counted, reference, train_counts, [*notes, *map(as_given, more)])


def read_truth(path: Path, like: Dataset, layout: Layout = PLAIN) -> tuple[Dataset, Numbers]:
    """Read the counts of a training split; see `tables.read_truth`."""
    table, _ = plain(open_table(path), layout, partly=True)
    held, counts = _read(table)
    with _as_rows(table, [_of_model(held, "")]) as (rows, _):
        truth = tables.read_truth(rows[0], like)
    return truth, _counts_of(truth, counts)


def _read(table: Table) -> tuple[pa.Table, Numbers]:
    """Return a table without its column of counts, and these; `InputError` where one is wrong."""
    if table.rows > LIMIT:
        raise InputError(f"{table.path}: a table of counts may have {LIMIT:,} rows: group them")
    there = [name for name in COLUMNS if name in table.types]
    if len(there) > 1:
        raise InputError(f"{table.path} has {' and '.join(map(shown, there))}: leave one out")
    (name,) = there
    held = table.read()
    counts = finite_numbers(held[name], name, table.place)
    wrong = ~((counts >= 0) & (counts % 1 == 0))
    if wrong.any():
        row = int(wrong.argmax())
        raise table.place(row, name).error("is no number of pictures")
    return held.drop_columns([name]), counts.astype(np.int64)


def _of_model(held: pa.Table, model: str) -> pa.Table:
    """Return the truth and the answers of a model as columns of a plain table, numbered."""
    answers = f"{_DECIDED}{model}/score/"
    columns = {"id": pa.array(np.arange(len(held)).astype(str))}
    for name in held.column_names:
        if name.startswith(answers):
            columns[f"predicted/{name.removeprefix(answers)}"] = held[name]
        elif not name.startswith(_DECIDED):
            columns[name.removeprefix(f"{TRUTH}/")] = held[name]
    return pa.table(columns)


@contextmanager
def _as_rows(
    table: Table, of_models: Sequence[pa.Table]
) -> Iterator[tuple[list[Path], Callable[[str], str]]]:
    """Yield files with what models answer, and what names the table in messages instead of them."""
    with tempfile.TemporaryDirectory(prefix="fairvision-") as folder:
        files = [Path(folder, f"{i}", table.path.name) for i in range(len(of_models))]
        files = [file.with_suffix(".parquet") for file in files]
        for file, of_model in zip(files, of_models):
            file.parent.mkdir()
            noted = {"PANDAS_ATTRS": json.dumps({"fairvision": table.note})}
            pq.write_table(of_model.replace_schema_metadata(noted), file)

        def as_given(text: str) -> str:
            for file in files:
                text = text.replace(os.fspath(file), str(table.path))
            return text.replace(files[0].name, table.path.name)

        try:
            yield files, as_given
        except InputError as error:
            raise InputError(as_given(str(error))) from None


def _counts_of(truth: Dataset, counts: Numbers) -> Numbers:
    """Return how many images rows stand for, by their numbers."""
    return counts[truth.samples["id"].to_numpy(object).astype(np.int64)]
