"""What is installed and cited: version, types, and the files that are no Python."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from datetime import date
from pathlib import Path

import pytest

import fairvision

ROOT = Path(__file__).parents[1]
DEFINED = re.compile(r"^\[([^\]]+)\]: (\S+)$", re.MULTILINE)
"""Where a link of a page of Markdown leads."""


def test_one_version() -> None:
    version = re.escape(fairvision.__version__)
    assert re.search(rf"^version: {version}$", (ROOT / "CITATION.cff").read_text(), re.M)
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert first is not None
    assert first[1] == fairvision.__version__


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files of the repository, as a checkout has them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("no checkout of git")
    folder = tmp_path_factory.mktemp("checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def built(tracked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built of it."""
    folder = tmp_path_factory.mktemp("dist")
    _build("sdist", tracked, folder)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path_factory.getbasetemp() / "unpacked", filter="data")
    unpacked = tmp_path_factory.getbasetemp() / "unpacked" / sdist.name.removesuffix(".tar.gz")
    _build("wheel", unpacked, folder)
    return folder


def _build(kind: str, source: Path, folder: Path) -> None:
    building = f"from setuptools import build_meta; build_meta.build_{kind}({str(folder)!r})"
    subprocess.run([sys.executable, "-c", building], cwd=source, capture_output=True, check=True)


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_wheel_has_the_files_of_the_package_and_no_others(tracked: Path, built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name.startswith(f"fairvision-{fairvision.__version__}-")
    packed = set(zipfile.ZipFile(wheel).namelist())
    ours = {name for name in packed if ".dist-info/" not in name}
    assert "fairvision/py.typed" in ours
    assert ours == {name for name in _files(tracked) if name.startswith("fairvision/")}


def test_the_sdist_has_tests_and_documentation(tracked: Path, built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {member.name.partition("/")[2] for member in archive if member.isfile()}
    expected = {name for name in _files(tracked) if not name.startswith(".")}
    assert expected <= packed
    assert not {name for name in packed if name.endswith(".pyc") or "node_modules" in name}


def test_what_the_index_shows_is_well_formed(built: Path) -> None:
    pytest.importorskip("twine")
    files = [str(path) for path in built.iterdir()]
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_links_of_the_readme_are_absolute_and_lead_to_files() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)\s]+)\)", prose)
    defined = dict(re.findall(DEFINED, prose))
    links = re.findall(r"\[([^\[\]]+)\](?:\[([^\]]+)\])?(?!\()", re.sub(DEFINED, "", prose))
    used = {label or shown for shown, label in links}
    assert used == set(defined)
    targets += defined.values()
    assert all(target.startswith("https://") for target in targets)
    page = re.compile(r"https://[^/]+/fairvision/fairvision/(?:blob/|tree/)?main/([^#]+)#?(.*)")
    for path, anchor in (match.groups() for match in map(page.fullmatch, targets) if match):
        assert (ROOT / path).exists(), path
        assert not anchor or anchor in _anchors(ROOT / path), anchor


def _anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_image_is_made_of_files_that_are_there_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    kept = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for source in (word for name, rest in steps if name == "COPY" for word in rest.split()[:-1]):
        assert (ROOT / source).exists()
        assert f"!{source}" in kept
    names = [name for name, _ in steps]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert dict(steps)["USER"] != "root"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert json.loads(dict(steps)["ENTRYPOINT"])[0] in project["scripts"]
    (image,) = [rest for name, rest in steps if name == "FROM"]
    assert (
        f"Programming Language :: Python :: {image.split(':')[1].split('-')[0]}"
        in project["classifiers"]
    )


def test_the_citation_is_that_of_the_project() -> None:
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"authors", "cff-version", "message", "title"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == project["license"]
    assert citation["authors"] == project["authors"]
    assert citation["repository-code"] == project["urls"]["Repository"]
    assert str(date.fromisoformat(str(citation["date-released"]))) == str(citation["date-released"])
