"""`fairvision audit --shards`: what is refused, and what the audit says of how it was called."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from fairvision.core.command import command
from fairvision.runs import caption_model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = {"id": ["a", "b"], "gender": ["f", "m"], "predicted/gender": ["f", "m"]}
    pd.DataFrame(table).to_csv("A.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--predictions", "A.csv", "--shards", "S"), "--shards is for runs"),
        (("run", "--shard-images", 8), "say how --shards divides: add it"),
        (("run", "--shard-lapse", 8), "say how --shards divides: add it"),
        (("run", "--shards", "A.csv"), "A.csv"),
        (("run", "--shards", "S", "--shard-images", 0), "--shard-images"),
        (("run", "--shards", "S", "--shard-lapse", 0), "--shard-lapse"),
    ],
)
def test_what_cannot_be_divided_is_one_line(run_cli, folder, options, message):
    result = run_cli("audit", *options, "-o", "AUDIT")
    assert result.code == 2
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert not (folder / "AUDIT").exists()
    assert not (folder / "S").exists()


def test_captioners_are_not_divided(run_cli, folder, monkeypatch):
    monkeypatch.setattr(caption_model, "write_captions", lambda sources: True)
    result = run_cli("audit", "writer", "--shards", "S", "-o", "AUDIT")
    assert result.code == 2
    assert "--shards is not for captioners: leave it out" in result.err


def test_who_did_which_part_is_not_recorded(monkeypatch):
    words = [
        "audit",
        "RUN",
        "--shards",
        "S",
        "-o",
        "AUDIT",
        "--shard-images=8",
        "--shard-lapse",
        "9",
    ]
    monkeypatch.setattr(sys, "argv", ["fairvision", *words, "--seed", "1"])
    assert command() == "fairvision audit RUN -o AUDIT --seed 1"
