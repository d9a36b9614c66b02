"""What figures are called in trackers: names of letters, digits and underscores, with slashes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import pandas as pd

from fairvision.results.figures import KEYS, difference_of

_LONGEST = 40  # of a part: MLflow takes 250 characters in all
DIFFERENCE = "difference"


def figure_names(
    keys: Iterable[tuple[str, ...]], *, between: str = "/", reserved: Iterable[str] = ()
) -> dict[tuple[str, ...], str]:
    """Return a name for each figure: the parts of its key that are not empty.

    Parameters
    ----------
    keys : metric, attribute, task, group and label of each figure, or other parts of a name
    between : what joins them
    reserved : names that are not given

    Returns
    -------
    unique names; where two would be alike the later one has a number

    Examples
    --------
    >>> keys = [("accuracy", "age", "", "18-25", ""), ("accuracy", "age", "", "18 25", "")]
    >>> list(figure_names(keys).values())
    ['accuracy/age/18_25', 'accuracy/age/18_25_2']
    """
    names: dict[tuple[str, ...], str] = {}
    taken = {name.lower() for name in reserved}
    for key in keys:
        plain = between.join(_plain(part) for part in key if part)
        name, number = plain, 1
        while name.lower() in taken:  # files of MLflow may be on a disk that knows no case
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.lower())
        names[key] = name
    return names


def logged_figures(metrics: pd.DataFrame, model: str, first: str) -> dict[str, float]:
    """Return the figures of a model, and their differences from the first, by name.

    Of each figure there are the value, `low/…` and `high/…`, the ends of its interval, and `n/…`.
    What is undefined is left out, but its n is there.

    Parameters
    ----------
    metrics : the metrics table
    model, first : names of models
    """
    parts = list(KEYS[1:])
    names = figure_names(dict.fromkeys(metrics[parts].itertuples(index=False, name=None)))
    figures: dict[str, float] = {}
    for prefix, of_model in (("", model), (f"{DIFFERENCE}/", difference_of(first, model))):
        rows = metrics[metrics["model"] == of_model]
        for row in rows.to_dict("records"):
            name = prefix + names[tuple(row[part] for part in parts)]
            numbers = {
                name: row["value"],
                f"low/{name}": row["low"],
                f"high/{name}": row["high"],
                f"n/{name}": row["n"],
            }
            figures |= {key: float(value) for key, value in numbers.items() if math.isfinite(value)}
    return figures


def _plain(text: str) -> str:
    """Return text with an underscore for whatever is no letter of ASCII and no digit.

    >>> _plain("directional T->A"), _plain("25–30 years"), _plain("…")
    ('directional_T_A', '25_30_years', '_')
    """
    return re.sub(r"[^A-Za-z0-9]+", "_", text)[:_LONGEST]
