"""`fairvision train`: from a dataset folder to a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairvision.cli import config, options
from fairvision.cli._sections import SectionedCommand
from fairvision.cli.printing import say, say_json
from fairvision.methods import CAPTION_METHODS, METHODS, describe
from fairvision.training.settings import OPTIONS

if TYPE_CHECKING:
    from fairvision.runs import Run


def _list_methods(context: click.Context, _: click.Parameter, method: str) -> str:
    """Return the name of a method; for "list", print all methods and end instead."""
    if method == "list":
        say(describe())
        context.exit()
    return method


SECTIONS = {
    "What is trained": ("method", "model", "weights", "keep_head", "size", "attribute", "task"),
    "Captions": ("captions", "decoder", "vocabulary", "words", "captions_per_image"),
    "What learns, and how long": ("tune", "epochs", "batch_size", "select", "patience"),
    "Steps": (
        *("lr", "lr_backbone", "weight_decay", "optimizer", "momentum", "schedule"),
        *("accumulate", "ema", "precision"),
    ),
    "Pictures": ("augment", "crop", "workers", "cache"),
    "Where and what is written": (
        *("output", "config", "seed", "device", "compile", "checkpoint_every"),
        *("resume", "overwrite", "quiet", "as_json"),
    ),
}


@click.command(
    "train",
    cls=SectionedCommand,
    sections=SECTIONS,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    options_metavar="[OPTIONS] [--OPTION-OF-THE-METHOD VALUE]...",
)
@click.argument("data", type=options.PATH)
@options.output
@config.option_of_training
@options.setting(
    "method",
    type=options.Choice([*dict.fromkeys([*METHODS, *CAPTION_METHODS]), "list"]),
    metavar="METHOD",
    help=f"How it learns: {', '.join(METHODS)}; with --captions {', '.join(CAPTION_METHODS)}. "
    "`--method list` says more of each.",
    is_eager=True,
    callback=_list_methods,
)
@options.settings(*(name for name in OPTIONS if name != "method"))
@options.as_json
@click.pass_context
def command(context: click.Context, /, output: Path, as_json: bool, **settings: Any) -> None:
    """Train a classifier of attributes and tasks on the dataset folder DATA, or a captioner.

    Options of the method, such as --beta 3 of the equalizer, are given like any other.

    Ctrl-C, or kill -9, leaves a run that --resume continues, ending with the same weights.
    """
    from fairvision import runs
    from fairvision.core.processes import is_first
    from fairvision.training import stored_options, train
    from fairvision.training.processes import keep_freed_memory

    keep_freed_memory()
    method = settings["method"]
    of_method = {
        **config.method_options(context, [method])[method],
        **config.remaining_options(context),
    }
    if settings["resume"]:
        settings |= {
            name: value
            for name, value in stored_options(output).items()
            if context.get_parameter_source(name) not in config.GIVEN
        }
    try:
        run = train(output=output, **{**settings, **of_method})
    except KeyboardInterrupt:
        if (output / runs.CONFIG).is_file():
            say(f"{output} is unfinished: the same command with --resume continues it", err=True)
        raise
    if is_first() and as_json:
        say_json(runs.summary(run))
    elif is_first():
        _say_summary(run)


def _say_summary(run: Run) -> None:
    """Print what was chosen, how many images took part, which epoch is best, and where it lies."""
    from fairvision import runs
    from fairvision.runs import thresholds

    summary = runs.summary(run)
    for name, reason in run.config.get("chosen", {}).items():
        say(f"{name} {run.config['options'][name]}: {reason}")
    for name, n in summary["pictures"].items():
        if run.captions is not None:
            say(f"{name}: {n} words of {summary['training_pictures']} pictures in an epoch")
            continue
        say(f"{name}: {n} of {summary['training_pictures']} pictures shown in an epoch")
    say(f"best of {summary['epochs']} epochs: {summary['best_epoch']}")
    if (rule := thresholds.read(run)) is not None:
        images = f"{rule.with_group} of {rule.images} validation pictures"
        say(f"thresholds per {rule.attribute}: learnt from {images}")
    say(f"run: {run.folder}")
