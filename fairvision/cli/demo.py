"""`fairvision demo`: the whole way on drawn images."""

from __future__ import annotations

from typing import Any

import click

from fairvision.cli import config, options
from fairvision.cli.printing import AS_JSON, say, say_made, show_in_browser


@click.command("demo")
@click.option(
    "--count", type=click.IntRange(min=100), default=3500, show_default=True, help="Pictures."
)
@click.option(
    "--bias",
    type=click.FloatRange(0, 1),
    default=0.95,
    show_default=True,
    help="Share of the pictures whose surroundings go with the group.",
)
@click.option("--groups", type=click.IntRange(2, 6), default=2, show_default=True, help="Groups.")
@click.option(
    "--size", type=click.IntRange(min=32), default=48, show_default=True, help="Side in pixels."
)
@options.setting("epochs", default=9, help="Training epochs.")
@options.output
@config.option
@options.seed
@options.device
@options.workers
@options.overwrite
@options.quiet
@options.open_page
@options.made_as_json
def command(open_page: bool, **settings: Any) -> None:
    """Draw pictures, train two models, audit them, and say where the report is.

    Each picture shows a person whose shirt has the pattern of its group, in surroundings that
    mostly go with that group. The baseline may look at either; the equalizer must look at the
    person.
    """
    from fairvision.demonstration import demo
    from fairvision.training.processes import keep_freed_memory

    keep_freed_memory()
    silent = settings["quiet"] or click.get_current_context().meta[AS_JSON]
    audit = demo(**settings, say=(lambda _: None) if silent else say)
    say_made(audit.as_json(), audit.verdict.headline, f"report: {audit.report}")
    if open_page:
        show_in_browser(audit.report)
