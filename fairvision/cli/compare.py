"""`fairvision compare`: the last release of a model and this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairvision.cli import config, options
from fairvision.cli.printing import say, say_json
from fairvision.errors import visible


@click.command("compare")
@click.argument("old", type=options.FOLDER)
@click.argument("new", type=options.FOLDER)
@options.output
@config.option
@options.replicates
@options.seed
@options.overwrite
@options.as_json
def command(old: Path, new: Path, as_json: bool, **rest: Any) -> None:
    """Say what got worse from one audit to the next.

    OLD and NEW are folders of finished audits. Models of the same name are compared, or the only
    ones; on the pictures that both audits have, in pairs.

    \b
    fairvision compare audits/1.0 audits/1.1 -o compared
    """
    from fairvision.auditing.releases import MARKER, SUMMARY, compare
    from fairvision.core.files import read_json

    made = compare(old, new, **rest)
    if as_json:
        say_json(read_json(made.folder / MARKER))
        return
    for model, count in made.images.items():
        say(f"{visible(model)}: {count} pictures in both audits")
        for title, changes in (("worse", made.worse), ("better", made.better)):
            of_model = [change for change in changes if change.model == model]
            say(f"  {title}: {len(of_model) or 'nothing was shown'}")
            for change in of_model[:5]:
                say(f"    {visible(str(change))}")
    say(f"all of it: {made.folder / SUMMARY}")
