"""One figure against another as SVG: a point per method, its spread, and the single runs."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fairvision.report.plots import _COLOURS, _GLYPHS, _INK, _MARKERS, _STYLE, _WIDTH, _inline
from fairvision.results import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 290.0
_ROOM = {"left": 52.0, "right": 12.0, "top": 26.0, "bottom": 46.0}


class Axis(NamedTuple):
    """What is along an axis; differences get a line at zero."""

    name: str
    unit: str
    better: str


class Point(NamedTuple):
    """A method: its name, and (x, y) of each run; either may be NaN."""

    name: str
    runs: Sequence[tuple[float, float]]


def looks(count: int) -> list[tuple[str, str]]:
    """Return colours and signs as `plots.looks` does, but none alike up to 36."""
    return [(_COLOURS[i % 6], _GLYPHS[_marker_index(i)]) for i in range(count)]


def scatter(points: Sequence[Point], x: Axis, y: Axis, *, description: str, key: str) -> str | None:
    """Draw the mean of each method's runs, one standard deviation each way, and the runs.

    Parameters
    ----------
    points : a method each, in the order of `looks`; one without a run that has both is left out
    x, y : what is along the axes
    description : what the plot shows, for those who do not see it; the means are added
    key : text that is unique on the page, of letters, digits and hyphens

    Returns
    -------
    An `svg` element in which every name is escaped, the same for the same input; None where nothing
    can be drawn.
    """
    import matplotlib as mpl  # slow to import, and only needed where something is drawn
    from matplotlib.figure import Figure as Canvas
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    drawn = [
        (place, point.name, runs)
        for place, point in enumerate(points)
        if (runs := [run for run in point.runs if not any(map(math.isnan, run))])
    ]
    if not drawn:
        return None
    style: dict[Any, Any] = {**_STYLE, "ytick.color": _INK, "ytick.labelsize": 11}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        canvas = Canvas(figsize=(_WIDTH / 72, _HEIGHT / 72))
        axes = canvas.add_axes(
            (
                _ROOM["left"] / _WIDTH,
                _ROOM["bottom"] / _HEIGHT,
                1 - (_ROOM["left"] + _ROOM["right"]) / _WIDTH,
                1 - (_ROOM["top"] + _ROOM["bottom"]) / _HEIGHT,
            )
        )
        axes.patch.set_visible(False)
        canvas.patch.set_visible(False)
        axes.spines[["right", "top"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_alpha(0.4)
        axes.grid(color=_INK, alpha=0.12, linewidth=0.8)
        axes.set_axisbelow(True)
        for side, axis in ((axes.xaxis, x), (axes.yaxis, y)):
            side.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
            side.set_major_formatter(
                FuncFormatter(lambda v, _, unit=axis.unit: words.written(v, unit, tick=True))
            )
        if x.unit == "difference":
            axes.axvline(0, color=_INK, linewidth=1.2)
        if y.unit == "difference":
            axes.axhline(0, color=_INK, linewidth=1.2)
        spoken = [_point(axes, *method, x, y) for method in drawn]
        axes.margins(0.12)
        for text, place in (
            (_axis_title(y), (6, _HEIGHT - 12)),
            (_axis_title(x), (_WIDTH - 12, 6)),
        ):
            canvas.text(
                place[0] / _WIDTH,
                place[1] / _HEIGHT,
                text,
                ha="left" if place[0] < _WIDTH / 2 else "right",
                va="center" if place[1] > _HEIGHT / 2 else "bottom",
                fontsize=12,
            )
        output = io.StringIO()
        canvas.savefig(
            output, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    return _inline(output.getvalue(), f"{description}. {'; '.join(spoken)}", key)


def _point(
    axes: Axes, place: int, name: str, runs: Sequence[tuple[float, float]], x: Axis, y: Axis
) -> str:
    """Draw one method, and put it into words."""
    across, up = zip(*runs)
    colour, marker = _COLOURS[place % 6], _MARKERS[_marker_index(place)]
    centre = (sum(across) / len(runs), sum(up) / len(runs))
    if len(runs) > 1:
        axes.plot(across, up, marker, color=colour, markersize=3.5, alpha=0.5, linestyle="none")
        axes.hlines(centre[1], *_bar_ends(across, centre[0]), color=colour, linewidth=1.8)
        axes.vlines(centre[0], *_bar_ends(up, centre[1]), color=colour, linewidth=1.8)
    axes.plot(*centre, marker, color=colour, markersize=9, zorder=5)
    values = (words.written(value, axis.unit) for value, axis in zip(centre, (x, y)))
    return f"{words.short(name, 60)}: {', '.join(values)}"


def _bar_ends(values: Sequence[float], mean: float) -> tuple[float, float]:
    """Return the ends of an error bar: one standard deviation below and above the mean."""
    sd = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return mean - sd, mean + sd


def _axis_title(axis: Axis) -> str:
    """Return the title of an axis, with which way is better."""
    return f"{words.short(axis.name, 34)} ({axis.better})"


def _marker_index(place: int) -> int:
    """Return which of six markers a method has, so that it differs if the colour repeats."""
    return (place + place // 6) % 6
