"""Images and masks come into a dataset folder: decoded, compared, and copied byte for byte."""

from __future__ import annotations

import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from rich.progress import track

from fairvision.datasets.images import Doubts, Encoded, read_image, read_mask
from fairvision.errors import InputError

_AHEAD = 4  # items begun for each thread
_SIGNATURES = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"RIFF": ".webp", b"GIF8": ".gif"}
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Source:
    """The files of one row.

    Attributes
    ----------
    place : file and row, for messages
    image : a file, or the bytes of one
    mask : the same; or a function that takes the image's (width, height) and returns the mask,
        (height, width) bool, or None; or None
    """

    place: str
    image: Path | Encoded
    mask: Path | Encoded | Callable[[tuple[int, int]], np.ndarray | None] | None


@dataclass(frozen=True)
class Stored:
    """What has become of the files of one row.

    Attributes
    ----------
    place : of its `Source`
    image, mask : paths in the dataset folder
    size : width and height of the image
    empty_mask : whether the mask has no pixel of a person
    """

    place: str
    image: str
    size: tuple[int, int]
    mask: str | None
    empty_mask: bool


def store_all(
    sources: Iterable[Source],
    names: Sequence[str],
    folder: Path,
    doubts: Doubts,
    skip_broken: bool,
    workers: int | None,
    quiet: bool,
) -> list[Stored | InputError]:
    """Store all images; return, in order, what was stored or its error."""

    def attempt(item: tuple[Source, str]) -> Stored | InputError:
        source, name = item
        try:
            return _store(source, name, folder, doubts)
        except InputError as error:
            named = source.place in str(error)
            problem = str(error) if named else f"{source.place}: {error}"
            if skip_broken:
                return InputError(problem)
            raise InputError(f"{problem} (--skip-broken leaves such pictures out)") from None

    items = zip(sources, names, strict=True)
    return in_threads(attempt, items, "reading pictures", workers, quiet, count=len(names))


def in_threads(
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    title: str,
    workers: int | None,
    quiet: bool,
    *,
    count: int | None = None,
) -> list[_Result]:
    """Return what work makes of each item, by default with a thread per core; show how far it is.

    Of the items, of which there are `count` if they cannot tell, few are begun at a time. The error
    of the first that has one is raised, and what is not begun then is left.
    """
    threads = workers or os.cpu_count() or 1
    total = len(items) if isinstance(items, Sized) else count
    with ThreadPoolExecutor(threads) as pool:
        results = _in_order(pool, work, items, threads * _AHEAD)
        try:
            return list(track(results, title, total=total, transient=True, disable=quiet))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    ahead: int,
) -> Iterator[_Result]:
    """Yield what work makes of each item, in their order, of which `ahead` are begun."""
    begun: deque[Future[_Result]] = deque()
    for item in items:
        begun.append(pool.submit(work, item))
        if len(begun) == ahead:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def _store(source: Source, name: str, folder: Path, doubts: Doubts) -> Stored:
    """Check and copy the files of one row."""
    size = read_image(source.image, doubts=doubts).size
    person = None
    if isinstance(source.mask, (Path, Encoded)):
        person = read_mask(source.mask, size, doubts=doubts)
    elif source.mask is not None:
        person = source.mask(size)
    image = f"images/{name}{_suffix(source.image)}"
    _copy(source.image, folder / image)
    if person is None:
        return Stored(source.place, image, size, None, False)
    if isinstance(source.mask, (Path, Encoded)):
        mask = f"masks/{name}{_suffix(source.mask)}"
        _copy(source.mask, folder / mask)
    else:
        mask = f"masks/{name}.png"
        Image.fromarray(person).save(folder / mask)
    return Stored(source.place, image, size, mask, not person.any())


def _copy(source: Path | Encoded, target: Path) -> None:
    """Write the bytes of an image file, as they are."""
    if isinstance(source, Encoded):
        target.write_bytes(source.content)
    else:
        shutil.copyfile(source, target)


def file_names(ids: Collection[str]) -> list[str]:
    """Return names that are safe on every system and unique: the row's number and the id.

    >>> file_names(["a/b", "../c"])
    ['1-a-b', '2-c']
    """
    digits = len(str(len(ids)))
    slugs = (re.sub(r"[^A-Za-z0-9_]+", "-", text)[:60].strip("-") for text in ids)
    return [f"{row:0{digits}d}-{slug}".rstrip("-") for row, slug in enumerate(slugs, 1)]


def _suffix(source: Path | Encoded) -> str:
    """Return the suffix of a path in lower case, and "" if it looks like no suffix.

    >>> _suffix(Path("a.JPG")), _suffix(Encoded("row 3", b"GIF89a"))
    ('.jpg', '.gif')
    """
    if isinstance(source, Encoded):
        heads = (end for head, end in _SIGNATURES.items() if source.content.startswith(head))
        return next(heads, "")
    suffix = source.suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
