"""Two processes with half of each batch are one process with the whole batch."""

import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import fairvision
from fairvision import runs
from fairvision.core.processes import share
from fairvision.datasets import batches, load, open_pixels
from fairvision.runs import thresholds
from fairvision.training.processes import cut

# 18 training images: batches of 7, 7 and 4 are shares of 4 and 3, and of 2 and 2.
SETTINGS = {"size": 16, "epochs": 2, "batch_size": 7, "device": "cpu", "lr": 3e-4}
NORMALISED = {"model": "small_cnn"}
CASES = {
    "dropout and augmentation": {"augment": True},
    "batch normalisation": NORMALISED,
    "mixed precision": {**NORMALISED, "precision": "bf16"},
    "equalizer": {**NORMALISED, "method": "equalizer"},
    "group_dro": {"method": "group_dro", "step": 1.0, "by": "group"},
    "reweighting": {**NORMALISED, "method": "reweighting"},
    "resampling": {**NORMALISED, "method": "resampling"},
    "adversarial": {**NORMALISED, "method": "adversarial", "ramp": 5},
    "confusion": {**NORMALISED, "method": "confusion"},
    "domain_discriminative": {**NORMALISED, "method": "domain_discriminative"},
    "domain_independent": {**NORMALISED, "method": "domain_independent"},
    "attribution_penalty": {**NORMALISED, "method": "attribution_penalty"},
    "jtt": {**NORMALISED, "method": "jtt", "upweight": 3},
    "threshold_optimizer": {**NORMALISED, "method": "threshold_optimizer", "task": ["side"]},
    "streamed": {"cache": "never", "size": 12},
    "last block": {"model": "vgg11_bn", "size": 32, "tune": "last", "epochs": 1},
    "accumulated and averaged": {"accumulate": 2, "ema": 0.9, "select": "worst_group_accuracy"},
}


@pytest.fixture(scope="session")
def unlike(squares):
    """Squares of which some have no group and some no mask, so that terms differ in their n."""
    splits = ("train", "train", "val", "test", "val")
    return squares(45, unknown=8, without_mask=5, splits=splits)


@pytest.fixture(scope="session")
def by_two(unlike, torchrun, tmp_path_factory):
    """A run of each case by two processes."""
    root = tmp_path_factory.mktemp("by_two")
    work = [
        {"data": str(unlike), "output": str(root / name), **SETTINGS, **case}
        for name, case in CASES.items()
    ]
    (root / "work.json").write_text(json.dumps(work))
    process = torchrun(Path(__file__).with_name("two_processes.py"), root / "work.json")
    _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told
    return root


def answers(run, data):
    dataset = load(data)
    (batch,) = batches(dataset, open_pixels(dataset, run.size), len(dataset))
    with torch.no_grad():
        return runs.network(run).probabilities(batch.images)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_two_are_one(by_two, unlike, tmp_path, name):
    one = fairvision.train(unlike, output=tmp_path / "run", **{**SETTINGS, **CASES[name]})
    two = runs.load(by_two / name)
    a, b = (runs.history(run).drop(columns="seconds") for run in (one, two))
    counts = [column for column in a if "/n" in column]
    assert a.columns.tolist() == b.columns.tolist()
    assert a[counts].equals(b[counts])
    np.testing.assert_allclose(b, a, rtol=2e-3, atol=2e-4)
    for head, expected in answers(one, unlike).items():
        np.testing.assert_allclose(answers(two, unlike)[head], expected, atol=2e-3)
    rules = [thresholds.read(run) for run in (one, two)]
    if "threshold_optimizer" in name:
        assert [list(rule.tasks["side"]["right"]) for rule in rules] == [["r", "g", "b"]] * 2
        assert [(rule.with_group, rule.images) for rule in rules] == [(16, 18)] * 2
    else:
        assert rules == [None, None]


def test_killed_and_resumed_with_two(unlike, torchrun, tmp_path):
    options = ["--model", "small_cnn", "--size", 16, "--epochs", 6, "--batch-size", 4]
    options += ["--device", "cpu", "--checkpoint-every", 1, "--augment"]

    def start(name, *more):
        return torchrun("-m", "fairvision", "train", unlike, *options, "-o", tmp_path / name, *more)

    whole, killed = start("whole"), start("killed")
    while not (tmp_path / "killed" / runs.HISTORY).exists() and killed.poll() is None:
        time.sleep(0.01)
    for line in subprocess.run(
        ["ps", "--ppid", str(killed.pid), "-o", "pid="], capture_output=True, text=True
    ).stdout.split():
        os.kill(int(line), 9)
    killed.communicate(timeout=300)
    out, told = whole.communicate(timeout=300)
    assert whole.returncode == 0, told
    assert out.count("run: ") == 1
    assert not (tmp_path / "killed" / runs.BEST).exists()
    resumed = start("killed", "--resume")
    _, told = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, told
    for name in (runs.BEST, runs.LAST):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_bad_input_of_two_is_told_once_and_ends(torchrun, tmp_path):
    process = torchrun("-m", "fairvision", "train", tmp_path / "nowhere", "-o", tmp_path / "run")
    _, told = process.communicate(timeout=300)
    assert process.returncode
    assert told.count("fairvision: ") == 1
    assert "is not a folder: give a dataset folder" in told


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_shares_are_the_batch(world):
    for total in range(world, 12):
        shares = [share(total, rank, world) for rank in range(world)]
        places = np.concatenate([np.arange(total)[part.rows] for part in shares])
        assert places.tolist() == list(range(total))
        assert max(part.size for part in shares) - min(part.size for part in shares) <= 1
        assert min(part.size for part in shares) >= 1


@pytest.mark.parametrize("n", range(1, 14))
def test_batches_are_the_order_and_none_is_too_small(n):
    order = np.random.default_rng(0).permutation(n)
    pieces = cut(order, 4, least=3)
    assert np.concatenate(pieces).tolist() == order.tolist()
    assert all(3 <= len(piece) <= 6 for piece in pieces) or n < 3
