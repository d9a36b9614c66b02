"""`fairvision train`: from a dataset folder to a run folder."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from fairvision.cli import config, options
from fairvision.cli.printing import say, say_json
from fairvision.methods import METHODS, describe, option_names


def _list_methods(context: click.Context, _: click.Parameter, method: str) -> str:
    if method == "list":
        say(describe())
        context.exit()
    return method


@click.command(
    "train",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    options_metavar="[OPTIONS] [--OPTION-OF-THE-METHOD VALUE]...",
)
@click.argument("data", type=options.PATH)
@options.output
@config.option
@click.option(
    "--method",
    type=click.Choice([*METHODS, "list"]),
    default="baseline",
    show_default=True,
    help="How it learns; `--method list` says what methods there are, and their options.",
    is_eager=True,
    callback=_list_methods,
)
@click.option(
    "--model",
    default="lecture_cnn",
    show_default=True,
    help="lecture_cnn, small_cnn, a torchvision classification network such as mobilenet_v2, or "
    "one of timm such as timm:convnext_atto.",
)
@click.option(
    "--weights",
    type=options.PATH_OR_NAME,
    help="What it starts from: a name that torchvision publishes (IMAGENET1K_V1, DEFAULT), DEFAULT "
    "of timm, a .pth or .safetensors file, or another run. By default random.",
)
@click.option(
    "--size",
    type=click.IntRange(min=1),
    help="Side of the pictures in pixels; by default that of the network, and for small networks "
    "that of the pictures where they all have one that is smaller.",
)
@click.option("--attribute", multiple=True, help="Attribute to learn, repeatable; by default all.")
@click.option("--task", multiple=True, help="Task to learn, repeatable; by default all.")
@click.option(
    "--tune",
    type=click.Choice(["head", "last", "all", "auto"]),
    default="all",
    show_default=True,
    help="What learns: the heads, the last block too, or the whole network; auto chooses by the "
    "number of training pictures and says why.",
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
    help="Pictures per batch; of several processes (torchrun), together.",
)
@click.option(
    "--lr",
    type=float,
    help="Learning rate; by default 0.0001 where trained layers learn on, else 0.001; of sgd 0.01 "
    "and 0.1.",
)
@click.option(
    "--lr-backbone",
    type=float,
    default=1.0,
    show_default=True,
    help="Share of it for the earliest block that learns; those up to the heads lie between.",
)
@click.option(
    "--weight-decay",
    type=float,
    help="Decay of the weights; by default 0.01, of sgd 0.0005.",
)
@click.option(
    "--optimizer",
    type=click.Choice(["adamw", "sgd"]),
    default="adamw",
    show_default=True,
    help="What takes the steps.",
)
@click.option("--momentum", type=float, default=0.9, show_default=True, help="Of sgd.")
@click.option(
    "--schedule",
    type=click.Choice(["cosine", "constant", "steps"]),
    default="cosine",
    show_default=True,
    help="Learning rate after the warm-up: to zero, the same, or a tenth after each quarter.",
)
@click.option(
    "--augment/--no-augment",
    default=None,
    help="Mirror and crop at random; by default not for heads alone, nor for the small networks.",
)
@click.option(
    "--crop",
    type=click.Choice(["zoom", "shift"]),
    default="zoom",
    show_default=True,
    help="Random crops: parts of 50 to 100% of the area, or shifts by up to an eighth of the side.",
)
@click.option(
    "--precision",
    type=click.Choice(["32", "bf16", "16"]),
    default="32",
    show_default=True,
    help="Bits per number; bf16 and 16 are mixed.",
)
@click.option(
    "--accumulate",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Batches per step.",
)
@click.option(
    "--ema",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="DECAY",
    help="Keep a moving average of the weights, such as 0.999; by default none.",
)
@click.option(
    "--select",
    type=click.Choice(["loss", "accuracy", "worst_group_accuracy"]),
    default="loss",
    show_default=True,
    help="What makes an epoch the best on the validation split.",
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    metavar="EPOCHS",
    help="Stop after so many epochs without a better one; by default never.",
)
@click.option("--compile", is_flag=True, help="Compile the network (torch.compile).")
@options.seed
@options.device
@options.workers
@options.cache
@click.option(
    "--checkpoint-every",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="When to write the state within an epoch; by default about once a minute.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the unfinished run in the output folder, with the options it was started with.",
)
@options.overwrite
@options.quiet
@options.as_json
@click.pass_context
def command(context: click.Context, /, output: Path, as_json: bool, **settings: Any) -> None:
    """Train a classifier of attributes and tasks on the dataset folder DATA.

    Options of the method, such as --beta 3 of the equalizer, are given like any other.

    Ctrl-C, or kill -9, leaves a run that --resume continues, ending with the same weights.
    """
    from fairvision import runs
    from fairvision.core.processes import is_first
    from fairvision.runs import thresholds
    from fairvision.training import stored_options, train

    method = settings["method"]
    of_method = {**config.method_options(context, [method])[method], **_method_options(context)}
    if settings["resume"]:
        started_with = stored_options(output)
        settings |= {
            name: value
            for name, value in started_with.items()
            if context.get_parameter_source(name) not in config.GIVEN
        }
    try:
        run = train(output=output, **{**settings, **of_method})
    except KeyboardInterrupt:
        if (output / runs.CONFIG).is_file():
            say(f"{output} is unfinished: the same command with --resume continues it", err=True)
        raise
    if not is_first():
        return
    summary = runs.summary(run)
    if as_json:
        say_json(summary)
        return
    for name, why in run.config.get("chosen", {}).items():
        say(f"{name} {run.config['options'][name]}: {why}")
    for name, n in summary["pictures"].items():
        say(f"{name}: {n} of {summary['training_pictures']} pictures shown in an epoch")
    say(f"best of {summary['epochs']} epochs: {summary['best_epoch']}")
    if (rule := thresholds.read(run)) is not None:
        known = f"{rule.known} of {rule.images} validation pictures"
        say(f"thresholds per {rule.attribute}: learnt from {known}")
    say(f"run: {run.folder}")


def _method_options(context: click.Context) -> dict[str, str]:
    """Read what click left over: `--beta 3` or `--beta=3`."""
    of_methods = [f"--{name}" for name in option_names()]
    found: dict[str, str] = {}
    rest = list(context.args)
    while rest:
        name, is_given, value = rest.pop(0).partition("=")
        if not name.startswith("--"):
            raise click.UsageError(f"Got unexpected extra argument ({name})")
        if name.replace("-", "_").replace("__", "--", 1) not in of_methods:
            names = [name for option in context.command.params for name in option.opts]
            near = get_close_matches(name, [*names, *of_methods])
            raise click.NoSuchOption(name, possibilities=near, ctx=context)
        if not is_given:
            if not rest:
                raise click.UsageError(f"Option '{name}' requires an argument.")
            value = rest.pop(0)
        found[name.removeprefix("--").replace("-", "_")] = value
    return found
