"""The reference from docstrings: their words as descriptions, signatures as they are called."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from itertools import pairwise, takewhile
from typing import Any

from griffe import Extension, Function, GriffeLoader, Object, Parameter, ParameterKind, Parameters

_NAMED = re.compile(r"(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*) : (?P<text>.+)")
_TITLES = ("Parameters", "Attributes", "Other Parameters")


class Prose(Extension):
    """Makes of `name : what it is` what numpydoc calls a description.

    Types are those of the signature. A function that a decorator replaces has the signature of what
    takes its place.
    """

    def on_function(self, *, func: Function, loader: GriffeLoader, **kwargs: Any) -> None:
        """Give a function that a decorator of the same module makes its signature."""
        made = {f"{func.parent.path}.{name}" for name in func.parent.members}
        if any(decorator.callable_path in made for decorator in func.decorators):
            signature = inspect.signature(getattr(import_module(func.parent.path), func.name))
            func.parameters = Parameters(*map(_parameter, signature.parameters.values()))
            func.returns = signature.return_annotation

    def on_object(self, *, obj: Object, loader: GriffeLoader, **kwargs: Any) -> None:
        """Rewrite the docstring of a function, a class or a module."""
        if obj.docstring is not None:
            obj.docstring.value = with_descriptions(obj.docstring.value)


def with_descriptions(docstring: str) -> str:
    r"""Return a docstring whose parameters and results are described, not typed, by their text.

    >>> print(with_descriptions("Parameters\n---\na : the\n    first\nx : (n,) array\n    It."))
    Parameters
    ---
    a
        the
        first
    x
        (n,) array.
        It.
    >>> print(with_descriptions("Returns\n---\nThe page."))
    Returns
    ---
    :
        The page.
    """
    title, lines = "", []
    given = docstring.splitlines()
    for line, after in pairwise([*given, ""]):
        if set(after) == {"-"} and len(after) > 2:
            title = line.strip()
        named = _NAMED.fullmatch(line)
        if title in _TITLES and named:
            is_type = after.startswith("    ") and after.strip()[0].isupper()
            end = "." if is_type and named["text"][-1] not in ".,;:" else ""
            lines += [named["names"], f"    {named['text']}{end}"]
        else:
            lines.append(line)
    return "\n".join(_with_returned(lines))


def _with_returned(lines: list[str]) -> list[str]:
    """Return lines in which the text of a result without a line for its type is indented."""
    if "Returns" not in lines or not lines[lines.index("Returns") + 1].startswith("---"):
        return lines
    start = lines.index("Returns") + 2
    text = list(takewhile(bool, lines[start:]))
    if any(line.startswith(" ") for line in text):
        return lines
    return [*lines[:start], ":", *(f"    {line}" for line in text), *lines[start + len(text) :]]


def _parameter(parameter: inspect.Parameter) -> Parameter:
    """Return a parameter as griffe has it."""
    return Parameter(
        parameter.name,
        annotation=parameter.annotation,
        kind=ParameterKind(parameter.kind.description),
        default=None if parameter.default is parameter.empty else repr(parameter.default),
    )
