"""CIFAR-10S: CIFAR-10 in which five classes are mostly grey and five mostly in colour."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.error import URLError

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image

from fairvision.core.files import check_vacant, is_of_system
from fairvision.core.tables import Place, read_parquet
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.images import quiet_warnings
from fairvision.datasets.readers.importing import held_out, image_paths, write_dataset
from fairvision.errors import InputError, check_file, reading, shown
from fairvision.schema import Task

GREY_CLASSES = ("airplane", "bird", "deer", "frog", "ship")
DOMAINS = ("grey", "colour")
AUTHORS_SEED = 42


def from_cifar10(
    folder: str | Path,
    *,
    source: str | Path | None = None,
    skew: float = 0.95,
    val: int = 0,
    seed: int = AUTHORS_SEED,
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> Dataset:
    """Make a dataset folder of CIFAR-10S: task `class`, attribute `colour`.

    In training, `skew` of the images of airplane, bird, deer, frog and ship are grey, and as many
    of automobile, cat, dog, horse and truck are in colour; the others of each class are the other
    way. Of 5,000 images of a class 4,750 and 250. Every test image is there twice, grey and in
    colour, so that the attribute tells nothing about the class. Grey is ITU-R 601 luma.

    Parameters
    ----------
    folder : where to write the dataset folder
    source : a folder that holds `cifar-10-batches-py`, read by torchvision; or a parquet file, or
        a folder of them, of encoded images: see docs/cifar10s.md. By default CIFAR-10 is
        downloaded. The files of `cifar-10-batches-py` are pickles: torchvision opens them only
        where their digests are those of the published files.
    skew : share of each class in the domain that is typical of it, above .5 and below 1
    val : how many of the training images are held out for validation, chosen at random, with
        their skew; none by default, as published
    seed : of the choice of images. The default makes the authors' own choice, where the images
        are in the order of torchvision.
    workers : threads that write; by default one per core
    overwrite : replace a dataset folder that is there
    quiet : show no progress

    Returns
    -------
    Dataset
        The `id` of a test image ends in `-grey` or `-colour`; what stands before is the image.

    Raises
    ------
    InputError
        If the source is missing, damaged, of another layout, or cannot be downloaded; nothing is
        written.

    References
    ----------
    Z. Wang et al., "Towards Fairness in Visual Recognition: Effective Strategies for Bias
    Mitigation", CVPR 2020, section 3. arXiv:1911.11834.

    Examples
    --------
    >>> from fairvision.datasets.readers.cifar10s import from_cifar10
    >>> skewed = from_cifar10("cifar10s", source="downloads")  # doctest: +SKIP
    >>> skewed.attributes  # doctest: +SKIP
    {'colour': ('grey', 'colour')}
    """
    if not 0.5 < skew < 1:
        raise InputError(f"skew must be above 0.5 and below 1, not {skew:g}")
    check_vacant(folder, marker="dataset.json", overwrite=overwrite)
    if source is None:
        train, test = _from_torchvision(None)
    elif (Path(source) / "cifar-10-batches-py").is_dir():
        train, test = _from_torchvision(Path(source))
    else:
        train, test = read_parquet_files(Path(source))
    grey = _choose_grey(train.labels, skew, seed)
    images = [np.where(grey[:, None, None, None], _to_grey(train.images), train.images)]
    images += [_to_grey(test.images), test.images]
    paths = image_paths("train", len(grey))
    for domain in DOMAINS:
        paths += image_paths(f"test-{domain}", len(test.labels))
    tests = [f"test-{i:05d}-{domain}" for domain in DOMAINS for i in range(len(test.labels))]
    labels = np.concatenate([train.labels, test.labels, test.labels])
    samples = pd.DataFrame(
        {
            "id": [*(f"train-{i:05d}" for i in range(len(grey))), *tests],
            "image": paths,
            "mask": None,
            "split": [*held_out(len(grey), val, seed), *["test"] * len(tests)],
            "colour": [
                *np.where(grey, *DOMAINS).tolist(),
                *np.repeat(DOMAINS, len(test.labels)).tolist(),
            ],
            "class": [CLASSES[label] for label in labels],
        }
    )
    dataset = Dataset(
        root=Path(folder),
        name="cifar10s",
        attributes={"colour": DOMAINS},
        tasks={"class": Task(CLASSES)},
        samples=samples,
        source=f"CIFAR-10 {train.origin}; skew {skew:g}, seed {seed}",
        licence="as CIFAR-10: none stated; for research",
        size=(32, 32),
    )
    every = np.concatenate(images)
    return write_dataset(dataset, every, overwrite=overwrite, workers=workers, quiet=quiet)


def _choose_grey(labels: np.ndarray, skew: float, seed: int) -> np.ndarray:
    """Return which training images turn grey, (n,) bool.

    It draws as the authors' program does (class by class, by Python's generator), so that their
    seed gives their images.
    """
    random, grey = Random(seed), np.zeros(len(labels), bool)
    for number, name in enumerate(CLASSES):
        rows: Sequence[int] = np.flatnonzero(labels == number).tolist()
        typical = random.sample(rows, int(len(rows) * skew))
        is_grey = name in GREY_CLASSES
        grey[rows] = not is_grey
        grey[typical] = is_grey
    return grey


def _to_grey(images: np.ndarray) -> np.ndarray:
    """Return images, (n, height, width, 3) uint8, without their colours."""
    n, height, width, _ = images.shape
    flat = Image.fromarray(images.reshape(n * height, width, 3)).convert("L")
    grey = np.asarray(flat).reshape(n, height, width, 1)
    return np.repeat(grey, 3, axis=3)


def _from_torchvision(source: Path | None) -> tuple[Cifar10, Cifar10]:
    """Return the training and the test part."""
    from torchvision.datasets import CIFAR10

    with tempfile.TemporaryDirectory(prefix="cifar10-") as place:
        root = place if source is None else source
        try:
            if source is None:
                CIFAR10(root, download=True)
            parts = [CIFAR10(root, train=is_train) for is_train in (True, False)]
        except (RuntimeError, URLError, OSError) as error:
            if source is None:
                raise InputError(
                    f"CIFAR-10 cannot be downloaded ({str(error).strip().splitlines()[-1]}): "
                    "--source takes a folder that holds cifar-10-batches-py, or a parquet file"
                ) from None
            raise InputError(
                f"{source}/cifar-10-batches-py is incomplete or not as published: its files are "
                "pickles, which are opened only where their digests are the published ones"
            ) from None
    train, test = (
        Cifar10(part.data, np.asarray(part.targets), "read by torchvision") for part in parts
    )
    return train, test


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


def read_parquet_files(source: Path) -> tuple[Cifar10, Cifar10]:
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
    images_of: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {part: [] for part in _PARTS}
    for path in _files(source):
        table = read_parquet(path)
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
            images_of[part].append((images[chosen], labels[chosen]))
    parts = []
    for part in _PARTS:
        images, labels = (np.concatenate(arrays) for arrays in zip(*images_of[part]))
        if not len(labels):
            raise InputError(f"{source} has no {part} pictures")
        parts.append(Cifar10(images, labels, f"from {source.name}"))
    return parts[0], parts[1]


def _files(source: Path) -> list[Path]:
    """Return the parquet file at a path, or all below it; raise `InputError` if none."""
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
        image_of = f"{Place(path, row=row + 1)}: the picture"
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
    """Return whether a column of this type holds encoded image files."""
    if pa.types.is_struct(kind):
        kind = next((field.type for field in kind if field.name == "bytes"), pa.null())
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _labels(path: Path, table: pa.Table) -> np.ndarray:
    """Return positions in `CLASSES`, from names or numbers."""
    if "label" not in table.column_names:
        raise InputError(f"{path} has no column 'label': it has {', '.join(table.column_names)}")
    names = _class_names(path, table.schema)
    places: dict[Any, int] = {name: place for place, name in enumerate(CLASSES)}
    places |= {number: places[name] for number, name in enumerate(names)}
    with reading(path, "parquet"):
        labels = table["label"].to_pylist()
    valid = (type(label) in (int, str) and label in places for label in labels)
    strange = next((row for row, is_valid in enumerate(valid) if not is_valid), None)
    if strange is not None:
        label = shown(labels[strange])
        raise Place(path, row=strange + 1).error(f"label {label} is not a class of CIFAR-10")
    return np.array([places[label] for label in labels], np.int64)


def _class_names(path: Path, schema: pa.Schema) -> tuple[str, ...]:
    """Return what numbers stand for: as Hugging Face's metadata say, else CIFAR-10's own order."""
    try:
        noted = json.loads((schema.metadata or {})[b"huggingface"])
        names = tuple(map(str, noted["info"]["features"]["label"]["names"]))
    except (KeyError, RecursionError, TypeError, ValueError):
        return CLASSES
    if set(names) != set(CLASSES):
        raise InputError(f"{path} holds other classes than CIFAR-10: {shown(list(names))}")
    return names
