"""Fixtures that several parts share."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time, and as long as a busy machine needs.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

SHARED = Path(os.environ.get("FAIRVISION_TEST_DATA", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images, annotations and weights that lies beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no real data at {SHARED}; set FAIRVISION_TEST_DATA to where it is")
    return SHARED


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep decoded images out of the user's cache, shared between tests of one process."""
    monkeypatch.setenv("FAIRVISION_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@dataclass(frozen=True)
class CommandResult:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def run_cli(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., CommandResult]:
    """Run `fairvision ARGS…` through its real entry point, in this process."""

    def run(*args: object) -> CommandResult:
        from fairvision.cli import main

        monkeypatch.setattr(sys, "argv", ["fairvision", *map(str, args)])
        capfd.readouterr()
        code = 0
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        captured = capfd.readouterr()
        return CommandResult(code, captured.out, captured.err)

    return run


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a run folder without training: a network whose heads are random contrasts."""

    def make(
        name: str = "run",
        *,
        model: str = "lecture_cnn",
        size: int = 16,
        attributes: dict[str, list[str]] | None = None,
        tasks: dict[str, dict] | None = None,
        weights: str | None = None,
    ) -> Path:
        import torch
        from safetensors.torch import save_file

        from fairvision import models, runs
        from fairvision.core.files import write_json

        attributes = {"gender": ["female", "male"]} if attributes is None else attributes
        tasks = tasks or {}
        heads = {name: len(groups) for name, groups in attributes.items()}
        heads |= {name: len(task["labels"]) for name, task in tasks.items()}
        torch.manual_seed(0)
        network = models.build(model, heads, size=size, weights=weights)
        for head in network.heads:
            weight = torch.randn_like(head.weight) / 10
            head.weight.data = weight - weight.mean(dim=0)
        folder = tmp_path / name
        folder.mkdir()
        save_file(network.state_dict(), folder / runs.BEST)
        config = {
            "method": "baseline",
            "model": model,
            "weights": weights,
            "size": size,
            "attributes": attributes,
            "tasks": tasks,
            "options": {},
            "seed": 0,
            "data": {"path": "", "name": "none", "fingerprint": "none"},
        }
        write_json(folder / runs.CONFIG, config)
        return folder

    return make


@pytest.fixture(scope="session")
def torchrun() -> Callable[..., subprocess.Popen]:
    """Start two processes of a program or of `-m MODULE`, as torchrun does."""

    def start(*arguments: object) -> subprocess.Popen:
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCHELASTIC_ERROR_FILE": os.devnull}
        return subprocess.Popen(
            [sys.executable, *launch, *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
