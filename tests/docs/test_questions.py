"""The table from questions to figures names figures and pages that there are."""

from __future__ import annotations

import re
from pathlib import Path

from fairvision.results import registered

PAGE = Path(__file__).parents[2] / "docs" / "questions.md"


def test_every_figure_is_registered() -> None:
    rows = [
        line.split("|") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")
    ]
    figures = {name for row in rows for name in re.findall("`([^`]+)`", row[2])}
    assert len(figures) > 25
    assert figures <= set(registered())
