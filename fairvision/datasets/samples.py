"""The table of a dataset folder, with no Python object for each of its rows.

Text that differs from row to row (ids and paths) stays in arrow's memory; groups and labels are
codes. Millions of rows take some hundred bytes each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fairvision.core.files import inside, is_of_system
from fairvision.core.tables import Place, Table, open_table, place_of
from fairvision.datasets import captions, counterfactuals
from fairvision.datasets.dataset import SPLITS, TEXT
from fairvision.datasets.label_columns import cell_text, read_labels, texts
from fairvision.errors import InputError, shown
from fairvision.schema import Column, Schema, joined

_COLUMNS = ("id", "image", "mask", "split", *counterfactuals.COLUMNS)
_STRINGS = pa.large_string()


def table_files(root: Path) -> list[Path]:
    """Return the files that hold the table, in the order of their rows.

    That is `samples.parquet`, or the parquet files in a folder of that name, or those called
    `samples-….parquet`, or `samples.csv`; several of them in the order of their names.
    """
    table = root / "samples.parquet"
    if table.is_file():
        return [table]
    shards = table.glob("*.parquet") if table.is_dir() else root.glob("samples-*.parquet")
    files = sorted(p for p in shards if p.is_file() and not is_of_system(p.name))
    if not files and (root / "samples.csv").is_file():
        return [root / "samples.csv"]
    if not files:
        raise InputError(f"{root} has neither samples.parquet nor samples.csv")
    return files


def read_samples(root: Path, schema: Schema) -> tuple[pd.DataFrame, dict[str, Column]]:
    """Read and check the table of a dataset folder.

    Returns
    -------
    the columns `id`, `image`, `mask` and `split` of `Dataset.samples`, where there are
    counterfactuals `counterfactual_of` and `changed`, and where the table has it `captions`; and
    those of the attributes and tasks

    Raises
    ------
    InputError
        One line naming file, row and column of what cannot be used.
    """
    files = table_files(root)
    tables = [open_table(path, may_be_empty=True) for path in files]
    rows = _Rows(files, [table.rows for table in tables])
    if not rows.total:
        raise InputError(f"{files[0]} has no rows")
    parts = [_read_part(table, schema, rows, i) for i, table in enumerate(tables)]
    text = {c: pa.chunked_array([x for p, *_ in parts for x in p[c].chunks]) for c in _COLUMNS}
    columns = {name: joined([column[name] for _, column, _ in parts]) for name in schema}
    lists = pa.chunked_array([captioned for *_, captioned in parts], captions.TYPE)
    del parts
    for column in ("id", "image", "split"):
        rows.refuse(pc.is_null(text[column]), column, "is empty")
    _check_unique(rows, text["id"])
    for column in ("image", "mask"):
        _check_paths(root, rows, text[column], column)
    samples = {column: _as_series(text[column]) for column in ("id", "image", "mask")}
    samples["split"] = pd.Series(_splits(rows, text["split"]), dtype=object)
    pairs = {c: text[c] for c in counterfactuals.COLUMNS}
    has_column = any(counterfactuals.ORIGINAL in table.types for table in tables)
    if has_column and any(column.null_count < rows.total for column in pairs.values()):
        samples |= {name: _as_series(column) for name, column in pairs.items()}
        counterfactuals.check_originals(pd.DataFrame(samples), rows.refuse)
    if captions.COLUMN not in schema and any(captions.COLUMN in table.types for table in tables):
        samples[captions.COLUMN] = captions.as_series(lists)
    return pd.DataFrame(samples), columns


class _Rows:
    """The rows of all files, to say where one stands."""

    def __init__(self, files: Sequence[Path], counts: Sequence[int]):
        self.files, self.counts, self.total = files, counts, sum(counts)
        self.ids: list[pa.ChunkedArray] = []  # of the files that were read

    def place(self, row: int, column: str) -> Place:
        """Return where a row, from 0 on, stands, with its id where that is known."""
        place = place_of(self.files, self.counts, row, column)
        ids = pa.chunked_array([chunk for ids in self.ids for chunk in ids.chunks], _STRINGS)
        return place if column == "id" else replace(place, id=ids[row].as_py())

    def refuse(self, wrong: Any, column: str, problem: str | Callable[[int], str]) -> None:
        """Raise `InputError` for the first row that is wrong, if there is one."""
        indices = np.flatnonzero(np.asarray(wrong))
        if len(indices):
            row = int(indices[0])
            others = f" (and {len(indices) - 1} more rows)" if len(indices) > 1 else ""
            text = problem if isinstance(problem, str) else problem(row)
            raise self.place(row, column).error(f"{text}{others}")


def _read_part(
    table: Table, schema: Schema, rows: _Rows, part: int
) -> tuple[dict[str, pa.ChunkedArray], dict[str, Column], pa.LargeListArray]:
    """Return text, null where empty, the columns and the captions of one file of the table."""
    table.check_columns(["id", "image", "split", *schema])
    present = [name for name in (*_COLUMNS, *schema) if name in table.types]
    for name in present:
        table.check_text(name, lists=schema.is_many(name))
    captioned = captions.COLUMN in table.types and captions.COLUMN not in schema
    if captioned:
        captions.check_captions(Place(table.path, captions.COLUMN), table.types[captions.COLUMN])
        present.append(captions.COLUMN)
    held = table.read(present)
    text = {column: _text(held, column) for column in _COLUMNS}
    rows.ids.append(text["id"])
    start = sum(rows.counts[:part])

    def place_of(row: int, column: str) -> Place:
        return rows.place(start + row, column)

    columns = {name: read_labels(schema, name, held[name], place_of) for name in schema}
    if not captioned:
        return text, columns, pa.nulls(len(held), captions.TYPE)
    return text, columns, captions.parse_captions(held[captions.COLUMN], place_of)


def _text(held: pa.Table, column: str) -> pa.ChunkedArray:
    """Return a column as text: null where empty, or where there is no such column."""
    if column not in held.column_names:
        return pa.chunked_array([pa.nulls(len(held), _STRINGS)])
    values = held[column]
    if values.type == _STRINGS or pa.types.is_integer(values.type):
        text = values.cast(_STRINGS)
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, _STRINGS), text)
    chunks = [pa.array(map(cell_text, chunk.to_pylist()), _STRINGS) for chunk in values.chunks]
    return pa.chunked_array(chunks, _STRINGS)


def _splits(rows: _Rows, column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """Return the split of each row, of which equal ones share one object."""
    codes, names = texts(column)
    strange = np.array([name not in SPLITS for name in names])
    rows.refuse(
        strange[codes],
        "split",
        lambda row: f"{shown(names[codes[row]])} is not one of {', '.join(sorted(SPLITS))}",
    )
    return np.array(names, dtype=object)[codes]


def _as_series(text: pa.ChunkedArray) -> pd.Series:
    """Return Arrow text as a pandas column."""
    table: pd.DataFrame = pa.table({"text": text}).to_pandas(types_mapper={_STRINGS: TEXT}.get)
    return table["text"]


def _check_unique(rows: _Rows, ids: pa.ChunkedArray) -> None:
    """Refuse the rows whose id an earlier row has already."""
    if pc.count_distinct(ids).as_py() < len(ids):
        twice = _as_series(ids).duplicated()
        rows.refuse(twice, "id", lambda row: f"{ids[row].as_py()!r} is there twice")


def _check_paths(root: Path, rows: _Rows, paths: pa.ChunkedArray, column: str) -> None:
    """Raise `InputError` where a path leaves its folder, also by a link."""

    away = pc.or_(pc.starts_with(paths, "/"), pc.match_substring_regex(paths, r"(^|/)\.\.(/|$)"))
    rows.refuse(
        pc.fill_null(away, False),
        column,
        lambda row: f"path {paths[row].as_py()!r} leaves its folder",
    )
    links: list[str] = []
    for parent in pc.unique(pc.replace_substring_regex(paths, r"/?[^/]*$", "")).to_pylist():
        if parent is None:
            continue
        inside(root, parent)
        try:
            with os.scandir(root / parent) as entries:
                names = [entry.name for entry in entries if entry.is_symlink()]
        except (OSError, ValueError):  # what is missing is refused where it is read
            continue
        links += [f"{parent}/{name}" if parent else name for name in names]
    if links:
        for path in paths.filter(pc.is_in(paths, pa.array(links, _STRINGS))).to_pylist():
            inside(root, path)
