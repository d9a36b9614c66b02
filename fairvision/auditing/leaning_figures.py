"""From answers with a thing hidden to figures: what a model leans on, for whom, and how far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fairvision import metrics
from fairvision.auditing.measures import COLUMNS, FIGURES
from fairvision.errors import InputError
from fairvision.metrics import Result
from fairvision.report.leaning import CONTEXT, FEW, PERSON

__all__ = ["CONTEXT", "KINDS", "NOTHING", "PERSON", "figures", "warnings"]

NOTHING = ""
KINDS = HIDDEN, CONTROL = ("hidden", "control")
TOLERANCE = 1e-5
"""Probabilities that differ by less are the same: rounding depends on the rest of the batch."""

Key = tuple[str, str]
"""Name of a metric, and a group or ""."""


def figures(
    tables: Mapping[str, pd.DataFrame],
    attributes: Mapping[str, tuple[str, ...]],
    *,
    replicates: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute what each model leans on, and the differences from the first model.

    With `p` the probabilities of an image's groups, `hidden` with the thing hidden, `control` with
    an equal area elsewhere hidden, and `t` the true group, the means over images are

    | metric | of |
    |---|---|
    | `leaning`, also per true group | `p_control[t] − p_hidden[t]` |
    | `leaning_change`, also per true group | `p_hidden[t] − p[t]` |
    | `leaning_control`, also per true group | `p_control[t] − p[t]` |
    | `leaning_answer` | `p_control[a] − p_hidden[a]` for the answer `a` on the whole image |
    | `leaning_toward` per group `g` | `p_control[g] − p_hidden[g]` |
    | `leaning_flips`, `leaning_control_flips` | whether the answer is another one than `a` |

    Parameters
    ----------
    tables : what `fairvision.auditing.leaning.lean` returned, by the name of the model, of the same
        images
    attributes : groups of each attribute; images whose group is unknown take no part
    replicates, confidence, seed : of the bootstrap over images; one seed pairs the models

    Returns
    -------
    rows of the metrics table of docs/design.md with `task` and `label` of the thing, both "" and
    `person` or `context` for those. An image counts where every model has the figure. Figures are
    NaN where n is 0.

    Raises
    ------
    InputError
        If the tables are not of the same images.
    """
    chance = {"replicates": replicates, "confidence": confidence, "seed": seed}
    if not tables:
        return pd.DataFrame(columns=list(COLUMNS))
    names, first = list(tables), next(iter(tables.values()))
    for name, table in tables.items():
        keys = ["id", "task", "label"]
        if not table[keys].equals(first[keys]):
            raise InputError(f"{name} and {names[0]} were asked about different things: hide anew")
    rows: list[dict[str, Any]] = []
    for attribute, groups in attributes.items():
        if not all(f"{HIDDEN}/{attribute}/{groups[0]}" in table for table in tables.values()):
            continue
        truth = pd.Categorical(first[attribute], categories=list(groups))
        values = [_values(table, attribute, groups, truth.codes) for table in tables.values()]
        for metric in values[0]:
            joint = np.any([np.isnan(own[metric]) for own in values], axis=0)
            for own in values:
                own[metric] = np.where(joint, np.nan, own[metric])
        places = first.groupby(["task", "label"], sort=False).ngroup().to_numpy()
        for place in dict.fromkeys(places):
            at = np.flatnonzero(places == place)
            task, label = first["task"].iloc[at[0]], first["label"].iloc[at[0]]
            if label == NOTHING:
                continue
            about = {"attribute": attribute, "task": task, "label": label}
            results = [dict(_results(own, at, truth, chance)) for own in values]
            for name, found in zip(names, results):
                rows += [_row(name, key, found[key], about) for key in found]
            for name, found in zip(names[1:], results[1:]):
                changes = {key: metrics.compare(results[0][key], found[key]) for key in found}
                rows += [_row(f"{name} - {names[0]}", key, changes[key], about) for key in changes]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": int})


def warnings(rows: pd.DataFrame) -> Iterator[str]:
    """Yield what to know before trusting `figures`: objects in few images."""
    main = rows[(rows["metric"] == "leaning") & (rows["group"] == "")]
    for attribute, of in main.groupby("attribute", sort=False):
        objects = of[of["task"] != ""].drop_duplicates(["task", "label"])
        few = objects[objects["n"] < FEW]
        if len(few):
            yield (
                f"{attribute}: {len(few)} of {len(objects)} object classes can be hidden, with a "
                f"control, in fewer than {FEW} pictures: what they say of leaning on them is "
                "very uncertain"
            )


def _values(
    table: pd.DataFrame, attribute: str, groups: tuple[str, ...], truth: np.ndarray
) -> dict[Key, np.ndarray]:
    """Return each metric's value of each row, (n,); NaN where undefined."""
    p = {
        kind: table[[f"{kind}/{attribute}/{group}" for group in groups]].to_numpy(float)
        for kind in KINDS
    }
    whole = table["label"] == NOTHING
    place = pd.Index(table.loc[whole, "id"]).get_indexer(pd.Index(table["id"]))
    before = p[HIDDEN][whole.to_numpy()][place]
    answer = before.argmax(axis=1)
    own, known = np.maximum(truth, 0), truth >= 0
    seen = _difference(p[CONTROL], p[HIDDEN])

    def of(values: np.ndarray, group: np.ndarray) -> np.ndarray:
        return np.where(known, np.take_along_axis(values, group[:, None], axis=1)[:, 0], np.nan)

    flips = {kind: (p[kind] - of(p[kind], answer)[:, None]).max(axis=1) for kind in KINDS}
    return {
        ("leaning", ""): of(seen, own),
        ("leaning_change", ""): of(_difference(p[HIDDEN], before), own),
        ("leaning_control", ""): of(_difference(p[CONTROL], before), own),
        ("leaning_answer", ""): of(seen, answer),
        ("leaning_flips", ""): _above(flips[HIDDEN]),
        ("leaning_control_flips", ""): _above(flips[CONTROL]),
        **{
            ("leaning_toward", group): of(seen, np.full(len(truth), g))
            for g, group in enumerate(groups)
        },
    }


def _results(
    values: dict[Key, np.ndarray], at: np.ndarray, truth: pd.Categorical, chance: dict[str, Any]
) -> Iterator[tuple[Key, Result]]:
    for key, column in values.items():
        yield key, metrics.mean(column[at], **chance)
        if key[0] in ("leaning", "leaning_change", "leaning_control"):
            by_group = metrics.mean_by_group(column[at], truth[at], **chance)
            yield from (((key[0], g), by_group[g]) for g in truth.categories)


def _row(model: str, key: Key, result: Result, about: dict[str, str]) -> dict[str, Any]:
    unit = "fraction" if key[0].endswith("flips") and " - " not in model else "difference"
    found = {name: getattr(result, name) for name in FIGURES}
    return {"model": model, "metric": key[0], "group": key[1], "unit": unit, **about, **found}


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    change = a - b
    return np.where(np.abs(change) < TOLERANCE, 0.0, change)


def _above(lead: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(lead), np.nan, lead > TOLERANCE)
