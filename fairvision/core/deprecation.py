"""Names that have become better: the old ones work, and warn."""

import functools
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def warn_renamed(old: str, new: str, *, stacklevel: int = 3) -> None:
    """Warn that `old` is called `new` now; `stacklevel` counts as that of `warnings.warn`."""
    warnings.warn(f"{old} is called {new} now", FutureWarning, stacklevel=stacklevel)


def renamed_arguments(**new_names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take arguments by the names that they once had, with a warning.

    Parameters
    ----------
    new_names : the name of an argument today, by the name that it had

    Examples
    --------
    >>> import warnings
    >>> @renamed_arguments(picture="image")
    ... def area(image):
    ...     return image[0] * image[1]
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     area(picture=(2, 3))
    6
    >>> str(caught[0].message)
    "area: the argument 'picture' is called 'image' now"
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in kwargs.keys() & new_names.keys():
                new = new_names[old]
                if new in kwargs:
                    raise TypeError(f"{function.__name__}() got both {old!r} and {new!r}")
                warn_renamed(f"{function.__name__}: the argument {old!r}", repr(new))
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def former_names(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's `__getattr__`, which finds names that the module had, with a warning.

    Parameters
    ----------
    module : its `__name__`
    homes : the name today, with its module, by the name that the module had

    Examples
    --------
    >>> import warnings
    >>> look_up = former_names("fairvision.old", {"circle": "math.pi"})
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     look_up("circle")
    3.141592653589793
    >>> str(caught[0].message)
    'fairvision.old.circle is called math.pi now'
    """

    def look_up(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_renamed(f"{module}.{name}", homes[name])
        home, _, new_name = homes[name].rpartition(".")
        return getattr(import_module(home), new_name)

    return look_up


def former_attributes(new_names: Mapping[str, str]) -> Callable[[Any, str], Any]:
    """Return a class's `__getattr__`, which finds attributes by names that they had.

    Parameters
    ----------
    new_names : the name today, by the name that the attribute or method had

    Examples
    --------
    >>> import warnings
    >>> class Circle:
    ...     radius = 2
    ...     __getattr__ = former_attributes({"size": "radius"})
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     Circle().size
    2
    >>> str(caught[0].message)
    'Circle.size is called radius now'
    """

    def look_up(self: Any, name: str) -> Any:
        owner = type(self).__name__
        if name not in new_names:
            raise AttributeError(f"{owner!r} object has no attribute {name!r}")
        warn_renamed(f"{owner}.{name}", new_names[name])
        return getattr(self, new_names[name])

    return look_up
