"""`fairvision slices`: where errors are frequent, though nobody annotated it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairvision.cli import config, options
from fairvision.cli.printing import say_made, show_in_browser
from fairvision.cli.sources import SOURCE


@click.command(name="slices")
@click.argument("audit", type=options.PATH)
@click.argument("sources", nargs=-1, metavar="[SOURCE]…", type=SOURCE)
@options.output
@config.option
@click.option(
    "--features",
    type=options.PATH,
    help="Table of features of any network, instead of runs: id, and a column for each feature.",
)
@click.option(
    "--data",
    type=options.PATH,
    help="Dataset folder; by default the one that the first run was trained on.",
)
@options.seed
@options.device
@options.overwrite
@options.open_page
@options.made_as_json
def command(sources: tuple[Path | str, ...], output: Path, open_page: bool, **rest: Any) -> None:
    """Look for pictures, and words of captions, that are often answered wrong.

    AUDIT is the folder that `fairvision audit` wrote, SOURCE… the runs that it compared, in the
    same order. Half of the pictures are searched, and the other half confirms: hypotheses for you
    to look at, see docs/slices.md. Writes slices.html with the pictures of each slice, slices.csv
    and words.csv. Models that do not say what their features are, as most of other libraries, need
    --features.

    \b
    fairvision slices audit runs/baseline runs/equalizer -o slices
    fairvision slices audit --features clip.parquet --data photos -o slices
    """
    import json

    from fairvision.auditing.error_slices import MARKER, PAGE, find_slices

    folder = find_slices(sources=list(sources), output=output, **rest)
    slices = json.loads((folder / MARKER).read_text(encoding="utf-8"))["slices"]
    confirmed = sum(of["confirmed"] for of in slices)
    counted = f"{confirmed} of {len(slices)} confirmed on pictures of the other half"
    made: dict[str, object] = {"slices": str(folder), "page": str(folder / PAGE)}
    made |= {"offered": len(slices), "confirmed": confirmed}
    say_made(made, f"slices: {folder / PAGE} ({counted})")
    if open_page:
        show_in_browser(folder / PAGE)
