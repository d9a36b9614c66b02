"""What sources share: images are divided into splits, checked, and copied or written."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
from PIL import Image

from fairvision.core.files import resolved, whole_folder
from fairvision.core.tables import Place
from fairvision.datasets.counterfactuals import ORIGINAL, is_counterfactual
from fairvision.datasets.dataset import SPLITS, Dataset
from fairvision.datasets.folder import load, save, small_groups
from fairvision.datasets.images import Doubts
from fairvision.datasets.readers.storing import Source, Stored, file_names, in_threads, store_all
from fairvision.datasets.regions import save_regions
from fairvision.errors import FairvisionWarning, InputError, one_line, shown
from fairvision.schema import parse_schema

_MOST_NAMED = 3


class Importing(TypedDict, total=False):
    """Keywords that readers share.

    Attributes
    ----------
    name : str
        Of the dataset, as noted in `dataset.json`; by default that of the source.
    licence : str
        Of the images, noted as well.
    val_fraction, test_fraction, seed : float, float, int
        Of the splits, drawn at random where the source has none; by default .1, .2 and 0.
    skip_broken : bool
        Leave out images that cannot be used, with a warning that counts them, instead of ending.
    workers : int, optional
        Threads that decode; by default one per core.
    overwrite : bool
        Replace a dataset folder that is there.
    quiet : bool, default True
        Show no progress.
    """

    name: str | None
    licence: str
    val_fraction: float
    test_fraction: float
    seed: int
    skip_broken: bool
    workers: int | None
    overwrite: bool
    quiet: bool


def import_dataset(
    dataset: Dataset,
    sources: Iterable[Source],
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
    sources : where they are, row by row; few of them are held at a time
    origin : file that messages about attributes and tasks name
    regions : boxes of objects; those of images that are left out are, too
    """
    parse_schema(origin, dataset.settings)
    check_outside(origin, folder)
    check_not_within(folder, origin)
    with whole_folder(folder, marker="dataset.json", overwrite=overwrite) as part:
        (part / "images").mkdir()
        (part / "masks").mkdir()
        names = file_names(dataset.samples["id"])
        doubts = Doubts()
        checked = _outside(sources, folder)
        results = store_all(checked, names, part, doubts, skip_broken, workers, quiet)
        stored = [result if isinstance(result, Stored) else None for result in results]
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
            f"left out: {len(broken)} of {len(results)} pictures of {origin}, which cannot be "
            f"used: {first_few(broken, origin)}"
        )
    empty = [s.place for s in stored if s and s.empty_mask]
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


def check_outside(path: Path, folder: str | Path) -> None:
    """Raise `InputError` where a source lies in the folder that is to be written."""
    if Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder)):
        raise InputError(f"{path} lies in {folder}, which would be replaced: name another one")


def check_not_within(folder: str | Path, origin: Path) -> None:
    """Raise `InputError` where the folder to write lies in a folder that is read."""
    within = resolved(folder).is_relative_to(resolved(origin))
    if within and origin.is_dir():
        raise InputError(
            f"{folder} lies in {origin}, which would hold its own copy: name a folder beside it"
        )


def _outside(sources: Iterable[Source], folder: str | Path) -> Iterator[Source]:
    """Yield sources, none of which lies in the folder that is to be written."""
    for source in sources:
        if isinstance(source.image, Path):
            check_outside(source.image, folder)
        yield source


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


def locator(folder: Path, reachable: Path | None = None) -> Callable[[str, Place], Path]:
    """Return a function that says where source files lie, which must lie in a folder.

    It is for sets that others have packed: unlike those of `locate`, paths are relative and links
    lead nowhere else. It takes a path and its place, for messages.

    Parameters
    ----------
    folder : where paths start, and which they may not leave
    reachable : folder out of which no link may lead; by default `folder`

    Examples
    --------
    >>> locator(Path("photos"))("../secret.jpg", Place("t.csv", row=3))
    Traceback (most recent call last):
    fairvision.errors.InputError: t.csv row 3: path '../secret.jpg' leaves its folder photos
    """
    start, root = str(resolved(folder)), str(resolved(reachable or folder))

    def located(path: str, place: Place) -> Path:
        plain = os.path.normpath(path)
        if not path or "\0" in path or os.path.isabs(plain) or plain.split(os.sep)[0] == os.pardir:
            raise place.error(f"path {shown(path)} leaves its folder {folder}")
        if not os.path.realpath(f"{start}/{plain}").startswith(f"{root}{os.sep}"):
            raise place.error(
                f"path {shown(path)} is a link that leads out of {root}: copy the file"
            )
        return folder / plain

    return located


def warn(message: str) -> None:
    """Tell the user something about the data."""
    warnings.warn(message, FairvisionWarning, stacklevel=2)


def first_few(problems: Sequence[str], origin: Path) -> str:
    """Return the first of many lines about a file as one; the rest is counted elsewhere."""
    few = [one_line(problem.removeprefix(f"{origin} "), 110) for problem in problems[:_MOST_NAMED]]
    return "; ".join([*few, "…"] if len(problems) > len(few) else few)


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
