"""`fairvision train`: from a dataset folder to a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fairvision.cli import options


@click.command("train")
@click.argument("data", type=click.Path(path_type=Path))
@options.output
@click.option(
    "--method",
    type=click.Choice(["baseline", "equalizer", "attribution_penalty"]),
    default="baseline",
    show_default=True,
    help="How it learns.",
)
@click.option(
    "--model",
    default="lecture_cnn",
    show_default=True,
    help="lecture_cnn, small_cnn, or a torchvision classification network such as mobilenet_v2.",
)
@click.option(
    "--weights",
    help="What it starts from: a name that torchvision publishes (IMAGENET1K_V1, DEFAULT), a .pth "
    "or .safetensors file, or another run. By default random.",
)
@click.option(
    "--size",
    type=click.IntRange(min=1),
    help="Side of the pictures in pixels; by default that of the network.",
)
@click.option("--attribute", multiple=True, help="Attribute to learn, repeatable; by default all.")
@click.option("--task", multiple=True, help="Task to learn, repeatable; by default all.")
@click.option(
    "--tune",
    type=click.Choice(["all", "head"]),
    default="all",
    show_default=True,
    help="What learns: the whole network, or its heads on a frozen backbone.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Passes over the training pictures.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=2),
    default=32,
    show_default=True,
    help="Pictures per step.",
)
@click.option(
    "--lr",
    type=float,
    help="Learning rate; by default 0.0001 where all of a network with weights learns, else 0.001.",
)
@click.option(
    "--weight-decay", type=float, default=0.01, show_default=True, help="Decay of the weights."
)
@click.option(
    "--schedule",
    type=click.Choice(["cosine", "constant"]),
    default="cosine",
    show_default=True,
    help="Learning rate after the warm-up.",
)
@click.option(
    "--augment/--no-augment",
    default=None,
    help="Mirror and crop at random; by default not for heads alone, nor for the small networks.",
)
@click.option(
    "--precision",
    type=click.Choice(["32", "bf16", "16"]),
    default="32",
    show_default=True,
    help="Bits per number; bf16 and 16 are mixed.",
)
@click.option("--alpha", type=float, help="Equalizer: weight of the cross entropy.  [default: 1]")
@click.option(
    "--beta", type=float, help="Equalizer: weight of the appearance confusion.  [default: 10]"
)
@click.option("--mu", type=float, help="Equalizer: weight of the confident term.  [default: 1]")
@click.option(
    "--confident",
    type=click.Choice(["quotient", "difference", "hinge", "none"]),
    help="Equalizer: form of the confident term.  [default: quotient]",
)
@click.option("--penalty", type=float, help="Attribution penalty: its weight.  [default: 1]")
@options.seed
@options.device
@options.workers
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the unfinished run in the output folder, with the options it was started with.",
)
@options.overwrite
@options.quiet
@options.as_json
@click.pass_context
def command(context: click.Context, output: Path, as_json: bool, **settings: Any) -> None:
    """Train a classifier of attributes and tasks on the dataset folder DATA.

    Ctrl-C leaves a run that --resume continues, ending with the same weights.
    """
    from fairvision import runs
    from fairvision.training import stored_options, train

    if settings["resume"]:
        started_with = stored_options(output)
        settings |= {
            name: value
            for name, value in started_with.items()
            if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE
        }
    try:
        run = train(output=output, **settings)
    except KeyboardInterrupt:
        if (output / runs.CONFIG).is_file():
            click.echo(
                f"{output} is unfinished: the same command with --resume continues it", err=True
            )
        raise
    summary = runs.summary(run)
    if as_json:
        click.echo(json.dumps(summary, indent=1))
        return
    for name, n in summary["pictures"].items():
        click.echo(f"{name}: {n} of {summary['training_pictures']} training pictures")
    click.echo(f"best of {summary['epochs']} epochs: {summary['best_epoch']}")
    click.echo(f"run: {run.folder}")
