"""The table of a dataset folder, with no Python object for each of its rows.

Text that differs from row to row (ids and paths) stays in arrow's memory; of groups and labels each
row points to one of a few shared objects. Millions of rows take some hundred bytes each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fairvision.core.files import inside, is_of_system
from fairvision.core.table_files import not_text, open_parquet, read_csv, read_parquet
from fairvision.errors import InputError, shown
from fairvision.schema import SEPARATOR, Schema

SPLITS = ("train", "val", "test")
TEXT = pd.StringDtype("pyarrow", na_value=np.nan)
"""How ids and paths are held; missing ones are NaN."""

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


def read_samples(root: Path, schema: Schema) -> pd.DataFrame:
    """Read and check the table of a dataset folder; see `Dataset.samples`.

    Raises
    ------
    InputError
        One line naming file, row and column of what cannot be used.
    """
    files = table_files(root)
    many = [name for name in schema if schema.is_many(name)]
    named = {"split": SPLITS, **schema.heads}
    parts = [_read_text(path, ["id", "image", "mask", *named], named, many) for path in files]
    rows = _Rows(files, [len(part["id"]) for part in parts])
    if not rows.total:
        raise InputError(f"{files[0]} has no rows")
    text = {name: pa.chunked_array([c for p in parts for c in p[name].chunks]) for name in parts[0]}
    del parts
    rows.ids = text["id"]
    for column in ("id", "image", "split"):
        rows.refuse(pc.is_null(text[column]), column, "is empty")
    _check_unique(rows, text["id"])
    for column in ("image", "mask"):
        _check_paths(root, rows, text[column], column)
    samples = {}
    for column, values in text.items():
        if column in named:
            shared = _shared(rows, column, values, named[column], column in many)
            samples[column] = pd.Series(shared, dtype=object)
        else:
            samples[column] = _held(values)
    return pd.DataFrame(samples)


def cell_text(value: Any) -> str | None:
    """Return a cell as text; None where it is empty."""
    return None if is_empty(value) or str(value) == "" else str(value)


def is_empty(value: Any) -> bool:
    """Return whether a cell holds nothing."""
    return value is None or (isinstance(value, float) and np.isnan(value))


class _Rows:
    """The rows of all files, to say where one stands."""

    def __init__(self, files: Sequence[Path], counts: Sequence[int]):
        self.files, self.ends = files, np.cumsum(counts)
        self.total = int(self.ends[-1])
        self.ids: pa.ChunkedArray | None = None

    def refuse(self, wrong: Any, column: str, say: str | Callable[[int], str]) -> None:
        """Raise `InputError` for the first row that is wrong, if there is one."""
        at = np.flatnonzero(np.asarray(wrong))
        if not len(at):
            return
        row = int(at[0])
        others = f" (and {len(at) - 1} more rows)" if len(at) > 1 else ""
        file = int(np.searchsorted(self.ends, row, side="right"))
        own = row - (int(self.ends[file - 1]) if file else 0) + 1
        who = ""
        if column != "id" and self.ids is not None:
            who = f" (id {self.ids[row].as_py()!r})"
        where = f"{self.files[file]} row {own}{who}, column {column!r}"
        raise InputError(f"{where}: {say if isinstance(say, str) else say(row)}{others}")


def _read_text(
    path: Path, wanted: Sequence[str], named: Mapping[str, Sequence[str]], many: Collection[str]
) -> dict[str, pa.ChunkedArray]:
    """Return the columns of a file as text: null where empty; labels joined, "" for none."""
    if path.suffix == ".csv":
        table = read_csv(path)
        there = table.column_names
    else:
        there = open_parquet(path).schema_arrow.names
        table = read_parquet(path, wanted)
    for column in wanted:
        if column != "mask" and column not in there:
            raise InputError(f"{path} has no column {shown(column)}: it has {', '.join(there)}")
    rows, found = _Rows([path], [len(table)]), {}
    for column in wanted:
        if column not in there:
            found[column] = pa.chunked_array([pa.nulls(len(table), _STRINGS)])
            continue
        values = table[column]
        is_list = pa.types.is_list(values.type) or pa.types.is_large_list(values.type)
        if column in many and (is_list or pa.types.is_fixed_size_list(values.type)):
            found[column] = _joined(rows, column, values, named[column])
        elif reason := not_text(values.type):
            raise InputError(f"{path}, column {shown(column)} {reason}")
        else:
            found[column] = _as_text(values)
    return found


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        text = column.cast(_STRINGS)
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, _STRINGS), text)
    chunks = [pa.array(map(cell_text, chunk.to_pylist()), _STRINGS) for chunk in column.chunks]
    return pa.chunked_array(chunks, _STRINGS)


def _joined(
    rows: _Rows, column: str, lists: pa.ChunkedArray, labels: Sequence[str]
) -> pa.ChunkedArray:
    """Return lists of labels as text; labels hold no separator."""
    joined, start = [], 0
    for chunk in lists.chunks:
        chunk = chunk.cast(pa.large_list(chunk.type.value_type))
        flat = _as_text(pa.chunked_array([chunk.flatten()])).combine_chunks()
        wrong = np.flatnonzero(~pc.is_in(flat, pa.array(labels, _STRINGS)).to_numpy(False))
        if len(wrong):
            which = pc.list_parent_indices(chunk).to_numpy(False)[wrong] + start
            value = str(chunk.flatten()[int(wrong[0])].as_py())
            mask = np.isin(np.arange(rows.total), which)
            rows.refuse(mask, column, _not_one_of(value, labels))
        length = pc.fill_null(pc.list_value_length(chunk), 0).to_numpy(False)
        offsets = pa.array(np.append(0, np.cumsum(length)), pa.int64())
        text = pc.binary_join(
            pa.LargeListArray.from_arrays(offsets, flat), pa.scalar(SEPARATOR, _STRINGS)
        )
        joined.append(pc.if_else(pc.is_null(chunk), pa.scalar(None, _STRINGS), text))
        start += len(chunk)
    return pa.chunked_array(joined, _STRINGS)


def _shared(
    rows: _Rows, column: str, text: pa.ChunkedArray, allowed: Sequence[str], many: bool
) -> np.ndarray:
    """Return names, or tuples of names, of which rows that say the same share one object."""
    coded = text.dictionary_encode().unify_dictionaries()
    chunks = [pc.fill_null(c.indices, -1).to_numpy(zero_copy_only=False) for c in coded.chunks]
    codes = np.concatenate(chunks)
    names = coded.chunk(0).dictionary.to_pylist() if coded.num_chunks else []
    known = set(allowed)
    cells: list[Any] = [*(_labels(name) if many else name for name in names), None]
    alien = [[x for x in (cell if many else (cell,)) if x not in known] for cell in cells[:-1]]
    rows.refuse(
        np.array([*map(bool, alien), False])[codes],
        column,
        lambda row: _not_one_of(alien[codes[row]][0], allowed),
    )
    objects = np.empty(len(cells), object)
    for i, cell in enumerate(cells):
        objects[i] = cell
    shared: np.ndarray = objects[codes]
    return shared


def _labels(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(SEPARATOR)))


def _not_one_of(value: str, allowed: Sequence[str]) -> str:
    return f"{shown(value)} is not one of {', '.join(sorted(allowed))}"


def _held(text: pa.ChunkedArray) -> pd.Series:
    return pa.table({"text": text}).to_pandas(types_mapper={_STRINGS: TEXT}.get)["text"]


def _check_unique(rows: _Rows, ids: pa.ChunkedArray) -> None:
    if pc.count_distinct(ids).as_py() < len(ids):
        twice = _held(ids).duplicated()
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
                own = [entry.name for entry in entries if entry.is_symlink()]
        except (OSError, ValueError):  # what is missing is told where it is read
            continue
        links += [f"{parent}/{name}" if parent else name for name in own]
    if links:
        for path in paths.filter(pc.is_in(paths, pa.array(links, _STRINGS))).to_pylist():
            inside(root, path)
