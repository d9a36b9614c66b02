"""What sources share: images are divided into splits, checked, and copied or written."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from PIL import Image
from rich.progress import track

from fairvision.core.files import whole_folder
from fairvision.datasets.counterfactuals import ORIGINAL, is_counterfactual
from fairvision.datasets.dataset import SPLITS, Dataset
from fairvision.datasets.folder import load, save, small_groups
from fairvision.datasets.images import Doubts, read_image, read_mask
from fairvision.datasets.regions import save_regions
from fairvision.errors import FairvisionWarning, InputError, one_line, shown
from fairvision.schema import parse_schema

_MOST_NAMED = 3
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Source:
    """The files of one row.

    Attributes
    ----------
    place : file and row, for messages
    image : file
    mask : a file; or a function that takes the image's (width, height) and returns the mask,
        (height, width) bool, or None; or None
    """

    place: str
    image: Path
    mask: Path | Callable[[tuple[int, int]], np.ndarray | None] | None


def import_dataset(
    dataset: Dataset,
    sources: Sequence[Source],
    folder: str | Path,
    *,
    origin: Path,
    skip_broken: bool,
    overwrite: bool,
    workers: int | None,
    quiet: bool,
    regions: pd.DataFrame | None = None,
) -> Dataset:
    """Write a dataset folder; all of it or nothing.

    Parameters
    ----------
    dataset : its samples have neither images nor masks yet
    sources : where they are, row by row
    origin : file that messages about attributes and tasks name
    regions : boxes of objects; those of images that are left out are, too
    """
    parse_schema(origin, dataset.settings)
    for path in (origin, *(source.image for source in sources)):
        if Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder)):
            raise InputError(f"{path} lies in {folder}, which would be replaced: name another one")
    with whole_folder(folder, marker="dataset.json", overwrite=overwrite) as part:
        (part / "images").mkdir()
        (part / "masks").mkdir()
        names = _file_names(dataset.samples["id"])
        doubts = Doubts()
        results = _store_all(sources, names, part, doubts, skip_broken, workers, quiet)
        stored = [result if isinstance(result, _Stored) else None for result in results]
        samples = dataset.samples.copy()
        samples["image"] = [s.image if s else None for s in stored]
        samples["mask"] = [s.mask if s else None for s in stored]
        kept = samples["image"].notna()
        if is_counterfactual(samples).any():  # go with their originals
            kept &= samples[ORIGINAL].isna() | samples[ORIGINAL].isin(samples["id"][kept])
        if not kept.any():
            raise InputError(f"{origin}: none of its {len(samples)} pictures can be used")
        samples = samples[kept].reset_index(drop=True)
        sizes = {s.size for s in stored if s}
        size = sizes.pop() if len(sizes) == 1 else None
        dataset = replace(dataset, root=part, samples=samples, size=size)
        save(dataset, part)
        if regions is not None:
            save_regions(regions[regions["id"].isin(samples["id"])], dataset)
    doubts.tell()
    imported = load(folder)
    if broken := [str(result) for result in results if isinstance(result, InputError)]:
        warn(
            f"left out: {len(broken)} of {len(sources)} pictures of {origin}, which cannot be "
            f"used: {first_few(broken, origin)}"
        )
    empty = [source.place for source, s in zip(sources, stored) if s and s.empty_mask]
    if empty:
        warn(
            f"{len(empty)} masks have no pixel of a person, so evidence cannot be measured there: "
            + ", ".join(empty[:5])
            + (", …" if len(empty) > 5 else "")
        )
    for name in imported.attributes:
        if not (imported.codes(name) >= 0).any():
            warn(f"{name} is not known of any picture: no figure by {name} can be computed")
    for message in small_groups(imported.originals()):
        warn(message)
    return imported


def locate(root: Path, path: str, place: object) -> Path:
    """Return where a source file lies.

    Absolute paths are taken as they are, and links are followed: their bytes are copied, as the
    user could do. A relative path may not lead out of `root` by "..". Backslashes stand between
    folders, as on Windows, where no file has them in its name.
    """
    if "://" in path:
        raise InputError(
            f"{place}: {shown(path)} is a web address: download the picture, and write its path"
        )
    plain = os.path.normpath(path)
    if "\\" in path and not os.path.exists(root / plain):
        plain = os.path.normpath(path.replace("\\", "/"))
    if not os.path.isabs(plain) and plain.split(os.sep)[0] == os.pardir:
        raise InputError(f"{place}: path {shown(path)} leaves its folder {root}")
    return root / plain


def warn(message: str) -> None:
    """Tell the user something about the data."""
    warnings.warn(message, FairvisionWarning, stacklevel=2)


@dataclass(frozen=True)
class _Stored:
    image: str
    size: tuple[int, int]
    mask: str | None
    empty_mask: bool


def _store_all(
    sources: Sequence[Source],
    names: Sequence[str],
    folder: Path,
    doubts: Doubts,
    skip_broken: bool,
    workers: int | None,
    quiet: bool,
) -> list[_Stored | InputError]:
    """Store all images; return, in order, what was stored or its error."""

    def attempt(named: tuple[Source, str]) -> _Stored | InputError:
        source, name = named
        try:
            return _store(source, name, folder, doubts)
        except InputError as error:
            problem = f"{source.place}: {error}"
            if skip_broken:
                return InputError(problem)
            raise InputError(f"{problem} (--skip-broken leaves such pictures out)") from None

    return in_threads(attempt, [*zip(sources, names)], "reading pictures", workers, quiet)


def in_threads(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    title: str,
    workers: int | None,
    quiet: bool,
) -> list[_Result]:
    """Return what work makes of each item, by default with a thread per core; show how far it is.

    The error of the first item that has one is raised, and what is not begun then is left.
    """
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        results = pool.map(work, items)
        try:
            return list(track(results, title, total=len(items), transient=True, disable=quiet))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def first_few(problems: Sequence[str], origin: Path) -> str:
    """Return the first of many lines about a file as one; the rest is counted elsewhere."""
    few = [one_line(problem.removeprefix(f"{origin} "), 110) for problem in problems[:_MOST_NAMED]]
    return "; ".join([*few, "…"] if len(problems) > len(few) else few)


def _store(source: Source, name: str, folder: Path, doubts: Doubts) -> _Stored:
    """Check and copy the files of one row."""
    size = read_image(source.image, doubts=doubts).size
    person = None
    if isinstance(source.mask, Path):
        person = read_mask(source.mask, size, doubts=doubts)
    elif source.mask is not None:
        person = source.mask(size)
    image = f"images/{name}{_suffix(source.image)}"
    shutil.copyfile(source.image, folder / image)
    if person is None:
        return _Stored(image, size, None, False)
    if isinstance(source.mask, Path):
        mask = f"masks/{name}{_suffix(source.mask)}"
        shutil.copyfile(source.mask, folder / mask)
    else:
        mask = f"masks/{name}.png"
        Image.fromarray(person).save(folder / mask)
    return _Stored(image, size, mask, not person.any())


def _file_names(ids: Collection[str]) -> list[str]:
    """Return names that are safe on every system and unique: the row's number and the id.

    >>> _file_names(["a/b", "../c"])
    ['1-a-b', '2-c']
    """
    digits = len(str(len(ids)))
    slugs = (re.sub(r"[^A-Za-z0-9_]+", "-", text)[:60].strip("-") for text in ids)
    return [f"{row:0{digits}d}-{slug}".rstrip("-") for row, slug in enumerate(slugs, 1)]


def _suffix(path: Path) -> str:
    """Return the suffix of a path in lower case, and "" if it looks like no suffix."""
    suffix = path.suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""


def random_splits(
    n: int, val_fraction: float, test_fraction: float, random: np.random.Generator
) -> np.ndarray:
    """Return a split for each of `n` images, in random order.

    The shares are exact up to rounding; a split with a share above 0 gets at least one image
    where there are three or more.

    >>> random_splits(10, 0.1, 0.2, np.random.default_rng(0)).tolist().count("train")
    7
    """
    if min(val_fraction, test_fraction) < 0 or not val_fraction + test_fraction < 1:
        raise InputError(
            f"validation share {val_fraction} and test share {test_fraction} must not be negative "
            "and must leave something to train on: their sum must be below 1"
        )
    val, test = (
        max(round(share * n), int(share > 0 and n >= 3)) for share in (val_fraction, test_fraction)
    )
    splits = np.repeat(np.array(SPLITS, object), [n - val - test, val, test])
    return random.permutation(splits)


_PER_FOLDER = 1000


def image_paths(part: str, count: int) -> list[str]:
    """Return a relative path for each of `count` images, a thousand in a folder.

    >>> image_paths("train", 2)
    ['images/train/00/00000.png', 'images/train/00/00001.png']
    """
    return [f"images/{part}/{i // _PER_FOLDER:02d}/{i:05d}.png" for i in range(count)]


def write_dataset(
    dataset: Dataset,
    images: np.ndarray,
    *,
    overwrite: bool,
    workers: int | None = None,
    quiet: bool = True,
) -> Dataset:
    """Write a dataset folder, `dataset.root`, and its images as PNG files; all of it or nothing.

    Images are (n, height, width) or (n, height, width, 3) uint8, in the order of the samples.
    """
    with whole_folder(dataset.root, marker="dataset.json", overwrite=overwrite) as part:
        _write_images(part, list(dataset.samples["image"]), images, workers, quiet)
        save(replace(dataset, root=part), part)
    return load(dataset.root)


def _write_images(
    folder: Path, paths: Sequence[str], images: np.ndarray, workers: int | None, quiet: bool
) -> None:
    """Write images as PNG files."""
    for parent in {(folder / path).parent for path in paths}:
        parent.mkdir(parents=True, exist_ok=True)

    def write(start: int) -> None:
        for path, image in zip(paths[start : start + _PER_FOLDER], images[start:]):
            Image.fromarray(image).save(folder / path, compress_level=1)

    in_threads(write, range(0, len(paths), _PER_FOLDER), "writing pictures", workers, quiet)


def held_out(count: int, val: int, seed: int) -> np.ndarray:
    """Return the split of each of `count` training images: `val` of them, at random, are val.

    >>> held_out(5, 2, seed=0).tolist()
    ['train', 'train', 'train', 'val', 'val']
    """
    if not 0 <= val < count:
        raise InputError(
            f"{val} validation pictures cannot be held out of {count} training pictures: "
            f"--val must be 0 to {count - 1}"
        )
    splits = np.full(count, "train", object)
    splits[np.random.default_rng(seed).choice(count, val, replace=False)] = "val"
    return splits
