"""MNIST: handwritten digits, 60,000 to train on and 10,000 to test.

Of idx files, what a header promises is compared with limits first.
"""

from __future__ import annotations

import gzip
import math
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast
from urllib.error import URLError

import numpy as np
import pandas as pd

from fairvision.core.files import check_vacant
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.readers.importing import held_out, image_paths, write_dataset
from fairvision.errors import InputError, check_file
from fairvision.schema import Task

DIGITS = tuple("0123456789")
_FILES = tuple(
    f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
)


def from_mnist(
    folder: str | Path,
    *,
    source: str | Path | None = None,
    val: int = 0,
    seed: int = 0,
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> Dataset:
    """Make a dataset folder of MNIST, with the task `digit`.

    The 60,000 training and 10,000 test images keep their parts and their order; the idx files
    are read by `torchvision.datasets.MNIST`.

    Parameters
    ----------
    folder : where to write the dataset folder
    source : folder that holds the four idx files, or whose subfolder `MNIST/raw` does, as
        torchvision stores them; plain or gzipped. By default they are downloaded.
    val : how many of the training images are held out for validation, chosen at random.
        None by default: published figures, such as those of the lecture, learn from all 60,000.
    seed : of that choice
    workers : threads that write; by default one per core
    overwrite : replace a dataset folder that is there
    quiet : show no progress

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If a file is missing, damaged, or cannot be downloaded; nothing is written.

    References
    ----------
    Y. LeCun et al., "Gradient-based learning applied to document recognition", Proceedings of the
    IEEE 86(11), 1998.

    Examples
    --------
    >>> from fairvision.datasets.readers.mnist import from_mnist
    >>> digits = from_mnist("mnist", source="downloads")  # doctest: +SKIP
    >>> len(digits.split("train")), len(digits.split("test"))  # doctest: +SKIP
    (60000, 10000)
    """
    check_vacant(folder, marker="dataset.json", overwrite=overwrite)
    (train, train_labels), (test, test_labels) = _read(None if source is None else Path(source))
    splits = np.concatenate([held_out(len(train), val, seed), np.full(len(test), "test", object)])
    paths = [*image_paths("train", len(train)), *image_paths("test", len(test))]
    samples = pd.DataFrame(
        {
            "id": [path.removeprefix("images/").removesuffix(".png") for path in paths],
            "image": paths,
            "mask": None,
            "split": splits,
            "digit": [DIGITS[label] for label in np.concatenate([train_labels, test_labels])],
        }
    )
    samples["id"] = samples["id"].str.replace(r"/\d+/", "-", regex=True)
    dataset = Dataset(
        root=Path(folder),
        name="mnist",
        attributes={},
        tasks={"digit": Task(DIGITS)},
        samples=samples,
        source="MNIST, idx files read by torchvision",
        licence="CC BY-SA 3.0",
        size=(28, 28),
    )
    images = np.concatenate([train, test])
    return write_dataset(dataset, images, overwrite=overwrite, workers=workers, quiet=quiet)


def _read(source: Path | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (images, labels) of the training and of the test part."""
    with tempfile.TemporaryDirectory(prefix="mnist-") as root:
        if source is not None:  # first, as what is wrong with it needs no torch
            _lay_out(source, Path(root, "MNIST", "raw"))

        from torchvision.datasets import MNIST

        if source is None:
            try:
                MNIST(root, download=True)
            except (RuntimeError, URLError, OSError) as error:
                raise InputError(
                    f"MNIST cannot be downloaded ({str(error).strip().splitlines()[-1]}): "
                    "--source FOLDER takes the four idx files from a folder"
                ) from None
        parts = []
        for is_train, name in ((True, "train"), (False, "t10k")):
            place = f"{name}-… of {'MNIST' if source is None else source}"
            try:
                read = MNIST(root, train=is_train)
                images, labels = read.data.numpy().copy(), read.targets.numpy().copy()
            except Exception as error:  # torchvision's reader raises errors of many kinds
                raise InputError(f"{place} is no idx file or is damaged ({error})") from None
            _check(place, images, labels)
            parts.append((images, labels))
    return parts


def _lay_out(source: Path, raw: Path) -> None:
    """Put the idx files of a folder, unzipped, where torchvision looks for them."""
    files = [_file(source, f"{name}-ubyte") for name in _FILES]
    headers = [read_header(file) for file in files]
    for images, labels in zip(range(0, len(files), 2), range(1, len(files), 2)):
        _check_shapes(str(files[images]), headers[images].shape, headers[labels].shape)
    raw.mkdir(parents=True)
    for name, file, header in zip(_FILES, files, headers):
        unpack(file, header, raw / f"{name}-ubyte")


def _file(source: Path, name: str) -> Path:
    """Return the path of an idx file, packed or not, in a folder or its MNIST/raw."""
    places = [source / name, source / "MNIST" / "raw" / name]
    files = [q for p in places for q in (p, p.with_name(f"{name}.gz")) if q.exists()]
    if not files:
        raise InputError(
            f"{source} holds neither {name} nor {name}.gz, nor does its MNIST/raw: "
            "give the folder of the four idx files"
        )
    return files[0]


def _check(place: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Raise `InputError` unless images (n, height, width) have labels (n,) from 0 to 9."""
    _check_shapes(place, images.shape, labels.shape)
    if labels.min() < 0 or labels.max() > 9:
        raise InputError(f"{place}: label {labels.max()} is not a digit")


def _check_shapes(place: str, images: tuple[int, ...], labels: tuple[int, ...]) -> None:
    """Raise `InputError` unless the shapes are (n, height, width) and (n,), not empty."""
    if len(images) != 3 or labels != images[:1] or 0 in images:
        raise InputError(
            f"{place}: pictures of shape {images} and labels of shape {labels} do not belong "
            "together"
        )


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
    with _reading_idx(path), _opened(path) as file:
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
            with _reading_idx(path):
                piece = file.read(min(left, _PIECE))
            if not piece:
                raise InputError(f"{path} is no idx file or is damaged: {left} bytes are missing")
            out.write(piece)
            left -= len(piece)
        with _reading_idx(path):
            more = file.read(1)
    if more:
        raise InputError(f"{path} is no idx file or is damaged: it holds more than it promises")


def _bytes_of(header: Header) -> int:
    """Return how many bytes of pixels or labels follow the header of an idx file."""
    return math.prod(header.shape)


def _opened(path: Path) -> BinaryIO:
    """Return a file opened for reading bytes, unpacked if it ends in .gz."""
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.GzipFile(path))
    return path.open("rb")


@contextmanager
def _reading_idx(path: Path) -> Iterator[None]:
    """Turn errors that a truncated or damaged idx file causes into `InputError`."""
    try:
        yield
    except (EOFError, OSError, zlib.error, ValueError) as error:
        raise InputError(f"{path} is truncated or damaged ({error})") from None
