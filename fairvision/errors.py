"""What fairvision says when something is wrong: one error and one warning, each a clear line.

Both shorten and clean what they say, so no cell of a table and no path can fill a terminal or steer
it. `reading` is the one boundary between the parsers of files and everything else: whatever a
parser raises becomes one line that names the file.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LONGEST = 480  # bytes of a message, without what the command line puts in front of it
_CUT = " … "

_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "alloc_cpu",
    "bad_alloc",
    "can't start new thread",
    "failed to map segment",  # of a library that is loaded
    "could not create a primitive",  # what oneDNN says
)
_CAUSE = "Caused by: "


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one line that says what is wrong, where (file, row, column) and what to do.
    The command line prints it and ends with exit code 2.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message))


class FairvisionWarning(UserWarning):
    """Something that the user should know before trusting a figure, such as a very small group."""

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message))


def one_line(message: object, longest: int = LONGEST) -> str:
    r"""Return a message as one printable line of at most `longest` bytes in UTF-8.

    Line ends and other blanks become one space; characters that would steer a terminal, hide text
    or cannot be encoded are shown as escapes; of a long message the middle is left out, since its
    beginning says where and its end says what to do.

    Examples
    --------
    >>> one_line("row 1\nid '\x1b[2J'")
    "row 1 id '\\x1b[2J'"
    >>> one_line("abcdefghijklmnopqrstuvwxyz", longest=16)
    'abcdef … vwxyz'
    """
    text = visible(" ".join(str(message).split()))
    encoded = text.encode("utf-8")
    if len(encoded) <= longest:
        return text
    room = longest - len(_CUT.encode("utf-8"))
    ahead, behind = room - room // 2, room // 2
    ends = encoded[:ahead], encoded[len(encoded) - behind :]
    return _CUT.join(part.decode("utf-8", errors="ignore") for part in ends).strip()


def visible(text: str) -> str:
    r"""Return text with every character that cannot be printed as an escape.

    Examples
    --------
    >>> visible("a\x1b[31mb\ud800")
    'a\\x1b[31mb\\ud800'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown(value: Any, longest: int = 80) -> str:
    """Return a value from a file for a message: quoted as in Python, printable and short.

    Examples
    --------
    >>> shown("cat"), shown(bytes(3000)), shown({"bytes": b"1", "path": "1.png"})
    ("'cat'", '3000 bytes', "a dict of 'bytes', 'path'")
    >>> len(shown("x" * 10_000)) <= 80
    True
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(value)} bytes"
    if isinstance(value, dict):
        return one_line(f"a dict of {', '.join(map(shown, list(value)[:5]))}", longest)
    if isinstance(value, str):
        return f"'{one_line(value, longest - 2)}'"
    return one_line(repr(value), longest)


@contextmanager
def reading(path: str | Path, kind: str = "") -> Iterator[None]:
    """Turn every failure of a parser in the block into an `InputError` that names the file.

    The block holds the call of the parser and nothing else: what fails in it is taken for a fault
    of the file.

    Parameters
    ----------
    path : of the file that is read
    kind : what it should be, such as `"JSON"`; said where it is not

    Examples
    --------
    >>> import json
    >>> with reading("a.json", "JSON"):
    ...     json.loads("[1")
    Traceback (most recent call last):
    fairvision.errors.InputError: a.json line 1 is not valid JSON: Expecting ',' delimiter
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} {_problem(error, kind)}") from None


def _problem(error: Exception, kind: str) -> str:
    """Return what is wrong with a file, by what its parser raised."""
    match error:
        case FileNotFoundError():
            return "does not exist"
        case IsADirectoryError():
            return f"is a folder, not {kind or 'a file'}"
        case PermissionError():
            return "may not be read: its permissions forbid it"
        case _ if is_of_memory(error):
            return "takes more memory than there is"
        case UnicodeError():
            return "is not text in UTF-8: save it as UTF-8"
        case RecursionError():
            return "is nested too deeply to be read"
        case OSError(strerror=str() as reason):
            return f"cannot be read: {reason}"
    line = getattr(error, "lineno", None)
    lines = str(error).splitlines()
    causes = [text for text in lines if text.startswith(_CAUSE)]  # as Java tells, the root last
    reason = getattr(error, "msg", None) or "".join([*lines[:1], *causes][-1:])
    reason = reason.removeprefix(_CAUSE)
    reason = reason or type(error).__name__
    if "integer string conversion" in reason:  # Python's advice is about programs, not files
        reason = "a number in it has too many digits"
    place = f"line {line} " if isinstance(line, int) else ""
    article, _, noun = kind.partition(" ")
    valid = f"a valid {noun}" if article in ("a", "an") else f"valid {kind}"
    return f"{place}{f'is not {valid}' if kind else 'cannot be read'}: {reason}"


def is_of_memory(error: BaseException) -> bool:
    """Say whether memory or threads ran out; torch and others raise plain errors for it.

    >>> is_of_memory(MemoryError()), is_of_memory(RuntimeError("can't start new thread"))
    (True, True)
    >>> is_of_memory(RuntimeError("shapes differ"))
    False
    """
    message = str(error).lower()
    return isinstance(error, MemoryError) or any(words in message for words in _OF_MEMORY)


def check_file(path: str | Path, kind: str = "a file") -> Path:
    """Return the path of a regular file, or raise `InputError`: no folder, pipe or device.

    Reading a pipe or a device may wait for ever or never end.

    Examples
    --------
    >>> check_file("/nowhere/table.csv")
    Traceback (most recent call last):
    fairvision.errors.InputError: /nowhere/table.csv does not exist
    """
    path = Path(path)
    with reading(path, kind):
        os.stat(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not {kind}")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file: copy what it gives to one")
    return path


def warn_caller(message: object) -> None:
    """Warn, with a `FairvisionWarning` that points to the line outside fairvision that asked.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warn_caller("few images")
    >>> print(caught[0].message)
    few images
    """
    frame, depth = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] == "fairvision":
        frame, depth = frame.f_back, depth + 1
    warnings.warn(FairvisionWarning(message), stacklevel=depth)
