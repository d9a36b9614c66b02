"""Drawn samples tables: the truth is biased, and so are the answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from fairvision import datasets
from fairvision.core.files import write_json
from fairvision.datasets import scenes
from fairvision.models import build
from fairvision.runs import Run

GROUPS = ("a", "b", "c")
LABELS = ("ski", "surf", "chess")
OBJECTS = ("kite", "tie")


def draw_answers(n: int = 300, *, seed: int = 0, split: str = "test") -> pd.DataFrame:
    """Draw a table with an attribute of three groups, a task, and a task of many labels."""
    generator = np.random.default_rng(seed)
    truth = np.random.default_rng(99)
    group, label = truth.integers(3, size=n), truth.integers(3, size=n)
    label = np.where(truth.random(n) < 0.5, group, label)
    objects = truth.random((n, 2)) < 0.3 + 0.2 * group[:, None] * [0, 1]
    table = pd.DataFrame({"id": [f"p{i}" for i in range(n)], "split": split})
    table["group"] = [GROUPS[g] if truth.random() > 0.05 else None for g in group]
    table["sport"] = [LABELS[t] if truth.random() > 0.05 else None for t in label]
    table["objects"] = [
        [name for name, there in zip(OBJECTS, row) if there] if truth.random() > 0.1 else None
        for row in objects
    ]
    unmasked = truth.random(n) < 0.2
    for kind in ("score", "hidden", "person"):
        scores = generator.dirichlet(np.ones(3), size=n) + 0.4 * np.eye(3)[group] * (
            kind != "hidden"
        )
        scores /= scores.sum(axis=1, keepdims=True)
        scores[unmasked & (kind != "score")] = np.nan
        table[[f"{kind}/group/{g}" for g in GROUPS]] = scores
    scores = (
        generator.dirichlet(np.ones(3), size=n) + 0.4 * np.eye(3)[label] + 0.2 * np.eye(3)[group]
    )
    table[[f"score/sport/{t}" for t in LABELS]] = scores / scores.sum(axis=1, keepdims=True)
    table[[f"score/objects/{o}" for o in OBJECTS]] = 0.6 * generator.random((n, 2)) + 0.3 * objects
    chance = generator.uniform(0.1, 0.5, n)
    table["evidence/gradcam/pointing_game"] = np.where(unmasked, np.nan, generator.random(n) < 0.6)
    table["evidence/gradcam/relevance_mass"] = np.where(unmasked, np.nan, generator.random(n))
    table["evidence/chance"] = np.where(unmasked, np.nan, chance)
    return table


@pytest.fixture(scope="session")
def answers() -> Callable[..., pd.DataFrame]:
    """Return the function that draws a samples table; tables of one n have one truth."""
    return draw_answers


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of drawn scenes with three groups, a task and masks."""
    folder = tmp_path_factory.mktemp("world") / "scenes"
    scenes(folder, count=90, bias=0.8, groups=3, size=32, seed=1)
    return folder


@pytest.fixture(scope="session")
def draw_run() -> Callable[..., Path]:
    """Return a function that writes a run folder with an untrained network of random weights."""

    def draw(folder: Path, made_of: Path, *, seed: int = 0, **changes: object) -> Path:
        dataset = datasets.load(made_of)
        config = {
            "method": "baseline",
            "model": "lecture_cnn",
            "weights": None,
            "size": 32,
            "attributes": {name: list(groups) for name, groups in dataset.attributes.items()},
            "tasks": {
                name: {"labels": list(task.labels), "many": task.many}
                for name, task in dataset.tasks.items()
            },
            "options": {},
            "seed": seed,
            "data": {"path": str(made_of), "fingerprint": dataset.fingerprint()},
            **changes,
        }
        run = Run(folder, config)
        torch.manual_seed(seed)
        many = [name for name, task in run.tasks.items() if task.many]
        heads = {name: len(labels) for name, labels in run.heads.items()}
        network = build("lecture_cnn", heads, size=run.size, many=many)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        folder.mkdir(parents=True)
        write_json(folder / "config.json", config)
        save_file(network.state_dict(), folder / "model.safetensors")
        return folder

    return draw


@pytest.fixture(scope="session")
def two_runs(
    world: Path, draw_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Return two run folders whose networks answer differently."""
    folder = tmp_path_factory.mktemp("runs")
    return [draw_run(folder / name, world, seed=seed) for seed, name in enumerate("AB")]
