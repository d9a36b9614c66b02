"""A dataset's description as tables on a terminal."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from fairvision.errors import visible

_MOST_LABELS = 15
_MOST_SKEWS = 12


def show(description: dict[str, Any]) -> None:
    """Print what `fairvision.datasets.describe` returned."""
    console = Console(markup=False, highlight=False, emoji=False)
    console.print(visible(f"{description['name']} ({description['folder']})"), style="bold")
    for key in ("source", "licence"):
        if description[key]:
            console.print(visible(f"{key}: {description[key]}"))
    counts = description["counts"]
    overview = counts[counts["name"] == ""]
    console.print(_table("", overview, overview["kind"]))
    named = counts[counts["name"] != ""]
    for (kind, name), part in named.groupby(["kind", "name"], sort=False):
        console.print(_count_table(visible(f"{kind} {name}"), part))
    for (task, attribute), part in description["skew"].groupby(["task", "attribute"], sort=False):
        console.print(_skew_table(visible(f"{task} by {attribute}"), part))
    for line in description["warnings"]:
        console.print(visible(f"warning: {line}"), style="yellow")


def _count_table(title: str, counts: pd.DataFrame) -> Table:
    shown = counts
    if len(counts) > _MOST_LABELS:
        shown = counts.sort_values("all", ascending=False, kind="stable").head(_MOST_LABELS)
        title += f": the {_MOST_LABELS} most frequent of {len(counts)}"
    return _table(title, shown, shown["value"])


def _table(title: str, counts: pd.DataFrame, names: pd.Series) -> Table:
    numbers = counts.drop(columns=["kind", "name", "value"])
    table = Table("", title=title, title_justify="left", title_style="bold")
    for column in numbers:
        table.add_column(str(column), justify="right")
    for name, row in zip(names, numbers.itertuples(index=False)):
        table.add_row(visible(name), *map(str, row))
    return table


def _skew_table(title: str, skew: pd.DataFrame) -> Table:
    above = skew[skew["skew"] > 0]
    shown = above.head(_MOST_SKEWS)
    title += ": labels that go with a group"
    if len(above) > len(shown):
        title += f", {len(shown)} of {len(above)}"
    table = Table("label", "group", title=title, title_justify="left", title_style="bold")
    for column in ("its share", "in all", "skew", "n"):
        table.add_column(column, justify="right")
    for row in shown.to_dict("records"):
        table.add_row(
            visible(row["label"]),
            visible(row["group"]),
            f"{row['share']:.1%}",
            f"{row['overall']:.1%}",
            f"{row['skew']:+.1%}",
            f"{row['n']} (few)" if row["few"] else str(row["n"]),
        )
    return table
