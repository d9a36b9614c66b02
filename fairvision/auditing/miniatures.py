"""Small copies of maps for the page, kept when they are computed, and of which images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

GRID = 16
"""Rows and columns of a small map."""
MOST_SHOWN = 1000
"""Images that a page shows; of more it shows a sample."""
SIDE, SMALL_SIDE, MANY = 192, 160, 400
"""Pixels of the longer side of a copy that a page holds, and where it holds more than `MANY`."""

Maps = Mapping[str, npt.NDArray[np.uint8]]
"""By attribute, (images shown, GRID, GRID); 0 is no evidence, 255 the most of the map."""


def rows_shown(images: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Return which of so many images a page shows: all, or a random sample, in their order.

    >>> rows_shown(3).tolist(), len(rows_shown(5000))
    ([0, 1, 2], 1000)
    """
    if images <= MOST_SHOWN:
        return np.arange(images)
    return np.sort(np.random.default_rng(seed).choice(images, MOST_SHOWN, replace=False))


def side_shown(images: int) -> int:
    """Return how many pixels the longer side of each of so many copies has.

    >>> side_shown(30), side_shown(1000)
    (192, 160)
    """
    return SIDE if images <= MANY else SMALL_SIDE


def miniatures(maps: Tensor) -> Tensor:
    """Return small copies of maps, each on its own scale; blank where nothing is positive.

    Parameters
    ----------
    maps : (n, height, width) float; only what is positive counts

    Returns
    -------
    (n, GRID, GRID) uint8 on the CPU

    Examples
    --------
    >>> import torch
    >>> maps = torch.zeros(2, 32, 32)
    >>> maps[0, :2, :2] = 0.5
    >>> small = miniatures(maps)
    >>> small[0, 0, 0].item(), small.sum(dim=(1, 2)).tolist()
    (255, [255, 0])
    """
    import torch

    positive = maps.nan_to_num().clamp(min=0)
    small = torch.nn.functional.adaptive_avg_pool2d(positive[:, None].float(), GRID)[:, 0]
    most = small.amax(dim=(1, 2), keepdim=True)
    return (255 * small / most.clamp(min=torch.finfo(small.dtype).tiny)).round().byte().cpu()


def as_column(maps: Tensor, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    """Return small copies of maps as bytes, (n,), empty where they are not kept, (n,) bool.

    >>> import torch
    >>> column = as_column(torch.ones(3, 32, 32), np.array([True, False, True]))
    >>> [len(copy) for copy in column], of_column(column).shape
    ([256, 0, 256], (2, 16, 16))
    """
    column = np.full(len(kept), b"", object)
    rows = np.flatnonzero(kept)
    column[rows] = [copy.tobytes() for copy in miniatures(maps[rows.tolist()]).numpy()]
    return column


def of_column(column: Iterable[bytes]) -> npt.NDArray[np.uint8]:
    """Return the small maps, (kept, GRID, GRID), that a column of bytes holds."""
    return np.frombuffer(b"".join(column), np.uint8).reshape(-1, GRID, GRID)
