"""`fairvision data captions`: give a dataset the captions of a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fairvision.cli import options
from fairvision.cli.printing import say_made


@click.command("captions")
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.argument("files", metavar="CAPTIONS.json...", type=options.PATH, nargs=-1, required=True)
@options.output
@click.option(
    "--only-captioned", is_flag=True, help="Leave out pictures that have no caption in the files."
)
@click.option(
    "--replace",
    "replace_captions",
    is_flag=True,
    help="Leave out the captions that the dataset has, instead of ending.",
)
@click.option(
    "--skip-broken",
    is_flag=True,
    help="Leave out pictures that cannot be used, and say which, instead of ending.",
)
@options.workers
@options.overwrite
@options.quiet
def captions(
    folder: Path, files: tuple[Path, ...], output: Path, quiet: bool, **settings: Any
) -> None:
    """Give a dataset the captions of files in COCO's format.

    DIR stays as it is; its pictures are copied to the folder that --output names. Captions are of
    the pictures whose id or file has the name, or else the id, that CAPTIONS.json lists.
    """
    from fairvision.datasets.readers.captions_file import add_captions

    quiet = quiet or not sys.stdout.isatty()
    dataset = add_captions(folder, files, output, quiet=quiet, **settings)
    count = sum(map(len, dataset.captions))
    with_any = sum(map(bool, dataset.captions))
    say_made(
        {"dataset": str(output), "pictures": len(dataset), "captions": count, "of": with_any},
        f"{output}: {len(dataset)} pictures, {count} captions of {with_any} of them",
        f"what is in it: fairvision data show {output}",
    )
