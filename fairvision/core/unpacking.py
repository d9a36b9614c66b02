"""Compressed files that would unpack to far more than tables ever do are refused on the way."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO

from fairvision.errors import InputError

FREE = 2**27  # bytes that may come out of any file
MOST = 300  # bytes for each byte of the file: text packs to a tenth, a column of one word further


class _Limited(io.RawIOBase):
    """A stream that ends in `InputError` once more has come out of it than is plausible."""

    def __init__(self, file: IO[bytes], path: Path):
        self._file, self._path = file, path
        self._size = path.stat().st_size
        self._left = FREE + MOST * self._size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._file.read(len(buffer))
        self._left -= len(piece)
        if self._left < 0:
            raise InputError(
                f"{self._path} unpacks to more than {MOST} times its {self._size} bytes: unpack it "
                "by hand and look at it"
            )
        buffer[: len(piece)] = piece
        return len(piece)


def limited(file: IO[bytes], path: Path) -> io.BufferedReader:
    """Return a stream of what a compressed file unpacks to, `InputError` beyond a limit.

    Parameters
    ----------
    file : what `gzip.open`, `bz2.open` or `lzma.open` gave for the path
    path : of the compressed file

    Examples
    --------
    >>> import gzip, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.csv.gz")
    ...     _ = path.write_bytes(gzip.compress(b"id,group"))
    ...     with gzip.open(path) as file:
    ...         limited(file, path).read()
    b'id,group'
    """
    return io.BufferedReader(_Limited(file, path))
