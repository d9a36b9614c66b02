"""Rows that are alike are taken together: a measure then works on few of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Array, Bools, Columns, Floats, Ints, Labels
from fairvision.metrics._engine.bootstrap import Drawing, Sample, Sampling
from fairvision.metrics._engine.clusters import check_strata, read_clusters
from fairvision.metrics._engine.inputs import (
    as_column,
    check_rows,
    is_table,
    read_groups,
    read_labels,
    read_mask,
    read_values,
    take_rows,
    zeros_and_ones,
)

_MOST = 1 << 53  # images: floats count no further one by one
_HEAVIEST = 1e100  # a weight that can still be added up
_SPAN = 4096  # whole numbers in so small a range are codes as they are
_LISTED = 1 << 20  # combinations that are counted in an array rather than looked up
_ODD = np.uint64(0x9E3779B97F4A7C15)  # mixes bits when multiplied by
_BLOCK = 1 << 16  # rows that are counted together, where there are few combinations
_FIRST = 4096  # rows in which a row of each unit is looked for first
_FEW = 8  # whole numbers that are told apart by comparing them
_SHORT = 64  # bytes of strings of fixed width that are compared as numbers

Coded = tuple[Ints | None, int]  # codes from 0 on, and how many there may be


class Rows(Mapping[str, Any]):
    """Columns with one entry per unit, and the sample that says how many images each stands for.

    Columns that are None are left out. Where most images are different, and in tables (rows ×
    labels) that hold other numbers than 0, 1 and unknown, every row is a unit.
    """

    def __init__(
        self, columns: Mapping[str, ArrayLike | None], sampling: Sampling | None = None
    ) -> None:
        options: Columns = dict(sampling or {})
        also = {
            name: options.pop(name, None) for name in ("counts", "weights", "strata", "cluster")
        }
        unexpected = options.keys() - {option.name for option in fields(Drawing)}
        if unexpected:
            raise TypeError(f"unexpected keyword argument {min(unexpected)!r}")
        read = {name: as_column(name, values) for name, values in {**columns, **also}.items()}
        given, row_counts = split_counts(read)
        clusters = given.pop("cluster", None)
        cluster = None if clusters is None else read_clusters(clusters, row_counts)
        given = {name: _zeros_and_ones_as_booleans(name, values) for name, values in given.items()}
        if "weights" in given and _all_the_same(_read_weights(given["weights"])):
            del given["weights"]
        drawing = Drawing(**options)
        units, counts, self._columns = condense(given, row_counts, drawing.replicates > 0)
        weight = self._columns.pop("weights", None)
        strata = self._columns.pop("strata", None)
        stratum = None if strata is None else _read_strata(strata)
        self.sample = Sample(
            counts,
            drawing,
            units,
            row_counts,
            weight=None if weight is None else _read_weights(weight),
            stratum=stratum,
            cluster=cluster,
        )
        if cluster is not None and stratum is not None:
            check_strata(stratum[self.sample.unit], pd.Series(clusters).tolist(), cluster)

    def __getitem__(self, name: str) -> Any:
        if name not in self._columns:
            raise InputError(f"{name} must be given")
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def get(self, name: str, default: Any = None) -> Any:
        """Return a column, or the default where it was not given."""
        return self._columns.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def mask(self) -> Bools:
        """The units that the column `where` says take part, (units,); all without it."""
        return read_mask(self.get("where"), len(self.sample.counts))

    def count(self, used: Bools | None = None) -> int:
        """Return the number of images, all or those of the units used, (units,) bool."""
        counts = self.sample.counts
        return int(counts.sum() if used is None else counts[used].sum())


def training_rows(
    train_labels: ArrayLike | None, train_groups: ArrayLike | None, train_counts: ArrayLike | None
) -> Rows:
    """Return the rows of training, which are not drawn again."""
    columns = {"train_labels": train_labels, "train_groups": train_groups}
    return Rows(columns, {"counts": train_counts})


def read_labels_and_groups(
    *tables: Rows,
) -> tuple[list[Any], dict[str, Labels], list[Any], dict[str, Ints]]:
    """Return the common names of the columns called …labels, and these, and so of …groups."""
    columns = [column for table in tables for column in table.items()]
    label_names, labels = read_labels(**{arg: of for arg, of in columns if "labels" in arg})
    groups_given = {arg: of for arg, of in columns if "groups" in arg}
    group_names, groups = read_groups(None, **groups_given)
    return label_names, labels, group_names, groups


def split_counts(
    columns: Mapping[str, Any], keyword: str = "counts"
) -> tuple[Columns, Ints | None]:
    """Return the columns that are given, as from `as_column`, and how often each row counts.

    A row that counts 0 times is not there: whatever it holds, it is not looked at.
    """
    given = {name: values for name, values in columns.items() if values is not None}
    check_rows(**{name: len(values) for name, values in given.items()})
    if keyword not in given:
        return given, None
    counts = read_counts(given.pop(keyword))
    (present,) = counts.nonzero()
    if len(present) < len(counts):
        given = {name: take_rows(values, present) for name, values in given.items()}
    return given, counts[present]


def condense(
    columns: Mapping[str, Any], row_counts: Ints | None = None, tables: bool = True
) -> tuple[tuple[Ints, Ints] | None, Ints, Columns]:
    """Take rows that are alike together; not so if `tables` is false and there are some.

    To look for alike rows of a table takes longer than to add all of them up once.

    Returns
    -------
    unit : (rows,) and (combinations,) ints, or None
        The combination of values in each row, and the unit of each combination; None if each row is
        a unit.
    counts : (units,) int64
        Rows of each unit, or the sums of `row_counts`.
    columns : the same columns, with one entry per unit, in an order that the order of rows does not
        change.
    """
    rows = len(next(iter(columns.values()), ()))
    images = rows if row_counts is None else int(row_counts.sum())
    code: Ints | None = None
    if tables or not any(is_table(name, values) for name, values in columns.items()):
        code, span = _code_of_rows(columns, rows, images)
    if code is None:
        return None, np.ones(rows, np.int64) if row_counts is None else row_counts, dict(columns)
    counts = rows_of_code = _count(code, span)
    if row_counts is not None:
        counts = np.zeros(span, np.int64)
        np.add.at(counts, code, row_counts)
    (present,) = np.nonzero(rows_of_code)
    example = _example_rows(code, span, present)
    unit_of_code = np.zeros(span, np.int32)
    unit_of_code[present] = np.arange(len(present))
    units = {name: take_rows(values, example) for name, values in columns.items()}
    return (code, unit_of_code), counts[present], units


def _count(code: Ints, span: int) -> Ints:
    """Return the rows of each code; in blocks, as `bincount` makes 8 bytes of each row."""
    step = _BLOCK if span < _BLOCK // 16 else max(1, len(code))
    counts = np.zeros(span, np.int64)
    for start in range(0, len(code), step):
        counts += np.bincount(code[start : start + step], minlength=span)
    return counts


def _example_rows(code: Ints, span: int, present: Ints) -> Ints:
    """Return a row of each code in `present`."""
    example = np.full(span, -1)
    example[code[:_FIRST]] = np.arange(min(len(code), _FIRST))  # frequent codes are met early
    if (example[present] < 0).any():
        rest = np.flatnonzero((example < 0)[code])
        example[code[rest]] = rest
    return example[present]


def _code_of_rows(columns: Mapping[str, Any], rows: int, images: int) -> Coded:
    """Return the combination of values in each row as a number, and how many these may be.

    None where the rows are better left as they are, which rows and their counts decide alike.
    """
    tables = {name: np.asarray(of) for name, of in columns.items() if is_table(name, of)}
    words = {name: _pack_rows(table) for name, table in tables.items()}
    if not rows or (tables and _too_many_different(words.values(), images)):
        return None, 0
    parts = (part for name, values in columns.items() for part in words.get(name, [values]))
    code, span = _combined(map(_code_column, parts), rows, images / 2)
    if code is None or (tables and 2 * span > images and 2 * len(pd.unique(code)) > images):
        return None, 0
    return np.broadcast_to(code, rows), span


def _combined(parts: Iterable[Coded], rows: int, most: float) -> Coded:
    """Return the combination of codes in each row as a number, and how many these may be.

    None if there is a part without codes, or there turn out to be more than `most`.
    """
    combined: Ints = np.zeros(1, np.int64)
    size = 1
    for code, span in parts:
        if code is None:
            return None, 0
        combined = code if size == 1 else _joined(combined, code, span, size * span)
        size *= span
        if size > max(_LISTED, rows):
            combined, different = pd.factorize(combined, sort=True)
            size = len(different)
            if size > most:
                return None, 0
    return combined, size


def _joined(first: Ints, second: Ints, span: int, size: int) -> Ints:
    """Return first · span + second, which is below `size`, in as few bytes as it takes."""
    kinds = (np.int8, np.int16, np.int32, np.int64)
    kind = next(kind for kind in kinds if size - 1 <= np.iinfo(kind).max)
    joined: Ints = first.astype(kind)
    np.multiply(joined, kind(span), out=joined)
    np.add(joined, second.astype(kind, copy=False), out=joined)
    return joined


def _pack_rows(numbers: Array) -> list[Ints]:
    """Return whole numbers that tell apart the rows of a table of 0, 1 and unknown (NaN or -1).

    None at all for other tables: whoever reads them says what is wrong.
    """
    try:
        numbers = numbers.astype(float) if numbers.dtype.kind not in "biuf" else numbers
    except (TypeError, ValueError):
        return []
    if numbers.ndim != 2 or not numbers.shape[1]:
        return []
    held = zeros_and_ones(numbers) if numbers.size else numbers == 1
    marks = [] if held is None else [held]
    for rows in (numbers[:_FIRST], numbers) if held is None else ():
        marks = [rows == 1, rows == -1, np.isnan(rows)]
        if (sum(marks) + (rows == 0) != 1).any():
            return []
    words: list[Ints] = []
    for mark in marks:
        whole_bytes = mark.shape[1] % 8 == 0  # then rows need not be packed one by one
        bits = np.packbits(mark, axis=None if whole_bytes else 1, bitorder="little")
        bits = bits.reshape(len(mark), -(-mark.shape[1] // 8))
        whole = np.zeros((-(-bits.shape[1] // 8), len(bits), 8), np.uint8)
        for byte in range(bits.shape[1]):
            whole[byte // 8, :, byte % 8] = bits[:, byte]
        words.extend(whole.view("<i8")[..., 0])
    return words


def _too_many_different(tables: Iterable[list[Ints]], images: int) -> bool:
    """Say whether tables, by their words, cannot be coded or have too many different rows.

    Words are mixed into one number of few bits: there are at least as many different rows as such
    numbers. Where they are not too many, there may still be too many rows.
    """
    mixed = np.zeros(1, np.uint64)
    for words in tables:
        if not words:
            return True
        for word in words:
            mixed = (mixed ^ word.view(np.uint64)) * _ODD
            mixed ^= mixed >> np.uint64(32)
    bits = 3 + len(mixed).bit_length()
    seen = np.zeros(1 << bits, bool)
    seen[mixed >> np.uint64(64 - bits)] = True
    return bool(2 * np.count_nonzero(seen) > max(images, 2))


def _code_column(values: Any, sort: bool = True) -> Coded:
    """Return a column as codes from 0 on, and how many there are; None if it cannot be coded."""
    if isinstance(values, pd.Series):
        categorical = isinstance(values.dtype, pd.CategoricalDtype)
        values = values.array if categorical else values
        values = values.to_numpy() if isinstance(values.dtype, np.dtype) else values
    if isinstance(values, pd.Categorical):
        codes = values.codes
        roomy = codes.dtype if len(values.categories) < np.iinfo(codes.dtype).max else np.int64
        return codes + np.ones(1, roomy), len(values.categories) + 1
    if isinstance(values, np.ndarray) and values.dtype.kind == "b":
        return values.view(np.uint8), 2
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if high - low < _SPAN:
            return values.astype(np.int64, copy=False) - low if low else values, high - low + 1
        few = np.unique(values[:_FIRST])
        code: Ints = np.zeros(len(values), np.int8)
        for other in few[1:] if len(few) <= _FEW else ():
            code += values >= other
        if (few[code] == values).all():
            return code, len(few)
    try:
        code, different = _factorize(values, sort)
    except TypeError:  # unhashable, or of kinds that do not mix: whoever reads it says so
        return None, 0
    roomy = np.min_scalar_type(-len(different) - 2)
    return code.astype(roomy) + roomy.type(1), len(different) + 1


def _factorize(values: Any, sort: bool) -> tuple[Ints, Any]:
    """Return codes (-1: none) and the values they stand for.

    Where few values come again and again, numbers tell them apart faster than they do themselves.
    """
    numbers = _stand_ins(values) if isinstance(values, np.ndarray) else []
    if not numbers:
        return pd.factorize(values, sort=sort)
    parts = (_code_column(number, sort=False) for number in numbers)
    place, span = _combined(parts, len(values), len(values))
    assert place is not None  # numbers can be coded
    (present,) = np.nonzero(_count(place, span))
    code, different = pd.factorize(values[_example_rows(place, span, present)], sort=sort)
    of_place = np.zeros(span, np.min_scalar_type(-len(different) - 1))
    of_place[present] = code
    return of_place[place], different


def _stand_ins(values: Array) -> list[Ints]:
    """Return whole numbers that differ where values do, if there is much repetition.

    They are the addresses of objects, and the letters of strings of fixed width.
    """
    if values.dtype == object:
        address = np.frombuffer(np.ascontiguousarray(values).data, np.intp)
        return [address] if _repetitive(address) else []
    if values.dtype.kind == "U" and 0 < values.itemsize <= _SHORT and _repetitive(values):
        kind = np.int32 if values.itemsize % 8 else np.int64
        return list(np.ascontiguousarray(values).view(kind).reshape(len(values), -1).T)
    return []


def _repetitive(values: Array) -> bool:
    """Say whether the first rows hold few different values."""
    first = values[:_FIRST]
    return 8 * len(pd.unique(first)) < len(first)


def _zeros_and_ones_as_booleans(name: str, column: Any) -> Any:
    """Return a column; tables of 0 and 1 as booleans, for all who look at them."""
    if not is_table(name, column):
        return column
    held = zeros_and_ones(np.asarray(column))
    if held is None:
        return column
    return pd.DataFrame(held, columns=column.columns) if isinstance(column, pd.DataFrame) else held


def read_counts(values: Any) -> Ints:
    """Return how many images each row stands for, (rows,) int64."""
    counts = read_values("counts", values)
    if not (counts >= 0).all() or (counts % 1 != 0).any():
        raise InputError("counts must hold whole numbers, 0 or more")
    if counts.sum() > _MOST:
        raise InputError("counts add up to more than 2**53 images")
    return counts.astype(np.int64)


def _read_weights(values: Any) -> Floats:
    """Return what the images of each row weigh, (rows,)."""
    weights = read_values("weights", values)
    if not (weights >= 0).all():
        raise InputError("weights must hold numbers, 0 or more")
    if (weights > _HEAVIEST).any():
        raise InputError(f"weights must be at most {_HEAVIEST:g}: divide all of them")
    return weights


def _all_the_same(weights: Floats) -> bool:
    """Say whether images weigh the same, and something: as if there were no weights."""
    return bool(len(weights)) and bool(weights[0] > 0) and bool((weights == weights[0]).all())


def _read_strata(values: Any) -> Ints:
    """Return strata as codes from 0 on; the unknown is one of its own."""
    if is_table("strata", values):
        raise InputError("strata must hold one value per row")
    try:
        codes, names = pd.factorize(pd.Series(values))
    except TypeError:
        raise InputError("strata must hold names or codes, one per row") from None
    return np.where(codes < 0, len(names), codes)
