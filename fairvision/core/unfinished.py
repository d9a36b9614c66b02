"""Outputs that are still being written: hidden beside their place, locked by who writes them.

What a killed process left has no lock any more, so the next call that writes to the same place
removes it; what another process is writing keeps its lock and is left alone.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

_SUFFIX = ".fairvision-part"
_REPLACED = ".fairvision-old"
_TOKEN = re.compile(rf"[0-9a-f]{{16}}({re.escape(_SUFFIX)}|{re.escape(_REPLACED)})")
_LONGEST = 120  # bytes of a name that is repeated in the name of its unfinished output
_MANY = 256  # files that are brought to the disk one by one

_OF_WRITING = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux


@contextmanager
def unfinished(path: Path, *, folder: bool) -> Iterator[Path]:
    """Yield a new, locked, hidden file or folder beside `path`; what is left of it is removed.

    Whoever renames it in the block keeps it. Rubble of killed processes is removed first.
    """
    clear(path)
    part, lock = _create(path, folder)
    try:
        yield part
    except OSError as error:
        of_part = str(error.filename or "").startswith(str(part))
        if of_part or (error.filename is None and error.errno in _OF_WRITING):
            error.filename = str(path)  # what the user knows
        raise
    finally:
        try:
            remove(part)
        finally:
            os.close(lock)


def clear(path: Path) -> None:
    """Remove what killed processes left of an output at `path`.

    An old output that was put aside, and whose place is empty, is put back.
    """
    prefix = _prefix(path)
    for entry in _unfinished_in(path.parent):
        if not entry.name.startswith(prefix) or not _TOKEN.fullmatch(entry.name, len(prefix)):
            continue
        if entry.name.endswith(_REPLACED) and not path.exists():
            entry.rename(path)
        else:
            _remove_abandoned(entry)


def clear_inside(folder: Path) -> None:
    """Remove what killed processes left of any outputs in a folder."""
    for entry in _unfinished_in(folder):
        if entry.name.endswith(_SUFFIX):
            _remove_abandoned(entry)


def remove(path: Path) -> None:
    """Remove a file or a folder that may be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def exchange(new: Path, old: Path) -> None:
    """Let two folders change places, at once where the system can."""
    if not _exchanged_at_once(new, old):
        spare = new.with_name(_prefix(old) + secrets.token_hex(8) + _REPLACED)
        old.rename(spare)
        try:
            new.rename(old)
        except BaseException:
            spare.rename(old)
            raise
        spare.rename(new)


def bring_to_disk(path: Path) -> None:
    """Wait until a file, or a folder and all that is in it, would outlast a power cut."""
    if path.is_file():
        _sync(path)
        return
    entries = []
    for root, _, files in os.walk(path):
        entries += [os.path.join(root, name) for name in files]
        entries.append(root)
        if len(entries) > _MANY:
            os.sync()
            return
    for entry in entries:
        _sync(Path(entry))


def _sync(path: Path) -> None:
    """Wait until the disk has written a file or folder, where the system can."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # a link to nowhere; Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError:  # not every disk can
        pass
    finally:
        os.close(descriptor)


def _prefix(path: Path) -> str:
    """Return how the names of unfinished files of a path begin; a digest if it is too long."""
    name = os.fsencode(path.name)
    short = path.name if len(name) <= _LONGEST else sha256(name).hexdigest()[:32]
    return f".{short}."


def _create(path: Path, folder: bool) -> tuple[Path, int]:
    """Make an empty file or folder, and return it with the descriptor that locks it."""
    while True:
        part = path.with_name(_prefix(path) + secrets.token_hex(8) + _SUFFIX)
        try:
            if folder:
                part.mkdir()
            else:
                part.touch(exist_ok=False)
        except OSError as error:
            error.filename = str(path)
            raise
        lock = os.open(part, os.O_RDONLY) if os.name == "posix" else os.open(os.devnull, 0)
        _lock(lock)
        if part.exists():  # else another call took it for rubble before it was locked
            return part, lock
        os.close(lock)


def _unfinished_in(folder: Path) -> list[Path]:
    """Return the unfinished and replaced entries of a folder; none if it cannot be listed."""
    try:
        return [entry for entry in folder.iterdir() if entry.name.endswith((_SUFFIX, _REPLACED))]
    except OSError:
        return []


def _remove_abandoned(path: Path) -> None:
    """Remove an output that nobody is writing any more, if that can be known."""
    if os.name != "posix" or path.is_symlink():
        return
    try:
        lock = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        if _lock(lock):
            remove(path)
    except OSError:  # not ours to remove
        pass
    finally:
        os.close(lock)


def _lock(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed; False where another has it or none can."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _exchanged_at_once(a: Path, b: Path) -> bool:
    """Exchange two paths in one step and return whether that worked; only Linux can."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(a), os.fsencode(b)
    return bool(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)
