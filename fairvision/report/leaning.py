"""What the page shows of what a model leans on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fairvision.report import plots
from fairvision.report.panels import Panel
from fairvision.results import words
from fairvision.results.figures import Figure, Figures

PERSON, CONTEXT = "person", "context"
FEW = 10
"""Below this number of images nothing is called shown."""
_DRAWN, _LISTED = 12, 30


def ranked(metrics: pd.DataFrame, model: str, attribute: str) -> pd.DataFrame:
    """List what a model leans on, most of all first.

    Parameters
    ----------
    metrics : the metrics table of an audit, as it is or read back from `metrics.csv`
    model : name of a model, or a difference such as `B - A`
    attribute : what it answers

    Returns
    -------
    a row per thing that was hidden: `task` and `label` ("" and `person` or `context`); `leaning`
    (by how much seeing it raises the probability of the true group, beyond an equal area elsewhere)
    with `low`, `high` and `n`; `change` and `control`, of the true group's probability when the
    thing, or the area elsewhere, is hidden; `flips`, the share of answers that change; `toward`,
    the group whose probability seeing it raises most, where that is shown; and `few` and `shown`:
    whether n is below 10, and whether the interval leaves out 0. Things in few images come after
    all others; those without a control, for which `leaning` is NaN, come last.

    Examples
    --------
    >>> columns = "model metric attribute task group label value low high n unit".split()
    >>> rows = [
    ...     ["A", "leaning", "age", "", "", "person", 0.1, -0.1, 0.3, 40, "difference"],
    ...     ["A", "leaning", "age", "object", "", "tie", 0.3, 0.2, 0.4, 40, "difference"],
    ... ]
    >>> ranked(pd.DataFrame(rows, columns=columns), "A", "age")[["label", "leaning", "shown"]]
        label  leaning  shown
    0     tie      0.3   True
    1  person      0.1  False
    """
    keys = ["task", "group", "label"]
    own = metrics[(metrics["model"] == model) & (metrics["attribute"] == attribute)].copy()
    own[keys] = own[keys].astype(object).where(own[keys].notna(), "")
    figures = own[own["metric"].str.startswith("leaning")].set_index(["task", "label"])
    plain = figures[figures["group"] == ""]
    table = plain.loc[plain["metric"] == "leaning", ["value", "low", "high", "n"]]
    table = table.rename(columns={"value": "leaning"})
    for column in ("change", "control", "flips"):
        table[column] = plain.loc[plain["metric"] == f"leaning_{column}", "value"]
    toward = figures[figures["metric"] == "leaning_toward"].reset_index()
    best = toward.dropna(subset="value").sort_values("value", kind="stable")
    best = best.drop_duplicates(["task", "label"], keep="last").set_index(["task", "label"])
    table["toward"] = best["group"].where(best["low"] > 0)
    table["few"] = table["n"] < FEW
    apart = (table["low"] > 0) | (table["high"] < 0)
    table["shown"] = apart & (table["low"] < table["high"]) & ~table["few"]
    order = np.lexsort((-table["leaning"].fillna(0), table["few"], table["leaning"].isna()))
    return table.iloc[order].reset_index()


def section(metrics: pd.DataFrame, figures: Figures) -> list[dict[str, Any]]:
    """Return what the page shows: per attribute a plot, and a row per thing with all models."""
    parts = []
    for attribute in figures.attributes:
        tables = [ranked(metrics, model, attribute) for model in figures.models]
        if not any(len(table) for table in tables):
            continue
        places = [
            {(t, label): i for i, (t, label) in enumerate(_things(table))} for table in tables
        ]
        things = _things(next(table for table in tables if len(table)))
        rows = [
            {
                "name": label,
                "task": task,
                "cells": [
                    _cell(table.iloc[place[task, label]], place[task, label] + 1)
                    if (task, label) in place
                    else None
                    for table, place in zip(tables, places)
                ],
                "differences": [
                    _difference(figures, attribute, task, label, other)
                    for other in figures.models[1:]
                ],
            }
            for task, label in things
        ]
        parts.append(
            {
                "attribute": attribute,
                "panel": _panel(rows, attribute, figures.attributes.index(attribute)),
                "rows": rows[:_LISTED],
                "more": len(rows[_LISTED:]),
                "shown": [int(table["shown"].sum()) for table in tables],
                "judged": [
                    int((table["leaning"].notna() & ~table["few"]).sum()) for table in tables
                ],
            }
        )
    return parts


def _things(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(table["task"], table["label"]))


def _cell(row: pd.Series, rank: int) -> dict[str, Any]:
    figure = Figure(row["leaning"], row["low"], row["high"], int(row["n"]), "difference")
    return {
        "rank": rank if figure.defined and not row["few"] else None,
        "figure": figure,
        "shown": bool(row["shown"]),
        "few": bool(row["few"]),
        "change": words.written(row["change"], "difference"),
        "control": words.written(row["control"], "difference"),
        "flips": words.written(row["flips"]),
        "toward": row["toward"] if isinstance(row["toward"], str) else "",
    }


def _difference(
    figures: Figures, attribute: str, task: str, label: str, other: str
) -> tuple[Figure | None, str]:
    found = figures.get(f"{other} - {figures.models[0]}", "leaning", attribute, task, "", label)
    if found is None or not found.defined:
        return found, ""
    shown = found.n >= FEW and found.low < found.high and (found.low > 0 or found.high < 0)
    return found, "differs" if shown else "not shown"


def _panel(rows: list[dict[str, Any]], attribute: str, number: int) -> Panel | None:
    """Draw the things in enough images, those that some model leans on most."""

    def strength(row: dict[str, Any]) -> float:
        return max(abs(cell["figure"].value) for cell in row["cells"] if cell and cell["rank"])

    drawn = [row for row in rows if any(cell and cell["rank"] for cell in row["cells"])]
    kept = sorted(drawn, key=strength, reverse=True)[:_DRAWN]
    drawn = [row for row in drawn if row in kept or not row["task"]]
    if not drawn:
        return None
    return Panel(
        f"What seeing it adds to the probability of the annotated {attribute}",
        "Right of zero the model leans on it; left of zero it misleads the model, or other places "
        "matter more.",
        plots.panel(
            [
                plots.Category(row["name"], [cell and cell["figure"] for cell in row["cells"]])
                for row in drawn
            ],
            unit="difference",
            description=f"What the models lean on for {attribute}",
            key=f"leaning-{number}-0",
        ),
    )
