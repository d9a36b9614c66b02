"""Names that have become better: the old ones work, and warn."""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

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
