"""The first five minutes: what the page says is done as it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "start.md").read_text("utf-8")


def test_the_first_audit(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table, *_ = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    exec(compile(table, "start.md", "exec"), {})
    (command,) = re.findall(r"^fairvision (audit --predictions .*)$", PAGE, re.MULTILINE)
    done = run_cli(*shlex.split(command))
    assert done.code == 0, done.err
    assert (tmp_path / "audit" / "report.html").is_file()
    assert "60" in done.out
