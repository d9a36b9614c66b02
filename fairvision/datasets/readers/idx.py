"""idx files, as MNIST's: what a header promises is compared with limits first."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from fairvision.errors import InputError, check_file

_MAGIC = (b"\0\0\x08\1", b"\0\0\x08\3")  # of labels and of images, in unsigned bytes
_MOST = 2**31  # bytes of one file: some forty times MNIST
_BEST = 1100  # bytes that one byte of gzip can become, at most
_PIECE = 2**20


class Header(NamedTuple):
    """What an idx file promises: the sides of its array, and where its values begin."""

    shape: tuple[int, ...]
    length: int


def read_header(path: Path) -> Header:
    """Return what an idx file, plain or gzipped, promises; nothing more of it is unpacked.

    Raises
    ------
    InputError
        If it is no idx file of images or labels, or promises more than is plausible, or than it
        can hold.
    """
    check_file(path, "an idx file")
    with _damage_told(path), _opened(path) as file:
        magic = file.read(4)
        sides = file.read(4 * magic[3]) if magic in _MAGIC else b""
    if not sides or len(sides) != 4 * magic[3]:
        raise InputError(f"{path} is no idx file of pictures or labels, or is damaged")
    shape = tuple(int.from_bytes(sides[at : at + 4], "big") for at in range(0, len(sides), 4))
    header = Header(shape, 4 + len(sides))
    size = path.stat().st_size
    room = _BEST * size if path.suffix == ".gz" else size - header.length
    if _bytes_of(header) > min(_MOST, room):
        raise InputError(
            f"{path} is truncated or damaged: it promises {' × '.join(map(str, shape))} values in "
            f"{size} bytes"
        )
    return header


def unpack(path: Path, header: Header, plain: Path) -> None:
    """Write an idx file without its compression: as much as its header promises, no more, no less.

    Raises
    ------
    InputError
        If it is damaged, or holds less or more than that.
    """
    left = header.length + _bytes_of(header)
    with plain.open("wb") as out, _opened(path) as file:
        while left:
            with _damage_told(path):
                piece = file.read(min(left, _PIECE))
            if not piece:
                raise InputError(f"{path} is no idx file or is damaged: {left} bytes are missing")
            out.write(piece)
            left -= len(piece)
        with _damage_told(path):
            more = file.read(1)
    if more:
        raise InputError(f"{path} is no idx file or is damaged: it holds more than it promises")


def _bytes_of(header: Header) -> int:
    return math.prod(header.shape)


def _opened(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.GzipFile(path))
    return path.open("rb")


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError, zlib.error, ValueError) as error:
        raise InputError(f"{path} is truncated or damaged ({error})") from None
