"""The `fairvision` command: one file per subcommand, loaded only when it is called."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from typing import Any

import click

from fairvision.cli import printing
from fairvision.core.version import __version__
from fairvision.errors import FairvisionWarning, InputError, shown

COMMANDS = {
    "demo": "Draw pictures, train two models, audit them, write the report.",
    "data": "Make a dataset folder, or show what is in one.",
    "train": "Train a classifier: baseline, equalizer and other methods.",
    "sweep": "Train methods over several seeds, audit them, write a leaderboard.",
    "audit": "Compare models: errors, amplification, evidence. Writes the report.",
    "compare": "Say what got worse from one audit to the next.",
    "gate": "Say whether an audit keeps rules; stops a program where it does not.",
    "pictures": "Draw the most telling pictures of an audit, as sheets to print.",
    "export": "Bring an audit into other programs: model cards, MLflow, wandb, FiftyOne.",
    "captions": "Compare captioners: whom they name, what the rest tells. Writes the report.",
    "predict": "Print a table of probabilities for any pictures.",
    "explain": "Draw activation maps and attributions for any pictures.",
}


class LazyGroup(click.Group):
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


@click.group(
    cls=LazyGroup,
    commands_in="fairvision.cli",
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="fairvision")
def fairvision() -> None:
    """Bias auditing for image classifiers.

    Does a model exaggerate what was in its training data, and is it right for the right reasons?
    """


def main() -> None:
    """Run the command line: bad input is one line on stderr and exit code 2."""
    warnings.showwarning = _show_warning
    printing.prepare()
    try:
        _refuse_other_than_utf8([os.getcwd(), *sys.argv[1:]])
        fairvision(standalone_mode=False)
    except BaseException as error:
        printing.end(error)


def _refuse_other_than_utf8(given: list[str]) -> None:
    """Refuse bytes that are not UTF-8 before anything is computed: no output could hold them."""
    for text in given:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InputError(f"{shown(text)} is not text in UTF-8: rename it")


def _show_warning(
    message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any
) -> None:
    """Print our own warnings as one line; leave those of libraries to whoever debugs them."""
    if issubclass(category, FairvisionWarning):
        click.echo(f"warning: {message}", err=True)
