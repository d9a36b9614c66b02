"""Counts as tables of Arrow and back: how they are kept in files, and added across machines."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fairvision.core.arrow_streams import is_stream
from fairvision.core.tables import is_list
from fairvision.errors import InputError, reading
from fairvision.metrics.counts import Counts, lists_as_table
from fairvision.metrics.score_counts import ScoreCounts

_KEY = b"fairvision.counts"  # in the metadata of a table: what its columns are
_NAME = "the table of counts"


def to_arrow(counted: Counts | ScoreCounts) -> pa.Table:
    """Return all that was counted as a table, for `from_arrow`.

    Parameters
    ----------
    counted : Counts or ScoreCounts

    Returns
    -------
    pyarrow.Table
        A row per combination, or per cell that has images. Parquet files, Arrow files and pyarrow
        keep the notes that it has beside its columns; what drops these cannot be read again.

    Examples
    --------
    >>> import io
    >>> import pyarrow.parquet as pq
    >>> from fairvision import metrics
    >>> here, there, file = metrics.ScoreCounts(), metrics.ScoreCounts(), io.BytesIO()
    >>> there.update([1, 0], [0.9, 0.3])
    >>> pq.write_table(metrics.to_arrow(there), file)
    >>> here.update([0], [0.95])
    >>> here.merge(metrics.from_arrow(pq.read_table(file)))
    >>> here.total, float(here.roc_auc(replicates=0))
    (3, 0.5)
    """
    if isinstance(counted, ScoreCounts):
        columns, notes = counted.state()
    elif isinstance(counted, Counts):
        columns, notes = _of_counts(counted)
    else:
        raise InputError(f"only Counts and ScoreCounts can be kept, not {type(counted).__name__}")
    text = json.dumps(notes, default=lambda number: number.item())
    return pa.table(columns).replace_schema_metadata({_KEY: text.encode()})


def from_arrow(table: Any) -> Counts | ScoreCounts:
    """Return what was counted, of a table that `to_arrow` made.

    Parameters
    ----------
    table : anything with `__arrow_c_stream__`
        As pyarrow reads it from a file.

    Returns
    -------
    Counts or ScoreCounts
        The figures are the same to the last digit.

    Raises
    ------
    InputError
        It is no such table, lacks its notes, or is damaged.

    Examples
    --------
    >>> from fairvision import metrics
    >>> counts = metrics.Counts()
    >>> counts.update(truth=["cat", "dog"], predicted=["cat", "cat"])
    >>> metrics.accuracy(**metrics.from_arrow(metrics.to_arrow(counts)), replicates=0)
    accuracy = 0.5 [nan, nan] (n = 2)
    """
    if not is_stream(table):
        raise InputError(f"{type(table).__name__} is no table of Arrow: read it with pyarrow")
    with reading(_NAME):
        held = pa.RecordBatchReader.from_stream(table).read_all()
    noted = (held.schema.metadata or {}).get(_KEY)
    if noted is None:
        raise InputError("the table was not made by to_arrow, or has lost its notes")
    with reading(_NAME, "a table of counts"):
        notes = json.loads(noted)
        if "grid" in notes:
            columns = {name: held[name].to_numpy() for name in held.column_names}
            return ScoreCounts.of_state(columns, notes)
        return _as_counts(held, notes)


def _of_counts(counted: Counts) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts as columns, tables as lists, and what else there is to know of them."""
    columns: dict[str, Any] = {}
    labels, categories = {}, {}
    for name, values in counted.items():
        if isinstance(values, pd.DataFrame):
            columns[name], labels[name] = pa.array(values.to_numpy().tolist()), list(values)
        elif isinstance(values, pd.Categorical):
            categories[name] = list(values.categories)
        if name not in columns:
            columns[name] = pa.array(np.asarray(values), from_pandas=True)
    return columns, {"keyword": counted.keyword, "labels": labels, "categories": categories}


def _as_counts(held: pa.Table, notes: dict[str, Any]) -> Counts:
    """Return counts of columns, see `_of_counts`."""
    counted, columns = Counts(str(notes["keyword"])), dict[str, Any]()
    for name in held.column_names:
        column = held[name]
        if is_list(column.type):
            table = lists_as_table(name, column)
            columns[name] = pd.DataFrame(table, columns=notes["labels"][name])
        elif name in notes["categories"]:
            columns[name] = pd.Categorical(column.to_pylist(), notes["categories"][name])
        else:
            columns[name] = column
    if columns:
        counted.update(**columns)
    return counted
