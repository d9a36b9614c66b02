"""`fairvision sweep`: methods side by side over several seeds, on one leaderboard."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from fairvision.cli import audit, config, options, train
from fairvision.cli._sections import SectionedCommand
from fairvision.cli.printing import say, say_json, show_in_browser
from fairvision.methods import METHODS

_NOT_SHARED = ("data", "output", "method", "seed", "resume")
_OF_AUDITS = ("split", "attribution", "replicates")


def _named(command: click.Command, names: Iterable[str]) -> list[click.Parameter]:
    """Return the parameters of a command that have one of the names."""
    return [parameter for parameter in command.params if parameter.name in names]


_TRAINING = [p.name for p in train.command.params if p.name and p.name not in _NOT_SHARED]


@click.command(
    "sweep",
    cls=SectionedCommand,
    sections={
        "What is compared": ("methods", "seeds"),
        "The audits": (*_OF_AUDITS, "open_page"),
        **train.SECTIONS,
    },
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    options_metavar="[OPTIONS] [--OPTION-OF-A-METHOD VALUE]...",
)
@click.option(
    "--methods",
    type=config.Several(options.Choice(list(METHODS))),
    required=True,
    help="Methods, with commas; the first is what the others are compared with. "
    "`fairvision train --method list` says what there is.",
)
@click.option(
    "--seeds",
    type=config.Several(click.IntRange(0, 2**63 - 1)),
    default="0,1,2",
    show_default=True,
    help="Seeds of training, with commas.",
)
@options.open_page
@click.pass_context
def command(
    context: click.Context,
    /,
    data: Path,
    output: Path,
    open_page: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train several methods with several seeds on DATA, audit all, write one leaderboard.

    Takes every option of train. Options of methods go to the methods that have them. The same
    command again continues where it stopped.

    \b
    fairvision sweep DATA --methods baseline,equalizer --seeds 0,1,2 -o sweep
    """
    from fairvision.sweeping import sweep
    from fairvision.training.processes import keep_freed_memory

    keep_freed_memory()
    silent = given.pop("quiet") or as_json
    of_methods = config.remaining_options(context)
    per_method = config.method_options(context, given["methods"])
    try:
        done = sweep(
            data,
            output=output,
            per_method={
                name: {key: value for key, value in options.items() if key not in of_methods}
                for name, options in per_method.items()
            },
            quiet=silent or not sys.stderr.isatty(),
            say=(lambda _: None) if silent else say,
            **{**given, **of_methods},
        )
    except KeyboardInterrupt:
        say("stopped: the same command continues the sweep", err=True)
        raise
    if open_page:
        show_in_browser(done.page)
    if as_json:
        paths = {"leaderboard": str(done.page), "table": str(done.folder / "leaderboard.csv")}
        say_json({**paths, "verdict": done.verdict.as_json()})
        return
    say(done.verdict.headline)
    say(f"leaderboard: {done.page}")


_of_sweep = command.params
command.params = [
    *_named(train.command, ("data", "output")),
    *_of_sweep,
    *_named(train.command, _TRAINING),
    *_named(audit.command, _OF_AUDITS),
]
