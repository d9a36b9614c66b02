"""Names say what they hold, and files can be read in a sitting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "fairvision").rglob("*.py"))
SAY_NOTHING = {
    *("absences", "aside", "bend", "cells", "found", "known"),
    *("own", "said", "some", "told", "what"),
}
TERMS = {"evidence_cells"}
"""What a metric is called, in the words of its table."""
MOST_LINES = 600


def names(path: Path) -> Iterator[tuple[int, str]]:
    """Lines and names of the variables, parameters, functions and classes that a file defines."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name


def test_names_say_what_they_hold() -> None:
    empty = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in SOURCES
        for line, name in names(path)
        if name.lower() not in TERMS and not SAY_NOTHING.isdisjoint(name.lower().split("_"))
    ]
    assert not empty


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in SOURCES}
    assert not {path: length for path, length in lengths.items() if length > MOST_LINES}
