"""Digests: checksums that a folder keeps of its files, and chance that is the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from fairvision.core.files import digest
from fairvision.errors import InputError

KEY = "sha256"
_TABLES = (".csv", ".parquet")


def of_tables(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every table in a folder, by its path in the folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "metrics.csv").write_text("n\\n3\\n")
    ...     {name: checksum[:8] for name, checksum in of_tables(Path(folder)).items()}
    {'metrics.csv': '18042293'}
    """
    tables = sorted(path for path in folder.rglob("*") if path.suffix in _TABLES)
    return {path.relative_to(folder).as_posix(): digest(path) for path in tables}


def check(path: Path, description: Path, described: Any, note: str = "") -> None:
    """Raise `InputError` unless a file is as it was when its checksum was written down.

    Parameters
    ----------
    path : the file
    description : the JSON file with the checksums; paths in it start at its folder
    described : what it holds. A file without a checksum in it passes.
    note : what else is odd about the file, for the message
    """
    checksums = described.get(KEY) if isinstance(described, Mapping) else None
    name = path.relative_to(description.parent).as_posix()
    checksum = checksums.get(name) if isinstance(checksums, Mapping) else None
    if checksum is not None and checksum != digest(path):
        raise InputError(
            f"{path} is damaged or was changed{note}: its checksum differs from that in "
            f"{description.name}; make it again, or take {KEY!r} out of {description.name} if you "
            "changed it yourself"
        )


def draw(*key: object) -> float:
    """Return a number in [0, 1], evenly distributed over what it is drawn for.

    >>> round(draw(0, "photo-17", "objects"), 3), round(draw(1, "photo-17", "objects"), 3)
    (0.809, 0.504)
    """
    digest = blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
