"""Things of one kind by their names: the project's own, and those of other packages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, NamedTuple, TypeVar

from fairvision.core.suggestions import did_you_mean
from fairvision.errors import InputError

T = TypeVar("T")


@contextmanager
def loading(kind: str, entry: EntryPoint) -> Iterator[None]:
    """Turn whatever an entry point of another package raises into an `InputError` that names both.

    Parameters
    ----------
    kind : what one is called in messages
    entry : is loaded within
    """
    try:
        yield
    except Exception as error:
        package = f"the package {entry.dist.name}" if entry.dist else "another package"
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        raise InputError(
            f"{kind} {entry.name!r} of {package} cannot be loaded: {reason}: mend or uninstall it"
        ) from error


class _Waiting(NamedTuple):
    """What is loaded when it is asked for; libraries bring entry points of classes of their own."""

    entry: EntryPoint


class Plugins(Mapping[str, T], Generic[T]):
    """A mapping from names to things that are loaded when they are first asked for.

    Parameters
    ----------
    kind : what one is called in messages
    group : entry points of other packages, which come after the project's own
    built_in : where the project's own are, as "module:name", by their names
    check : returns a thing as it is to be used, given its name; `InputError` where it is none
    reserved : names that cannot be given

    Examples
    --------
    >>> numbers = Plugins("number", "no.such.group", {"pi": "math:pi"})
    >>> numbers.register("two", 2)
    >>> list(numbers), numbers.find("pi")
    (['pi', 'two'], 3.141592653589793)
    >>> numbers.register("pi", 3)
    Traceback (most recent call last):
    fairvision.errors.InputError: there is a number 'pi' already: choose another name
    """

    def __init__(
        self,
        kind: str,
        group: str,
        built_in: Mapping[str, str],
        check: Callable[[str, Any], T] = lambda name, thing: thing,
        reserved: Collection[str] = (),
    ):
        self.kind, self.group, self.built_in = kind, group, built_in
        self.check, self.reserved = check, reserved

    @cached_property
    def _by_name(self) -> dict[str, T | _Waiting]:
        """Return the entries of this and other packages by name; built-in ones come first."""
        by_name: dict[str, T | _Waiting] = {
            name: _Waiting(EntryPoint(name, place, self.group))
            for name, place in self.built_in.items()
        }
        for entry in entry_points(group=self.group):
            if entry.name not in self.reserved:
                by_name.setdefault(entry.name, _Waiting(entry))
        return by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> T:
        thing = self._by_name[name]
        if isinstance(thing, _Waiting):
            entry = thing.entry
            if name in self.built_in:
                thing = self.check(name, entry.load())
            else:
                with loading(self.kind, entry):
                    thing = self.check(name, entry.load())
            self._by_name[name] = thing
        return thing

    def loadable(self) -> list[str]:
        """Return the names of what can be used: a broken one of another package is left out."""
        return [name for name in self if self._loads(name)]

    def _loads(self, name: str) -> bool:
        """Return whether what has a name can be used."""
        try:
            self[name]
        except InputError:
            return False
        return True

    def find(self, name: str) -> T:
        """Return what has a name; `InputError` lists the names that there are."""
        if name not in self:
            hint = did_you_mean(name, self)
            raise InputError(
                f"there is no {self.kind} {name!r}: choose one of {', '.join(self)}{hint}"
            )
        return self[name]

    def register(self, name: str, thing: Any) -> None:
        """Give something a name; `InputError` where something else has it."""
        thing = self.check(name, thing)
        if name in self.reserved or (name in self and self[name] != thing):
            raise InputError(f"there is a {self.kind} {name!r} already: choose another name")
        self._by_name[name] = thing

    def reset(self) -> None:
        """Forget what was registered, and look for entry points anew."""
        vars(self).pop("_by_name", None)


class Summaries(Mapping[str, str]):
    """What each of some plugins is, in a line, by its name; of a broken one, what is wrong.

    Parameters
    ----------
    plugins : what is summarised
    summary : returns the line
    """

    def __init__(self, plugins: Plugins[T], summary: Callable[[T], str]):
        self._plugins: Plugins[Any] = plugins
        self._summary: Callable[[Any], str] = summary

    def __iter__(self) -> Iterator[str]:
        return iter(self._plugins)

    def __len__(self) -> int:
        return len(self._plugins)

    def __contains__(self, name: object) -> bool:
        return name in self._plugins

    def __getitem__(self, name: str) -> str:
        try:
            return self._summary(self._plugins[name])
        except InputError as error:
            return str(error)
