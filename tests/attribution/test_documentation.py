from __future__ import annotations

import re
from pathlib import Path

from fairvision.attribution import METHODS

PAGE = Path(__file__).parents[2] / "docs" / "attribution.md"


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    exec(compile(example, str(PAGE), "exec"), {})
    assert "torch.Size([8, 64, 64])" in capsys.readouterr().out


def test_every_method_is_described():
    described = re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(described) == sorted(METHODS)
