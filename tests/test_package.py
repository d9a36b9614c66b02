"""What is installed and cited: version, types, and the files that are no Python."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fairvision

ROOT = Path(__file__).parents[1]


def test_one_version() -> None:
    version = re.escape(fairvision.__version__)
    assert re.search(rf"^version: {version}$", (ROOT / "CITATION.cff").read_text(), re.M)
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert first is not None
    assert first[1] == fairvision.__version__


def test_the_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "fairvision"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("no checkout of git")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "fairvision", tmp_path / "fairvision", ignore=ignored)
    building = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-c", building], cwd=tmp_path, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"fairvision-{fairvision.__version__}-")
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert "fairvision/py.typed" in packed
    missing = set(listed.stdout.split()) - packed
    assert not {name for name in missing if (ROOT / name).exists()}
