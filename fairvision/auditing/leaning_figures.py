"""From answers with a thing hidden to figures: what a model leans on, for whom, and how far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics import Result, Sampling
from fairvision.results.figures import Computed, Key, difference_of, differences, tabulate
from fairvision.results.leaning import CONTEXT, FEW, PERSON

__all__ = ["CONTEXT", "KINDS", "NOTHING", "PERSON", "figures", "warnings"]

NOTHING = ""
KINDS = HIDDEN, CONTROL = ("hidden", "control")
TOLERANCE = 1e-5
"""Probabilities that differ by less are the same: rounding depends on the rest of the batch."""


def figures(
    tables: Mapping[str, pd.DataFrame],
    attributes: Mapping[str, tuple[str, ...]],
    *,
    replicates: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    cluster: pd.Series | None = None,
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
    cluster : by id, what is drawn instead of images

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
    sampling: Sampling = {"replicates": replicates, "confidence": confidence, "seed": seed}
    if not tables:
        return tabulate(())
    names, first = list(tables), next(iter(tables.values()))
    for name, table in tables.items():
        keys = ["id", "task", "label"]
        if not table[keys].equals(first[keys]):
            raise InputError(f"{name} and {names[0]} were asked about different things: hide anew")
    results: list[tuple[str, Key, Result]] = []
    clusters = None if cluster is None else cluster.reindex(first["id"]).to_numpy()
    for attribute, groups in attributes.items():
        if not all(f"{HIDDEN}/{attribute}/{groups[0]}" in table for table in tables.values()):
            continue
        truth = pd.Categorical(first[attribute], categories=list(groups))
        values = [_values(table, attribute, groups, truth.codes) for table in tables.values()]
        for key in values[0]:
            undefined = np.any([np.isnan(columns[key]) for columns in values], axis=0)
            for columns in values:
                columns[key] = np.where(undefined, np.nan, columns[key])
        things = first.groupby(["task", "label"], sort=False).ngroup().to_numpy()
        for thing in dict.fromkeys(things):
            rows = np.flatnonzero(things == thing)
            task, label = first["task"].iloc[rows[0]], first["label"].iloc[rows[0]]
            if label == NOTHING:
                continue
            if clusters is not None:
                sampling["cluster"] = clusters[rows]
            computed = {
                name: {
                    key._replace(task=task, label=label): result
                    for key, result in _results(columns, rows, truth, sampling)
                }
                for name, columns in zip(names, values)
            }
            for name in names[1:]:
                change = differences(computed[names[0]], computed[name])
                computed[difference_of(names[0], name)] = dict(change)
            results += [(name, *item) for name, of in computed.items() for item in of.items()]
    return tabulate(results)


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
    table: pd.DataFrame, attribute: str, groups: tuple[str, ...], truth: npt.NDArray[np.int8]
) -> dict[Key, npt.NDArray[np.float64]]:
    """Return each metric's value of each row, (n,); NaN where undefined."""
    p = {
        kind: table[[f"{kind}/{attribute}/{group}" for group in groups]].to_numpy(float)
        for kind in KINDS
    }
    whole = table["label"] == NOTHING
    place = pd.Index(table.loc[whole, "id"]).get_indexer(pd.Index(table["id"]))
    before = p[HIDDEN][whole.to_numpy()][place]
    answer = before.argmax(axis=1)
    true, has_group = np.maximum(truth, 0), truth >= 0
    seen = _difference(p[CONTROL], p[HIDDEN])

    def of(values: npt.NDArray[np.float64], group: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        chosen = np.take_along_axis(values, group[:, None], axis=1)[:, 0]
        return np.where(has_group, chosen, np.nan)

    flips = {kind: (p[kind] - of(p[kind], answer)[:, None]).max(axis=1) for kind in KINDS}
    return {
        Key("leaning", attribute): of(seen, true),
        Key("leaning_change", attribute): of(_difference(p[HIDDEN], before), true),
        Key("leaning_control", attribute): of(_difference(p[CONTROL], before), true),
        Key("leaning_answer", attribute): of(seen, answer),
        Key("leaning_flips", attribute): _exceeds_tolerance(flips[HIDDEN]),
        Key("leaning_control_flips", attribute): _exceeds_tolerance(flips[CONTROL]),
        **{
            Key("leaning_toward", attribute, group=group): of(seen, np.full(len(truth), code))
            for code, group in enumerate(groups)
        },
    }


def _results(
    values: dict[Key, npt.NDArray[np.float64]],
    rows: npt.NDArray[np.int64],
    truth: pd.Categorical,
    sampling: Sampling,
) -> Computed:
    """Yield the mean of each column (n,) over chosen rows, and of the main ones by group."""
    for key, column in values.items():
        yield key, metrics.mean(column[rows], **sampling)
        if key.metric in ("leaning", "leaning_change", "leaning_control"):
            by_group = metrics.mean_by_group(column[rows], truth[rows], **sampling)
            for group in truth.categories:
                yield key._replace(group=group), by_group[group]


def _difference(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a - b, of their shape, with differences below the tolerance set to 0."""
    change = a - b
    return np.where(np.abs(change) < TOLERANCE, 0.0, change)


def _exceeds_tolerance(lead: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return 1 where a lead is above the tolerance, 0 elsewhere, NaN where undefined."""
    return np.where(np.isnan(lead), np.nan, lead > TOLERANCE)
