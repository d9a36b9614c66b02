"""What commands print, in any code page and steering no terminal, and how they end."""

from __future__ import annotations

import codecs
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import click

from fairvision.core.processes import may_tell
from fairvision.errors import LONGEST, InputError, is_of_memory, one_line, visible

BAD, STOPPED = 2, 130
TRACEBACK = "FAIRVISION_TRACEBACK"


def say(text: str, err: bool = False) -> None:
    r"""Print lines in which what cannot be printed is an escape.

    >>> say("a\x1b[2Jb\nc")
    a\x1b[2Jb
    c
    """
    click.echo("\n".join(map(visible, text.split("\n"))), err=err)


def say_json(value: Any) -> None:
    r"""Print a value as JSON; what cannot be printed is an escape of JSON.

    >>> say_json({"a": "é\x9b2J"})
    {
     "a": "é\u009b2J"
    }
    """
    text = json.dumps(value, indent=1, ensure_ascii=not _is_unicode())
    if not text.isascii():
        text = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    click.echo(text)


def _is_unicode() -> bool:
    """Return whether the standard output can show all of Unicode; True if that is unclear."""
    try:
        return codecs.lookup(sys.stdout.encoding).name.startswith("utf")
    except (AttributeError, LookupError, TypeError):
        return True


def prepare() -> None:
    """Let a terminated process clean up as after Ctrl-C, and print in any code page."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end(error: BaseException) -> NoReturn:
    """Say in one line what stopped a command, and end the process.

    With `FAIRVISION_TRACEBACK=1` in the environment, what nobody foresaw is raised again.
    """
    match error:
        case SystemExit():
            raise error
        case click.exceptions.Exit():
            sys.exit(error.exit_code)
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            sys.exit(BAD)
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "fairvision"
            _end(error.format_message(), BAD, f" ({command} --help explains)")
        case click.ClickException():
            _end(error.format_message(), BAD)
        case InputError():
            _end(str(error), BAD)
        case click.Abort() if isinstance(error.__cause__, EOFError):  # not from the keyboard
            end(error.__cause__)
        case click.Abort() | KeyboardInterrupt():
            _end("stopped", STOPPED)
        case BrokenPipeError():
            sys.stderr.close()
            sys.exit(1)
        case OSError():
            _end(": ".join(map(str, filter(None, (error.filename, error.strerror or error)))), BAD)
    _end_unforeseen(error)


def _end_unforeseen(error: BaseException) -> NoReturn:
    """End the command with one line on an unexpected error, or raise it if asked for."""
    if is_of_memory(error):
        _end("not enough memory: a smaller --batch-size or --size, or fewer --workers, help", BAD)
    if os.environ.get(TRACEBACK):
        raise error
    _end(
        f"unexpected {type(error).__name__} in {_place(error)}: {error}",
        BAD,
        f" (please report it; {TRACEBACK}=1 shows how it came about)",
    )


def _place(error: BaseException) -> str:
    """Return the last place in fairvision that an error went through."""
    package = Path(__file__).parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(package):
            return f"{Path(frame.filename).relative_to(package).as_posix()} line {frame.lineno}"
    return "a library"


def _end(message: str, code: int, advice: str = "") -> NoReturn:
    """Print an error as one line, cut to the longest allowed, and exit with a code."""
    if may_tell():
        room = LONGEST - len(advice.encode("utf-8"))
        click.echo(f"fairvision: {one_line(message, room)}{advice}", err=True)
    sys.exit(code)
