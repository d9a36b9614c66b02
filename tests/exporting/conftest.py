"""A finished audit of two models that needs no torch."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairvision import audit


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Audit tables of two models, with a group that has no image and names that need escapes."""
    folder = tmp_path_factory.mktemp("finished")
    generator = np.random.default_rng(0)
    n = 80
    table = pd.DataFrame({"id": [f"p{i}" for i in range(n)], "split": "test"})
    table["age"] = generator.choice(["18-25", "18 25", "<i>|old"], n)
    table["sport"] = generator.choice(["ski", "surf"], n)
    for i in range(2):
        for head, labels in (
            ("age", ["18-25", "18 25", "<i>|old", "none"]),
            ("sport", ["ski", "surf"]),
        ):
            scores = generator.dirichlet(np.ones(len(labels)), n)
            table[[f"score/{head}/{label}" for label in labels]] = scores
        table.to_parquet(folder / f"{i}.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        audit(
            predictions=[folder / "0.parquet", folder / "1.parquet"],
            names=["base", "other"],
            attributes=["age"],
            output=folder / "audit",
            replicates=20,
        )
    return folder / "audit"


@pytest.fixture
def finished(finished_once: Path, tmp_path: Path) -> Path:
    """Return a copy of the audit, which may be changed."""
    return Path(shutil.copytree(finished_once, tmp_path / "audit"))
