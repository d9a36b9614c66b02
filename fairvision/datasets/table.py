"""Any table of pictures: csv, tsv or parquet."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.datasets._importing import Source, import_dataset, locate
from fairvision.datasets._splits import random_splits
from fairvision.datasets.folder import SEPARATOR, SPLITS, UNKNOWN, Dataset, Task
from fairvision.datasets.layouts import refuse_known
from fairvision.errors import InputError, check_file

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_COMPRESSED = (".gz", ".bz2", ".xz")
_SPLITS = {s: s for s in SPLITS} | {
    "training": "train",
    "validation": "val",
    "valid": "val",
    "dev": "val",
    "testing": "test",
}


def from_table(
    table: str | Path,
    folder: str | Path,
    *,
    attributes: Mapping[str, str] | Iterable[str] = (),
    tasks: Mapping[str, str] | Iterable[str] = (),
    many: Mapping[str, str] | Iterable[str] = (),
    image: str = "image",
    mask: str | None = None,
    id: str | None = None,
    split: str | None = None,
    images: str | Path | None = None,
    separator: str = SEPARATOR,
    unknown: Iterable[str] = (),
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    name: str | None = None,
    licence: str = "",
    skip_broken: bool = False,
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> Dataset:
    """Make a dataset folder from a table with a row per picture.

    Every picture is decoded and every mask compared with it; their bytes are copied unchanged.

    Parameters
    ----------
    table : .csv, .tsv or .parquet (.csv.gz and the like too), with a header, in UTF-8
    folder : where to write the dataset folder
    attributes : columns that hold a group of people, or a mapping of names to such columns
    tasks : the same for columns that hold one label
    many : the same for columns that hold any number of labels: a list in parquet, else text
    image : column of the pictures' paths
    mask : column of the masks' paths; by default `mask`, if there is one
    id : column of unique texts; by default `id`, if there is one, else the pictures' file names
        if they are unique, else the rows' numbers
    split : column of train, val and test; by default `split`, if there is one, else every
        picture is given one at random
    images : folder where relative paths start, and which they may not leave; by default the
        table's
    separator : between the labels of a `many` column; a separator alone means none of the labels
    unknown : texts, besides an empty cell and `unknown`, that mean not known
    val_fraction, test_fraction, seed : of the random splits
    name, licence : of the dataset, as noted in `dataset.json`
    skip_broken : leave out rows whose picture or mask cannot be used, with a warning for each
    workers : threads that decode; by default one per core
    overwrite : replace a dataset folder that is there
    quiet : show no progress

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the table cannot be read, names no attribute or task, lacks a column, repeats an id, has
        a path that leaves its folder, or if a picture or mask cannot be used; nothing is written.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for i in range(4):
    ...         Image.new("RGB", (8, 8)).save(f"{place}/{i}.png")
    ...     rows = [(f"{i}.png", ["young", "old", ""][i % 3]) for i in range(4)]
    ...     pd.DataFrame(rows, columns=["image", "age"]).to_csv(f"{place}/t.csv", index=False)
    ...     with warnings.catch_warnings(action="ignore"):
    ...         few = from_table(f"{place}/t.csv", f"{place}/few", attributes=["age"])
    >>> few.attributes
    {'age': ('old', 'young')}
    >>> few.samples["age"].tolist()
    ['young', 'old', None, 'young']
    """
    path = Path(table)
    refuse_known(path)
    raw = _read(path)
    columns = {
        kind: dict(c) if isinstance(c, Mapping) else {x: x for x in c}
        for kind, c in (("attribute", attributes), ("task", tasks), ("many", many))
    }
    _check_columns(path, raw, columns, image, mask, id, split)
    if not separator:
        raise InputError("the separator is empty: give a character that no label holds")
    nothing = frozenset(text.strip().casefold() for text in (UNKNOWN, *unknown))

    samples = pd.DataFrame({"id": _ids(path, raw, image, id)})
    where = [f"{path} row {row + 1} (id {text!r})" for row, text in enumerate(samples["id"])]
    samples["split"] = _splits(path, raw, split, (val_fraction, test_fraction), seed)
    one = _reader(nothing, None)
    several = _reader(nothing, separator)
    groups, labels = {}, {}
    for key, column in columns["attribute"].items():
        samples[key], groups[key] = _values(raw[column], one)
    for key, column in columns["task"].items():
        samples[key], names = _values(raw[column], one)
        labels[key] = Task(names)
    for key, column in columns["many"].items():
        samples[key], names = _values(raw[column], several)
        labels[key] = Task(names, many=True)

    root = Path(images) if images is not None else path.parent
    mask = mask or ("mask" if "mask" in raw else None)
    pictures = _paths(root, raw[image], where)
    masks = _paths(root, raw[mask], where) if mask else [None] * len(raw)
    sources = []
    for at, picture, person in zip(where, pictures, masks):
        if picture is None:
            raise InputError(f"{at}, column {image!r}: is empty")
        sources.append(Source(at, picture, person))
    return import_dataset(
        Dataset(
            root=Path(folder),
            name=name or path.stem,
            attributes=groups,
            tasks=labels,
            samples=samples,
            source=f"imported from {path.name}",
            licence=licence,
        ),
        sources,
        folder,
        origin=path,
        skip_broken=skip_broken,
        overwrite=overwrite,
        workers=workers,
        quiet=quiet,
    )


def _read(path: Path) -> pd.DataFrame:
    """Read a table as text: None where a cell is null, lists as they are."""
    path = check_file(path, "a table")
    kind = Path(path.stem if path.suffix in _COMPRESSED else path.name).suffix.lower()
    try:
        if kind == ".parquet":
            stored = pq.read_table(path)
            cells = {c: stored.column(c).to_pylist() for c in stored.column_names}
            raw = pd.DataFrame({c: pd.Series(v, dtype=object) for c, v in cells.items()})
        elif kind in _DELIMITERS:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                raw = pd.read_csv(
                    path,
                    sep=_DELIMITERS[kind],
                    dtype=str,
                    keep_default_na=False,
                    index_col=False,
                    encoding="utf-8-sig",
                )
        else:
            raise InputError(f"{path} is not a table that can be read: give .csv, .tsv or .parquet")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8: save it as UTF-8") from None
    except (ValueError, OSError, EOFError, pa.ArrowException, pd.errors.ParserWarning) as error:
        raise InputError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    if raw.empty:
        raise InputError(f"{path} has no rows")
    return raw


def _check_columns(
    path: Path,
    raw: pd.DataFrame,
    columns: Mapping[str, Mapping[str, str]],
    *fixed: str | None,
) -> None:
    there = ", ".join(map(str, raw))
    chosen = [(key, c) for named in columns.values() for key, c in named.items()]
    if not chosen:
        raise InputError(
            f"{path} has the columns {there}: say with --attribute COLUMN which holds groups of "
            "people, and with --task COLUMN or --many COLUMN which holds what is classified"
        )
    for column in [*fixed, *(c for _, c in chosen)]:
        if column is not None and column not in raw:
            raise InputError(f"{path} has no column {column!r}: it has {there}")
    names = [key for key, _ in chosen]
    for key in names:
        if names.count(key) > 1:
            raise InputError(f"{key!r} is named twice among the attributes and tasks")


def _ids(path: Path, raw: pd.DataFrame, image: str, id: str | None) -> list[str]:
    id = id or ("id" if "id" in raw else None)
    if id is None:
        stems = [Path(_text(v) or "").stem for v in raw[image]]
        unique = all(stems) and len(set(stems)) == len(stems)
        return stems if unique else [str(row) for row in range(1, len(raw) + 1)]
    seen: dict[str, int] = {}
    for row, value in enumerate(raw[id], 1):
        text = _text(value)
        if text is None:
            raise InputError(f"{path} row {row}, column {id!r}: is empty")
        if text in seen:
            raise InputError(
                f"{path} rows {seen[text]} and {row}, column {id!r}: both are {text!r}; "
                "ids must be unique"
            )
        seen[text] = row
    return list(seen)


def _splits(
    path: Path, raw: pd.DataFrame, split: str | None, fractions: tuple[float, float], seed: int
) -> list[str]:
    split = split or ("split" if "split" in raw else None)
    if split is None:
        return random_splits(len(raw), *fractions, np.random.default_rng(seed)).tolist()
    found = []
    for row, value in enumerate(raw[split], 1):
        text = (_text(value) or "").lower()
        if text not in _SPLITS:
            raise InputError(
                f"{path} row {row}, column {split!r}: {value!r} is not one of {', '.join(SPLITS)}"
            )
        found.append(_SPLITS[text])
    return found


def _reader(nothing: frozenset[str], separator: str | None) -> Callable[[Any], Any]:
    """Return what turns a cell into a label, or into a tuple of labels; None where unknown."""

    def one(cell: Any) -> str | None:
        text = _text(cell)
        return None if text is None or text.casefold() in nothing else text

    def several(cell: Any) -> tuple[str, ...] | None:
        if not isinstance(cell, list):
            text = one(cell)
            if text is None:
                return None
            cell = text.split(separator)
        return tuple(dict.fromkeys(text for text in map(one, cell) if text is not None))

    return one if separator is None else several


def _values(column: pd.Series, read: Callable[[Any], Any]) -> tuple[pd.Series, tuple[str, ...]]:
    """Return the cells of a column as read, and the sorted names that occur in it."""
    cells = [read(cell) for cell in column]
    known = (cell if isinstance(cell, tuple) else (cell,) for cell in cells if cell is not None)
    return pd.Series(cells, dtype=object), tuple(sorted({name for some in known for name in some}))


def _paths(root: Path, cells: pd.Series, where: list[str]) -> list[Path | None]:
    texts = map(_text, cells)
    return [
        None if text is None else locate(root, text, f"{at}, column {cells.name!r}")
        for at, text in zip(where, texts)
    ]


def _text(cell: Any) -> str | None:
    """Return a cell as text without spaces around it; None where it is empty."""
    if cell is None or cell != cell:
        return None
    return str(cell).strip() or None
