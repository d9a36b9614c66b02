"""What a model leans on, ranked from the metrics table."""

from __future__ import annotations

import numpy as np
import pandas as pd

PERSON, CONTEXT = "person", "context"
FEW = 10
"""Below this number of images nothing is called shown."""


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
    rows = metrics[metrics["metric"].str.startswith("leaning")]
    rows = rows[(rows["model"] == model) & (rows["attribute"] == attribute)].copy()
    rows[keys] = rows[keys].astype(object).where(rows[keys].notna(), "")
    figures = rows.set_index(["task", "label"])
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
