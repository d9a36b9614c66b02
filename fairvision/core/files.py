"""Files and folders that appear whole or not at all, whatever interrupts; JSON, checked."""

from __future__ import annotations

import ctypes
import errno
import gzip
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from fairvision.core.places import check_writable
from fairvision.errors import InputError, check_file, reading, shown

_SUFFIX = ".fairvision-part"
_REPLACED = ".fairvision-old"
_TOKEN = re.compile(rf"[0-9a-f]{{16}}({re.escape(_SUFFIX)}|{re.escape(_REPLACED)})")
_LONGEST = 120  # bytes of a name that is repeated in the name of its unfinished output
_MANY = 256  # files that are brought to the disk one by one

_OF_WRITING = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux

_OF_SYSTEMS = (
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "#recycle", "$recycle.bin"),
    *("system volume information", "lost+found"),
)
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # JSON's escape of a surrogate

REPLACED = "replaced"  # in an unfinished output: the finished one that it replaces


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


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds.

    It is absolute, since libraries that write tables take a `~` at its beginning for the home.

    Raises
    ------
    InputError
        If `path` is a folder, a pipe or a device.
    """
    path = Path(path).absolute()
    if path.is_symlink():
        path = resolved(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file for the output")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no regular file, so it is not replaced: name another one")
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished(path, folder=False) as part:
        yield part
        bring_to_disk(part)
        part.replace(path)


@contextmanager
def whole_folder(
    path: str | Path, *, marker: str | None, overwrite: bool = False
) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; rename it to `path` if the block succeeds.

    At every moment the old folder or the new one is at `path`, whole. What others put there while
    the block ran is not touched.

    Parameters
    ----------
    path : path of the folder to make
    marker : name of the file by which a folder of this kind is recognised. `overwrite`
        replaces only a folder that holds it, so that a mistyped path destroys nothing; None
        replaces any folder
    overwrite : replace what an earlier call wrote

    Raises
    ------
    InputError
        If the folder holds something already and may not be replaced.
    """
    _check_free(Path(path), marker, overwrite)
    path = resolved(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished(path, folder=True) as part:
        yield part
        bring_to_disk(part)
        _put(part, path, marker, overwrite)


def _put(part: Path, path: Path, marker: str | None, overwrite: bool) -> None:
    """Rename a folder to `path`; what it replaces is removed when it is in place."""
    _check_free(path, marker, overwrite)
    if overwrite and path.is_dir():
        exchange(part, path)
        if any(part.iterdir()) and marker is not None and not (part / marker).is_file():
            exchange(part, path)  # put there since it was looked at
            raise InputError(_overwrite_refusal(path, marker))
        shutil.rmtree(part, ignore_errors=True)
        return
    if path.is_dir() and os.name == "nt":
        path.rmdir()
    try:
        part.rename(path)  # which the system refuses where there is something by now
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{path} was filled by another program meanwhile: name another") from None
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise InputError(f"{path} was filled by another program meanwhile: name another") from None


def check_vacant(path: str | Path, *, marker: str | None, overwrite: bool = False) -> None:
    """Raise `InputError` unless a folder can be written at `path`; see `whole_folder`."""
    _check_free(Path(path), marker, overwrite)
    check_writable(resolved(path).parent, suffix=_SUFFIX)


def _check_free(path: Path, marker: str | None, overwrite: bool) -> None:
    """Raise `InputError` where a path holds what is not to be replaced."""
    if not path.exists():
        return
    if not path.is_dir():
        raise InputError(f"{path} is a file: choose a folder for the output")
    if Path.cwd().is_relative_to(resolved(path)):
        raise InputError("the output cannot be the folder you are in: name another one")
    if path.is_mount():
        raise InputError(f"{path} is where a disk is mounted: name a folder in it for the output")
    if not any(path.iterdir()):
        return
    if not overwrite:
        raise InputError(f"{path} is not empty: choose another folder or add --overwrite")
    if marker is not None and not (path / marker).is_file():
        raise InputError(_overwrite_refusal(path, marker))


def _overwrite_refusal(path: Path, marker: str) -> str:
    """Return the message that refuses to overwrite a folder without the marker file."""
    return (
        f"{path} holds no {marker}, so it was not written by this command: "
        "--overwrite does not touch it; choose another folder"
    )


def keep_replaced(old: Path, new: Path, finished: str) -> None:
    """Give an output a second place in the unfinished one that replaces it: nothing is lost.

    Files get a second name, which takes no room, or are copied where the disk has no such names.

    Parameters
    ----------
    old : folder that is replaced; if it is unfinished too, what it was to replace is kept
    new : folder to take its place, in which it becomes `replaced`
    finished : path in the folder of a file that only finished outputs have
    """
    for folder in (old, old / REPLACED):
        if (folder / finished).is_file():
            ignored = shutil.ignore_patterns(REPLACED)
            shutil.copytree(folder, new / REPLACED, ignore=ignored, copy_function=_link_or_copy)
            return


def drop_replaced(folder: Path) -> None:
    """Remove what a finished output has replaced."""
    shutil.rmtree(folder / REPLACED, ignore_errors=True)


def _link_or_copy(source: str, target: str) -> None:
    """Give a file a second name by a hard link, or copy it where the disk has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def resolved(path: str | Path) -> Path:
    """Return a path without links; `InputError` where they lead in a circle."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError):
        raise InputError(f"{path} is a link that leads in a circle") from None


def digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(f"{folder}/a.txt", "abc")
    ...     digest(f"{folder}/a.txt")[:8]
    'ba7816bf'
    """
    path = check_file(path)
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(folder: str | Path, relative: str) -> Path:
    """Return `folder / relative`, or raise `InputError` where that leads out of the folder.

    >>> inside("/data", "../etc/passwd")
    Traceback (most recent call last):
    fairvision.errors.InputError: path '../etc/passwd' leaves its folder /data
    """
    root = resolved(folder)
    path = resolved(root / relative)
    if not path.is_relative_to(root):
        raise InputError(f"path {relative!r} leaves its folder {folder}")
    return path


def path_text(path: str | Path) -> str:
    r"""Return a path as text that can be written; bytes that are no UTF-8 become escapes.

    >>> path_text(os.fsdecode(b"a\xff.png"))
    'a\\udcff.png'
    """
    return str(path).encode("utf-8", errors="backslashreplace").decode("utf-8")


def plain_name(name: str) -> str:
    """Return a name in letters that need no escaping anywhere, of at most 60.

    >>> plain_name("wrong, evidence elsewhere"), plain_name("…")
    ('wrong-evidence-elsewhere', 'picture')
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "picture"


def is_of_system(name: str) -> bool:
    """Return whether a file or folder is one that systems leave among those of users.

    >>> [name for name in (".DS_Store", "._a.jpg", "Thumbs.db", "a.jpg") if is_of_system(name)]
    ['.DS_Store', '._a.jpg', 'Thumbs.db']
    """
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def read_json(path: str | Path) -> Any:
    """Read a JSON file; `InputError` names the file and the line where it cannot be read.

    One that is called `.gz` is decompressed. A name that is there twice in one object is refused,
    and so is half a character, which no output could hold.
    """
    path = check_file(path, "a JSON file")
    with reading(path, "JSON"):
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8-sig") as file:
                text = file.read()
        else:
            text = path.read_text(encoding="utf-8-sig")
        value = json.loads(text, object_pairs_hook=_with_unique_names)
    _check_whole_characters(path, text, value)
    return value


def read_json_lines(path: str | Path) -> list[Any]:
    r"""Read a file with a line of JSON each; blank lines are passed over.

    `InputError` is as that of `read_json`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(f"{folder}/a.jsonl", '{"a": 1}\n\n[2]\n')
    ...     read_json_lines(f"{folder}/a.jsonl")
    [{'a': 1}, [2]]
    """
    path = check_file(path, "a file of JSON lines")
    with reading(path, "JSON"):
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    values = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"{path} line {number}"
            with reading(place, "JSON"):
                values.append(_line_of_json(line))
            _check_whole_characters(place, line, values[-1])
    return values


def _line_of_json(line: str) -> Any:
    """Return the value of a line; what is wrong with it has no line number of its own."""
    try:
        return json.loads(line, object_pairs_hook=_with_unique_names)
    except json.JSONDecodeError as error:
        raise ValueError(error.msg) from None


def _check_whole_characters(place: str | Path, text: str, value: Any) -> None:
    """Raise `InputError` where a value of JSON holds half a character."""
    if _HALF.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            half = shown(error.object[error.start])
            raise InputError(f"{place} holds half a character, {half}: write all of it") from None


def _with_unique_names(pairs: list[tuple[str, Any]]) -> dict[str, object]:
    """Return the pairs of a JSON object as a dict; raise `ValueError` if a name is repeated."""
    names = dict(pairs)
    if len(names) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the name {shown(twice)} is there twice in one object")
    return names


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN is refused."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")
