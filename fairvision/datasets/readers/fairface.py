"""FairFace: faces with age, perceived gender and race, balanced over races."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import numpy as np
import pyarrow as pa

from fairvision.core.csv_files import read_csv
from fairvision.core.tables import Place
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.readers.columns import Names, Roles, Rows, import_rows, unique_ids
from fairvision.datasets.readers.importing import Importing, held_out, locator
from fairvision.datasets.readers.storing import Source
from fairvision.errors import InputError, shown

_FILE = "file"
_PARTS = ("train", "val")
PUBLISHED = {
    "age": (
        *("0-2", "3-9", "10-19", "20-29", "30-39"),
        *("40-49", "50-59", "60-69", "more than 70"),
    ),
    "gender": ("Female", "Male"),
    "race": (
        *("White", "Black", "Latino_Hispanic", "East Asian"),
        *("Southeast Asian", "Indian", "Middle Eastern"),
    ),
    "service_test": ("False", "True"),
}


def from_fairface(
    source: str | Path,
    folder: str | Path,
    *,
    attributes: Names = ("gender", "race"),
    tasks: Names = ("age",),
    images: str | Path | None = None,
    **importing: Unpack[Importing],
) -> Dataset:
    """Import FairFace; its validation images are the split test.

    FairFace is published in two parts. Its validation images, on which figures are published, are
    the split test; --val-fraction of its training images are held out at random as val. Groups and
    labels are called as published, but for gender, which is female or male.

    Parameters
    ----------
    source : folder of fairface_label_train.csv, fairface_label_val.csv or both
    folder : where to write the dataset folder
    attributes : gender, race, age or service_test; repeatable; NAME=COLUMN gives it another name
    tasks : the same, for what is classified; repeatable
    images : folder that holds the folders train and val; by default the source
    importing : see `Importing`

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If a table is missing or not as published, names an image twice or one outside the folder,
        or if an image cannot be used; nothing is written.

    References
    ----------
    K. Kärkkäinen & J. Joo, "FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age for
    Bias Measurement and Mitigation", WACV 2021. arXiv:1908.04913.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from PIL import Image
    >>> header = "file,age,gender,race,service_test\\n"
    >>> folder = tempfile.TemporaryDirectory
    >>> with folder() as place, folder() as made:
    ...     for part, rest in (("train", "3-9,Male,Black"), ("val", "more than 70,Female,Indian")):
    ...         Path(place, part).mkdir()
    ...         for i in (1, 2):
    ...             Image.new("RGB", (8, 8)).save(f"{place}/{part}/{i}.jpg")
    ...         lines = "".join(f"{part}/{i}.jpg,{rest},False\\n" for i in (1, 2))
    ...         _ = Path(place, f"fairface_label_{part}.csv").write_text(header + lines)
    ...     with warnings.catch_warnings(action="ignore"):
    ...         faces = from_fairface(place, f"{made}/out", attributes=["gender"])
    >>> faces.samples[["id", "split", "gender", "age"]].values.tolist()[1:3]
    [['train/2', 'val', 'male', '3-9'], ['val/1', 'test', 'female', 'more than 70']]
    """
    root, roles = Path(source), Roles.of(attributes, tasks)
    roles.check(root, list(PUBLISHED))
    located = locator(root if images is None else Path(images))
    tables, splits, sources, files = [], [], [], []
    for part in _PARTS:
        path = root / f"fairface_label_{part}.csv"
        if not path.exists():
            continue
        table = _read(path, roles)
        tables.append(table.drop([_FILE]))
        for row, file in enumerate(table[_FILE].to_pylist(), 1):
            image = located(file, Place(path, _FILE, row))
            sources.append(Source(str(Place(path, row=row)), image, None))
        files += unique_ids(Place(path, _FILE), table[_FILE].to_pylist())
        splits += _splits(part, len(table), importing)
    if not tables:
        raise InputError(f"{root} has neither fairface_label_train.csv nor fairface_label_val.csv")
    ids = unique_ids(Place(root, _FILE), [str(Path(file).with_suffix("")) for file in files])
    columns = pa.concat_tables(tables)
    published = {name: PUBLISHED[name] for name in columns.column_names}
    if "gender" in published:
        published["gender"] = tuple(name.lower() for name in published["gender"])
    importing["name"] = importing.get("name") or "fairface"
    rows = Rows(root, ids, columns, splits, sources, published)
    source_words = "FairFace, as annotated; its validation images are the split test"
    return import_rows(rows, roles, folder, source=source_words, **importing)


def _read(path: Path, roles: Roles) -> pa.Table:
    """Return the file names and the columns that have a role, checked."""
    table = read_csv(path)
    if not len(table):
        raise InputError(f"{path} has no rows")
    wanted = [_FILE, *dict.fromkeys(roles.columns)]
    for name in wanted:
        if name not in table.column_names:
            raise InputError(
                f"{path} has no column {shown(name)}: it has {', '.join(table.column_names)}"
            )
    table = table.select(wanted)
    for name in wanted[1:]:
        texts = table[name].to_pylist()
        for wrong in sorted({*texts} - {*PUBLISHED[name], ""})[:1]:
            raise Place(path, name, texts.index(wrong) + 1).error(
                f"{shown(wrong)} is not one of {', '.join(PUBLISHED[name])}"
            )
        if name == "gender":
            lower = pa.array([text.lower() for text in texts], pa.large_string())
            table = table.set_column(table.column_names.index(name), name, lower)
    return table


def _splits(part: str, count: int, importing: Importing) -> list[str]:
    """Return the split of each image of a part."""
    if part == "val":
        return ["test"] * count
    share = importing.get("val_fraction", 0.1)
    if not 0 <= share < 1:
        raise InputError(f"validation share {share} must be at least 0 and below 1")
    val = min(max(round(share * count), int(share > 0)), count - 1)
    return list(np.asarray(held_out(count, val, importing.get("seed", 0))))
