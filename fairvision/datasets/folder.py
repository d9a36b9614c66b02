"""The dataset folder: `dataset.json`, one table with a row per image, the images and masks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.core.files import read_json, whole_file, write_json
from fairvision.datasets.readers.layouts import refuse_known
from fairvision.datasets.samples import SPLITS, TEXT, read_samples
from fairvision.datasets.stamps import file_stamps, text_bytes
from fairvision.errors import InputError
from fairvision.schema import Schema, Task, parse_schema


@dataclass(frozen=True)
class Dataset:
    """A dataset folder in memory: settings and the table, not the images.

    Attributes
    ----------
    root : folder in which the table's paths lie
    name, source, licence : text
    attributes : groups of each annotated, perceived attribute
    tasks : labels of each task
    samples : one row per image with the columns `id`, `image`, `mask` (missing where there is
        none), `split`, one per attribute (group, or None where unknown), one per task (label, or a
        tuple of labels where many may hold; None where unknown)
    size : (width, height) of the images in pixels, where all have the same and that is stated
    """

    root: Path
    name: str
    attributes: Mapping[str, tuple[str, ...]]
    tasks: Mapping[str, Task]
    samples: pd.DataFrame
    source: str = ""
    licence: str = ""
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def has_masks(self) -> bool:
        """Whether any image has a mask of the person."""
        return bool(self.samples["mask"].notna().any())

    def split(self, name: str) -> Dataset:
        """Return the rows of one split; `InputError` names the splits that there are."""
        chosen = self.samples["split"] == name
        if not chosen.any():
            there = ", ".join(s for s in SPLITS if (self.samples["split"] == s).any())
            raise InputError(f"{self.root} has no pictures in split {name!r}: it has {there}")
        return replace(self, samples=self.samples[chosen].reset_index(drop=True))

    @property
    def schema(self) -> Schema:
        """The attributes and tasks."""
        return Schema(self.attributes, self.tasks)

    def codes(self, attribute: str) -> np.ndarray:
        """Return each image's group, (n,) int64 positions in its groups; -1 unknown."""
        return self.schema.encode(attribute, self.samples[attribute])

    def targets(self, task: str) -> np.ndarray:
        """Return each image's labels.

        Returns
        -------
        (n,) int64 positions in the task's labels, -1 unknown; or, where many labels may hold,
        (n, labels) int8 of 0 and 1, with rows of -1 where unknown.
        """
        return self.schema.encode(task, self.samples[task])

    def fingerprint(self) -> str:
        """Return a digest of the settings, the table and the files' names, sizes and times."""
        digest = hashlib.sha256(json.dumps(settings_of(self), sort_keys=True).encode())
        for column in ("id", "split"):
            digest.update(b"".join(text_bytes(self.samples[column])))
        for name in self.attributes:
            digest.update(self.codes(name).tobytes())
        for name in self.tasks:
            digest.update(self.targets(name).tobytes())
        for some in file_stamps(self):
            digest.update(some)
        return digest.hexdigest()[:16]


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
    if not (root / "dataset.json").exists():
        refuse_known(root)
    settings = read_json(root / "dataset.json")
    schema = parse_schema(root / "dataset.json", settings)
    return Dataset(
        root=root,
        name=str(settings.get("name", root.resolve().name)),
        attributes=schema.attributes,
        tasks=schema.tasks,
        samples=read_samples(root, schema),
        source=str(settings.get("source", "")),
        licence=str(settings.get("licence", "")),
        size=_size(root / "dataset.json", settings.get("size")),
    )


def save(dataset: Dataset, folder: str | Path) -> None:
    """Write `dataset.json` and `samples.parquet` into an existing folder."""
    folder = Path(folder)
    columns = {}
    for name, column in dataset.samples.items():
        if name in dataset.tasks and dataset.tasks[str(name)].many:
            columns[str(name)] = pa.array(column, pa.list_(pa.string()), from_pandas=True)
        else:
            columns[str(name)] = pa.array(column.astype(TEXT)).cast(pa.string())
    with whole_file(folder / "samples.parquet") as part:
        pq.write_table(pa.table(columns), part)
    write_json(folder / "dataset.json", settings_of(dataset))


def settings_of(dataset: Dataset) -> dict[str, Any]:
    """Return what `dataset.json` says, without its samples."""
    size = {} if dataset.size is None else {"size": list(dataset.size)}
    return {
        "name": dataset.name,
        "source": dataset.source,
        "licence": dataset.licence,
        **dataset.schema.as_json(),
        **size,
    }


def _size(path: Path, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    sides = value if isinstance(value, list) else []
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise InputError(
            f"{path}: size must be [width, height] in pixels, of every picture, not {value!r}"
        )
    return sides[0], sides[1]
