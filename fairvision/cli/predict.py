"""`fairvision predict`: a table of probabilities for any images."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairvision.cli import config, options
from fairvision.cli.printing import say, say_json
from fairvision.cli.sources import SOURCE, options_from, preparation
from fairvision.errors import InputError, visible

if TYPE_CHECKING:
    import pandas as pd

    from fairvision.inference.confidence import Familiarity
    from fairvision.runs import Run
    from fairvision.schema import Schema

SMALL = 64
# How the names of the columns begin; the last two were written by version 0.1.
_WRITTEN = ("answer/", "score/", "confidence/", "distance_percentile", "sure/", "farther_than")


@click.command(name="predict")
@click.argument("source", type=SOURCE)
@click.argument(
    "images", nargs=-1, required=True, metavar="IMAGE…", type=options.PATH, cls=options.Repeated
)
@config.option
@preparation
@options.prepare
@click.option(
    "--prepared",
    type=options.FOLDER,
    help="Folder to write the prepared pictures to, as the network sees them.",
)
@click.option(
    "--familiarity/--no-familiarity",
    default=None,
    help="How sure the model may be, and how far the pictures are from its training data. By "
    f"default for pictures of at most {SMALL} pixels, where the data is there.",
)
@click.option(
    "--data",
    type=options.FOLDER,
    help="Dataset folder for --familiarity; by default the one that the run was trained on.",
)
@click.option(
    "--output",
    "-o",
    type=options.FILE,
    help="CSV file to write, with every probability, in place of the table.",
)
@options.overwrite
@options.device
@options.quiet
@options.as_json
def command(
    source: Path | str,
    images: tuple[Path, ...],
    prepare: str,
    prepared: Path | None,
    familiarity: bool | None,
    data: Path | None,
    output: Path | None,
    overwrite: bool,
    device: str,
    quiet: bool,
    as_json: bool,
    **rest: Any,
) -> None:
    """Print what a model says about pictures.

    SOURCE is a run folder, or a model of another library such as timm:NAME (see docs/models.md).
    IMAGE… are picture files, or folders of them. Per attribute and task: the answer and the
    probabilities; --json and --output give all of them.
    """
    _check_replaceable(output, overwrite)
    if data is not None and familiarity is False:
        raise InputError("--data is for --familiarity: leave out --no-familiarity")

    from fairvision import inference, runs
    from fairvision.core.csv_files import write_csv
    from fairvision.core.files import check_vacant
    from fairvision.inference import digits
    from fairvision.models import find_device
    from fairvision.runs import thresholds
    from fairvision.runs.model import as_model

    if prepared is not None:
        check_vacant(prepared, marker=digits.LIST, overwrite=overwrite)
    quiet = quiet or not sys.stderr.isatty()
    described = options_from([source], rest)
    run = runs.load(source) if isinstance(source, Path) else None
    model = run or as_model(source, find_device(device), options=described[0])
    if prepared is not None and not inference.prepares_digits(model, prepare):
        raise InputError("--prepared writes prepared pictures: add --prepare digit")
    files = inference.image_files(images)
    learned, why_not = _familiarity(run, familiarity, data, device, quiet)
    table = inference.predict(
        model, files, prepare=prepare, familiarity=learned, device=device, quiet=quiet
    )
    if run is not None and (note := thresholds.without_groups(run)):
        say(f"note: {note}", err=True)
    if prepared is not None:
        digits.write_prepared(files, prepared, overwrite=overwrite)
    if output is not None:
        tasks = model.schema.tasks.items()
        for name in (f"answer/{name}" for name, task in tasks if task.many):
            table[name] = table[name].map(lambda held: ";".join(held) or ";", na_action="ignore")
        _check_replaceable(output, overwrite)  # it may be there by now
        write_csv(table, output)
        say(f"{len(table)} pictures: {output}")
    elif as_json:
        records = json.loads(table.to_json(orient="records"))
        say_json(records)
    else:
        _show(table, model.schema, learned, why_not)


def _check_replaceable(output: Path | None, overwrite: bool) -> None:
    """Raise `InputError` where there is a file, unless this command wrote it and may replace it."""
    if output is None or not output.exists():
        return
    if not overwrite:
        raise InputError(f"{output} is there already: choose another file or add --overwrite")

    from fairvision.core.csv_files import header

    try:
        names = header(output)
    except InputError:
        names = []
    written = [name for name in names[2:] if name.startswith(_WRITTEN)]
    if names[:2] != ["id", "image"] or len(written) < 2 or len(written) < len(names) - 2:
        raise InputError(
            f"{output} is no table of fairvision predict: --overwrite does not touch it; choose "
            "another file"
        )


def _familiarity(
    run: Run | None, asked: bool | None, data: Path | None, device: str, quiet: bool
) -> tuple[Familiarity | None, str]:
    """Return what `learn_familiarity` does; where that is not to be had, None and why not."""
    wanted = asked or data is not None
    if run is None and wanted:
        raise InputError("how familiar pictures are is known of run folders only")
    if asked is False or run is None:
        return None, ""
    if not wanted and run.size > SMALL:
        return None, "--familiarity says how sure the model may be, and how far the pictures are"

    from fairvision.inference.confidence import learn_familiarity

    try:
        return learn_familiarity(run, data, device=device, quiet=quiet), ""
    except InputError as error:
        if wanted:
            raise
        return None, f"how sure the model may be is not known: {error}"


def _show(table: pd.DataFrame, schema: Schema, learned: Familiarity | None, why_not: str) -> None:
    """Print the table of predictions and the notes on how far to trust them."""
    from rich.console import Console

    from fairvision.cli import tables

    console = Console(width=None if sys.stdout.isatty() else tables.WIDTH_OF_PIPES)
    console.print(tables.prediction_table(table, schema.heads))
    for note in tables.prediction_notes(table, learned) if learned else [why_not]:
        if note:
            console.print(f"\n{visible(note)}", markup=False, highlight=False)
