"""Any table of images: csv, tsv or parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fairvision.core.tables import Place, Table, open_table
from fairvision.datasets import counterfactuals
from fairvision.datasets.captions import COLUMN
from fairvision.datasets.dataset import SPLIT_NAMES, SPLITS, TEXT, Dataset
from fairvision.datasets.folder import refuse_layouts
from fairvision.datasets.images import Doubts
from fairvision.datasets.label_columns import texts_of
from fairvision.datasets.readers.columns import (
    Columns,
    Names,
    Roles,
    read_captions,
    read_roles,
    unique_ids,
)
from fairvision.datasets.readers.importing import import_dataset, locate, random_splits
from fairvision.datasets.readers.storing import Source
from fairvision.datasets.readers.table_masks import Drawn, box_masks, cell_masks
from fairvision.errors import InputError, shown


def from_table(
    table: str | Path,
    folder: str | Path,
    *,
    attributes: Names = (),
    tasks: Names = (),
    many: Names = (),
    captions: str | Columns = (),
    image: str = "image",
    mask: str | None = None,
    box: Sequence[str] | None = None,
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
    Columns `counterfactual_of` and `changed` are kept: images that were made of others, see
    docs/counterfactuals.md.

    Parameters
    ----------
    table : .csv, .tsv or .parquet (.csv.gz and the like too), with a header, in UTF-8; or a
        folder of parquet files
    folder : where to write the dataset folder
    attributes : columns that hold a group of people, or a mapping of names to such columns
    tasks : the same for columns that hold one label
    many : the same for columns that hold any number of labels: a list in parquet, else text
    captions : columns of captions, which are put together: lists in parquet; else text, which is
        one caption, or a list of JSON or Python written as text
    image : column of the images' paths
    mask : column of the masks: paths, or segmentations as COCO has them (run lengths, polygons, or
        lists of these for several people), as JSON or nested columns of parquet; by default `mask`,
        if there is one and no `box`
    box : four columns, of left, top, width and height in pixels, whose boxes are the masks; cells
        are numbers, or lists of them for several people
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
        If the table cannot be read, names no attribute, task or captions, lacks a column, repeats
        an id, has a path that leaves its folder, labels that could be read in two ways or captions
        that are no texts, or if an image or mask cannot be used; nothing is written.

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
    refuse_layouts(path)
    opened = open_table(path)
    roles = Roles.of(attributes, tasks, many, captions)
    roles.check(path, opened.names)
    if box is not None and (len(box) != 4 or mask is not None):
        raise InputError("a box is four columns: left, top, width, height; there is no mask then")
    named = (image, mask, id, split, *(box or ()))
    opened.check_columns(name for name in named if name is not None)
    raw = opened.read()

    samples = pd.DataFrame({"id": _ids(path, raw, image, id)})
    pairs = _pairs(opened, raw)
    originals = pairs.get(counterfactuals.ORIGINAL)
    samples["split"] = _splits(
        opened, raw, split, (val_fraction, test_fraction), seed, samples["id"], originals
    )
    if pairs:
        samples = samples.assign(**pairs)
        counterfactuals.check_originals(samples, partial(_refuse, opened, samples["id"]))
    schema, read = read_roles(path, raw, roles, unknown=unknown, separator=separator)

    root = Path(images) if images is not None else path.parent
    mask = mask or ("mask" if "mask" in opened.types and box is None else None)
    ids, doubts = samples["id"].tolist(), Doubts()

    def place_of(row: int, column: str = "") -> Place:
        return replace(opened.place(row, column), id=ids[row])

    if roles.captions:
        samples[COLUMN] = read_captions(raw, roles.captions, place_of, unknown)
    masks: Sequence[Path | Drawn | None] = [None] * opened.rows
    if mask is not None:
        masks = cell_masks(raw[mask], mask, place_of, root)
    elif box is not None:
        masks = box_masks([raw[name] for name in box], box, place_of, doubts)
    sources = []
    for row, (text, person) in enumerate(zip(texts_of(Place(path, image), raw[image]), masks)):
        if text is None:
            raise place_of(row, image).error("is empty")
        file = locate(root, text, place_of(row, image))
        sources.append(Source(str(place_of(row)), file, person))
    dataset = import_dataset(
        Dataset.of_columns(
            schema,
            samples,
            read,
            root=Path(folder),
            name=name or path.stem,
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
    doubts.tell()
    return dataset


def _ids(path: Path, raw: pa.Table, image: str, id: str | None) -> list[str]:
    """Return a unique id per row: the id column, else file stems, else row numbers."""
    id = id or ("id" if "id" in raw.column_names else None)
    if id is None:
        stems = [Path(text or "").stem for text in texts_of(Place(path, image), raw[image])]
        unique = all(stems) and len(set(stems)) == len(stems)
        return stems if unique else [str(row) for row in range(1, len(raw) + 1)]
    return unique_ids(Place(path, id), texts_of(Place(path, id), raw[id]))


def _pairs(table: Table, raw: pa.Table) -> dict[str, pd.Series]:
    """Return the columns of counterfactuals, missing where empty; none without `counterfactual_of`.

    They are left out as well where no cell is filled.
    """
    if counterfactuals.ORIGINAL not in table.types:
        return {}
    table.check_columns(counterfactuals.COLUMNS)
    columns = {
        name: pd.Series(texts_of(Place(table.path, name), raw[name]), dtype=TEXT)
        for name in counterfactuals.COLUMNS
    }
    return columns if any(column.notna().any() for column in columns.values()) else {}


def _refuse(
    table: Table,
    ids: pd.Series,
    wrong: npt.NDArray[np.bool_],
    column: str,
    problem: Callable[[int], str],
) -> None:
    """Raise `InputError` for the first row that is wrong, if there is one."""
    for row in np.flatnonzero(wrong):
        raise replace(table.place(int(row), column), id=ids[row]).error(problem(int(row)))


def _splits(
    table: Table,
    raw: pa.Table,
    split: str | None,
    fractions: tuple[float, float],
    seed: int,
    ids: pd.Series,
    originals: pd.Series | None,
) -> list[str]:
    """Return the split of each row: read from a column, or else drawn with the seed.

    Counterfactuals get the split of their originals.
    """
    split = split or ("split" if "split" in table.types else None)
    if split is None:
        kept = np.ones(table.rows, bool) if originals is None else originals.isna().to_numpy(bool)
        random = np.random.default_rng(seed)
        drawn = np.full(table.rows, SPLITS[0], object)
        drawn[kept] = random_splits(int(kept.sum()), *fractions, random)
        if originals is not None:
            place = pd.Index(ids).get_indexer(pd.Index(originals))
            drawn = np.where(kept, drawn, drawn[place])
        return list(drawn)
    splits = []
    for row, cell in enumerate(texts_of(Place(table.path, split), raw[split])):
        name = SPLIT_NAMES.get((cell or "").lower())
        if name is None:
            raise table.place(row, split).error(
                f"{shown(cell or '')} is not one of {', '.join(SPLITS)}"
            )
        splits.append(name)
    return splits
