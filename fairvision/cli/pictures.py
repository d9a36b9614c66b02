"""`fairvision pictures`: the most telling images of an audit, as sheets to print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fairvision.cli import config, options
from fairvision.cli.printing import say_made
from fairvision.cli.sources import SOURCE, layer, options_from, preparation


@click.command(name="pictures")
@click.argument("audit", type=options.PATH)
@click.argument(
    "sources", nargs=-1, required=True, metavar="SOURCE…", type=SOURCE, cls=options.Repeated
)
@options.output
@config.option
@click.option(
    "--per-cell",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Pictures of each reason: right or wrong, and what exchanged surroundings change.",
)
@click.option(
    "--data",
    type=options.PATH,
    help="Dataset folder; by default the one that the first run was trained on.",
)
@preparation
@layer
@options.device
@options.overwrite
@options.quiet
@options.made_as_json
def command(sources: tuple[Path | str, ...], output: Path, quiet: bool, **rest: Any) -> None:
    """Draw the most telling pictures of an audit.

    AUDIT is the folder that `fairvision audit` wrote, SOURCE… the runs or models that it compared,
    in the same order. For each model and each reason (right or wrong, and whether that changes when
    the surroundings are exchanged; without swaps, where the evidence lies) the folder gets one
    contact sheet, and a sheet per picture with every model's evidence.

    \b
    fairvision pictures audit runs/baseline runs/equalizer -o pictures
    """
    from fairvision.auditing.image_sheets import image_sheets

    quiet = quiet or not sys.stderr.isatty()
    rest["options"] = options_from(sources, rest)
    folder = image_sheets(sources=sources, output=output, quiet=quiet, **rest)
    say_made({"pictures": str(folder)}, f"pictures: {folder}")
