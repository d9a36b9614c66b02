"""Files that lie in tar archives and stay there: `photos-000.tar/one.jpg` is a path like any other.

An archive is read once for where its files begin; nothing is extracted, so nothing that an archive
says can lead anywhere. Links, devices and folders in it are no files, and compressed archives have
no places to read from.
"""

from __future__ import annotations

import os
import tarfile
import threading
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from fairvision.errors import InputError, reading

SUFFIX = ".tar"
_HELD = 256  # archives whose indices are held
_LOCK = threading.Lock()


class Member(NamedTuple):
    """Where a file lies in an archive: its first byte, and how many there are."""

    start: int
    size: int


class Stamp(NamedTuple):
    """By what one tells that a file of an archive was changed."""

    size: int
    time: int


def members(archive: Path) -> dict[str, Member]:
    """Return the files in an archive by their names, of equal names the last.

    Raises
    ------
    InputError
        It is damaged, or no tar archive without compression.

    Examples
    --------
    >>> import io, tempfile
    >>> archive = Path(tempfile.mkdtemp()) / "two.tar"
    >>> with tarfile.open(archive, "w") as tar:
    ...     for name in ("a.txt", "./b.txt"):
    ...         entry = tarfile.TarInfo(name)
    ...         entry.size = 2
    ...         tar.addfile(entry, io.BytesIO(b"hi"))
    >>> members(archive)
    {'a.txt': Member(start=512, size=2), 'b.txt': Member(start=1536, size=2)}
    >>> read(archive / "a.txt"), read(archive / "c.txt")
    (b'hi', None)
    """
    with reading(archive, "a tar archive"):
        status = os.stat(archive)
        with _LOCK:
            return _members(str(archive), status.st_size, status.st_mtime_ns)


def read(path: Path) -> bytes | None:
    """Return the content of a file in an archive; None where there is no such file.

    `InputError` where the archive is damaged.
    """
    archive = archive_of(path)
    member = _member(archive, path) if archive else None
    if archive is None or member is None:
        return None
    with reading(archive, "a tar archive"):
        descriptor = os.open(archive, os.O_RDONLY)
        try:
            content = os.pread(descriptor, member.size, member.start)
        finally:
            os.close(descriptor)
    if len(content) < member.size:
        raise InputError(f"{archive} is damaged: it ends within {path.relative_to(archive)}")
    return content


def stamp(path: Path) -> Stamp | None:
    """Return the size of a file in an archive, and when the archive was changed, in ns; or None."""
    archive = archive_of(path)
    member = _member(archive, path) if archive else None
    if archive is None or member is None:
        return None
    return Stamp(member.size, os.stat(archive).st_mtime_ns)


def archive_of(path: Path) -> Path | None:
    """Return the archive in which a path leads; None where there is none on its way.

    >>> archive_of(Path("photos/one.jpg"))
    """
    for parent in path.parents:
        if parent.suffix == SUFFIX and parent.is_file():
            return parent
    return None


def _member(archive: Path, path: Path) -> Member | None:
    """Return where the file of a path lies in an archive."""
    return members(archive).get(path.relative_to(archive).as_posix())


@lru_cache(maxsize=_HELD)
def _members(archive: str, size: int, time: int) -> dict[str, Member]:
    """Return the files of an archive as it was at a time."""
    places = {}
    with tarfile.open(archive, "r:", encoding="utf-8", errors="surrogateescape") as tar:
        for entry in tar:
            if entry.isreg() and not entry.issparse():
                if entry.offset_data + entry.size > size:
                    raise InputError(f"{archive} is damaged: it ends within {entry.name}")
                name = entry.name.removeprefix("./")
                places[name] = Member(entry.offset_data, entry.size)
    return places
