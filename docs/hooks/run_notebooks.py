"""Run the notebooks of docs/notebooks/ in folders of their own, and keep them with their outputs.

`python docs/hooks/run_notebooks.py FOLDER`. Those that would download something run in short form.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
DOWNLOAD = ("lab", "published-model")


def run(path: Path, folder: Path) -> None:
    """Run a notebook in `folder/<its name>`, and write it to `folder`."""
    place = folder / path.stem
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    environment = {**os.environ, **({"FAIRVISION_SHORT": "1"} if path.stem in DOWNLOAD else {})}
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(place)}})
    client.execute(env=environment)
    nbformat.write(notebook, folder / path.name)


if __name__ == "__main__":
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        print(f"running {path.name}", flush=True)
        run(path, Path(sys.argv[1]))
