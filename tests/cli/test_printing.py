"""Names from files and command lines: refused, or printed so that they steer no terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairvision.datasets import scenes

ESCAPE = "a\x1b[2J\x9b31mb"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("printing") / "data"
    scenes(folder, count=12, bias=0.8, size=16)
    settings = json.loads((folder / "dataset.json").read_text())
    settings |= {"name": f"Zoë {ESCAPE}", "licence": ESCAPE}
    (folder / "dataset.json").write_text(json.dumps(settings))
    return folder


def in_code_page(encoding: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "fairvision", *map(str, arguments)],
        env={**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )


def test_escapes_in_names_are_visible(run_cli, data):
    shown = run_cli("data", "show", data)
    assert shown.code == 0, shown.err
    assert not {"\x1b", "\x9b"} & set(shown.out)
    assert r"a\x1b[2J\x9b31mb" in shown.out
    told = run_cli("data", "show", data, "--json")
    assert not {"\x1b", "\x9b"} & set(told.out)
    assert json.loads(told.out)["name"] == f"Zoë {ESCAPE}"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_any_code_page_takes_what_is_printed(data, encoding):
    shown = in_code_page(encoding, "data", "show", data)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert (b"Zo\xeb" if encoding == "latin-1" else rb"Zo\xeb") in shown.stdout
    told = in_code_page(encoding, "data", "show", data, "--json")
    assert json.loads(told.stdout)["name"] == f"Zoë {ESCAPE}"


def test_bytes_that_are_no_text_are_refused_before_anything_is_done(
    run_cli, data, tmp_path, monkeypatch
):
    name = os.fsdecode(b"\xff")
    refused = run_cli("train", data, "--model", "small_cnn", "-o", tmp_path / name)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert r"\udcff' is not text in UTF-8" in refused.err
    assert not list(tmp_path.iterdir())
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    refused = run_cli("data", "scenes", "out")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert r"\udcff' is not text in UTF-8" in refused.err


def test_a_tilde_is_expanded_once_at_the_door(run_cli, data, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    options = 'model = "small_cnn"\nsize = 16\nepochs = 1\ndevice = "cpu"\n'
    Path("my.toml").write_text(f'{options}output = "~/a"\n')
    assert run_cli("train", data, "--config", "my.toml", "--quiet").code == 0
    assert run_cli("train", data, "--config", "my.toml", "-o", "~/b", "--quiet").code == 0
    assert run_cli("train", data, "--config", "my.toml", "-o", "~no-such-user", "--quiet").code == 0
    image = next((data / "images").iterdir())
    predicted = run_cli("predict", "~/a", image, "--data", data, "-o", "~/p.csv", "--quiet")
    assert predicted.code == 0, predicted.err
    again = run_cli("train", data, "--weights", "~/a", "--config", "my.toml", "-o", "~/c")
    assert again.code == 0, again.err
    assert sorted(p.name for p in Path("home").iterdir()) == ["a", "b", "c", "p.csv"]
    assert sorted(p.name for p in Path().iterdir()) == ["home", "my.toml", "~no-such-user"]


def test_a_path_with_a_nul(run_cli, data, tmp_path):
    (tmp_path / "my.toml").write_text('output = "a\\u0000b"\n')
    refused = run_cli("train", data, "--config", tmp_path / "my.toml")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "cannot hold a NUL character" in refused.err
