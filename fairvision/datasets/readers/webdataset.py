"""Tar archives of images (the layout of WebDataset), which are read where they are."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from fairvision.core import tars
from fairvision.core.files import is_of_system, resolved, whole_folder
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.folder import IMAGE_SUFFIXES, load, save
from fairvision.datasets.readers.columns import Columns, Names, Roles, Rows, dataset_of
from fairvision.datasets.readers.importing import check_not_within, check_outside, warn
from fairvision.datasets.readers.split_names import split_of
from fairvision.errors import InputError, reading, shown

_TARS = "tars"
_TEXTS = ("cls", "txt")
"""Endings of files that hold one text, which is a column of that name."""
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


def from_webdataset(
    source: str | Path,
    folder: str | Path,
    *,
    attributes: Names = (),
    tasks: Names = (),
    many: Names = (),
    captions: Columns = (),
    mask: str = "mask.png",
    unknown: Iterable[str] = (),
    separator: str | None = None,
    name: str | None = None,
    licence: str = "",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    workers: int | None = None,
    overwrite: bool = False,
) -> Dataset:
    """Import tar archives of images, as WebDataset has them.

    Files of an image have one name and lie one after the other: `7.jpg` is the picture, `7.json`
    holds columns, `7.cls` and `7.txt` a text each, which are columns too, and `7.mask.png` is the
    mask of the person. The archives get a second name in the dataset folder, which takes no room;
    nothing is extracted, and pictures are first decoded when they are needed.

    Parameters
    ----------
    source : an archive, or a folder of archives, which are taken in the order of their names
    folder : where to write the dataset folder, on the disk of the archives
    attributes : column of groups of people; repeatable; NAME=COLUMN gives it another name
    tasks : column of labels to be classified, one per picture; repeatable; NAME=COLUMN
    many : column of labels of which any number may hold; repeatable; NAME=COLUMN
    captions : column of captions, texts or lists of texts; repeatable
    mask : ending of the masks
    unknown : text that means not known, besides an empty cell and unknown; repeatable
    separator : between the labels of a many column that holds text, by default ;
    name, licence : of the dataset and of its images, as noted in dataset.json
    val_fraction, test_fraction, seed : of the splits, drawn at random where the names of archives
        do not say them, as train-000.tar does
    workers : archives that are read at a time; by default one per core
    overwrite : replace a dataset folder that is there

    Returns
    -------
    Dataset
        The `id` of a picture is its name without ending where that is unique, else with that of its
        archive.

    Raises
    ------
    InputError
        An archive is damaged or compressed, or what it holds cannot be used.

    Examples
    --------
    >>> import io, tarfile, tempfile, warnings
    >>> from PIL import Image
    >>> place = Path(tempfile.mkdtemp())
    >>> with tarfile.open(place / "people.tar", "w") as tar:
    ...     Image.new("RGB", (8, 8)).save(place / "blank.png")
    ...     for i, age in enumerate(["old", "young", "young"]):
    ...         _ = (place / "age.json").write_text(json.dumps({"age": age}))
    ...         tar.add(place / "blank.png", f"{i}.png")
    ...         tar.add(place / "age.json", f"{i}.json")
    >>> with warnings.catch_warnings(action="ignore"):
    ...     people = from_webdataset(place / "people.tar", place / "data", attributes=["age"])
    >>> people.samples[["id", "image", "age"]].values.tolist()[0]
    ['0', 'tars/people.tar/0.png', 'old']
    """
    origin, roles = Path(source), Roles.of(attributes, tasks, many, captions)
    check_not_within(folder, origin)
    archives = _archives(origin)
    for archive in archives:
        check_outside(archive, folder)
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        parts = list(pool.map(lambda archive: _read(archive, mask, roles.columns), archives))
    every = list(dict.fromkeys(column for part in parts for column in part.names))
    if not any(part.images for part in parts):
        raise InputError(f"{origin} has no pictures ({', '.join(IMAGE_SUFFIXES)}) in its archives")
    roles.check(origin, every)
    if without := sum(part.without for part in parts):
        warn(f"{origin}: {without} names in the archives have no picture and are passed over")
    start = origin if origin.is_dir() else origin.parent
    inside = [f"{_TARS}/{archive.relative_to(start).as_posix()}" for archive in archives]
    rows = Rows(
        origin,
        _ids(parts, [archive.relative_to(start) for archive in archives]),
        pa.table({column: _column(origin, column, parts) for column in roles.columns}),
        _splits(parts, [archive.relative_to(start) for archive in archives]),
        (),
    )
    dataset = dataset_of(
        rows,
        roles,
        folder,
        source=f"imported from the tar archives of {origin.resolve().name}",
        unknown=unknown,
        separator=separator,
        name=name,
        licence=licence,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )
    places = [
        (f"{at}/{image}", None if person is None else f"{at}/{person}")
        for at, part in zip(inside, parts)
        for image, person in zip(part.images, part.masks)
    ]
    images, masks = zip(*places, strict=True)
    samples = dataset.samples.assign(image=images, mask=masks)
    with whole_folder(folder, marker="dataset.json", overwrite=overwrite) as made:
        for archive, at in zip(archives, inside):
            (made / at).parent.mkdir(parents=True, exist_ok=True)
            _link(archive, made / at)
        save(replace(dataset, root=made, samples=samples), made)
    return load(folder)


@dataclass
class _Part:
    """What an archive holds: image by image its file, its mask and its columns."""

    images: list[str] = field(default_factory=list)
    masks: list[str | None] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    names: dict[str, None] = field(default_factory=dict)
    without: int = 0


def _archives(source: Path) -> list[Path]:
    """Return the archives of a source, in the order of their names."""
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    files = [path for path in files if not is_of_system(path.name)]
    for path in files:
        if path.name.lower().endswith(_COMPRESSED):
            raise InputError(
                f"{path} is compressed, so nothing in it can be read in place: unpack it to a .tar"
            )
    if not source.is_dir():
        return files
    archives = [path for path in files if path.suffix == tars.SUFFIX and path.is_file()]
    if not archives:
        raise InputError(f"{source} has no tar archives ({tars.SUFFIX})")
    return archives


def _read(archive: Path, mask: str, columns: Sequence[str]) -> _Part:
    """Read the columns of an archive, and where its images are."""
    part = _Part()
    for key, files in _grouped(archive).items():
        image = next((files[e] for e in files if f".{e}" in IMAGE_SUFFIXES), None)
        if image is None:
            part.without += 1
            continue
        part.images.append(image)
        part.masks.append(files.get(mask.lower()))
        part.keys.append(key)
        values = _values(archive, files)
        part.names |= dict.fromkeys(values)
        for column in columns:
            part.columns[column].append(values.get(column))
    return part


def _grouped(archive: Path) -> dict[str, dict[str, str]]:
    """Return the files of an archive by name without ending, and by ending in lower case."""
    groups: dict[str, dict[str, str]] = {}
    for name in tars.members(archive):
        folder, _, file = name.rpartition("/")
        stem, _, ending = file.partition(".")
        if not ending or not stem or is_of_system(file):
            continue
        if "\\" in name or name.startswith("/") or ".." in name.split("/"):
            raise InputError(f"{archive} holds {shown(name)}, a name that leads out of it")
        group = groups.setdefault(f"{folder}/{stem}" if folder else stem, {})
        if ending.lower() in group:
            raise InputError(f"{archive} holds {shown(name)} twice, by names that read alike")
        group[ending.lower()] = name
    return groups


def _values(archive: Path, files: Mapping[str, str]) -> dict[str, Any]:
    """Return the columns of an image."""
    values: dict[str, Any] = {}
    for ending in (*_TEXTS, "json"):
        if ending not in files:
            continue
        place = archive / files[ending]
        content = tars.read(place) or b""
        with reading(place, "JSON" if ending == "json" else "text"):
            text = content.decode("utf-8-sig").strip()
            described = json.loads(text) if ending == "json" else {ending: text}
        if not isinstance(described, dict):
            raise InputError(f"{place} holds no JSON object, whose names are columns")
        values |= described
    return values


def _column(origin: Path, column: str, parts: Sequence[_Part]) -> pa.ChunkedArray:
    """Return a column of all archives."""
    with reading(origin, f"one kind of values in column {column!r}"):
        return pa.chunked_array([[v for part in parts for v in part.columns[column]]])


def _ids(parts: Sequence[_Part], archives: Sequence[Path]) -> list[str]:
    """Return unique names of images: without those of their archives, where that will do."""
    keys = [key for part in parts for key in part.keys]
    if len(set(keys)) == len(keys):
        return keys
    return [
        f"{archive.with_suffix('').as_posix()}/{key}"
        for archive, part in zip(archives, parts)
        for key in part.keys
    ]


def _splits(parts: Sequence[_Part], archives: Sequence[Path]) -> list[str] | None:
    """Return the split of each image that the names of archives say; None where none does."""
    splits = [split_of(archive) for archive in archives]
    if not any(splits):
        return None
    for archive, split in zip(archives, splits):
        if split is None:
            raise InputError(
                f"{archive} has no split in its name, as other archives do: train, val or test"
            )
    return [str(split) for split, part in zip(splits, parts) for _ in part.keys]


def _link(archive: Path, place: Path) -> None:
    """Give an archive a second name, which takes no room."""
    try:
        os.link(resolved(archive), place)
    except OSError as error:
        raise InputError(
            f"{archive} cannot get a second name in the dataset folder "
            f"({error.strerror or error}): name a folder on the disk of the archives"
        ) from None
