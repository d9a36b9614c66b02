"""A result drawn: a point and its interval for the figure and for each of its pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KEYS = ("group", "label", "direction")


def draw(
    title: str, whole: Mapping[str, Any], pairs: pd.DataFrame | None, ax: Axes | None, most: int
) -> Axes:
    """Draw points with intervals, and return the axes.

    Parameters
    ----------
    title : what the numbers are
    whole : `value`, `low`, `high` and `n` of the figure
    pairs : the same of its pairs, with their keys
    ax : where to draw; by default a new figure
    most : number of pairs that are drawn, those with the most images
    """
    rows: list[dict[Any, Any]] = [{"name": "all", **whole}]
    if pairs is not None:
        kept = pairs.nlargest(most, "n", keep="first").sort_index()
        rows += [{**pair, "name": _name(pair)} for pair in kept.to_dict("records")]
    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(figsize=(6, 1.2 + 0.3 * len(rows)), layout="constrained")
    table = pd.DataFrame(rows)
    places = range(len(table))
    ax.hlines(places, table["low"], table["high"], color="tab:gray")
    ax.plot(table["value"], places, "o", color="tab:blue")
    ax.axvline(whole["value"], color="tab:gray", linewidth=0.8, linestyle=":")
    ax.set_yticks(places, [f"{name} (n = {n})" for name, n in zip(table["name"], table["n"])])
    ax.invert_yaxis()
    ax.set_xlabel(title)
    return ax


def _name(pair: Mapping[Any, Any]) -> str:
    """Return what a pair is called, by its group, label and direction; $ starts no formula."""
    parts = [str(pair[key]) for key in _KEYS if pair.get(key) not in (None, "")]
    return ", ".join(parts).replace("$", r"\$")
