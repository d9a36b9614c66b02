"""The dataset folder: `dataset.json`, one table with a row per picture, the pictures and masks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.datasets.layouts import refuse_known
from fairvision.datasets.samples import FIXED, SEPARATOR, SPLITS, TEXT, read_samples
from fairvision.datasets.stamps import file_stamps, text_bytes
from fairvision.errors import InputError
from fairvision.files import read_json, whole_file, write_json

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Task:
    """What is classified: its labels, and whether several may hold for one picture."""

    labels: tuple[str, ...]
    many: bool = False


@dataclass(frozen=True)
class Dataset:
    """A dataset folder in memory: settings and the table, not the pictures.

    Attributes
    ----------
    root : folder in which the table's paths lie
    name, source, licence : text
    attributes : groups of each annotated, perceived attribute
    tasks : labels of each task
    samples : one row per picture with the columns `id`, `image`, `mask` (missing where there is
        none), `split`, one per attribute (group, or None where unknown), one per task (label, or a
        tuple of labels where many may hold; None where unknown)
    size : (width, height) of the pictures in pixels, where all have the same and that is stated
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
        """Whether any picture has a mask of the person."""
        return bool(self.samples["mask"].notna().any())

    def split(self, name: str) -> Dataset:
        """Return the rows of one split; `InputError` names the splits that there are."""
        chosen = self.samples["split"] == name
        if not chosen.any():
            there = ", ".join(s for s in SPLITS if (self.samples["split"] == s).any())
            raise InputError(f"{self.root} has no pictures in split {name!r}: it has {there}")
        return replace(self, samples=self.samples[chosen].reset_index(drop=True))

    def codes(self, attribute: str) -> np.ndarray:
        """Return each picture's group, (n,) int64 positions in its groups; -1 unknown."""
        return _positions(self.samples[attribute], self.attributes[attribute])

    def targets(self, task: str) -> np.ndarray:
        """Return each picture's labels.

        Returns
        -------
        (n,) int64 positions in the task's labels, -1 unknown; or, where many labels may hold,
        (n, labels) int8 of 0 and 1, with rows of -1 where unknown.
        """
        labels, column = self.tasks[task].labels, self.samples[task]
        if not self.tasks[task].many:
            return _positions(column, labels)
        codes, distinct = pd.factorize(column.to_numpy(object))
        targets = np.zeros((len(distinct) + 1, len(labels)), np.int8)
        targets[-1] = -1
        for row, some in enumerate(distinct):
            targets[row, [labels.index(label) for label in some]] = 1
        return targets[codes]

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
        the folder. That pictures can be read is checked when they are decoded.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: give a dataset folder (see fairvision data)")
    if not (root / "dataset.json").exists():
        refuse_known(root)
    settings = read_json(root / "dataset.json")
    attributes, tasks = parse_settings(root / "dataset.json", settings)
    return Dataset(
        root=root,
        name=str(settings.get("name", root.resolve().name)),
        attributes=attributes,
        tasks=tasks,
        samples=read_samples(root, attributes, tasks),
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
        "attributes": {name: list(groups) for name, groups in dataset.attributes.items()},
        "tasks": {
            name: {"labels": list(task.labels), "many": task.many}
            for name, task in dataset.tasks.items()
        },
        **size,
    }


def parse_settings(path: Path, settings: Any) -> tuple[dict[str, tuple[str, ...]], dict[str, Task]]:
    """Return the attributes and tasks of a `dataset.json`; `InputError` names `path`."""
    try:
        attributes = {str(k): _names(v) for k, v in settings.get("attributes", {}).items()}
        tasks = {
            str(k): Task(_names(v["labels"]), bool(v.get("many", False)))
            for k, v in settings.get("tasks", {}).items()
        }
    except (AttributeError, KeyError, TypeError):
        raise InputError(
            f"{path}: attributes must map a name to its groups, and tasks a name to "
            '{"labels": [...], "many": false}'
        ) from None
    names = [*attributes, *tasks]
    for name in names:
        if name in FIXED or names.count(name) > 1 or "/" in name or not name:
            raise InputError(f"{path}: {name!r} cannot be the name of an attribute or task")
    for name, values in [*attributes.items(), *((k, t.labels) for k, t in tasks.items())]:
        if len(set(values)) != len(values) or not all(values):
            raise InputError(f"{path}: {name!r} has an empty or repeated name among {values}")
    for name, groups in attributes.items():
        if UNKNOWN in groups:
            raise InputError(
                f"{path}: {name!r} has a group called 'unknown': leave its cells empty instead"
            )
        if len(groups) < 2:
            raise InputError(f"{path}: attribute {name!r} needs at least two groups")
    for name, task in tasks.items():
        if task.many and any(SEPARATOR in label for label in task.labels):
            raise InputError(f"{path}: a label of {name!r} holds a ';', which separates labels")
        if len(task.labels) < (1 if task.many else 2):
            raise InputError(f"{path}: task {name!r} has too few labels")
    return attributes, tasks


def _size(path: Path, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    sides = value if isinstance(value, list) else []
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise InputError(
            f"{path}: size must be [width, height] in pixels, of every picture, not {value!r}"
        )
    return sides[0], sides[1]


def _names(values: Any) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple)):
        raise TypeError
    return tuple(map(str, values))


def _positions(column: pd.Series, values: Iterable[str]) -> np.ndarray:
    return pd.Categorical(column, categories=list(values)).codes.astype(np.int64)
