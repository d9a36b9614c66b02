from __future__ import annotations

import json
import os

import pytest

from fairvision import datasets


@pytest.fixture
def audited(run_cli, make_run, tmp_path):
    data = datasets.scenes(tmp_path / "data", count=60, bias=0.8, size=16)
    run = make_run(attributes={"shirt": list(data.attributes["shirt"])})
    arguments = ["--data", data.root, "--replicates", 5, "--no-leaning"]
    done = run_cli("audit", run, "-o", tmp_path / "audit", *arguments)
    assert done.code == 0, done.err
    return [tmp_path / "audit", run, "--data", data.root]


def test_images(run_cli, audited, tmp_path):
    output = tmp_path / "pictures"
    done = run_cli("pictures", *audited, "-o", output, "--per-cell", 2)
    assert done.code == 0, done.err
    assert str(output) in done.out
    about = json.loads((output / "pictures.json").read_text())
    assert about["per_cell"] == 2
    assert about["pictures"]
    assert all((output / image["file"]).is_file() for image in about["pictures"])
    again = run_cli("pictures", *audited, "-o", output)
    assert again.code == 2
    assert "--overwrite" in again.err
    assert run_cli("pictures", *audited, "-o", output, "--overwrite").code == 0


def test_paths_from_the_folder_one_is_in(run_cli, audited, tmp_path, monkeypatch):
    audit, run, *rest = audited
    monkeypatch.chdir(tmp_path)
    done = run_cli("pictures", audit.name, run, *rest, "-o", "pictures", "--per-cell", 1)
    assert done.code == 0, done.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")
def test_a_pipe_in_place_of_a_table_is_not_waited_for(run_cli, audited, tmp_path):
    (tmp_path / "audit" / "metrics.csv").unlink()
    os.mkfifo(tmp_path / "audit" / "metrics.csv")
    done = run_cli("pictures", *audited, "-o", tmp_path / "pictures")
    assert done.code == 2
    assert "metrics.csv is not a regular file" in done.err


def test_help_says_what_is_drawn(run_cli):
    done = run_cli("pictures", "--help")
    assert done.code == 0
    assert "contact sheet" in done.out


def test_what_is_no_audit(run_cli, audited, tmp_path):
    _, *rest = audited
    done = run_cli("pictures", tmp_path, *rest, "-o", tmp_path / "out")
    assert done.code == 2
    assert "is not an audit: it holds no audit.json" in done.err
    assert not (tmp_path / "out").exists()


def test_data_that_is_gone(run_cli, audited, tmp_path):
    folder, run, *_ = audited
    done = run_cli("pictures", folder, run, "-o", tmp_path / "out")
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1
