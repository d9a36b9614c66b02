"""Outputs appear whole or not at all, and paths stay inside their folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairvision.core.unfinished import bring_to_disk, exchange, unfinished
from fairvision.errors import InputError, check_file, reading, shown

_OF_SYSTEMS = (
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "#recycle", "$recycle.bin"),
    *("system volume information", "lost+found"),
)
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # JSON's escape of a surrogate

REPLACED = "replaced"  # in an unfinished output: the finished one that it replaces


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
    check_vacant(path, marker=marker, overwrite=overwrite)
    path = resolved(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished(path, folder=True) as part:
        yield part
        bring_to_disk(part)
        _put(part, path, marker, overwrite)


def _put(part: Path, path: Path, marker: str | None, overwrite: bool) -> None:
    """Rename a folder to `path`; what it replaces is removed when it is in place."""
    check_vacant(path, marker=marker, overwrite=overwrite)
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
    path = Path(path)
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

    A name that is there twice in one object is refused, and so is half a character, which no
    output could hold.
    """
    path = check_file(path, "a JSON file")
    with reading(path, "JSON"):
        text = path.read_text(encoding="utf-8-sig")
        value = json.loads(text, object_pairs_hook=_with_unique_names)
    if _HALF.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            half = shown(error.object[error.start])
            raise InputError(f"{path} holds half a character, {half}: write all of it") from None
    return value


def _with_unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
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
