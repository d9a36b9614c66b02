"""Images beside a `metadata.csv` or `metadata.jsonl`, as Hugging Face's imagefolder has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa

from fairvision.core.csv_files import read_csv
from fairvision.core.files import read_json_lines
from fairvision.core.tables import Place
from fairvision.datasets.label_columns import cell_text, texts_of
from fairvision.datasets.readers.columns import Roles, Rows, unique_ids
from fairvision.datasets.readers.importing import locator
from fairvision.datasets.readers.split_names import split_of
from fairvision.datasets.readers.storing import Source
from fairvision.errors import InputError, shown

METADATA = ("metadata.csv", "metadata.jsonl")
_FILE = "file_name"
_TEXT = pa.large_string()


def metadata_rows(
    root: Path,
    reachable: Path,
    files: Sequence[Path],
    splits: Sequence[str] | None,
    roles: Roles,
    *,
    image: str | None,
    mask: str | None,
    id: str | None,
) -> Rows:
    """Return the rows of metadata files, and the images that they name.

    Parameters
    ----------
    root : folder of the data set
    reachable : folder out of which no link may lead
    files : in order; paths in each start at its folder and stay in it
    splits : of each file; where None, the folders of the images may say them
    roles : what columns are
    image, mask, id : columns, as in `from_huggingface`
    """
    image = image or _FILE
    wanted = list(dict.fromkeys([image, *filter(None, (mask, id)), *roles.columns]))
    tables = [_read(path, wanted, roles) for path in files]
    sources: list[Source] = []
    pictures: list[PurePath] = []
    for path, table in zip(files, tables):
        images = _located(Place(path, image), table[image], reachable)
        _check_unique(Place(path, image), images)
        masks = _located(Place(path, mask), table[mask], reachable) if mask else [None] * len(table)
        for row, (picture, person) in enumerate(zip(images, masks), 1):
            if picture is None:
                raise Place(path, image, row).error("is empty")
            sources.append(Source(str(Place(path, row=row)), picture, person))
            pictures.append(picture.relative_to(root))
    columns = pa.concat_tables(tables)
    paths = [picture.as_posix() for picture in pictures]
    if id is not None:
        ids = unique_ids(Place(root, id), texts_of(Place(root, id), columns[id]))
    else:
        stems = [picture.with_suffix("").as_posix() for picture in pictures]
        ids = stems if len(set(stems)) == len(stems) else unique_ids(Place(root, image), paths)
    if splits is not None:
        of_rows: Sequence[str] | None = list(np.repeat(splits, list(map(len, tables))))
    else:
        of_rows = _splits_of(root, pictures)
    return Rows(root, ids, columns, of_rows, sources)


def _read(path: Path, wanted: Sequence[str], roles: Roles) -> pa.Table:
    """Return columns of a metadata file, of text or of lists of text."""
    if path.suffix == ".csv":
        table = read_csv(path)
        roles.check(path, table.column_names)
        _check_columns(path, wanted, table.column_names)
        return table.select(wanted)
    rows = read_json_lines(path)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InputError(f"{path} row {number} is not an object with named values")
    names = list(dict.fromkeys(name for row in rows for name in row))
    roles.check(path, names)
    _check_columns(path, wanted, names)
    columns = {name: [row.get(name) for row in rows] for name in wanted}
    for name in roles.captions:
        _check_captions(Place(path, name), columns[name])
    return pa.table({name: _column(Place(path, name), columns[name]) for name in wanted})


def _check_columns(path: Path, wanted: Sequence[str], names: Sequence[str]) -> None:
    """Raise `InputError` for the first of some columns that a file lacks."""
    for name in wanted:
        if name not in names:
            raise InputError(f"{path} has no column {shown(name)}: it has {', '.join(names)}")


def _check_captions(place: Place, values: Sequence[Any]) -> None:
    """Raise `InputError` for a caption that is no text."""
    for row, value in enumerate(values, 1):
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, str | None):
                raise replace(place, row=row).error(f"{shown(item)} is no text, as captions are")


def _column(place: Place, values: Sequence[Any]) -> pa.Array:
    """Return values of JSON as a column of text, or of lists of text where any is a list."""
    for row, value in enumerate(values, 1):
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, (dict, list)) for item in items):
            raise Place(place.path, place.column, row).error("is neither text nor a list of texts")
    if any(isinstance(value, list) for value in values):
        lists = [value if value is None or isinstance(value, list) else [value] for value in values]
        texts = [None if held is None else list(map(cell_text, held)) for held in lists]
        return pa.array(texts, pa.large_list(_TEXT))
    return pa.array([cell_text(value) for value in values], _TEXT)


def _located(place: Place, column: pa.ChunkedArray, reachable: Path) -> list[Path | None]:
    """Return the files that a column names, None where a cell is empty."""
    located = locator(Path(place.path).parent, reachable)
    return [
        None if text is None else located(text, replace(place, row=row))
        for row, text in enumerate(texts_of(place, column), 1)
    ]


def _check_unique(place: Place, files: Sequence[Path | None]) -> None:
    """Raise `InputError` for an image that two rows name."""
    rows: dict[Path | None, int] = {None: 0}
    for row, file in enumerate(files, 1):
        if rows.setdefault(file, row) not in (0, row):
            raise Place(place.path, place.column, row).error(
                f"{shown(str(file))} stands in row {rows[file]} already"
            )


def _splits_of(root: Path, pictures: Sequence[PurePath]) -> list[str] | None:
    """Return the splits that the folders of pictures say; None where none does."""
    splits = [split_of(picture.parent / "_") for picture in pictures]
    if not any(splits):
        return None
    for picture, split in zip(pictures, splits):
        if split is None:
            raise InputError(f"{root / picture} is in no folder of a split, as others are: move it")
    return [split for split in splits if split is not None]
