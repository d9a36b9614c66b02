"""The dataset folder: `dataset.json`, one table with a row per image, the images and masks."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.core.files import is_of_system, read_json, whole_file, write_json
from fairvision.core.moved import former_names
from fairvision.datasets.dataset import TEXT, Dataset
from fairvision.datasets.samples import read_samples
from fairvision.errors import InputError
from fairvision.schema import parse_schema

_RECIPE = "docs/data.md, 'Layouts of known data sets', has the five lines that make a table of it"
_UTKFACE = re.compile(r"\d{1,3}_[01]_(\d_)?\d{8,}.*\.(jpe?g|png)(\.chip\.jpg)?", re.IGNORECASE)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
_SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")
_LOOKED_AT = 50  # entries of a folder


def refuse_layouts(path: Path) -> None:
    """Raise `InputError` with what to do where a path is the layout of a known data set.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for label in ("cat", "dog"):
    ...         Path(place, label).mkdir()
    ...         Path(place, label, "1.png").touch()
    ...     try:
    ...         refuse_layouts(Path(place))
    ...     except InputError as error:
    ...         print(str(error).removeprefix(place).partition(":")[0])
     looks like an ImageFolder, a folder of pictures per label
    """
    if layout := _layout(path):
        raise InputError(f"{path} looks like {layout}: {_RECIPE}")


def _layout(path: Path) -> str:
    """Return what a path of images seems to be, in words, and "" if it is no known layout."""
    if path.is_file():
        return "CelebA's list of attributes" if path.suffix == ".txt" and _is_celeba(path) else ""
    if not path.is_dir() or (path / "dataset.json").exists():
        return ""
    entries = _entries(path)
    if any(_UTKFACE.fullmatch(entry.name) for entry in entries):
        return "UTKFace, whose file names hold age, gender and race"
    labels = [entry for entry in entries if entry.is_dir()]
    if labels and all(label.name.lower() in _SPLITS for label in labels):
        labels = [inner for split in labels for inner in _entries(split) if inner.is_dir()]
    if len(labels) > 1 and all(map(_holds_images, labels)):
        return "an ImageFolder, a folder of pictures per label"
    return ""


def _is_celeba(path: Path) -> bool:
    """Return whether a text begins with a count, a line of names, and an image with -1 and 1."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = [line[:10_000].split() for line in islice(file, 3)]
    except (OSError, UnicodeError):
        return False
    if len(lines) < 3 or len(lines[0]) != 1 or not lines[0][0].isdecimal():
        return False
    return len(lines[2]) == len(lines[1]) + 1 and set(lines[2][1:]) <= {"-1", "1"}


def _entries(folder: Path) -> list[Path]:
    """Return the first entries of a folder, sorted; none if it cannot be listed."""
    try:
        entries = (entry for entry in folder.iterdir() if not is_of_system(entry.name))
        return sorted(islice(entries, _LOOKED_AT))
    except OSError:
        return []


def _holds_images(folder: Path) -> bool:
    """Return whether one of the first entries of a folder has the suffix of an image."""
    return any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in _entries(folder))


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
