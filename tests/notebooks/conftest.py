"""How notebooks are run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def run_notebook(tmp_path: Path) -> Callable[[Any], None]:
    """Run a notebook in an empty folder; its cells have their outputs then."""
    pytest.importorskip("nbclient", reason="the extra `dev` is not installed")
    from nbclient import NotebookClient

    def run(notebook: Any) -> None:
        place = {"metadata": {"path": str(tmp_path)}}
        NotebookClient(notebook, timeout=300, resources=place).execute()

    return run
