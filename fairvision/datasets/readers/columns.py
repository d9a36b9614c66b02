"""Columns of a source become attributes and tasks; what is left is the same for all sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from fairvision.core.tables import Place, PlaceOf, open_table
from fairvision.datasets.captions import COLUMN as CAPTIONS
from fairvision.datasets.captions import (
    as_series,
    check_captions,
    left_out,
    parse_captions,
    placeholders,
    put_together,
    without,
)
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.label_columns import label_sets_of, names_of, texts_of
from fairvision.datasets.label_texts import coded
from fairvision.datasets.readers.importing import (
    import_dataset,
    random_splits,
    warn,
)
from fairvision.datasets.readers.storing import Source
from fairvision.errors import InputError, shown
from fairvision.schema import UNKNOWN, Column, Schema, Task

Names: TypeAlias = Mapping[str, str] | Iterable[str]
"""Columns; or the names that they get, each with its column."""
Columns: TypeAlias = Sequence[str]
"""Columns, in order."""


@dataclass(frozen=True)
class Roles:
    """Which column is what: name of an attribute or task, and its column.

    Attributes
    ----------
    attributes, tasks, many : groups of people; one label; any number of labels
    captions : columns of captions, which have no names
    """

    attributes: dict[str, str]
    tasks: dict[str, str]
    many: dict[str, str]
    captions: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, attributes: Names, tasks: Names, many: Names = (), captions: str | Columns = ()
    ) -> Roles:
        """Return the roles that columns, or mappings of names to columns, have.

        >>> Roles.of(["age"], {"sport": "verb"}).columns
        ['age', 'verb']
        """
        groups, labels, sets = (
            dict(names) if isinstance(names, Mapping) else {name: name for name in names}
            for names in (attributes, tasks, many)
        )
        of_captions = (captions,) if isinstance(captions, str) else tuple(captions)
        return cls(groups, labels, sets, of_captions)

    @property
    def names(self) -> list[str]:
        """Names of the attributes and tasks."""
        return [*self.attributes, *self.tasks, *self.many]

    @property
    def columns(self) -> list[str]:
        """Columns of the attributes, the tasks and the captions."""
        heads = [*self.attributes.values(), *self.tasks.values(), *self.many.values()]
        return [*heads, *self.captions]

    def check(self, path: Path, columns: Sequence[str]) -> None:
        """Raise `InputError` if columns are missing, none is chosen, or a name is used twice."""
        if not self.columns:
            raise InputError(
                f"{path} has the columns {', '.join(columns)}: say with --attribute COLUMN which "
                "holds groups of people, and with --task COLUMN or --many COLUMN which holds what "
                "is classified"
            )
        for name in self.columns:
            if name not in columns:
                raise InputError(f"{path} has no column {shown(name)}: it has {', '.join(columns)}")
        for name in self.names:
            if self.names.count(name) > 1:
                raise InputError(f"{name!r} is named twice among the attributes and tasks")
        for name in self.captions:
            if self.captions.count(name) > 1:
                raise InputError(f"{name!r} is named twice among the captions")
        if self.captions and CAPTIONS in self.names:
            raise InputError(
                f"{CAPTIONS!r} cannot be an attribute or task beside captions: give it "
                "another name, by NAME=COLUMN"
            )


def read_roles(
    path: Path,
    raw: pa.Table,
    roles: Roles,
    *,
    unknown: Iterable[str] = (),
    separator: str | None = None,
    published: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Schema, dict[str, Column]]:
    """Return what the columns of a source annotate.

    Parameters
    ----------
    path : of the source, for messages
    raw : its columns
    roles : what they are
    unknown : texts, besides an empty cell and `unknown`, that mean not known
    separator : between the labels of a cell that may hold many, by default `;`
    published : of some columns, all names that there are, in order; of the others those that occur

    Warns
    -----
    FairvisionWarning
        Columns hold codes such as 0 and 1, or names that read alike.

    Examples
    --------
    >>> raw = pa.table({"age": ["old", "", "young"]})
    >>> schema, columns = read_roles(Path("t.csv"), raw, Roles.of(["age"], []))
    >>> schema.attributes, columns["age"].codes
    ({'age': ('old', 'young')}, array([ 0, -1,  1]))
    """
    if separator == "":
        raise InputError("the separator is empty: give a character that no label holds")
    nothing = frozenset(text.strip().casefold() for text in (UNKNOWN, *unknown))
    groups: dict[str, tuple[str, ...]] = {}
    tasks: dict[str, Task] = {}
    read: dict[str, Column] = {}
    for name, column in (roles.attributes | roles.tasks | roles.many).items():
        place, many = Place(path, column), name in roles.many
        if many:
            read[name], labels = label_sets_of(place, raw[column], nothing, separator)
        else:
            read[name], labels = names_of(place, raw[column], nothing)
        every = [x for x in (published or {}).get(column, ()) if x.casefold() not in nothing]
        if {*labels} < {*every} or (every and {*labels} == {*every}):
            labels, column_read = tuple(every), read[name]
            of_all = Schema({}, {name: Task(labels, many)})
            distinct = list(column_read.cell_names[:-1])
            read[name] = of_all.column_of(name, column_read.index, distinct)
        if name in roles.attributes:
            groups[name] = labels
        else:
            tasks[name] = Task(labels, many)
    schema = Schema(groups, tasks)
    if line := coded(schema.heads):
        warn(f"{path}: {line}")
    return schema, read


def read_captions(
    raw: pa.Table, columns: Columns, place_of: PlaceOf, unknown: Iterable[str] = ()
) -> pd.Series:
    """Return the captions of each image: those of the first column first.

    Parameters
    ----------
    raw : the columns of a source
    columns : those of captions, of which there is at least one
    place_of : says where a row of a column stands
    unknown : texts, besides `unknown`, that mean that there is no caption

    Warns
    -----
    FairvisionWarning
        Captions are "nan", "n/a" and the like, and are left out.

    Examples
    --------
    >>> raw = pa.table({"first": ["A man.", "n/a"], "more": [["A person."], []]})
    >>> place_of = lambda row, column: Place("t.parquet", column, row + 1)
    >>> read_captions(raw, ["first", "more"], place_of, ["n/a"]).tolist()
    [['A man.', 'A person.'], <NA>]
    """
    nothing = frozenset(text.strip().casefold() for text in (UNKNOWN, *unknown))
    read = []
    for name in columns:
        column = replace(place_of(0, name), row=None, id=None)
        check_captions(column, raw[name].type)
        lists = parse_captions(raw[name], place_of, name, nothing)
        if absent := placeholders(lists):
            warn(f"{column}: {left_out(absent)}")
        read.append(without(lists, absent))
    return as_series(put_together(read))


def unique_ids(place: Place, texts: Iterable[str | None]) -> list[str]:
    """Return the cells of a column of ids; `InputError` where one is empty or there twice."""
    rows: dict[str, int] = {}
    for row, text in enumerate(texts, 1):
        if text is None:
            raise Place(place.path, place.column, row).error("is empty")
        if text in rows:
            column = f", column {shown(place.column)}" if place.column else ""
            raise InputError(
                f"{place.path} rows {rows[text]} and {row}{column}: both are {shown(text)}; ids "
                "must be unique"
            )
        rows[text] = row
    return list(rows)


def rows_by_id(
    path: Path,
    ids: Sequence[str],
    keys: Sequence[str],
    same: Callable[[str], str] = str,
) -> pa.Table:
    """Return the columns of a table that has a row for an image, a row per id.

    Parameters
    ----------
    path : of the table
    ids : of the images; those that it lacks have empty cells
    keys : names of its column of ids, of which the first that is there is read
    same : makes ids alike that are written differently

    Raises
    ------
    InputError
        The table has no such column, no other one, or no row of these images.

    Warns
    -----
    FairvisionWarning
        Rows are of other images.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     table = Path(place, "t.csv")
    ...     _ = table.write_text("id,age\\nb,old\\na,young\\n")
    ...     rows_by_id(table, ["a", "b", "c"], ["id"]).to_pydict()
    {'age': ['young', 'old', None]}
    """
    table = open_table(path)
    key = next((name for name in keys if name in table.types), None)
    if key is None:
        raise InputError(f"{path} has no column {keys[0]!r}: it has {', '.join(table.names)}")
    columns = [name for name in table.names if name != key]
    if not columns:
        raise InputError(f"{path} has no column of groups beside {key!r}")
    raw = table.read()
    place = Place(path, key)
    named = unique_ids(place, [same(text or "") or None for text in texts_of(place, raw[key])])
    rows = pd.Index(named).get_indexer(pd.Index([same(id) for id in ids]))
    if (rows < 0).all():
        raise InputError(f"{path}, column {key!r}: no id is one of the {len(ids)} images")
    if elsewhere := len(named) - int((rows >= 0).sum()):
        warn(f"{path}: {elsewhere} rows are of pictures that are not here")
    return raw.select(columns).take(pa.array(rows, mask=rows < 0))


@dataclass(frozen=True)
class Rows:
    """What a source says of its images, row by row.

    Attributes
    ----------
    path : of the source
    ids : unique texts
    columns : texts of groups and labels, and captions
    splits : of each row; None where they are to be drawn
    sources : the files
    published : of some columns, all names that there are, in order
    regions : boxes of objects, or None
    """

    path: Path
    ids: Sequence[str]
    columns: pa.Table
    splits: Sequence[str] | None
    sources: Iterable[Source]
    published: Mapping[str, Sequence[str]] = field(default_factory=dict)
    regions: pd.DataFrame | None = None


def dataset_of(
    rows: Rows,
    roles: Roles,
    folder: str | Path,
    *,
    source: str,
    unknown: Iterable[str] = (),
    separator: str | None = None,
    name: str | None = None,
    licence: str = "",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Return what the rows of a source annotate, without images and masks; see `import_rows`."""
    schema, columns = read_roles(
        rows.path,
        rows.columns,
        roles,
        unknown=unknown,
        separator=separator,
        published=rows.published,
    )
    splits = rows.splits
    if splits is None:
        random = np.random.default_rng(seed)
        splits = list(random_splits(len(rows.ids), val_fraction, test_fraction, random))
    samples = pd.DataFrame({"id": list(rows.ids), "split": list(splits)})
    if roles.captions:
        samples[CAPTIONS] = read_captions(
            rows.columns,
            roles.captions,
            lambda row, column: Place(rows.path, column, row + 1, rows.ids[row]),
            unknown,
        )
    return Dataset.of_columns(
        schema,
        samples,
        columns,
        root=Path(folder),
        name=name or (rows.path.resolve().name if rows.path.is_dir() else rows.path.stem),
        source=source,
        licence=licence,
    )


def import_rows(
    rows: Rows,
    roles: Roles,
    folder: str | Path,
    *,
    skip_broken: bool = False,
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = True,
    **about: Any,
) -> Dataset:
    """Write a dataset folder of the rows of a source; all of it or nothing.

    Parameters
    ----------
    rows : what there is
    roles : what its columns are
    folder : where to write
    skip_broken, workers, overwrite, quiet : as in `Importing`
    about : further keywords of `dataset_of`: `source`, where it comes from, in words; `unknown` and
        `separator` as in `read_roles`; `name`, `licence`, `val_fraction`, `test_fraction` and
        `seed` as in `Importing`
    """
    return import_dataset(
        dataset_of(rows, roles, folder, **about),
        rows.sources,
        folder,
        origin=rows.path,
        skip_broken=skip_broken,
        overwrite=overwrite,
        workers=workers,
        quiet=quiet,
        regions=rows.regions,
    )
