"""A training leaves the process as it was: whoever calls it decides about warnings and the like."""

from __future__ import annotations

import gc
import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fairvision
from fairvision.errors import InputError
from fairvision.training import processes

QUICK = {"size": 16, "epochs": 1, "batch_size": 8, "device": "cpu"}
LOGGERS = ("lightning_fabric", "torch", "PIL", "tensorboard", "matplotlib", "")


def state() -> dict[str, Any]:
    """Return what a library could change for everybody."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    return {
        "warnings": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "loggers": [(log.level, log.propagate, list(log.handlers)) for log in loggers],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "matmul": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "dtype": torch.get_default_dtype(),
        "modules": (nn.Dropout, nn.Dropout.forward, nn.BatchNorm2d, F.dropout, nn.SyncBatchNorm),
        "random": (random.getstate(), torch.get_rng_state().tolist()),
        "hook": (sys.excepthook, sys.unraisablehook, sys.getswitchinterval(), gc.isenabled()),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"model": "small_cnn", "ema": 0.9, "augment": True}, None),
        ({"method": "jtt", "upweight": 2}, None),
        ({"lr": 1e30}, "diverged"),
        ({"method": "equalizer", "task": ["side"]}, "needs an attribute"),
    ],
)
def test_what_was_before_is_afterwards(
    folder: Path, tmp_path: Path, options: dict[str, Any], error: str | None
) -> None:
    before = state()
    if error is None:
        fairvision.train(folder, output=tmp_path / "run", **{**QUICK, **options})
    else:
        with pytest.raises(InputError, match=error):
            fairvision.train(folder, output=tmp_path / "run", **{**QUICK, **options})
    after = state()
    assert {name for name in before if before[name] != after[name]} == set()


def test_of_several_processes_only_the_first_warns_and_filters_are_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RANK", "1")
    before = list(warnings.filters)

    @processes.quiet_libraries()
    def stopped() -> None:
        assert warnings.filters != before
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert warnings.filters == before
    assert logging.getLogger("lightning_fabric").level != logging.WARNING


def test_the_command_asks_for_memory_and_the_function_does_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., Any]
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(processes, "keep_freed_memory", lambda: asked.append(True))
    fairvision.train(folder, output=tmp_path / "run", **QUICK)
    assert asked == []
    quick = ("--size", 16, "--epochs", 1, "--device", "cpu")
    assert run_cli("train", folder, *quick, "-o", tmp_path / "other").code == 0
    assert asked == [True]
