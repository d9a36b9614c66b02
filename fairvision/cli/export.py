"""`fairvision export`: a finished audit for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairvision.cli import config, options
from fairvision.cli.printing import say_made

TARGETS = ("card", "fiftyone", "mlflow", "wandb")


@click.command("export")
@click.argument("audit", type=options.PATH)
@click.option("--to", type=options.Choice(TARGETS), required=True, help="For which program.")
@click.option(
    "--output",
    "-o",
    type=options.PATH_OR_NAME,
    help="Folder to write; for mlflow also a tracking URI. Needed for card and fiftyone.",
)
@click.option("--data", type=options.PATH, help="Dataset folder with the pictures, for fiftyone.")
@click.option(
    "--project",
    default="fairvision",
    show_default=True,
    help="Experiment of mlflow, project of wandb.",
)
@config.option
@options.overwrite
@options.made_as_json
def command(audit: Path, to: str, **rest: Any) -> None:
    """Bring a finished audit into another program's form.

    AUDIT is the folder that `fairvision audit` or `fairvision captions` wrote.

    \b
    fairvision export audit --to card -o cards
    fairvision export audit --to fiftyone --data DATA -o fiftyone
    fairvision export audit --to mlflow -o tracking
    WANDB_MODE=offline fairvision export audit --to wandb
    """
    from fairvision.exporting import export

    place = str(export(audit, to=to, **rest))
    say_made({"to": to, "place": place}, f"{to}: {place}")
