"""CIFAR-10 from parquet files of encoded images."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from fairvision.core import table_files
from fairvision.core.files import is_of_system
from fairvision.datasets.images import quiet_warnings
from fairvision.errors import InputError, check_file, reading, shown

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SIDE = 32
_PARTS = ("train", "test")


@dataclass(frozen=True)
class Cifar10:
    """A part of CIFAR-10.

    Attributes
    ----------
    images : (n, 32, 32, 3) uint8
    labels : (n,) positions in `CLASSES`
    origin : where it was read from, in words
    """

    images: np.ndarray
    labels: np.ndarray
    origin: str


def read_parquet(source: Path) -> tuple[Cifar10, Cifar10]:
    """Return the training and the test part.

    Parameters
    ----------
    source : a parquet file with a column `split` of "train" and "test"; or a folder of files whose
        names begin with "train" or "test", as Hugging Face stores data sets. A row is an image:
        bytes of a PNG or JPEG file, or a struct with the field `bytes`, in the only column of that
        kind; and its `label`, a name or a number.

    Raises
    ------
    InputError
        Files or columns are missing, or a row cannot be read.
    """
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {part: [] for part in _PARTS}
    for path in _files(source):
        table = table_files.read_parquet(path)
        images, labels = _images(path, table), _labels(path, table)
        if "split" in table.column_names:
            with reading(path, "parquet"):
                named = table["split"].to_pylist()
            strange = [split for split in named if split not in _PARTS]
            if strange:
                raise InputError(f"{path}: split {shown(strange[0])} is neither train nor test")
            splits = np.array(named, object)
        else:
            part = next((part for part in _PARTS if path.name.startswith(part)), None)
            if part is None:
                raise InputError(
                    f"{path} has no column 'split', and its name begins with neither train nor test"
                )
            splits = np.full(len(labels), part, object)
        for part in _PARTS:
            chosen = splits == part
            found[part].append((images[chosen], labels[chosen]))
    parts = []
    for part in _PARTS:
        images, labels = (np.concatenate(some) for some in zip(*found[part]))
        if not len(labels):
            raise InputError(f"{source} has no {part} pictures")
        parts.append(Cifar10(images, labels, f"from {source.name}"))
    return parts[0], parts[1]


def _files(source: Path) -> list[Path]:
    if source.is_dir():
        files = [
            path
            for path in sorted(source.rglob("*.parquet"))
            if not any(map(is_of_system, path.relative_to(source).parts))
        ]
        if not files:
            raise InputError(f"{source} holds neither cifar-10-batches-py nor parquet files")
        return files
    return [check_file(source, "a parquet file or a folder of them")]


def _images(path: Path, table: pa.Table) -> np.ndarray:
    """Decode the only column of images."""
    columns = [field.name for field in table.schema if _is_encoded(field.type)]
    if len(columns) != 1:
        there = ", ".join(table.column_names)
        raise InputError(
            f"{path} has {len(columns)} columns of encoded pictures where one is needed: "
            f"it has {there}"
        )
    column = table[columns[0]]
    if pa.types.is_struct(column.type):
        column = pa.chunked_array([chunk.field("bytes") for chunk in column.chunks])
    images = np.empty((len(column), SIDE, SIDE, 3), np.uint8)
    for row, content in enumerate(column):
        image_of = f"{path} row {row + 1}: the picture"
        encoded = content.as_py()
        if encoded is None:
            raise InputError(f"{image_of} cannot be read: it is missing")
        with reading(image_of):
            image = Image.open(io.BytesIO(encoded))
        if image.size != (SIDE, SIDE):
            width, height = image.size
            raise InputError(f"{image_of} is {width}×{height} pixels, not 32×32")
        with reading(image_of), quiet_warnings():
            images[row] = np.asarray(image.convert("RGB"))
    return images


def _is_encoded(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        kind = next((field.type for field in kind if field.name == "bytes"), pa.null())
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _labels(path: Path, table: pa.Table) -> np.ndarray:
    """Return positions in `CLASSES`, from names or numbers."""
    if "label" not in table.column_names:
        raise InputError(f"{path} has no column 'label': it has {', '.join(table.column_names)}")
    names = _class_names(path, table.schema)
    places: dict[Any, int] = {name: place for place, name in enumerate(CLASSES)}
    places |= {number: places[name] for number, name in enumerate(names)}
    with reading(path, "parquet"):
        labels = table["label"].to_pylist()
    strange = next((row for row, label in enumerate(labels) if not _is_among(label, places)), None)
    if strange is not None:
        label = shown(labels[strange])
        raise InputError(f"{path} row {strange + 1}: label {label} is not a class of CIFAR-10")
    return np.array([places[label] for label in labels], np.int64)


def _is_among(label: Any, places: dict[Any, int]) -> bool:
    return type(label) in (int, str) and label in places


def _class_names(path: Path, schema: pa.Schema) -> tuple[str, ...]:
    """Return what numbers stand for: as Hugging Face's metadata say, else CIFAR-10's own order."""
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])
        names = tuple(map(str, told["info"]["features"]["label"]["names"]))
    except (KeyError, RecursionError, TypeError, ValueError):
        return CLASSES
    if set(names) != set(CLASSES):
        raise InputError(f"{path} holds other classes than CIFAR-10: {shown(list(names))}")
    return names
