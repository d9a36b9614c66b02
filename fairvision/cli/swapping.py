"""The option of commands that exchange surroundings."""

from __future__ import annotations

import click

from fairvision.cli import options
from fairvision.datasets.fills import FILLS

fill = click.option(
    "--fill",
    type=options.Choice(FILLS),
    default=FILLS[0],
    show_default=True,
    help="How the place of a person is filled in surroundings that are swapped.",
)
