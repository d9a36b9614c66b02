"""Readers of datasets: a file per source, a function that makes a dataset folder of it.

A reader of another package is registered by `register_reader`, or named as an entry point of the
group `fairvision.readers`; `fairvision data NAME` then calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from fairvision.errors import InputError

if TYPE_CHECKING:
    from fairvision.datasets.dataset import Dataset

__all__ = ["READERS", "Reader", "find_reader", "register_reader"]

GROUP = "fairvision.readers"
_BUILT_IN = {
    "scenes": "scenes:scenes",
    "csv": "table:from_table",
    "coco": "coco:from_coco",
    "mnist": "mnist:from_mnist",
    "cifar10s": "cifar10s:from_cifar10",
}
_RESERVED = ("show",)  # `fairvision data show` is a command

Reader = Callable[..., "Dataset"]
"""Makes a dataset folder.

Its positional parameters are the source (or several, or none) and, last, the folder to write; those
that can only be given by name are options. Its docstring is the help of the command: the first
lines, and what the section Parameters says of each option.
"""


class _Summaries(Mapping[str, str]):
    """What each reader does, in a line, by its name; those from outside come last."""

    def __getitem__(self, name: str) -> str:
        if name not in _readers():
            raise KeyError(name)
        return (find_reader(name).__doc__ or "").strip().partition("\n")[0]

    def __contains__(self, name: object) -> bool:
        return name in _readers()

    def __iter__(self) -> Iterator[str]:
        return iter(_readers())

    def __len__(self) -> int:
        return len(_readers())


READERS: Mapping[str, str] = _Summaries()


@cache
def _readers() -> dict[str, EntryPoint | Reader]:
    """Return the readers by name, or the entry points where they are."""
    by_name: dict[str, EntryPoint | Reader] = {
        name: EntryPoint(name, f"{GROUP.replace('.', '.datasets.')}.{function}", GROUP)
        for name, function in _BUILT_IN.items()
    }
    for entry in entry_points(group=GROUP):
        if entry.name not in _RESERVED:
            by_name.setdefault(entry.name, entry)
    return by_name


def register_reader(name: str, function: Reader) -> None:
    """Let a reader from outside be used by its name, as those of fairvision are.

    Parameters
    ----------
    name : how it is called by `fairvision data`
    function : see `Reader`

    Raises
    ------
    InputError
        If something else has the name, or this is no function.
    """
    if name in _RESERVED or (name in READERS and find_reader(name) is not function):
        raise InputError(f"there is a reader {name!r} already: choose another name")
    _readers()[name] = _checked(name, function)


def find_reader(name: str) -> Reader:
    """Return the reader of that name; `InputError` lists those that there are.

    >>> find_reader("csv").__name__
    'from_table'
    """
    if name not in _readers():
        raise InputError(f"there is no reader {name!r}: choose one of {', '.join(READERS)}")
    reader = _readers()[name]
    if not isinstance(reader, EntryPoint):
        return reader
    try:
        loaded = reader.load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"reader {name!r} of another package cannot be loaded: {error}: mend or uninstall it"
        ) from None
    return _checked(name, loaded)


def _checked(name: str, reader: Reader) -> Reader:
    if not callable(reader):
        raise InputError(f"reader {name!r} is no function")
    return reader
