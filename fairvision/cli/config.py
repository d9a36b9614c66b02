"""`--config FILE`: values for the options that the command line does not give."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fairvision.cli import options
from fairvision.core.suggestions import near
from fairvision.errors import InputError, check_file, one_line, reading, shown

GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
_META = "fairvision.config"
_NEVER_IN_FILES = ("config", "json")  # what is asked of one call
_VARIED = ("method", "seed")  # of a run's config.json, where a command takes several of them


class Several(options.ParamType):
    """Values with commas between them; in a file also a list."""

    name = "list"

    def __init__(self, one: options.ParamType):
        self.one = one

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return what the help shows."""
        return "A,B,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        """Return the values, each as its own type has it."""
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(
            self.one.convert(part.strip() if isinstance(part, str) else part, param, ctx)
            for part in parts
        )


def method_options(context: click.Context, chosen: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what the file says of each chosen method's own options; nothing without a file.

    Options outside the tables of methods hold for every chosen method that has them. Those that no
    chosen method has are refused, unless the command line chose other methods than the file.

    Raises
    ------
    InputError
        If the file names an option of another method.
    """
    from fairvision import runs
    from fairvision.methods import option_names

    path, plain, tables = context.meta.get(_META, (None, {}, {}))
    has = {name: option_names(name) for name in chosen}
    overridden = any(
        context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        for name in ("method", "methods")
    )
    if not overridden and path is not None and path.name != runs.CONFIG:
        for key in plain:
            if not any(key in names for names in has.values()):
                which = " or ".join(chosen)
                raise InputError(f"{path}: key {shown(key)} is not an option of method {which}")
    return {
        name: {**{k: v for k, v in plain.items() if k in has[name]}, **tables.get(name, {})}
        for name in chosen
    }


def remaining_options(context: click.Context) -> dict[str, str]:
    """Return what the command line says of methods' options, which click left over.

    `--beta 3` or `--beta=3`.
    """
    from fairvision.methods import option_names

    of_methods = [f"--{name}" for name in option_names()]
    given: dict[str, str] = {}
    rest = list(context.args)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--"):
            raise click.UsageError(f"Got unexpected extra argument ({name})")
        if name.replace("-", "_").replace("__", "--", 1) not in of_methods:
            names = [name for option in context.command.params for name in option.opts]
            meant = near(name, [*names, *of_methods])
            raise click.NoSuchOption(name, possibilities=meant, ctx=context)
        if not equals:
            if not rest:
                raise click.UsageError(f"Option '{name}' requires an argument.")
            value = rest.pop(0)
        given[name.removeprefix("--").replace("-", "_")] = value
    return given


def _take_up(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Make the values of a configuration file the defaults of a command's options.

    Of a command that takes the options of methods, which click leaves over, also theirs.
    """
    if path is None:
        return
    from fairvision.methods import CAPTION_METHODS, METHODS, option_names

    takes_methods = context.allow_extra_args
    options, of_methods = _options(context.command), option_names() if takes_methods else []
    defaults: dict[str, object] = {}
    plain: dict[str, str] = {}
    tables: dict[str, dict[str, str]] = {}
    for spelled, value in _read(path, options, takes_methods).items():
        key = spelled.replace("-", "_")
        if takes_methods and isinstance(value, Mapping) and key in {**METHODS, **CAPTION_METHODS}:
            names = option_names(key)
            tables[key] = {}
            for name, content in value.items():
                if name.replace("-", "_") not in names:
                    _unknown(path, f"{spelled}.{name}", f"{key}.", names)
                tables[key][name.replace("-", "_")] = _text(path, f"{spelled}.{name}", content)
        elif key in options:
            defaults[options[key].name or key] = _checked(path, spelled, value, options[key])
        elif key in of_methods:
            plain[key] = _text(path, spelled, value)
        else:
            _unknown(path, spelled, "", {*options, *of_methods})
    context.default_map = {**(context.default_map or {}), **defaults}
    context.meta[_META] = (path, plain, tables)


_config = partial(
    click.option,
    "--config",
    type=options.PATH,
    is_eager=True,
    expose_value=False,
    callback=_take_up,
)
option = _config(help="TOML file that holds options. The command line goes first.")
option_of_training = _config(
    help="File that holds options: TOML, or the config.json of a run. The command line goes first."
)


def _read(
    path: Path, options: Mapping[str, click.Parameter], takes_runs: bool
) -> Mapping[str, object]:
    """Return keys and values of a file, those of a run's config.json by the options' names."""
    from fairvision import runs

    if takes_runs and path.name == runs.CONFIG:
        from fairvision.training import stored_options

        check_file(path, "the config.json of a run")
        data = runs.read_config(path.parent)["data"]
        stored = {"data": data.get("path"), **stored_options(path.parent)}
        return {
            key: value
            for key, value in stored.items()
            if value is not None and (key not in _VARIED or key in options)
        }
    if path.suffix != ".toml":
        other = f", or the {runs.CONFIG} of a run" if takes_runs else ""
        raise InputError(f"{path}: give a .toml file{other}")
    path = check_file(path, "a TOML file")
    with reading(path, "TOML"):
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))


def _options(command: click.Command) -> dict[str, click.Parameter]:
    """Return the parameters of a command by the keys that a file may hold."""
    by_key: dict[str, click.Parameter] = {}
    for parameter in command.params:
        names = [name.lstrip("-") for name in parameter.opts if name.startswith("--")]
        for name in names or [parameter.name or ""]:
            by_key[name.replace("-", "_")] = parameter
    return {name: parameter for name, parameter in by_key.items() if name not in _NEVER_IN_FILES}


def _checked(path: Path, key: str, value: Any, parameter: click.Parameter) -> Any:
    """Return a value as the command line would give it, or refuse it with file and key."""
    takes_several = parameter.multiple or parameter.nargs != 1
    if isinstance(value, list) or takes_several:
        if not (takes_several or isinstance(parameter.type, Several)):
            raise InputError(f"{path}: key {shown(key)} takes one value, not a list")
        parts = value if isinstance(value, list) else [value]
        given: Any = [_text(path, key, part) for part in parts]
    else:
        given = _text(path, key, value)
    try:
        parameter.type_cast_value(click.Context(click.Command(key)), given)
    except click.BadParameter as error:
        raise InputError(f"{path}: key {shown(key)}: {error.message}") from None
    return given


def _text(path: Path, key: str, value: Any) -> str:
    """Return a value as it is typed on the command line; refuse lists, tables and dates."""
    if not isinstance(value, (str, bool, int, float)):
        given = one_line(repr(value), 80)
        raise InputError(
            f"{path}: key {shown(key)} takes text, a number, true or false, not {given}"
        )
    return str(value)


def _unknown(path: Path, key: str, before: str, names: Collection[str]) -> None:
    """Raise `InputError`: a key is no option; name the option spelled most like it."""
    name = key.removeprefix(before)
    (meant,) = near(name.replace("-", "_"), names, most=1) or [""]
    hint = f": did you mean {before}{meant}?" if meant else ""
    raise InputError(f"{path}: key {shown(key)} is not an option{hint}")
