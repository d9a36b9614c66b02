from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision.datasets import Dataset, Task, save

SIZE = 16


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a dataset folder of coloured squares; the colour is the group, the square the mask."""

    def make(
        n: int = 36,
        *,
        unknown: int = 0,
        without_mask: int = 0,
        attributes: bool = True,
        tasks: bool = True,
        splits: tuple[str, ...] = ("train", "train", "val", "test"),
        counts: tuple[int, ...] | None = None,
    ) -> Path:
        root = tmp_path_factory.mktemp("squares")
        rng = np.random.default_rng(0)
        codes = np.arange(n) % 3 if counts is None else np.repeat(np.arange(3), counts)
        rows = []
        for i, group in enumerate(codes):
            image = rng.integers(0, 80, (SIZE, SIZE, 3)).astype(np.uint8)
            mask = np.zeros((SIZE, SIZE), np.uint8)
            mask[4:12, 5:11] = 255
            image[mask > 0, group] = 250
            Image.fromarray(image).save(root / f"{i}.png")
            Image.fromarray(mask).save(root / f"{i}-mask.png")
            rows.append(
                {
                    "id": str(i),
                    "image": f"{i}.png",
                    "mask": None if i < without_mask else f"{i}-mask.png",
                    "split": splits[i // 3 % len(splits)],
                    "colour": None if i < unknown else "rgb"[group],
                    "side": "left" if i % 2 else "right",
                    "things": ("cup",) if i % 2 else (),
                }
            )
        dataset = Dataset(
            root,
            "squares",
            {"colour": ("r", "g", "b")} if attributes else {},
            {"side": Task(("left", "right")), "things": Task(("cup", "hat"), many=True)}
            if tasks
            else {},
            pd.DataFrame(rows, dtype=object),
        )
        kept = ["id", "image", "mask", "split", *dataset.attributes, *dataset.tasks]
        save(
            Dataset(root, "squares", dataset.attributes, dataset.tasks, dataset.samples[kept]), root
        )
        return root

    return make


@pytest.fixture(scope="session")
def folder(squares: Callable[..., Path]) -> Path:
    """36 squares of three groups."""
    return squares()
