"""The command of a reader: its function says arguments, options and help."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click

from fairvision.cli import config, options
from fairvision.datasets import Dataset
from fairvision.datasets.readers import Reader, find_reader
from fairvision.datasets.readers.columns import Columns, Names
from fairvision.datasets.readers.importing import Importing
from fairvision.errors import InputError

_PARAMETER = re.compile(r"^(\w+(?:, \w+)*) : (.*(?:\n(?: +.*)?)*)", re.MULTILINE)


def reader_command(name: str, run: Callable[[Reader, Mapping[str, Any]], None]) -> click.Command:
    """Return the command that calls a reader.

    Parameters
    ----------
    name : of a reader
    run : is given the reader and the values of its parameters
    """
    try:
        reader = find_reader(name)
    except InputError as error:
        return _broken(name, error)
    described = _described(reader)
    kinds = get_type_hints(reader)
    parameters: list[click.Parameter] = []
    quiet = shared = False
    for parameter in inspect.signature(reader).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            shared = Importing in get_args(kinds.get(parameter.name))
        elif parameter.name == "quiet":
            quiet = True
        elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            parameters.append(_option(parameter, kinds.get(parameter.name), described))
        else:
            parameters.append(click.Argument([parameter.name], type=options.PATH))
    text = inspect.getdoc(reader) or ""
    command = click.Command(
        name,
        params=parameters,
        callback=lambda **values: run(reader, values),
        help=re.split(r"\n\w+\n-{3,}\n", text)[0],
    )
    for option in (
        config.option,
        options.made_as_json,
        *(options.importing if shared else [options.quiet] * quiet),
    ):
        command = option(command)
    return command


def _option(parameter: inspect.Parameter, kind: Any, described: dict[str, str]) -> click.Option:
    """Return the command-line option of a reader's parameter."""
    name = parameter.name.replace("_", "-")
    default = None if parameter.default is parameter.empty else parameter.default
    text = described.get(parameter.name)
    if kind is bool:
        flag = f"--{name}/--no-{name}" if default else f"--{name}"
        return click.Option([flag], is_flag=True, default=bool(default), help=text)
    if kind == Names or kind == Iterable[str]:
        return click.Option(
            [f"--{name.removesuffix('s')}", parameter.name],
            multiple=True,
            default=default,
            show_default=bool(default),
            metavar="COLUMN" if kind == Names else None,
            callback=options.named if kind == Names else None,
            help=text,
        )
    if kind == Columns:
        return click.Option(
            [f"--{name}"], multiple=True, default=default, metavar="COLUMN", help=text
        )
    plain = (
        kind if kind in (int, float) else next((k for k in (int, float) if kind == k | None), None)
    )
    if plain is None:
        plain = options.PATH if kind in (Path, Path | None, str | Path, str | Path | None) else str
    return click.Option(
        [f"--{name}"],
        type=plain,
        default=default,
        required=parameter.default is parameter.empty,
        show_default=default not in (None, ""),
        help=text,
    )


def _described(reader: Callable[..., Dataset]) -> dict[str, str]:
    """Return what the section Parameters of a docstring says of each parameter."""
    text = inspect.getdoc(reader) or ""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-{3,}$|\Z)", text, re.M | re.S)
    described: dict[str, str] = {}
    for names, words in _PARAMETER.findall(section[1] if section else ""):
        sentence = " ".join(words.split())
        for name in names.split(", "):
            described[name] = f"{sentence[:1].upper()}{sentence[1:].rstrip('.')}."
    return described


def _broken(name: str, error: InputError) -> click.Command:
    """Return a command that says why its reader cannot be loaded."""

    def refuse(**_: Any) -> None:
        raise error

    context = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=refuse, help=str(error), context_settings=context)
