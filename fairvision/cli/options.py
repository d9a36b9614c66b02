"""Options that are spelled alike in every command; those of a training come from its `Settings`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

import click
from click.core import ParameterSource

from fairvision.cli.printing import AS_JSON
from fairvision.core.suggestions import did_you_mean
from fairvision.errors import InputError, shown
from fairvision.training.settings import DEFAULTS, OPTIONS, TYPES, Option

F = TypeVar("F", bound=Callable[..., Any])
if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
    _Choice = click.Choice[str]
else:  # which only newer versions of click parametrise
    ParamType = click.ParamType
    _Choice = click.Choice


class Choice(_Choice):
    """One of some words; where another is given, the one that may be meant is named."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Return what is said of another word."""
        names = list(map(str, self.choices))
        hint = did_you_mean(str(value), names)
        return f"{shown(value)} is not one of {', '.join(names)}{hint}"


class UserPath(click.Path):
    """A path as a user writes it: the one place where `~` becomes the user's home."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, checked as `click.Path` does."""
        text = os.fspath(value)
        if "\0" in text:
            self.fail("a path cannot hold a NUL character", param, ctx)
        return super().convert(os.path.expanduser(text), param, ctx)


PATH = UserPath(path_type=Path)
FILE = UserPath(path_type=Path, dir_okay=False)
FOLDER = UserPath(path_type=Path, file_okay=False)
PATH_OR_NAME = UserPath(path_type=str)


class Repeated(click.Argument):
    """An argument that is given once or more; where it is not, a --config file may hold it."""

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        """Return the values, and where they come from."""
        given = {name: value for name, value in opts.items() if value != () or name != self.name}
        return super().consume_value(ctx, given)


def setting(name: str, **changes: Any) -> Callable[[F], F]:
    """Return the option of a command for an option of `fairvision.training.Settings`.

    Parameters
    ----------
    name : of the field
    changes : keywords of `click.option` that differ in this command
    """
    declared, default = OPTIONS[name], DEFAULTS[name]
    kinds = [kind for kind in get_args(TYPES[name]) if kind is not NoneType] or [TYPES[name]]
    (kind,) = kinds if get_origin(TYPES[name]) is not Collection else [Collection]
    spelled = f"--{name.replace('_', '-')}"
    keywords: dict[str, Any] = {"help": declared.help}
    if kind is bool and default is None:
        spelled = f"{spelled}/--no-{spelled.removeprefix('--')}"
        keywords |= {"default": None}
    elif kind is bool:
        keywords |= {"is_flag": True}
    elif kind is Collection:
        keywords |= {"multiple": True}
    else:
        keywords |= {"type": _value_type(kind, declared), "metavar": declared.metavar}
        keywords |= {"default": default, "show_default": default is not None}
    return click.option(spelled, **{**keywords, **changes})


def named(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Turn COLUMN or NAME=COLUMN into a mapping of names to columns."""
    columns: dict[str, str] = {}
    for value in values:
        name, _, column = value.rpartition("=")
        name = name or column
        if name in columns:
            raise InputError(f"--{parameter.name} names {name!r} twice")
        columns[name] = column
    return columns


def settings(*names: str) -> Callable[[F], F]:
    """Return a decorator that gives a command several options of a training, in this order."""
    return several(*map(setting, names))


def several(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return a decorator that adds several options, in the order given."""

    def add(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return add


def _value_type(kind: Any, declared: Option) -> ParamType | type:
    """Return the type by which click reads and limits the values of a method's option."""
    if declared.is_path:
        return PATH_OR_NAME
    if declared.choices:
        return Choice(declared.choices)
    if kind is int:
        most = int(declared.below) - 1 if declared.below == 2**63 else None
        return click.IntRange(int(declared.least), most)
    if declared.metavar:
        return click.FloatRange(declared.above, declared.below, min_open=True, max_open=True)
    return {str: str, float: float}[kind]


output = click.option("--output", "-o", type=PATH, required=True, help="Folder to write.")
overwrite, seed, device = setting("overwrite"), setting("seed"), setting("device")
workers, cache, quiet = setting("workers"), setting("cache"), setting("quiet")
replicates = click.option(
    "--replicates",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Bootstrap replicates of the intervals.",
)


def _files_by_attribute(given: tuple[str, ...]) -> dict[str, Path]:
    """Return a file for each attribute, which may be named as in ATTRIBUTE=FILE; else ""."""
    files: dict[str, Path] = {}
    for text in given:
        attribute, is_named, file = text.partition("=")
        attribute, file = (attribute.strip(), file.strip()) if is_named else ("", text)
        if attribute in files:
            named = shown(attribute) if attribute else "a file without an attribute"
            raise InputError(f"--group-noise names {named} twice")
        files[attribute] = Path(os.path.expanduser(file))
    return files


cluster = click.option(
    "--cluster",
    metavar="COLUMN",
    help="Column that says which pictures are no independent evidence, such as all of one person: "
    "they are resampled together.",
)
tokens = click.option(
    "--tokens",
    type=Choice(["coco", "words", "characters"]),
    default="coco",
    show_default=True,
    help="What captions are cut into for BLEU, CIDEr and ROUGE-L: runs of the letters a to z, "
    "words of any script, or single letters, for scripts without spaces.",
)
group_noise = click.option(
    "--group-noise",
    multiple=True,
    metavar="[ATTRIBUTE=]FILE",
    callback=lambda _ctx, _param, given: _files_by_attribute(given),
    help="Table of validated pictures by true and observed group: groups are predicted, or "
    "annotators err. A column validated/ATTRIBUTE does as well.",
)
reference = click.option(
    "--reference",
    default="",
    metavar="GROUP",
    help="Compare the accuracy of every other group with that of this one, with the sign.",
)
simultaneous = click.option(
    "--simultaneous",
    is_flag=True,
    help="Widen the intervals behind all findings so that they hold together.",
)
smallest_difference = click.option(
    "--smallest-difference",
    type=click.FloatRange(0, 100),
    default=0.0,
    metavar="POINTS",
    help="Differences of fewer points (2, not 0.02) do not matter: a gap whose interval lies "
    "within them is shown to be small.",
)
prepare = click.option(
    "--prepare",
    type=Choice(["auto", "digit", "none"]),
    default="auto",
    show_default=True,
    help="digit: make pictures of digits, dark or light, like those of MNIST; auto: do so for a "
    "run that was trained on MNIST.",
)
open_page = click.option(
    "--open", "open_page", is_flag=True, help="Show what was written in the browser."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
made_as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    expose_value=False,
    callback=lambda context, _, value: context.meta.update({AS_JSON: value}),
    help="Print JSON for other programs.",
)
"""For commands that end with `printing.say_made`."""
fractions = (
    click.option(
        "--val-fraction",
        type=float,
        default=0.1,
        show_default=True,
        help="Share of the pictures for the split val.",
    ),
    click.option(
        "--test-fraction",
        type=float,
        default=0.2,
        show_default=True,
        help="Share of the pictures for the split test.",
    ),
    seed,
    overwrite,
    quiet,
)
importing = (
    click.option("--name", help="Name of the dataset; by default that of the file."),
    click.option("--licence", default="", help="Licence of the pictures, noted in dataset.json."),
    click.option(
        "--skip-broken",
        is_flag=True,
        help="Leave out pictures that cannot be used, and say which, instead of ending.",
    ),
    workers,
    *fractions,
)
