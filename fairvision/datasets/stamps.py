"""By what one tells that the files of a dataset have changed, for millions of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fairvision.datasets.samples import TEXT
from fairvision.errors import InputError

if TYPE_CHECKING:
    from fairvision.datasets.folder import Dataset

_PIECE = 10_000
_THREADS = 16  # what takes long, on a network's disk, is to wait


def file_stamps(dataset: Dataset) -> Iterator[bytes]:
    """Yield the paths, sizes in bytes and times of change in ns of every image and mask.

    Raises
    ------
    InputError
        If a file is missing.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        for column in ("image", "mask"):
            yield from text_bytes(dataset.samples[column])
            pieces = range(0, len(dataset), _PIECE)
            try:
                stamps = pool.map(lambda start, name=column: _stamps(dataset, name, start), pieces)
                for some in stamps:
                    yield some.tobytes()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def text_bytes(column: pd.Series) -> Iterator[bytes]:
    """Yield bytes that follow from the texts of a column alone.

    >>> b"".join(text_bytes(pd.Series(["ab", None]))).endswith(b"ab")
    True
    """
    for start in range(0, len(column), 1 << 20):
        text = pa.array(column.iloc[start : start + (1 << 20)].astype(TEXT))
        for chunk in getattr(text, "chunks", [text]):
            lengths = pc.fill_null(pc.binary_length(chunk), -1)
            yield lengths.to_numpy(zero_copy_only=False).astype(np.int64).tobytes()
            yield "".join(filter(None, chunk.to_pylist())).encode()


def _stamps(dataset: Dataset, column: str, start: int) -> np.ndarray:
    """Return size and time of some files, (n, 2) int64; -1 where there is none."""
    root = str(dataset.root)
    paths = dataset.samples[column].iloc[start : start + _PIECE]
    found = np.full((len(paths), 2), -1, np.int64)
    missing = paths.isna().to_numpy()
    for i, relative in enumerate(paths.tolist()):
        if missing[i]:
            continue
        try:
            stat = os.stat(f"{root}/{relative}")
        except (OSError, ValueError):  # a path with a NUL is a ValueError
            raise InputError(
                f"{column} {dataset.root / relative} is missing "
                f"(sample {dataset.samples['id'].iloc[start + i]!r} of {dataset.root})"
            ) from None
        found[i] = stat.st_size, stat.st_mtime_ns
    return found
