"""`fairvision train`: from a dataset folder to a run folder."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from fairvision.cli import config, options
from fairvision.cli.printing import say, say_json
from fairvision.methods import METHODS, describe, option_names
from fairvision.training.settings import OPTIONS


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
@options.setting(
    "method", type=click.Choice([*METHODS, "list"]), is_eager=True, callback=_list_methods
)
@options.settings(*(name for name in OPTIONS if name != "method"))
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
    from fairvision.training.devices import keep_freed_memory

    keep_freed_memory()
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
