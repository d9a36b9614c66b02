"""Whether an output can be written where it is asked for, looked at before the work."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fairvision.errors import InputError


def check_writable(folder: Path, *, suffix: str) -> None:
    """Raise `InputError` unless something can be made in a folder, which may have to be made too.

    An empty folder is made there, and removed: rights alone do not tell, as of a disk that is
    mounted for reading only.

    Parameters
    ----------
    folder : perhaps not there yet
    suffix : of the name of the empty folder

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as place:
    ...     Path(place, "notes.txt").touch()
    ...     check_writable(Path(place, "new", "folder"), suffix=".part")
    ...     check_writable(Path(place, "notes.txt", "new"), suffix=".part")
    Traceback (most recent call last):
    fairvision.errors.InputError: /.../notes.txt is a file, so nothing can be written in it: ...
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        raise InputError(f"{there} is a file, so nothing can be written in it: name another folder")
    try:
        Path(tempfile.mkdtemp(suffix, ".", there)).rmdir()
    except OSError as error:
        why = error.strerror or "the system does not say why"
        raise InputError(f"nothing can be written in {folder}: {why}") from None
