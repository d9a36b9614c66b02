"""Commands in the documentation: each of them, and each of their options, exists."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fairvision.cli import fairvision
from fairvision.methods import option_names

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")),
]
FENCE = re.compile(r"^```(?:sh)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(fairvision [^`]+)`")


def prose(page: Path) -> str:
    """Return the text of a page, of a notebook that between the cells of code."""
    text = page.read_text("utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def commands(page: str) -> Iterator[str]:
    """Yield the calls of fairvision on a page."""
    for block in FENCE.findall(page):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("fairvision "):
                yield line
    yield from (" ".join(call.split()) for call in INLINE.findall(page))


def unknown_in(call: str) -> list[str]:
    """Return what a call has that no command knows."""
    command: click.Command = fairvision
    context = click.Context(fairvision)
    for word in shlex.split(re.sub(r"[\[\]…]", " ", call), comments=True)[1:]:
        if isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z0-9-]*", word):
            inner = command.get_command(context, word)
            if inner is None:
                return [word]
            command = inner
        elif re.fullmatch(r"--?[a-z][a-z/-]*(=.*)?", word):
            names = {
                name for p in command.get_params(context) for name in (*p.opts, *p.secondary_opts)
            }
            names |= _of_methods(command)
            asked = set(word.partition("=")[0].split("/"))
            if not asked <= names | {"--help", "-h"}:
                return sorted(asked - names)
    return []


def _of_methods(command: click.Command) -> set[str]:
    """Return the options of training methods, which are given like those of the command."""
    methods = option_names() if command.name in ("train", "sweep") else []
    return {f"--{name.replace('_', '-')}" for name in methods}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    wrong = {call: unknown for call in commands(prose(page)) if (unknown := unknown_in(call))}
    assert not wrong


def test_what_does_not_exist_is_noticed() -> None:
    assert unknown_in("fairvision audit run --swap 3") == ["--swap"]
    assert unknown_in("fairvision adit run") == ["adit"]
    assert unknown_in("fairvision data csv a.csv b --many x") == []
