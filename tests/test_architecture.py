"""The house of docs/design.md: arrows go down, without circles; private is private."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "fairvision").rglob("*.py"))


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Which modules of the package each of them imports, also within functions."""
    graph = grimp.build_graph("fairvision", cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_layers_and_what_needs_no_torch(capsys: pytest.CaptureFixture[str]) -> None:
    """The contracts are in pyproject.toml."""
    code = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert code == 0, capsys.readouterr().out


def test_no_circles(imports: dict[str, set[str]]) -> None:
    TopologicalSorter(imports).prepare()


def test_private_modules_are_imported_by_their_package_only(imports: dict[str, set[str]]) -> None:
    trespasses = []
    for importer, imported in imports.items():
        for module in imported:
            parts = module.split(".")
            for depth, part in enumerate(parts):
                package = parts[:depth]
                if is_private(part) and importer.split(".")[:depth] != package:
                    trespasses.append(f"{importer} imports {module}")
    assert not trespasses


def private_names(path: Path) -> Iterator[str]:
    """Names with an underscore that a module takes from another room."""
    room = ".".join(path.relative_to(ROOT).with_suffix("").parts[:2])
    tree = ast.parse(path.read_text())
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fairvision"):
            if f"{node.module}.".startswith(f"{room}."):
                continue
            folder = ROOT.joinpath(*str(node.module).split("."))
            for alias in node.names:
                if (folder / alias.name).is_dir() or (folder / f"{alias.name}.py").exists():
                    modules.add(alias.asname or alias.name)
                elif is_private(alias.name):
                    yield f"{path.relative_to(ROOT)}: {alias.name} of {node.module}"
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                if module in modules and is_private(name):
                    yield f"{path.relative_to(ROOT)}: {module}.{name}"


def test_private_names_stay_in_their_room() -> None:
    assert not [name for path in SOURCES for name in private_names(path)]
