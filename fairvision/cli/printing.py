"""What commands print, in any code page and steering no terminal, and how they end."""

from __future__ import annotations

import codecs
import json
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from fairvision.cli.stopping import heed_signals
from fairvision.core.processes import may_tell
from fairvision.errors import LONGEST, InputError, is_of_memory, one_line, visible

BAD, STOPPED = 2, 130
TRACEBACK = "FAIRVISION_TRACEBACK"
AS_JSON = "fairvision.json"
"""Whether `say_made` prints JSON, in the notes of click's context."""


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


def say_made(value: Any, *lines: str) -> None:
    """Print what a command has made: lines, or the value where `options.made_as_json` asks so."""
    if click.get_current_context().meta.get(AS_JSON):
        say_json(value)
        return
    for line in lines:
        say(line)


def _is_unicode() -> bool:
    """Return whether the standard output can show all of Unicode; True if that is unclear."""
    try:
        return codecs.lookup(sys.stdout.encoding).name.startswith("utf")
    except (AttributeError, LookupError, TypeError):
        return True


def prepare() -> None:
    """Let a terminated process clean up as after Ctrl-C, and print in any code page."""
    heed_signals()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end(error: BaseException, *, as_json: bool = False) -> NoReturn:
    """Say in one line what stopped a command, and end the process.

    With `FAIRVISION_TRACEBACK=1` in the environment, what nobody foresaw is raised again.

    Parameters
    ----------
    error : what stopped it
    as_json : print `{"error": {"message": …, "code": …}}`, too, on the standard output
    """
    end_with = partial(_end, as_json=as_json)
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
            end_with(error.format_message(), BAD, f" ({command} --help explains)")
        case click.ClickException():
            end_with(error.format_message(), BAD)
        case InputError():
            end_with(str(error), BAD)
        case click.Abort() if isinstance(error.__cause__, EOFError):  # not from the keyboard
            end(error.__cause__, as_json=as_json)
        case click.Abort() | KeyboardInterrupt():
            end_with("stopped", STOPPED)
        case BrokenPipeError():
            sys.stderr.close()
            sys.exit(1)
        case OSError():
            parts = filter(None, (error.filename, error.strerror or error))
            end_with(": ".join(map(str, parts)), BAD)
    if is_of_memory(error):
        reason = "not enough memory: a smaller --batch-size or --size, or fewer --workers, help"
        end_with(reason, BAD)
    if os.environ.get(TRACEBACK):
        raise error
    end_with(
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


def _end(message: str, code: int, advice: str = "", *, as_json: bool) -> NoReturn:
    """Print an error as one line, cut to the longest allowed, and exit with a code."""
    if may_tell():
        room = LONGEST - len(advice.encode("utf-8"))
        line = f"{one_line(message, room)}{advice}"
        click.echo(f"fairvision: {line}", err=True)
        if as_json:
            say_json({"error": {"message": line, "code": code}})
    sys.exit(code)


def show_in_browser(page: Path) -> None:
    """Show a page that was written in the user's browser, or say that there is none."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        say(f"no browser to show it in: open {page}", err=True)
