"""Tables too large for memory, or spread over machines: counted in batches, measured as counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fairvision.core.arrow_streams import is_stream, read_stream
from fairvision.core.tables import is_list
from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Objects
from fairvision.metrics._engine.inputs import as_column, is_table, read_table
from fairvision.metrics._engine.rows import condense, split_counts


class Counts(Mapping[str, Any]):
    """How many images have each combination of values, summed over batches.

    A measure of the counts is that of the rows, to the last digit: it is a mapping of its columns
    and `counts`, to be passed on as keywords. Memory grows with the number of different rows, not
    with that of images; for labels, groups and decisions these are few.

    Parameters
    ----------
    keyword : str
        Under which name the counts are passed on: "counts", or "train_counts" for training.

    Examples
    --------
    >>> from fairvision import metrics
    >>> counts = metrics.Counts()
    >>> counts.update(truth=["cat", "dog"], predicted=["cat", "cat"])
    >>> counts.update(truth=["dog", None], predicted=["dog", "dog"])
    >>> metrics.accuracy(**counts, replicates=0)
    accuracy = 0.6667 [nan, nan] (n = 3)

    Counts from another process or file are added:

    >>> other = metrics.Counts()
    >>> other.update(truth=["dog"], predicted=["dog"])
    >>> counts.merge(other)
    >>> counts.total, float(metrics.accuracy(**counts))
    (5, 0.75)
    """

    def __init__(self, keyword: str = "counts") -> None:
        self.keyword = keyword
        self._summed: pd.DataFrame | None = None  # a column of counts, and those of the keys
        self._waiting: list[pd.DataFrame] = []  # the same of batches, not summed yet
        self._labels: dict[str, list[Any]] = {}  # of columns that are tables
        self._declared: dict[str, pd.Index] = {}  # categories that columns declare

    def __copy__(self) -> Counts:
        copied = Counts(self.keyword)
        copied.merge(self)
        return copied

    @property
    def total(self) -> int:
        """Number of images counted."""
        return 0 if self._table is None else int(self._table[_N].sum())

    @property
    def rows(self) -> int:
        """Number of rows kept, on which memory depends: at first one per batch and combination."""
        return sum(map(len, self._waiting)) + (0 if self._summed is None else len(self._summed))

    @property
    def different(self) -> int:
        """Number of different rows counted."""
        return 0 if self._table is None else len(self._table)

    def update(self, stream: Any = None, /, **columns: Any) -> None:
        """Count the rows of a batch, or those of a whole table that another library holds.

        Parameters
        ----------
        stream : anything with `__arrow_c_stream__`
            Instead of columns: a relation of DuckDB, a frame of Polars or pandas, a table, reader
            or scanner of pyarrow. Its columns are named as below, with a value or a list of numbers
            in each row; categories are read as their names. It is read once, some rows at a time;
            where it fails on the way, nothing of it is counted.
        **columns : (n,) values, or (n, labels) tables of numbers
            The same columns in every batch, named as the arguments of the measure. One named as
            the `keyword` says how many images each row stands for.

        Raises
        ------
        InputError
            The columns are not those of the first batch, or differ in length; what is to be
            counted is no stream, or cannot be read to its end.

        Examples
        --------
        >>> import pyarrow as pa
        >>> counts = Counts()
        >>> counts.update(pa.table({"truth": ["cat", "dog", "cat"], "counts": [5, 2, 1]}))
        >>> counts.total, counts.different
        (8, 2)
        """
        if stream is not None:
            self._update_from(stream, columns)
            return
        given = {name: as_column(name, values) for name, values in columns.items()}
        missing = [name for name, values in given.items() if values is None]
        if missing or not {*given} - {self.keyword} or _N in given:
            raise InputError(f"{', '.join(missing) or 'columns of the measures'} must be given")
        given, row_counts = split_counts(given, self.keyword)
        for name, values in given.items():
            if isinstance(getattr(values, "dtype", None), pd.CategoricalDtype):
                self._declare(name, pd.CategoricalIndex(values).categories)
        _, counts, units = condense(given, row_counts)
        columns = {}
        for name, values in units.items():
            if is_table(name, values):
                columns[name], labels = _pack_rows(name, values)
                if self._labels.setdefault(name, labels) != labels:
                    raise InputError(f"{name} has other labels than in the batches before")
            else:
                whole = getattr(values, "dtype", None) in (np.int64, np.int32, np.int16, np.int8)
                kind = np.dtype(np.int64 if whole else object)
                columns[name] = pd.Series(np.asarray(values, dtype=kind), dtype=kind)
        self._add(pd.DataFrame(columns).assign(**{_N: counts}))

    def _update_from(self, stream: Any, columns: Mapping[str, Any]) -> None:
        """Count the rows of a stream, all or none."""
        if columns:
            raise InputError("give a stream or columns, not both")
        if not is_stream(stream):
            kind = type(stream).__name__
            raise InputError(
                f"{kind} is no stream of Arrow: it has no __arrow_c_stream__ (name columns, as in "
                "truth=…; a lazy frame is collected first)"
            )
        counts = Counts(self.keyword)
        for table in read_stream(stream, "the stream"):
            if not len(table) and any(map(is_list, table.schema.types)):
                continue  # of how many labels, no row says
            alike = _taken_together(table, self.keyword)
            named = zip(alike.column_names, alike.columns)
            counts.update(**{name: lists_as_table(name, column) for name, column in named})
        self.merge(counts)

    def merge(self, other: Counts) -> None:
        """Add the counts of other rows with the same columns.

        Raises
        ------
        InputError
            The columns or their labels are not the same.
        """
        if not isinstance(other, Counts):
            raise InputError(f"only Counts can be merged, not {type(other).__name__}")
        if other._table is None:
            return
        self._check_columns(other._table)
        for name, labels in other._labels.items():
            if self._labels.setdefault(name, labels) != labels:
                raise InputError(f"{name} has other labels in the counts to be merged")
        for name, categories in other._declared.items():
            self._declare(name, categories)
        self._add(other._table)

    def __getitem__(self, name: str) -> Any:
        if self._table is None or name not in tuple(self):
            raise KeyError(name)
        column = self._table[_N if name == self.keyword else name]
        if name == self.keyword:
            return column.to_numpy()
        if name in self._labels:
            return _unpack_rows(column, self._labels[name])
        if name in self._declared:
            return _categorical(column, self._declared[name])
        return column.to_numpy()

    def __iter__(self) -> Iterator[str]:
        if self._table is not None:
            yield from (str(name) for name in self._table if name != _N)
            yield self.keyword

    def __len__(self) -> int:
        return 0 if self._table is None else self._table.shape[1]

    def _declare(self, name: str, categories: pd.Index) -> None:
        """Remember the categories of a column, those of other batches first."""
        declared = self._declared.get(name)
        if declared is None:
            self._declared[name] = categories
        elif declared is not categories:
            self._declared[name] = declared.append(categories.difference(declared, sort=False))

    def _add(self, table: pd.DataFrame) -> None:
        """Take the counts of a batch; they are summed once they are many."""
        self._check_columns(table)
        self._waiting.append(table)
        summed = 0 if self._summed is None else len(self._summed)
        if sum(map(len, self._waiting)) > summed + _WAITING:
            self._sum()

    def _check_columns(self, table: pd.DataFrame) -> None:
        """Raise `InputError` where a batch has other columns than those before."""
        first = self._waiting[0] if self._summed is None and self._waiting else self._summed
        if first is not None and set(first) != set(table):
            raise InputError(
                f"the columns are {', '.join(map(str, table))[: -len(_N) - 2]}, but those "
                f"counted before {', '.join(map(str, first))[: -len(_N) - 2]}"
            )

    def _sum(self) -> pd.DataFrame | None:
        """Return the table of counts, all batches in it."""
        if self._waiting:
            before = [] if self._summed is None else [self._summed]
            table = pd.concat([*before, *self._waiting], ignore_index=True)
            keys = [name for name in table if name != _N]
            # Not by the index of the sums, where whole numbers beside None would become floats.
            row = table.groupby(keys, dropna=False, sort=False).ngroup().to_numpy()
            _, place = np.unique(row, return_index=True)
            first = table.iloc[place].reset_index(drop=True)
            sums = np.zeros(len(first), np.int64)
            np.add.at(sums, row, table[_N].to_numpy())
            self._summed, self._waiting = first.assign(**{_N: sums}), []
        return self._summed

    @property
    def _table(self) -> pd.DataFrame | None:
        """The counts of all batches, None before the first."""
        return self._sum()


_WAITING = 50_000  # different rows of batches that are kept before they are summed
_NAN = -128  # stands for it in a byte
_N = " n"  # no argument of a measure has this name


def _taken_together(table: pa.Table, keyword: str) -> pa.Table:
    """Return rows that are alike once, with how many there are; none are taken with lists."""
    if keyword in table.column_names or any(map(pa.types.is_nested, table.schema.types)):
        return table
    names = table.column_names
    counted = table.group_by(names).aggregate([([], "count_all")])
    return counted.rename_columns({"count_all": keyword})


def lists_as_table(name: str, column: pa.ChunkedArray) -> Any:
    """Return lists of n numbers each as a table (rows, n); other columns as they are."""
    if not is_list(column.type):
        if pa.types.is_nested(column.type):
            raise InputError(f"{name} must hold a value or a list of numbers, not {column.type}")
        return column
    lengths = pc.list_value_length(column).unique()
    if len(lengths) > 1 or lengths[0].as_py() is None:
        raise InputError(f"{name} must hold lists of one length, a number for each label")
    return pc.list_flatten(column).to_numpy().reshape(len(column), -1)


def _categorical(column: pd.Series, declared: pd.Index) -> pd.Categorical:
    """Return values of declared categories, and of those that other batches hold beside them."""
    names = pd.Index(column.dropna().unique(), dtype=object)
    strays = names.difference(declared.astype(object), sort=False)
    return pd.Categorical(column, declared.astype(object).append(strays))


def _pack_rows(name: str, values: Any) -> tuple[Objects, list[Any]]:
    """Return each row of a table as bytes, a byte per number if all are 0, 1 or unknown."""
    numbers, labels = read_table(name, values)
    whole = np.where(np.isnan(numbers), _NAN, numbers)
    rows = whole.astype(np.int8) if np.isin(whole, (-1, 0, 1, _NAN)).all() else numbers
    packed = np.empty(len(rows), dtype=object)
    packed[:] = [row.tobytes() for row in rows]
    return packed, labels


def _unpack_rows(column: pd.Series, labels: list[Any]) -> pd.DataFrame:
    """Return the table of rows that `_pack_rows` packed."""
    kinds = {len(labels): np.int8, 8 * len(labels): np.float64}
    rows = [np.frombuffer(row, kinds[len(row)]) for row in column]
    numbers = np.array(rows).reshape(len(rows), len(labels))
    small = np.array([row.dtype == np.int8 for row in rows], dtype=bool)[:, None]
    unknown = small & (numbers == _NAN)
    numbers = np.where(unknown, np.nan, numbers) if unknown.any() else numbers
    return pd.DataFrame(numbers, columns=labels)
