"""A run inside Jupyter: audits and results show themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

CELLS = [
    """
import pandas as pd
import fairvision
from fairvision import metrics

truth = ["female"] * 30 + ["male"] * 30
answer = ["female"] * 27 + ["male"] * 3 + ["male"] * 18 + ["female"] * 12
table = pd.DataFrame({"id": range(60), "gender": truth, "predicted/gender": answer})
table.to_csv("predictions.csv", index=False)
audit = fairvision.audit(predictions="predictions.csv", output="audit", quiet=False)
audit
""",
    'audit.images(where={"right": False})',
    "result = metrics.accuracy(truth, answer, truth)\nresult",
    "%matplotlib inline\nresult.plot();",
]


def test_cells_show_what_they_should(run_notebook, tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    run_notebook(notebook)
    shown = [{kind for output in cell.outputs for kind in output.get("data", {})} for cell in cells]
    assert "text/html" in shown[0]
    assert "text/html" in shown[1]
    assert "text/html" in shown[2]
    assert "image/png" in shown[3]
    (html,) = [
        o["data"]["text/html"] for o in cells[0].outputs if o.output_type == "execute_result"
    ]
    assert "Are all groups served alike?" in html
    assert (tmp_path / "audit" / "report.html").is_file()
