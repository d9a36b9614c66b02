"""`fairvision audit`: compare models and write the report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairvision.attribution import DEFAULT, METHODS
from fairvision.cli import config, gate, options
from fairvision.cli._sections import SectionedCommand
from fairvision.cli.sources import SOURCE, layer, options_from, preparation
from fairvision.cli.swapping import fill
from fairvision.errors import InputError

if TYPE_CHECKING:
    from fairvision.auditing.shards import Shards
    from fairvision.captioning import CaptionAudit


def _named(given: tuple[str, ...]) -> dict[str, list[str]]:
    """Return what each column is called in the tables, by the name that it has here."""
    columns: dict[str, list[str]] = {}
    for text in given:
        name, _, column = text.partition("=")
        columns.setdefault(name.strip(), []).append(column.strip())
    return columns


SECTIONS = {
    "What is audited": ("output", "data", "split", "names", "attribution", "missing"),
    "Tables of predictions": ("predictions", "train", "attributes", "columns", "logits"),
    "Models by name": (*("heads", "size", "shorter", "mean", "std", "prompt", "prompts", "layer"),),
    "Questions that take longer": ("swaps", "fill", "leaning", "sanity", "sanity_pictures"),
    "Intervals, and where it runs": (
        *(
            "replicates",
            "seed",
            "cluster",
            "group_noise",
            "reference",
            "simultaneous",
            "smallest_difference",
            "tokens",
            "device",
            "batch_size",
            "workers",
            "cache",
        ),
    ),
    "Several machines": ("shards", "shard_images", "shard_lapse"),
    "What becomes of it": (*("rules", "open_page", "as_json", "overwrite", "quiet", "config"),),
}


OF_CAPTIONERS = (
    *("output", "data", "split", "attribution", "replicates", "seed", "device", "batch_size"),
    *("cluster", "simultaneous", "smallest_difference"),
    *("workers", "cache", "swaps", "fill", "overwrite"),
)
"""The options that audits of captioners have too."""
ONLY_OF_CAPTIONERS = ("tokens",)


@click.command("audit", cls=SectionedCommand, sections=SECTIONS)
@click.argument(
    "sources", nargs=-1, required=True, metavar="SOURCE…", type=SOURCE, cls=options.Repeated
)
@options.output
@config.option
@click.option(
    "--data",
    type=options.PATH,
    help="Dataset folder; by default the one that the first run was trained on.",
)
@preparation
@layer
@click.option("--split", default="test", show_default=True, help="Which pictures are audited.")
@click.option(
    "--attribution",
    type=options.Choice(["auto", "none", *METHODS, "attention"]),
    default="auto",
    show_default=True,
    help=f"How the evidence is found; auto is {DEFAULT}, and occlusion for models without "
    "gradients. Of words of captions: gradcam (auto), occlusion, attention.",
)
@click.option(
    "--predictions",
    is_flag=True,
    help="The arguments are samples tables (parquet, csv, folders of parquet) or duckdb:FILE?QUERY "
    "instead of runs.",
)
@click.option(
    "--train",
    type=SOURCE,
    help="With --predictions: table (or folder) with the truth of the training split.",
)
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="NAME",
    help="With --predictions: a column that is an attribute, where the table does not tell.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=COLUMN",
    callback=lambda _ctx, _param, given: _named(given),
    help="With --predictions: what a column is called in the tables, such as id=image_id or "
    "score/gender/male=p_male.",
)
@click.option(
    "--logits",
    is_flag=True,
    help="With --predictions: scores are logits (softmax; sigmoid where many labels may hold).",
)
@options.tokens
@options.cluster
@options.group_noise
@options.reference
@options.simultaneous
@options.smallest_difference
@click.option(
    "--name", "names", multiple=True, help="What a model is called; one for each, in their order."
)
@click.option(
    "--missing",
    type=options.Choice(["leave-out", "wrong"]),
    default="leave-out",
    show_default=True,
    help="What pictures without an answer are to accuracies: left out of them, or answered wrong.",
)
@options.replicates
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Pictures in the network at a time.",
)
@click.option(
    "--swaps",
    type=click.IntRange(min=0),
    default=8,
    show_default=True,
    help="In the surroundings of how many pictures of other groups each person is shown (see "
    "docs/swaps.md); 0 for none.",
)
@fill
@click.option(
    "--leaning/--no-leaning",
    default=None,
    help="Hide each thing in the pictures and ask again (see docs/leaning.md); by default where "
    "the data say where objects are.",
)
@click.option(
    "--sanity/--no-sanity",
    default=None,
    help="Check whether the evidence depends on the weights, the picture and the mask "
    "(see docs/sanity.md); by default on a small sample.",
)
@click.option(
    "--sanity-pictures",
    type=click.IntRange(min=1),
    help="On how many pictures; by default 200 with --sanity, else 24.",
)
@click.option(
    "--shards",
    type=options.FOLDER,
    metavar="DIR",
    help="A folder that any number of processes share, which are all called alike: they divide the "
    "pictures, and one of them writes the audit (see docs/shards.md).",
)
@click.option(
    "--shard-images",
    type=click.IntRange(min=1),
    help="With --shards: pictures of a shard, which is what a lost process costs; by default 4096.",
)
@click.option(
    "--shard-lapse",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="With --shards: after how long without a sign of life another does the shard of a lost "
    "process; by default 120.",
)
@gate.fail_on
@options.seed
@options.device
@options.workers
@options.cache
@options.overwrite
@options.quiet
@options.open_page
@options.as_json
def command(
    sources: tuple[Path | str, ...],
    predictions: bool,
    names: tuple[str, ...],
    rules: tuple[str, ...],
    quiet: bool,
    open_page: bool,
    as_json: bool,
    shards: Path | None,
    shard_images: int | None,
    shard_lapse: float | None,
    **rest: Any,
) -> None:
    """Compare models: errors, amplification, evidence.

    Every SOURCE is a run folder or a model of another library: timm:NAME, torchvision:NAME,
    hf:FOLDER, clip:FOLDER, onnx:FILE, pt2:FILE or python:FILE.py:FUNCTION (see docs/models.md). The
    first is the one that the others are compared with. Writes report.html, metrics.csv and the
    samples tables. Started by torchrun, several processes share the pictures; with --shards, any
    number of processes of any machines.

    \b
    fairvision audit runs/baseline runs/equalizer -o audit
    fairvision audit timm:resnet18@mine.pth --heads heads.toml --data photos -o audit
    fairvision audit --predictions a.parquet b.parquet -o audit
    fairvision audit --predictions "duckdb:answers.duckdb?FROM answers ORDER BY id" -o audit
    """
    from fairvision.auditing import audit
    from fairvision.core.processes import is_first
    from fairvision.results.expectations import check_lines
    from fairvision.results.rules import read_rules

    parsed = read_rules(rules) if rules else []  # before the work
    divided = _shards(shards, images=shard_images, lapse=shard_lapse)
    if not predictions and _write_captions(sources):
        if divided is not None:
            raise InputError("--shards is not for captioners: leave it out")
        written = _of_captioners(sources, names, quiet=quiet or as_json, **rest)
        lines = [written.verdict.headline]
        gate.conclude(written, parsed, lines, open_page=open_page, as_json=as_json)
        return
    _refuse_of_captioners(rest)
    described = options_from(() if predictions else sources, rest)
    done = audit(
        () if predictions else sources,
        options=described,
        predictions=list(sources) if predictions else None,
        names=names or None,
        quiet=quiet or as_json or not sys.stderr.isatty(),
        shards=divided,
        **rest,
    )
    if not is_first():
        return
    lines = [
        *_as_shown(done.folder),
        done.verdict.headline,
        *check_lines(done.metrics, passed=bool(rest["sanity"])),
    ]
    gate.conclude(done, parsed, lines, open_page=open_page, as_json=as_json)


def _shards(folder: Path | None, **given: float | None) -> Shards | None:
    """Return how the work is divided; refuse what says how where it is not."""
    from fairvision.auditing.shards import Shards

    settings: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if folder is not None:
        return Shards(folder, **settings)
    if settings:
        raise InputError("--shard-images and --shard-lapse say how --shards divides: add it")
    return None


def _write_captions(sources: tuple[Path | str, ...]) -> bool:
    """Tell whether sources are runs that write captions; tables are audited without torch."""
    from fairvision.runs.caption_model import write_captions

    return write_captions(sources)


def _refuse_of_captioners(rest: dict[str, Any]) -> None:
    """Take out options that only audits of captioners have; `InputError` where one is given."""
    context = click.get_current_context()
    for name in ONLY_OF_CAPTIONERS:
        if context.get_parameter_source(name) in config.GIVEN:
            raise InputError(f"--{name} is for captioners alone")
        del rest[name]


def _of_captioners(
    sources: tuple[Path | str, ...], names: tuple[str, ...], *, quiet: bool, **rest: Any
) -> CaptionAudit:
    """Return a finished audit of runs that write captions; refuse options that are of others."""
    from fairvision.captioning.of_runs import audit_captioners

    context = click.get_current_context()
    theirs = (*OF_CAPTIONERS, *ONLY_OF_CAPTIONERS)
    for name in rest:
        if name not in theirs and context.get_parameter_source(name) in config.GIVEN:
            raise InputError(f"--{name.replace('_', '-')} is not for captioners")
    taken = {name: value for name, value in rest.items() if name in theirs}
    quiet = quiet or not sys.stderr.isatty()
    return audit_captioners(list(sources), names=names or None, quiet=quiet, **taken)


def _as_shown(folder: Path) -> list[str]:
    """Return how pictures were shown to models that are no runs, of which nobody knows by heart."""
    from fairvision.core.files import read_json

    noted = read_json(folder / "audit.json")["settings"]["runs"]
    return [f"{about['name']} was shown {about['images']}" for about in noted if "images" in about]
