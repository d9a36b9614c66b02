"""What commands import: nothing that takes long and is not needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

PROGRAM = """
import json, sys
from fairvision.cli import main
main()
print(json.dumps(sorted(sys.modules)))
"""


def imported(*arguments: str) -> set[str]:
    """Modules that are there when a command has ended."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_needs_no_arrays(arguments: list[str]) -> None:
    assert not imported(*arguments) & {"numpy", "pandas", "pyarrow", "scipy", "torch"}


def test_tables_are_audited_with_what_that_needs(tmp_path: Path) -> None:
    female = [0.9, 0.2, 0.7, 0.4] * 10
    table = pd.DataFrame({"id": range(40), "gender": ["female", "male"] * 20})
    table = table.assign(**{"score/gender/female": female})
    table["score/gender/male"] = 1 - table["score/gender/female"]
    table.to_csv(tmp_path / "A.csv", index=False)
    there = imported(
        *("audit", "--predictions", str(tmp_path / "A.csv"), "--replicates", "5", "--quiet"),
        *("-o", str(tmp_path / "audit")),
    )
    slow = {"torch", "torchvision", "captum", "timm", "transformers", "matplotlib"}
    slow |= {"scipy.stats", "scipy.optimize", "scipy.ndimage", "sklearn"}
    assert not there & slow
    assert "fairvision.datasets.readers.coco" not in there
