"""Fixtures that several parts share."""

from __future__ import annotations

import json
import os
import string
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# The same examples every time, and as long as a busy machine needs.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

# Sizes of transformers of random weights.
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}

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


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A CLIP with a tokenizer of single letters."""
    import torch

    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models") / "clip"
    torch.manual_seed(0)
    letters = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters]
    tokenizer = transformers.CLIPTokenizer(vocab={w: i for i, w in enumerate(words)}, merges=[])
    both = {**TINY, "intermediate_size": 32, "initializer_range": 0.3}
    text = {**both, "vocab_size": len(words), "max_position_embeddings": 24, "bos_token_id": 0}
    config = transformers.CLIPConfig(
        text_config={**text, "eos_token_id": 1, "pad_token_id": 1},
        vision_config={**both, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    network = transformers.CLIPModel(config).eval()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    transformers.CLIPImageProcessor(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}
    ).save_pretrained(folder)
    return folder, network


@pytest.fixture(scope="session")
def open_clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, Any]:
    """A small network in a folder of open_clip, and the library."""
    import torch
    from safetensors.torch import save_file

    library = pytest.importorskip("open_clip")
    folder = tmp_path_factory.mktemp("models") / "open_clip"
    folder.mkdir()
    both = {"width": 64, "layers": 2}
    config = {
        "embed_dim": 8,
        "vision_cfg": {**both, "image_size": 32, "patch_size": 8},
        "text_cfg": {**both, "context_length": 16, "vocab_size": 49408, "heads": 2},
    }
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}})
    )
    torch.manual_seed(0)
    network = library.CLIP(**config).eval()
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    return library, folder, network
