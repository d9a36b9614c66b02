"""`fairvision data hide`: images to show to models that can only be shown files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fairvision.cli import options
from fairvision.cli.printing import say_made
from fairvision.cli.swapping import fill


@click.command("hide")
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.argument("output", metavar="OUT", type=options.PATH)
@click.option("--split", default="test", show_default=True, help="Which pictures.")
@click.option(
    "--size",
    type=int,
    help="Width and height of the files, as for a network of this size; by default each picture "
    "keeps its own.",
)
@click.option(
    "--swaps",
    type=int,
    default=0,
    show_default=True,
    help="In the surroundings of how many pictures of other groups each person is shown as well "
    "(see docs/swaps.md); needs --size.",
)
@fill
@options.seed
@options.workers
@options.overwrite
@options.quiet
def hide(folder: Path, output: Path, quiet: bool, **settings: Any) -> None:
    """Write pictures with the person hidden, for models that take files only.

    Whole pictures, without the person, with only the person, and a table to fill in with what a
    model says of each: fairvision audit --predictions reads it.
    """
    from fairvision.auditing import hide_folder

    table = hide_folder(folder, output, quiet=quiet or not sys.stdout.isatty(), **settings)
    kinds = table["kind"].value_counts(sort=False)
    counts = ", ".join(f"{kind} {n}" for kind, n in kinds.items())
    say_made(
        {"pictures": str(output), "kinds": {k: int(n) for k, n in kinds.items()}},
        f"{output}: {len(table)} pictures ({counts})",
        f"what to do with them: {output / 'README.txt'}",
    )
