"""The notebooks run, in short form and offline, and are kept without outputs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_runs(name, run_notebook, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FAIRVISION_SHORT", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    run_notebook(notebook)
    assert list(tmp_path.glob("*/report.html"))
    shown = {
        kind
        for cell in notebook.cells
        for o in cell.get("outputs", [])
        for kind in o.get("data", {})
    }
    assert "text/html" in shown


@pytest.mark.parametrize("name", NAMES)
def test_is_kept_without_outputs(name: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert notebook.cells[0].source.startswith("# ")


def test_all_are_listed() -> None:
    listed = re.findall(r"\(([\w-]+\.ipynb)\)", (NOTEBOOKS / "index.md").read_text("utf-8"))
    assert sorted(listed) == NAMES
