"""Options that are spelled alike in every command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


class UserPath(click.Path):
    """A path as a user writes it: the one place where `~` becomes the user's home."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, checked as `click.Path` does."""
        text = os.fspath(value)
        if "\0" in text:
            self.fail("a path cannot hold a NUL character", param, ctx)
        return super().convert(os.path.expanduser(text), param, ctx)


PATH = UserPath(path_type=Path)
FILE = UserPath(path_type=Path, dir_okay=False)
FOLDER = UserPath(path_type=Path, file_okay=False)
PATH_OR_NAME = UserPath(path_type=str)

output = click.option("--output", "-o", type=PATH, required=True, help="Folder to write.")
overwrite = click.option(
    "--overwrite", is_flag=True, help="Replace what an earlier call wrote there."
)
seed = click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Seed of all chance.",
)
device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where the network runs.",
)
workers = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=None,
    help="Threads that decode pictures; by default one per core.",
)
cache = click.option(
    "--cache",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Whether decoded pictures are kept on the disk; auto keeps them where they take at most "
    "half of what is free, else they are decoded whenever they are needed.",
)
prepare = click.option(
    "--prepare",
    type=click.Choice(["auto", "digit", "none"]),
    default="auto",
    show_default=True,
    help="digit: make pictures of digits, dark or light, like those of MNIST; auto: do so for a "
    "run that was trained on MNIST.",
)
quiet = click.option("--quiet", is_flag=True, help="Show no progress.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
