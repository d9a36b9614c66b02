"""Outputs appear whole or not at all, and paths stay inside their folder."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairvision.errors import InputError, check_file, reading


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds.

    It is absolute, since libraries that write tables take a `~` at its beginning for the home.
    """
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path, *, marker: str, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; rename it to `path` if the block succeeds.

    Parameters
    ----------
    path : path of the folder to make
    marker : name of the file by which a folder of this kind is recognised. `overwrite`
        replaces only a folder that holds it, so that a mistyped path destroys nothing.
    overwrite : replace what an earlier call wrote

    Raises
    ------
    InputError
        If the folder holds something already and may not be replaced.
    """
    path = Path(path)
    check_vacant(path, marker=marker, overwrite=overwrite)
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        beside.chmod(0o777 & ~_umask())
        yield beside
        if path.exists():
            shutil.rmtree(path)
        beside.replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_vacant(path: str | Path, *, marker: str, overwrite: bool = False) -> None:
    """Raise `InputError` unless a folder can be written at `path`; see `whole_folder`."""
    path = Path(path)
    if not path.exists():
        return
    if not path.is_dir():
        raise InputError(f"{path} is a file: choose a folder for the output")
    if Path.cwd().is_relative_to(path.resolve()):
        raise InputError("the output cannot be the folder you are in: name another one")
    if not any(path.iterdir()):
        return
    if not overwrite:
        raise InputError(f"{path} is not empty: choose another folder or add --overwrite")
    if not (path / marker).is_file():
        raise InputError(
            f"{path} holds no {marker}, so it was not written by this command: "
            "--overwrite does not touch it; choose another folder"
        )


def inside(folder: str | Path, relative: str) -> Path:
    """Return `folder / relative`, or raise `InputError` where that leads out of the folder.

    >>> inside("/data", "../etc/passwd")
    Traceback (most recent call last):
    fairvision.errors.InputError: path '../etc/passwd' leaves its folder /data
    """
    root = Path(folder).resolve()
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise InputError(f"path {relative!r} leaves its folder {folder}")
    return path


def read_json(path: str | Path) -> Any:
    """Read a JSON file; `InputError` names the file and the line where it cannot be read."""
    path = check_file(path, "a JSON file")
    with reading(path, "JSON"):
        return json.loads(path.read_text(encoding="utf-8-sig"))


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN is refused."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
