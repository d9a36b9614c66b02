"""Points with intervals as SVG: narrow panels that read on a phone, one colour per model."""

from __future__ import annotations

import html
import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode
from xml.etree import ElementTree

from fairvision.results import words
from fairvision.results.figures import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, safe for colour-blind readers; shapes say the same without colour.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "D", "^", "v", "P")
_GLYPHS = ("●", "■", "◆", "▲", "▼", "✚")

_INK = "#123456"  # replaced by the page's own text colour, so that plots follow its scheme
_WIDTH = 360.0  # points, which are pixels on the page
_LINE, _HEADING, _AXIS = 17.0, 22.0, 30.0
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fairvision",
    "text.parse_math": False,
    "text.color": _INK,
    "xtick.color": _INK,
    "xtick.labelsize": 11,
    "axes.edgecolor": _INK,
    "font.size": 12,
}


class Category(NamedTuple):
    """One heading of a panel with a figure per model.

    Perhaps also each model's chance level, and the links to the pictures that its figure counts.
    """

    name: str
    figures: Sequence[Figure | None]
    chance: Sequence[Figure | None] = ()
    links: Sequence[str] = ()


def links(models: Sequence[str], about: str, **chosen: str) -> tuple[str, ...]:
    """Return a link of each model to pictures of a page: those that were asked `about`, and so.

    >>> links(["A"], "gender", group="man", label="")
    ('#pictures&about=gender&model=A&group=man',)
    """
    filters = {name: value for name, value in chosen.items() if value}
    return tuple(
        f"#pictures&{urlencode({'about': about, 'model': model, **filters}, errors='replace')}"
        for model in models
    )


def looks(models: int) -> list[tuple[str, str]]:
    """Return each model's colour and the sign that stands for its marker in text."""
    return [(_COLOURS[i % len(_COLOURS)], _GLYPHS[i % len(_GLYPHS)]) for i in range(models)]


def panel(
    categories: Sequence[Category],
    *,
    unit: str = "fraction",
    reference: float = math.nan,
    limits: tuple[float, float] | None = None,
    description: str,
    key: str,
) -> str:
    """Draw categories below each other, in each a point with its interval per model.

    Parameters
    ----------
    categories : what to draw; undefined figures keep their line and show a dash
    unit : of the figures, as in the metrics table; differences get a line at zero
    reference : where to draw a vertical dashed line; NaN for none
    limits : ends of the axis; from the data where None
    description : what the panel shows, for those who do not see it; the values are added
    key : text that is unique on the page, of letters, digits and hyphens

    Returns
    -------
    str
        An `svg` element in which every name is escaped; the same for the same input. Where it has
        links, which are for the mouse, its description stands before it.
    """
    import matplotlib as mpl  # slow to import, and only needed where something is drawn
    from matplotlib.figure import Figure as Canvas
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    lines = sum(len(category.figures) for category in categories)
    height = lines * _LINE + len(categories) * _HEADING + _AXIS
    low, high = limits or _limits(categories, reference)
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        canvas = Canvas(figsize=(_WIDTH / 72, height / 72))
        left, width = 8 / _WIDTH, (_WIDTH - 68) / _WIDTH
        axes = canvas.add_axes((left, _AXIS / height, width, 1 - _AXIS / height))
        axes.set(xlim=(low, high), ylim=(height - _AXIS, 0))
        axes.patch.set_visible(False)
        canvas.patch.set_visible(False)
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.spines["bottom"].set_alpha(0.4)
        axes.yaxis.set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: words.written(value, unit, tick=True))
        )
        axes.grid(axis="x", color=_INK, alpha=0.12, linewidth=0.8)
        axes.set_axisbelow(True)
        y = 0.0
        for category in categories:
            y += _HEADING
            axes.text(low, y - 6, words.short(category.name, 46), fontsize=12, va="baseline")
            ends = (y, y + _LINE * len(category.figures))
            if unit == "difference":
                axes.vlines(0, *ends, color=_INK, linewidth=1.2)
            axes.vlines(reference, *ends, color=_INK, linewidth=1.2, linestyle=(0, (3, 2)))
            for model, figure in enumerate(category.figures):
                chance = category.chance[model] if category.chance else None
                link = category.links[model] if category.links else None
                _line(axes, y + _LINE / 2, model, figure, chance, high, link)
                y += _LINE
        output = io.StringIO()
        canvas.savefig(
            output, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    return _inline(output.getvalue(), f"{description}. {_spoken(categories)}", key)


def _line(
    axes: Axes,
    y: float,
    model: int,
    figure: Figure | None,
    chance: Figure | None,
    high: float,
    link: str | None,
) -> None:
    """Draw one model's point, its interval, its chance level, and the value at the right."""
    colour = _COLOURS[model % len(_COLOURS)]
    text = "–"
    if figure is not None and figure.defined:
        text = str(figure)
        axes.hlines(y, figure.low, figure.high, color=colour, linewidth=2.4)
        marker = _MARKERS[model % len(_MARKERS)]
        (point,) = axes.plot(
            figure.value, y, marker, color=colour, markersize=7, linestyle="none", clip_on=False
        )
        point.set_url(link)
    if chance is not None and chance.defined:
        axes.vlines(chance.value, y - 7, y + 7, color=_INK, linewidth=1.6)
    value = axes.annotate(
        text, (high, y), (8, 0), textcoords="offset points", va="center", fontsize=12
    )
    if text != "–":
        value.set_url(link)


def _limits(categories: Sequence[Category], reference: float) -> tuple[float, float]:
    """Return the ends of the axis: all intervals, zero and the reference, with some room."""
    values = [0.0, reference]
    for category in categories:
        for figure in category.figures:
            values += [figure.value, figure.low, figure.high] if figure else []
    values = [value for value in values if not math.isnan(value)]
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05
    return low - room, high + room


def _spoken(categories: Sequence[Category]) -> str:
    """Put the panel's figures into words."""
    return "; ".join(
        f"{words.short(category.name, 80)}: "
        + ", ".join(str(figure) if figure else "–" for figure in category.figures)
        for category in categories
    )


def _inline(svg: str, description: str, key: str) -> str:
    """Make matplotlib's document an element for a page: one namespace of ids, a label, a size."""
    root = ElementTree.fromstring(svg)
    for ballast in ("metadata", "defs"):  # the document's own defs hold a style for all elements
        for element in root.findall(f"{_SVG}{ballast}"):
            if element.find(f"{_SVG}clipPath") is None:
                root.remove(element)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        if "id" in element.attrib:
            element.set("id", f"{key}-{element.get('id')}")
        if element.tag == "a":
            element.set("href", element.attrib.pop(_LINK))
            element.attrib.pop("target", None)
            element.set("tabindex", "-1")
        elif _LINK in element.attrib:
            element.set("href", f"#{key}-{element.attrib.pop(_LINK).removeprefix('#')}")
        if "clip-path" in element.attrib:
            element.set("clip-path", element.get("clip-path", "").replace("#", f"#{key}-"))
        if "style" in element.attrib:
            element.set("style", element.get("style", "").replace(_INK, "currentColor"))
    root.attrib.pop("width")
    root.attrib.pop("height")
    if root.find(".//a") is None:
        root.attrib |= {"role": "img", "aria-label": description}
        return ElementTree.tostring(root, encoding="unicode")
    root.set("aria-hidden", "true")
    spoken = f'<p class="heard">{html.escape(description)}</p>'
    return spoken + ElementTree.tostring(root, encoding="unicode")
