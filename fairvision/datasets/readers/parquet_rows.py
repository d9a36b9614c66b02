"""Parquet files that hold images, as Hugging Face writes them, read a few rows at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fairvision.core.tables import Place, Table, is_list, open_parquet, open_parts
from fairvision.datasets.images import Encoded
from fairvision.datasets.label_columns import one_array, texts_of
from fairvision.datasets.readers.columns import Roles, Rows, unique_ids
from fairvision.datasets.readers.importing import locator
from fairvision.datasets.readers.storing import Source
from fairvision.errors import InputError, reading, shown

_AT_ONCE = 32  # rows whose pictures are in memory
_MASK = "mask"


def parquet_rows(
    root: Path,
    files: Sequence[Path],
    splits: Sequence[str] | None,
    roles: Roles,
    *,
    image: str | None,
    mask: str | None,
    id: str | None,
) -> Rows:
    """Return the rows of parquet files; their images are read when they are asked for.

    Parameters
    ----------
    root : what the data set is called in messages
    files : in order
    splits : of each file, or None
    roles : what columns are
    image, mask, id : columns, as in `from_huggingface`
    """
    table = open_parts(root, tuple(files))
    roles.check(root, table.names)
    table.check_columns(name for name in (image, mask, id) if name is not None)
    pictures = [name for name, kind in table.types.items() if _holds_images(kind)]
    image = image or _only_image(table, [name for name in pictures if name != _MASK])
    mask = mask or (_MASK if _MASK in pictures and image != _MASK else None)
    for name in filter(None, (image, mask)):
        if name not in pictures:
            raise InputError(f"{Place(root, name)} holds no pictures, which are bytes with a path")
    classes = _class_names(files)
    raw = table.read(list(dict.fromkeys([*roles.columns, *([id] if id else [])])))
    columns = {
        name: _named(table, name, raw[name], classes[name]) if name in classes else raw[name]
        for name in dict.fromkeys(roles.columns)
    }
    of_rows = None if splits is None else list(np.repeat(splits, table.rows_of))
    if id is None:
        ids = _default_ids(table, image, of_rows)
    else:
        ids = unique_ids(Place(root, id), texts_of(Place(root, id), raw[id]))
    return Rows(
        root,
        ids,
        pa.table(columns),
        of_rows,
        _sources(table, ids, image, mask),
        {name: names for name, names in classes.items() if name in columns},
    )


def _holds_images(kind: pa.DataType) -> bool:
    """Return whether cells of a type may be bytes of images."""
    if pa.types.is_struct(kind):
        return {"bytes", "path"} <= {field.name for field in kind}
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _only_image(table: Table, pictures: Sequence[str]) -> str:
    """Return the one column of images."""
    if len(pictures) != 1:
        there = f"several columns of pictures: {', '.join(pictures)}" if pictures else "no pictures"
        advice = "say which by --image COLUMN" if pictures else f"it has {', '.join(table.names)}"
        raise InputError(f"{table.path} holds {there}: {advice}")
    return pictures[0]


def _class_names(files: Sequence[Path]) -> dict[str, list[str]]:
    """Return the names of the integers of columns, as notes in the files say; alike in all."""
    first: dict[str, list[str]] = {}
    for path in files:
        file = open_parquet(path)
        note = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
        try:
            features = json.loads(note).get("info", {}).get("features", {})
            names = {name: _names_of(feature) for name, feature in features.items()}
        except (ValueError, AttributeError, TypeError, RecursionError):
            raise InputError(
                f"{path}: the notes of its columns (huggingface) are damaged"
            ) from None
        classes = {name: of_column for name, of_column in names.items() if of_column}
        if path == files[0]:
            first = classes
        elif classes != first:
            raise InputError(f"{path} names the classes of its columns otherwise than {files[0]}")
    return first


def _names_of(feature: Any) -> list[str] | None:
    """Return the names of a ClassLabel, or of a list of them; None of other features.

    >>> _names_of({"feature": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "_type": "List"})
    ['cat', 'dog']
    """
    if isinstance(feature, list) and len(feature) == 1:
        return _names_of(feature[0])
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") != "ClassLabel":
        return _names_of(feature["feature"]) if "feature" in feature else None
    names = feature.get("names")
    if not names:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError
    return [name.strip() for name in names]


def _named(table: Table, name: str, column: Any, names: Sequence[str]) -> Any:
    """Return a column of positions, or of lists of them, as names; -1 is unknown."""
    column = one_array(column)
    positions = column.values if is_list(column.type) else column
    if not pa.types.is_integer(positions.type):
        return column
    numbers = positions.cast(pa.int64(), safe=False)
    wrong = pc.fill_null(
        pc.or_(pc.less(positions, -1), pc.greater_equal(positions, len(names))), False
    )
    if pc.any(wrong).as_py():
        at = int(np.flatnonzero(wrong.to_numpy(zero_copy_only=False))[0])
        row = at
        if is_list(column.type):
            row = int(np.searchsorted(column.offsets.to_numpy(), at, side="right")) - 1
        raise table.place(row, name).error(
            f"{positions[at].as_py()} is none of its {len(names)} classes, {shown(names[0])}, …"
        )
    indices = pc.if_else(pc.equal(numbers, -1), pa.scalar(None, pa.int64()), numbers)
    texts = pa.array(names, pa.large_string()).take(indices)
    if not is_list(column.type):
        return texts
    return pa.LargeListArray.from_arrays(column.offsets, texts, mask=column.is_null())


def _default_ids(table: Table, image: str, splits: Sequence[str] | None) -> list[str]:
    """Return the stems of the images' file names if they are unique, else split and row."""
    if pa.types.is_struct(table.types[image]):
        stems = []
        for part in table.parts:
            with reading(part):
                paths = pq.ParquetFile(part).read(columns=[f"{image}.path"])[image]
                stems += [
                    Path(cell["path"] or "").stem if cell else "" for cell in paths.to_pylist()
                ]
        if all(stems) and len(set(stems)) == len(stems):
            return stems
    counts: dict[str, int] = {}
    ids = []
    for split in splits or ["row"] * table.rows:
        counts[split] = counts.get(split, 0) + 1
        ids.append(f"{split}-{counts[split]}")
    return ids


def _sources(table: Table, ids: Sequence[str], image: str, mask: str | None) -> Iterator[Source]:
    """Yield the image and the mask of each row; few rows are in memory at a time."""
    columns = list(filter(None, (image, mask)))
    for start, batch in table.batches(columns, _AT_ONCE, buffered=True):
        for i in range(len(batch)):
            place = replace(table.place(start + i), id=ids[start + i])
            picture = _picture(replace(place, column=image), batch.column(0)[i].as_py())
            if picture is None:
                raise replace(place, column=image).error("has no picture")
            person = None
            if mask is not None:
                person = _picture(replace(place, column=mask), batch.column(1)[i].as_py())
            yield Source(str(place), picture, person)


def _picture(place: Place, cell: Any) -> Encoded | Path | None:
    """Return the image in a cell: its bytes, or else the file beside the table that it names."""
    content, path = (cell["bytes"], cell["path"]) if isinstance(cell, dict) else (cell, None)
    if content is not None:
        return Encoded(str(place), content)
    if path:
        return locator(Path(place.path).parent)(path, place)
    return None
