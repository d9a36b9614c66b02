"""What JSON has to look like: shapes made of shapes, and one line where a value has another one."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from fairvision.core.files import read_json
from fairvision.errors import InputError, shown

Shape = Callable[[Any, str], None]
"""Takes a value and where it stands; raises `ValueError` where it does not fit."""

_LARGEST = 1e300


def read(path: str | Path, shape: Shape, advice: str) -> Any:
    """Read a JSON file whose content has to fit a shape.

    Parameters
    ----------
    path : of the file
    shape : of its content
    advice : what to do where it does not fit

    Raises
    ------
    InputError
        One line with the file, where in it the value stands, what it must be, and the advice.

    Examples
    --------
    >>> import tempfile
    >>> size = table({"size": whole(1, 4096)})
    >>> with tempfile.TemporaryDirectory() as place:
    ...     path = Path(place, "config.json")
    ...     _ = path.write_text('{"size": true}')
    ...     try:
    ...         read(path, size, "train again")
    ...     except InputError as error:
    ...         print(str(error).removeprefix(place))
    /config.json is damaged: size must be a whole number from 1 to 4096, not True: train again
    """
    value = read_json(path)
    try:
        shape(value, "")
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}: {advice}") from None
    return value


def text(value: Any, location: str) -> None:
    """Take text."""
    if not isinstance(value, str):
        _refuse(value, location, "text")


def truth(value: Any, location: str) -> None:
    """Take true or false."""
    if not isinstance(value, bool):
        _refuse(value, location, "true or false")


def whole(least: int = 0, most: int = 2**63 - 1) -> Shape:
    """Take whole numbers of a range."""

    def check(value: Any, location: str) -> None:
        if type(value) is not int or not least <= value <= most:
            _refuse(value, location, f"a whole number from {least} to {most}")

    return check


def number(least: float = -_LARGEST, most: float = _LARGEST) -> Shape:
    """Take numbers of a range; NaN is in none."""
    limits = f" from {least:g} to {most:g}" if (least, most) != (-_LARGEST, _LARGEST) else ""

    def check(value: Any, location: str) -> None:
        if type(value) not in (int, float) or not least <= value <= most:
            _refuse(value, location, f"a number{limits}")

    return check


def perhaps(shape: Shape) -> Shape:
    """Take null, and what a shape takes."""

    def check(value: Any, location: str) -> None:
        if value is not None:
            shape(value, location)

    return check


def each(shape: Shape) -> Shape:
    """Take lists, every entry of which has a shape."""

    def check(value: Any, location: str) -> None:
        if not isinstance(value, list):
            _refuse(value, location, "a list")
        for position, entry in enumerate(value):
            shape(entry, f"{location}[{position}]")

    return check


def named(shape: Shape) -> Shape:
    """Take objects with any names, every value of which has a shape."""

    def check(value: Any, location: str) -> None:
        if not isinstance(value, dict):
            _refuse(value, location, "an object with named values")
        for name, entry in value.items():
            shape(entry, _below(location, name))

    return check


def table(wanted: Mapping[str, Shape], perhaps: Mapping[str, Shape] | None = None) -> Shape:
    """Take objects with given names, and perhaps some more; others are not looked at."""

    def check(value: Any, location: str) -> None:
        if not isinstance(value, dict):
            _refuse(value, location, "an object with named values")
        for name, shape in wanted.items():
            if name not in value:
                raise ValueError(f"{_below(location, name)} is missing")
            shape(value[name], _below(location, name))
        for name, shape in (perhaps or {}).items():
            if name in value:
                shape(value[name], _below(location, name))

    return check


def only(wanted: Mapping[str, Shape], perhaps: Mapping[str, Shape] | None = None) -> Shape:
    """Take objects with given names, and perhaps some more, but no others."""
    shape, names = table(wanted, perhaps), [*wanted, *(perhaps or {})]

    def check(value: Any, location: str) -> None:
        shape(value, location)
        for name in value:
            if name not in names:
                raise ValueError(f"{shown(_below(location, name))} is not among {', '.join(names)}")

    return check


def fields_of(kind: type, names: Collection[str] = ()) -> dict[str, Shape]:
    """Return the shapes of a dataclass's fields of plain types, by their names.

    Parameters
    ----------
    kind : the dataclass
    names : of the fields; by default all

    Examples
    --------
    >>> from dataclasses import make_dataclass
    >>> shapes = fields_of(make_dataclass("Options", [("lr", float), ("ema", float | None)]))
    >>> shapes["ema"](None, "ema")
    >>> shapes["lr"](None, "lr")
    Traceback (most recent call last):
    ValueError: lr must be a number, not None
    """
    hints = get_type_hints(kind)
    return {
        name: _shape_of_type(hints[name])
        for name in names or [field.name for field in fields(kind)]
    }


def _shape_of_type(hint: Any) -> Shape:
    """Return the shape of JSON values that a type hint stands for; `X | None` may be null."""
    if get_origin(hint) in (Union, types.UnionType):
        (one,) = (part for part in get_args(hint) if part is not types.NoneType)
        return perhaps(_shape_of_type(one))
    return {str: text, bool: truth, int: whole(), float: number()}[hint]


def _below(location: str, name: str) -> str:
    """Return the location of a named value inside the object at a location."""
    return f"{location}.{name}" if location else name


def _refuse(value: Any, location: str, kind: str) -> None:
    """Raise `ValueError`: the value at a location must be of another kind."""
    raise ValueError(f"{shown(location)[1:-1] or 'it'} must be {kind}, not {shown(value)}")
