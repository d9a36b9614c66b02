"""What commands print: any name as text that steers no terminal, in any code page."""

from __future__ import annotations

import codecs
import json
import sys
from typing import Any

import click

from fairvision.errors import visible


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
