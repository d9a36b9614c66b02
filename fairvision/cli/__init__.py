"""The `fairvision` command: one file per subcommand, loaded only when it is called."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import click

from fairvision.cli import printing
from fairvision.cli._groups import LazyGroup
from fairvision.core.version import __version__
from fairvision.errors import FairvisionWarning, InputError, shown

COMMANDS = {
    "demo": "Draw pictures, train two models, audit them, write the report.",
    "data": "Make a dataset folder, or show what is in one.",
    "train": "Train a classifier or a captioner: baseline, equalizer and other methods.",
    "sweep": "Train methods over several seeds, audit them, write a leaderboard.",
    "audit": "Compare models: errors, amplification, evidence. Writes the report.",
    "compare": "Say what got worse from one audit to the next.",
    "gate": "Say whether an audit keeps rules; stops a program where it does not.",
    "pictures": "Draw the most telling pictures of an audit, as sheets to print.",
    "slices": "Look for pictures that are often answered wrong, though nobody annotated why.",
    "export": "Bring an audit into other programs: model cards, MLflow, wandb, FiftyOne.",
    "captions": "Compare captioners: whom they name, what the rest tells. Writes the report.",
    "caption": "Print what a captioner writes of any pictures, and whom it names.",
    "predict": "Print a table of probabilities for any pictures.",
    "explain": "Draw activation maps and attributions for any pictures.",
}


COMPLETION = "_FAIRVISION_COMPLETE"
"""Variable by which shells ask what a word may become."""

START = """\
fairvision {version}: bias auditing for image classifiers

See what it does, on pictures that it draws (minutes):
  fairvision demo -o fairvision-demo --open

Audit predictions that you have, a table with a row per picture:
  fairvision audit --predictions predictions.csv -o audit --open

Audit a model that you have, on a table of your pictures:
  fairvision data csv photos.csv photos --attribute gender
  fairvision audit timm:resnet18@mine.pth --heads heads.toml --data photos -o audit

Train two models, and compare them:
  fairvision train photos --method baseline -o runs/baseline
  fairvision train photos --method equalizer -o runs/equalizer
  fairvision audit runs/baseline runs/equalizer -o audit

All commands: fairvision --help    One of them: fairvision audit --help
"""


@click.group(
    cls=LazyGroup,
    commands_in="fairvision.cli",
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="fairvision")
@click.pass_context
def fairvision(context: click.Context) -> None:
    """Bias auditing for image classifiers.

    Does a model exaggerate what was in its training data, and is it right for the right reasons?
    """
    if context.invoked_subcommand is None:
        printing.say(START.format(version=__version__).rstrip())


def main() -> None:
    """Run the command line: bad input is one line on stderr and exit code 2."""
    warnings.showwarning = _show_warning
    printing.prepare()
    try:
        _refuse_other_than_utf8([os.getcwd(), *sys.argv[1:]])
        fairvision(standalone_mode=False, complete_var=COMPLETION)
    except BaseException as error:
        printing.end(error, as_json="--json" in sys.argv[1:])


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
