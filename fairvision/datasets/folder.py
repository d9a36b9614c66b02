"""The dataset folder: `dataset.json`, one table with a row per image, the images and masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.core.deprecation import former_names
from fairvision.core.files import read_json, whole_file, write_json
from fairvision.datasets.dataset import TEXT, Dataset
from fairvision.datasets.layouts import refuse_layouts
from fairvision.datasets.samples import read_samples
from fairvision.errors import InputError
from fairvision.schema import parse_schema


def load(folder: str | Path) -> Dataset:
    """Read and check a dataset folder.

    Raises
    ------
    InputError
        One line naming file, row and column of what cannot be used: missing files or columns,
        repeated ids, groups, labels or splits that `dataset.json` does not name, paths that leave
        the folder. That images can be read is checked when they are decoded.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: give a dataset folder (see fairvision data)")
    path = root / "dataset.json"
    if not path.exists():
        refuse_layouts(root)
    settings = read_json(path)
    schema = parse_schema(path, settings)
    samples, columns = read_samples(root, schema)
    return Dataset.of_columns(
        schema,
        samples,
        columns,
        root=root,
        name=str(settings.get("name", root.resolve().name)),
        source=str(settings.get("source", "")),
        licence=str(settings.get("licence", "")),
        size=_size(path, settings.get("size")),
    )


def save(dataset: Dataset, folder: str | Path) -> None:
    """Write `dataset.json` and `samples.parquet` into an existing folder."""
    folder = Path(folder)
    columns = {}
    for name, column in dataset.samples.items():
        if dataset.schema.is_many(str(name)):
            columns[str(name)] = pa.array(column, pa.list_(pa.string()), from_pandas=True)
        else:
            columns[str(name)] = pa.array(column.astype(TEXT)).cast(pa.string())
    with whole_file(folder / "samples.parquet") as part:
        pq.write_table(pa.table(columns), part)
    write_json(folder / "dataset.json", dataset.settings)


def _size(path: Path, value: Any) -> tuple[int, int] | None:
    """Return width and height as read from dataset.json, and None if it gives no size."""
    if value is None:
        return None
    sides = value if isinstance(value, list) else []
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise InputError(
            f"{path}: size must be [width, height] in pixels, of every picture, not {value!r}"
        )
    return sides[0], sides[1]


__getattr__ = former_names(
    __name__,
    {
        "SEPARATOR": "fairvision.schema.SEPARATOR",
        "SPLITS": "fairvision.datasets.dataset.SPLITS",
        "Task": "fairvision.schema.Task",
        "UNKNOWN": "fairvision.schema.UNKNOWN",
    },
)
