"""`fairvision captions`: compare captioners and write the report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fairvision.cli import config, gate, options


@click.command("captions")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE…", type=options.PATH, cls=options.Repeated
)
@click.option(
    "--labels",
    type=options.PATH,
    required=True,
    help="Table (csv or parquet): image_id, a column of groups, perhaps one of objects.",
)
@options.output
@config.option
@click.option("--split-column", metavar="COLUMN", help="Column that holds the split.")
@click.option("--split", help="Which pictures are audited; by default all, or test.")
@click.option(
    "--attribute",
    metavar="COLUMN",
    help="Column of the groups; by default gender, or the only one.",
)
@click.option(
    "--objects",
    metavar="COLUMN",
    help="Column of the objects; by default objects, if there is one.",
)
@click.option(
    "--words",
    type=options.PATH,
    help='JSON, the words of each group: {"woman": ["woman", "she"], …}.',
)
@click.option(
    "--object-words",
    type=options.PATH,
    help='JSON, words for objects besides their names: {"tv": ["television"], …}.',
)
@click.option(
    "--human",
    type=options.PATH,
    help="JSON, people's captions of the same pictures: gives LIC, BLEU-4, CIDEr and ROUGE-L.",
)
@click.option(
    "--train",
    type=options.PATH,
    help="Labels table of the training split: the reference of amplification.",
)
@click.option(
    "--name", "names", multiple=True, help="What a model is called; one for each, in their order."
)
@click.option("--images", type=options.PATH, help="Folder with the pictures, for the report.")
@click.option(
    "--show", multiple=True, metavar="ID", help="A picture that the report is to show; repeatable."
)
@click.option(
    "--rounds",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Attackers that LIC trains; 0 leaves it out.",
)
@options.tokens
@options.cluster
@options.simultaneous
@options.smallest_difference
@options.replicates
@gate.fail_on
@options.seed
@options.overwrite
@options.quiet
@options.open_page
@options.as_json
def command(
    files: tuple[Path, ...],
    names: tuple[str, ...],
    rules: tuple[str, ...],
    quiet: bool,
    open_page: bool,
    as_json: bool,
    **rest: Any,
) -> None:
    """Compare captioners: whom they name, and what the rest of their captions tells.

    Every FILE holds a model's captions in COCO's format of results, [{"image_id": 1, "caption":
    "a man skis"}, …]; the first is the one that the others are compared with. Writes report.html,
    metrics.csv and captions.parquet.

    \b
    fairvision captions baseline.json equalizer.json --labels labels.csv -o audit
    """
    from fairvision.captioning import captions
    from fairvision.results.rules import read_rules

    parsed = read_rules(rules) if rules else []  # before the work
    done = captions(
        files,
        names=names or None,
        quiet=quiet or as_json or not sys.stderr.isatty(),
        **rest,
    )
    gate.conclude(done, parsed, [done.verdict.headline], open_page=open_page, as_json=as_json)
