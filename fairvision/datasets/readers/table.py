"""Any table of images: csv, tsv or parquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fairvision.core.table_files import COMPRESSED, read_csv, read_parquet
from fairvision.datasets.folder import SPLITS, Dataset
from fairvision.datasets.readers.coding import coded
from fairvision.datasets.readers.importing import Source, import_dataset, locate, warn
from fairvision.datasets.readers.label_columns import label_sets_of, names_of, texts_of
from fairvision.datasets.readers.layouts import refuse_known
from fairvision.datasets.readers.splits import random_splits
from fairvision.errors import InputError, check_file, shown
from fairvision.schema import UNKNOWN, Task

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
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
    separator: str | None = None,
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
    """Make a dataset folder from a table with a row per image.

    Every image is decoded and every mask compared with it; their bytes are copied unchanged.

    Parameters
    ----------
    table : .csv, .tsv or .parquet (.csv.gz and the like too), with a header, in UTF-8
    folder : where to write the dataset folder
    attributes : columns that hold a group of people, or a mapping of names to such columns
    tasks : the same for columns that hold one label
    many : the same for columns that hold any number of labels: a list in parquet, else text
    image : column of the images' paths
    mask : column of the masks' paths; by default `mask`, if there is one
    id : column of unique texts; by default `id`, if there is one, else the images' file names
        if they are unique, else the rows' numbers
    split : column of train, val and test; by default `split`, if there is one, else every
        image is given one at random
    images : folder where relative paths start, and which they may not leave; by default the
        table's
    separator : between the labels of a `many` column, by default `;`; a separator alone means none
        of the labels. Lists that were written as text (`['cat', 'tree']`) are read as lists.
    unknown : texts, besides an empty cell and `unknown`, that mean not known
    val_fraction, test_fraction, seed : of the random splits
    name, licence : of the dataset, as noted in `dataset.json`
    skip_broken : leave out rows whose image or mask cannot be used, with a warning for each
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
        a path that leaves its folder or labels that could be read in two ways, or if an image or
        mask cannot be used; nothing is written.

    Warns
    -----
    FairvisionWarning
        Columns hold codes such as 0 and 1, or names that read alike; groups are small.

    Examples
    --------
    >>> import tempfile, warnings
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
    if separator == "":
        raise InputError("the separator is empty: give a character that no label holds")
    nothing = frozenset(text.strip().casefold() for text in (UNKNOWN, *unknown))

    samples = pd.DataFrame({"id": _ids(path, raw, image, id)})
    where = [f"{path} row {row + 1} (id {shown(text)})" for row, text in enumerate(samples["id"])]
    samples["split"] = _splits(path, raw, split, (val_fraction, test_fraction), seed)
    groups, labels = {}, {}
    for key, column in columns["attribute"].items():
        samples[key], groups[key] = names_of(path, raw, column, nothing)
    for key, column in columns["task"].items():
        samples[key], names = names_of(path, raw, column, nothing)
        labels[key] = Task(names)
    for key, column in columns["many"].items():
        samples[key], names = label_sets_of(path, raw, column, nothing, separator)
        labels[key] = Task(names, many=True)
    if line := coded({**groups, **{key: task.labels for key, task in labels.items()}}):
        warn(f"{path}: {line}")

    root = Path(images) if images is not None else path.parent
    mask = mask or ("mask" if "mask" in raw.column_names else None)
    paths = _paths(path, raw, image, root, where)
    masks = _paths(path, raw, mask, root, where) if mask else [None] * len(raw)
    sources = []
    for at, image_path, mask_path in zip(where, paths, masks):
        if image_path is None:
            raise InputError(f"{at}, column {image!r}: is empty")
        sources.append(Source(at, image_path, mask_path))
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


def _read(path: Path) -> pa.Table:
    """Read a table; the cells of csv stay text."""
    path = check_file(path, "a table")
    kind = Path(path.stem if path.suffix in COMPRESSED else path.name).suffix.lower()
    if kind == ".parquet":
        table = read_parquet(path)
    elif kind in _DELIMITERS:
        table = read_csv(path, _DELIMITERS[kind])
    else:
        raise InputError(f"{path} is not a table that can be read: give .csv, .tsv or .parquet")
    if not len(table):
        raise InputError(f"{path} has no rows")
    return table


def _check_columns(
    path: Path,
    raw: pa.Table,
    columns: Mapping[str, Mapping[str, str]],
    *fixed: str | None,
) -> None:
    there = ", ".join(raw.column_names)
    chosen = [(key, c) for named in columns.values() for key, c in named.items()]
    if not chosen:
        raise InputError(
            f"{path} has the columns {there}: say with --attribute COLUMN which holds groups of "
            "people, and with --task COLUMN or --many COLUMN which holds what is classified"
        )
    for column in [*fixed, *(c for _, c in chosen)]:
        if column is not None and column not in raw.column_names:
            raise InputError(f"{path} has no column {shown(column)}: it has {there}")
    names = [key for key, _ in chosen]
    for key in names:
        if names.count(key) > 1:
            raise InputError(f"{key!r} is named twice among the attributes and tasks")


def _ids(path: Path, raw: pa.Table, image: str, id: str | None) -> list[str]:
    id = id or ("id" if "id" in raw.column_names else None)
    if id is None:
        stems = [Path(text or "").stem for text in texts_of(path, raw, image)]
        unique = all(stems) and len(set(stems)) == len(stems)
        return stems if unique else [str(row) for row in range(1, len(raw) + 1)]
    seen: dict[str, int] = {}
    for row, text in enumerate(texts_of(path, raw, id), 1):
        if text is None:
            raise InputError(f"{path} row {row}, column {shown(id)}: is empty")
        if text in seen:
            raise InputError(
                f"{path} rows {seen[text]} and {row}, column {shown(id)}: both are {shown(text)}; "
                "ids must be unique"
            )
        seen[text] = row
    return list(seen)


def _splits(
    path: Path, raw: pa.Table, split: str | None, fractions: tuple[float, float], seed: int
) -> list[str]:
    split = split or ("split" if "split" in raw.column_names else None)
    if split is None:
        return random_splits(len(raw), *fractions, np.random.default_rng(seed)).tolist()
    found = []
    for row, cell in enumerate(texts_of(path, raw, split), 1):
        text = (cell or "").lower()
        if text not in _SPLITS:
            raise InputError(
                f"{path} row {row}, column {shown(split)}: {shown(cell or '')} is not one of "
                f"{', '.join(SPLITS)}"
            )
        found.append(_SPLITS[text])
    return found


def _paths(
    path: Path, raw: pa.Table, column: str, root: Path, where: list[str]
) -> list[Path | None]:
    return [
        None if text is None else locate(root, text, f"{at}, column {shown(column)}")
        for at, text in zip(where, texts_of(path, raw, column))
    ]
