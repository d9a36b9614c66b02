"""Evidence from hiding parts asks a model very often: of how many images, and in which words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fairvision.attribution.perturbations import occlusion_windows
from fairvision.datasets import Dataset
from fairvision.models import Model

PICTURES = 100
"""Of how many images evidence is looked for where nobody asked for so expensive a method."""


def looked_at(dataset: Dataset, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Return the images (n,) whose evidence is looked for: at most 100 with a mask, at random.

    Examples
    --------
    >>> import tempfile
    >>> from fairvision import datasets
    >>> with tempfile.TemporaryDirectory() as place:
    ...     drawn = datasets.scenes(f"{place}/drawn", count=150, bias=0.5, size=16)
    ...     int(looked_at(drawn).sum())
    100
    """
    usable = np.flatnonzero(dataset.samples["mask"].notna())
    chosen = np.zeros(len(dataset), bool)
    chosen[np.random.default_rng(seed).permutation(usable)[:PICTURES]] = True
    return chosen


def cost(model: Model, pictures: int, total: int) -> str:
    """Return how often occlusion asks a model, in words.

    Parameters
    ----------
    model : what is asked
    pictures, total : how many images are looked at, of how many

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> cost(SimpleNamespace(size=224), 100, 350)
    'which asks it 169 times for each of 100 of 350 pictures; --attribution occlusion looks at all'
    """
    squares = occlusion_windows(model.size, model.size)
    of = f" of {total}" if pictures < total else ""
    more = "; --attribution occlusion looks at all" if pictures < total else ""
    return f"which asks it {squares.number} times for each of {pictures}{of} pictures{more}"
