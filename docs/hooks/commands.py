"""The reference of the command line: what `--help` says, of every command."""

from __future__ import annotations

from collections.abc import Iterator

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from fairvision.cli import fairvision

INTRODUCTION = """# Command line

What `--help` says, of every command. Exit codes: 0 where all went well, 1 where a
[gate](../gate.md) was not passed, 2 for bad input, which is told in one line."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    page = "\n\n".join([INTRODUCTION, *sections(fairvision, "fairvision")])
    files.append(File.generated(config, "reference/cli.md", content=page))
    return files


def sections(
    command: click.Command, name: str, parent: click.Context | None = None, level: int = 2
) -> Iterator[str]:
    """Yield the help of a command under its heading, and that of the commands in it."""
    context = click.Context(command, parent, info_name=name, terminal_width=88)
    yield f"{'#' * level} {context.command_path}"
    yield f"```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            if part := command.get_command(context, inner):
                yield from sections(part, inner, context, level + 1)
