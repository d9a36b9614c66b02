"""`python:FILE.py:FUNCTION` and `python:MODULE:FUNCTION`: a model that the user's own code makes.

The code is run, so it must be named on the command line; nothing that comes with data names it.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from fairvision.core.streams import prints_to_stderr
from fairvision.errors import InputError, one_line
from fairvision.models.model import Model
from fairvision.models.sources import SourceOptions


def open_model(reference: str, options: SourceOptions) -> Model:
    """Return the model that a function without arguments returns, or that a variable holds.

    Parameters
    ----------
    reference : file or module, a colon, and the name in it
    options : the model says all about itself; heads, size and the like are refused

    Raises
    ------
    InputError
        If the code fails, or what it names is no `fairvision.Model` or `fairvision.BlackBox`.
    """
    place, colon, name = reference.rpartition(":")
    if not colon or not place or not name:
        raise InputError(
            f"python:{reference}: write python:FILE.py:FUNCTION or python:MODULE:FUNCTION"
        )
    keys = ("heads", "size", "shorter", "mean", "std")
    if given := [key for key in keys if getattr(options, key) is not None]:
        raise InputError(
            f"python:{reference} says itself what it takes: leave out --{given[0]}, or "
            f"{given[0]} of SourceOptions"
        )
    source = f"python:{reference}"
    try:
        with prints_to_stderr():
            thing = getattr(_module(place), name)
            made = thing() if inspect.isfunction(thing) or inspect.isclass(thing) else thing
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise InputError(
            f"{source} cannot be made: {type(error).__name__}: {one_line(error, 300)}"
        ) from error
    if not isinstance(made, Model):
        raise InputError(
            f"{source} is a {type(made).__name__}: return a fairvision.Model or a "
            "fairvision.BlackBox"
        )
    return made


def _module(place: str) -> ModuleType:
    """Return the module of a file or of a name; what lies beside it can be imported in it."""
    path = Path(place)
    folder = str((path.parent if path.suffix == ".py" else Path()).resolve())
    if folder not in sys.path:
        sys.path.append(folder)  # behind all libraries
    if path.suffix != ".py":
        return importlib.import_module(place)
    if not path.is_file():
        raise InputError(f"{path} is missing")
    name = f"{path.stem} (python:)"  # a file may be called as a library
    specification: Any = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module
