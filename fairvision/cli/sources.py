"""Models in the shell: run folders, and models of other libraries by their names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairvision.cli.options import PATH, UserPath, several

if TYPE_CHECKING:
    from fairvision.models import SourceOptions

_NAMED = re.compile(r"[a-z][a-z0-9_-]+:.*", re.DOTALL)
DETAILS = ("heads", "size", "shorter", "mean", "std", "layer", "prompt", "prompts")
"""The parameters of a command that are about models by name."""


class Source(UserPath):
    """A run folder as a path, or the name of a model as text; `~` is the user's home in both."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a text where it is the name of a model and no folder."""
        text = os.fspath(value)
        if _NAMED.fullmatch(text) and not os.path.exists(text):
            kind, _, rest = text.partition(":")
            if kind == "duckdb":  # a file and a query
                return f"{kind}:{os.path.expanduser(rest)}"
            return f"{kind}:{'@'.join(map(os.path.expanduser, rest.split('@')))}"
        return super().convert(value, param, ctx)


SOURCE = Source(path_type=Path)


class _Numbers(click.ParamType):  # type: ignore[type-arg]
    """One number, or three with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the numbers."""
        if not isinstance(value, str):
            return value
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is no number, nor three with commas between them", param, ctx)


heads = click.option(
    "--heads",
    multiple=True,
    type=PATH,
    metavar="FILE.toml",
    help="What a named model predicts: a table per attribute or task, see docs/models.md. Once for "
    "all named models, or once for each.",
)
_size = click.option("--size", type=click.IntRange(min=1), help="Pixels that a named model takes.")
_shorter = click.option(
    "--crop",
    "shorter",
    type=click.IntRange(min=0),
    metavar="PIXELS",
    help="Named models: resize the shorter side to so many pixels and cut out the middle; 0 shows "
    "whole pictures.",
)
_mean = click.option("--mean", type=_Numbers(), metavar="R,G,B", help="Named models: mean colour.")
_std = click.option("--std", type=_Numbers(), metavar="R,G,B", help="Named models: deviation.")
layer = click.option("--layer", help="Named models: layer that maps are made of.")
_prompt = click.option(
    "--prompt",
    multiple=True,
    metavar="HEAD/LABEL=TEXT",
    help="Text that stands for a label, for models of texts and pictures; several are averaged.",
)
_prompts = click.option("--prompts", type=PATH, metavar="FILE.toml", help="The same in a file.")

preparation = several(heads, _size, _shorter, _mean, _std, _prompt, _prompts)
"""All but the layer, which some commands have themselves."""


def is_named(source: object) -> bool:
    """Return whether an argument is the name of a model."""
    return isinstance(source, str)


def options_from(sources: Sequence[object], details: dict[str, Any]) -> list[SourceOptions]:
    """Return the options of the named models among arguments; takes them out of `details`.

    `details` holds the parameters of a command; those of `DETAILS` are removed.
    """
    given = {key: details.pop(key) for key in DETAILS if key in details}
    number = sum(map(is_named, sources))
    if not number and not any(value not in (None, ()) for value in given.values()):
        return []

    from fairvision.models.sources import options_of

    return options_of(number, **given)
