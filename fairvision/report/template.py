"""What all pages share: templates, styles, images within the page, and the marks of models."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from fairvision.results import words
from fairvision.results.gallery import NOT_NAMED

SIDE = 224
QUALITY = 82

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Look:
    """How a model is marked: its name on the page, a colour, and a sign that says the same."""

    name: str
    colour: str
    glyph: str
    key: str


def looks(names: Sequence[str], styles: Sequence[tuple[str, str]]) -> list[Look]:
    """Return the marks of models, given a colour and a sign for each."""
    return [
        Look(name, colour, glyph, name) for name, (colour, glyph) in zip(names, styles, strict=True)
    ]


def fill(template: str, *, styles: Sequence[str] = ("style.css",), **values: Any) -> str:
    """Return a page; every value that is text is escaped, and has no control characters."""
    style = Markup("".join((_HERE / name).read_text(encoding="utf-8") for name in styles))
    page = _environment().get_template(template).render(style=style, **values)
    return page.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be saved


def data_uri(image: Image.Image) -> str:
    """Return an image as a JPEG data URI, at most `SIDE` pixels wide and high.

    >>> data_uri(Image.new("RGB", (8, 8)))[:23]
    'data:image/jpeg;base64,'
    """
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    output = io.BytesIO()
    small.save(output, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(output.getvalue()).decode()


def isolated(text: str) -> Markup:
    """Return text in which names keep their writing direction to themselves.

    These are what stands in quotation marks, and words that are written from right to left.

    >>> str(isolated("It gets “<b>” right"))
    'It gets “<bdi>&lt;b&gt;</bdi>” right'
    """
    letters = "[\u0590-\u08ff\ufb1d-\ufefc]+"
    names = f"(?<=“)[^”]*(?=”)|{letters}(?: {letters})*"
    return Markup(re.sub(names, r"<bdi>\g<0></bdi>", str(escape(words.plain(text)))))


def linked(svg: str, about: Collection[str]) -> str:
    """Return a plot in which links are left that lead to pictures asked `about`; others are text.

    >>> linked('<a href="#pictures&amp;about=age&amp;model=A">1</a>', ["gender"])
    '1'
    """

    def kept(match: re.Match[str]) -> str:
        values = dict(parse_qsl(html.unescape(match[1])))
        return match[0] if values["about"] in about else match[2]

    return re.sub(r'<a href="#pictures&amp;([^"]*)"[^>]*>(.*?)</a>', kept, svg, flags=re.DOTALL)


@cache
def _environment() -> Environment:
    """Return the environment of the page templates, which escapes all text."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: words.plain(value) if type(value) is str else value,
    )
    environment.globals["not_named"] = NOT_NAMED
    environment.filters["short"] = words.short
    environment.filters["svg"] = Markup
    environment.filters["linked"] = linked
    environment.filters["isolated"] = isolated
    environment.filters["data_uri"] = lambda pixels: data_uri(Image.fromarray(pixels))
    return environment
