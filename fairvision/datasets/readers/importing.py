"""What every source of real images shares: each file is checked, then copied in."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from rich.progress import track

from fairvision.core.files import whole_folder
from fairvision.datasets.description import small_groups
from fairvision.datasets.doubts import Doubts
from fairvision.datasets.folder import Dataset, load, save, settings_of
from fairvision.datasets.images import read_image
from fairvision.datasets.masks import read_mask
from fairvision.datasets.regions import save_regions
from fairvision.errors import FairvisionWarning, InputError, one_line, shown
from fairvision.schema import parse_schema

_MOST_TOLD = 3


@dataclass(frozen=True)
class Source:
    """The files of one row.

    Attributes
    ----------
    where : file and row, for messages
    image : file
    mask : a file; or a function that takes the image's (width, height) and returns the mask,
        (height, width) bool, or None; or None
    """

    where: str
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
    parse_schema(origin, settings_of(dataset))
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
    empty = [source.where for source, s in zip(sources, stored) if s and s.empty_mask]
    if empty:
        warn(
            f"{len(empty)} masks have no pixel of a person, so evidence cannot be measured there: "
            + ", ".join(empty[:5])
            + (", …" if len(empty) > 5 else "")
        )
    for name in imported.attributes:
        if not (imported.codes(name) >= 0).any():
            warn(f"{name} is not known of any picture: no figure by {name} can be computed")
    for message in small_groups(imported):
        warn(message)
    return imported


def locate(root: Path, path: str, where: str) -> Path:
    """Return where a source file lies.

    Absolute paths are taken as they are, and links are followed: their bytes are copied, as the
    user could do. A relative path may not lead out of `root` by "..". Backslashes stand between
    folders, as on Windows, where no file has them in its name.
    """
    if "://" in path:
        raise InputError(
            f"{where}: {shown(path)} is a web address: download the picture, and write its path"
        )
    plain = os.path.normpath(path)
    if "\\" in path and not os.path.exists(root / plain):
        plain = os.path.normpath(path.replace("\\", "/"))
    if not os.path.isabs(plain) and plain.split(os.sep)[0] == os.pardir:
        raise InputError(f"{where}: path {shown(path)} leaves its folder {root}")
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
    def attempt(source: Source, name: str) -> _Stored | InputError:
        try:
            return _store(source, name, folder, doubts)
        except InputError as error:
            return InputError(f"{source.where}: {error}")

    stored: list[_Stored | InputError] = []
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        results = pool.map(attempt, sources, names)
        try:
            for result in track(
                results, "reading pictures", total=len(sources), transient=True, disable=quiet
            ):
                if isinstance(result, InputError) and not skip_broken:
                    raise InputError(f"{result} (--skip-broken leaves such pictures out)")
                stored.append(result)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return stored


def first_few(problems: Sequence[str], origin: Path) -> str:
    """Return the first of many lines about a file as one; the rest is counted elsewhere."""
    few = [one_line(problem.removeprefix(f"{origin} "), 110) for problem in problems[:_MOST_TOLD]]
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
    suffix = path.suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
