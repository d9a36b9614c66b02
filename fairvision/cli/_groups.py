"""Groups of commands: loaded when they are called, and a mistyped one is asked about."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from fairvision.core.suggestions import did_you_mean
from fairvision.errors import shown


class SuggestingGroup(click.Group):
    """A group that says which of its commands a mistyped one may be."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called, with its arguments."""
        name = args[0]
        is_there = name.startswith("-") or self.get_command(ctx, name) is not None
        if not is_there and not ctx.resilient_parsing:
            names = self.list_commands(ctx)
            meant = did_you_mean(name, names) or f": there are {', '.join(names)}"
            raise click.UsageError(f"no such command {shown(name)}{meant}", ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(SuggestingGroup):
    """A group whose subcommands are imported when they are called, not when it is listed."""

    def __init__(self, *args: Any, commands_in: str, summaries: dict[str, str], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.commands_in = commands_in
        self.summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they are used."""
        return list(self.summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the file of one command."""
        if cmd_name not in self.summaries:
            return None
        command: click.Command = import_module(f"{self.commands_in}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without importing any of them."""
        names = [name for name in self.summaries if name.startswith(incomplete)]
        listed = [CompletionItem(name, help=self.summaries[name]) for name in names]
        return [*listed, *click.Command.shell_complete(self, ctx, incomplete)]
