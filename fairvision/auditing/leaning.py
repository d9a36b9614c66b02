"""What a model answers with one thing of the image hidden, and with an equal area elsewhere.

Needs no attribution: only forwards. What the answers say is in `leaning_figures.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.progress import track
from torch import Tensor

from fairvision.auditing.leaning_figures import CONTEXT, KINDS, NOTHING, PERSON
from fairvision.auditing.schema import score_columns
from fairvision.core import processes
from fairvision.core.draws import draw
from fairvision.datasets import Batch, Dataset, batches, hide, open_pixels
from fairvision.datasets.hiding import elsewhere, widened
from fairvision.datasets.regions import SIDES, box_mask
from fairvision.errors import InputError
from fairvision.models import Network
from fairvision.runs import Run


def lean(
    run: Run,
    network: Network,
    dataset: Dataset,
    regions: pd.DataFrame,
    *,
    name: str = "the model",
    seed: int = 0,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    quiet: bool = True,
) -> pd.DataFrame:
    """Hide the person, the context and each class of objects, and ask the model again.

    Several processes share the images, and each gets the whole table.

    What is hidden is filled as `fairvision.datasets.hide` does. Objects are hidden by the boxes of
    all objects of their class at once; the person stays visible where a box overlaps it. As a
    control, an equal area at a random place is hidden instead (`fairvision.datasets.hiding.
    elsewhere`), off the thing itself and, for objects, off the person.

    Parameters
    ----------
    run : a finished run that predicts an attribute of `dataset`
    network : its network, on `device`
    dataset : the images; those without any known group are left out
    regions : boxes of objects, as `fairvision.datasets.read_regions` gives them; those of other
        images are ignored
    name : what the model is called
    seed : of the controls, which depend on nothing else but the image and the thing
    device, batch_size, workers, cache, quiet : where and how it runs. An image costs 4
        forwards (whole, person, context, the person's control) and 2 for each class of objects
        that it shows; no more than `batch_size` images are in the network at a time.

    Returns
    -------
    a row per image and thing: `id`; the true group of each attribute; `task` and `label`, of an
    object class, or "" and `person` or `context`, or both "" where nothing is hidden;
    `hidden_share` and `control_share` of the image's area; and per attribute and group
    `hidden/<attribute>/<group>` and `control/…`, the probabilities. NaN where nothing of an object
    is visible, and for controls where less than half of the area finds a place elsewhere. The
    context has none: all that is elsewhere is the person.

    Raises
    ------
    InputError
        If the run predicts no attribute of the dataset.
    """
    heads = [head for head in dataset.attributes if head in run.attributes]
    if not heads:
        raise InputError(f"run {run.folder} predicts no attribute of dataset {dataset.root}")
    pixels = open_pixels(dataset, run.size, workers=workers, quiet=quiet, cache=cache)
    things = _things(dataset, pixels.has_mask, regions, heads)
    orders = {
        head: [run.attributes[head].index(group) for group in dataset.attributes[head]]
        for head in heads
    }
    columns = [c for head in heads for c in score_columns("", head, dataset.attributes[head])]
    step = max(1, batch_size // 2)
    own = things.iloc[processes.rows_of_process(len(things), step)]
    found = {f"{kind}_share": np.zeros(len(own)) for kind in KINDS}
    found |= {kind + column: np.full(len(own), np.nan) for kind in KINDS for column in columns}
    start = 0
    for batch in track(
        batches(dataset, pixels, step, device=device, order=own["row"].to_numpy(copy=True)),
        description=f"hides parts from {name}",
        total=-(-len(own) // step),
        disable=quiet,
        transient=True,
    ):
        some = own.iloc[start : start + len(batch.rows)]
        draws = torch.tensor([draw(seed, *thing) for thing in _named(dataset, some)])
        hidden, free = _areas(batch, some, run.size)
        masks = torch.cat([hidden, elsewhere(hidden, free, draws)])
        asked = masks.any(dim=(1, 2))
        asked[: len(some)] |= torch.tensor(
            [label == NOTHING for label in some["label"]], device=device
        )
        said = np.full((len(masks), len(columns)), np.nan)
        if asked.any():
            images = torch.cat([batch.images] * 2)[asked]
            with torch.inference_mode():
                answers = network.probabilities(hide(images, masks[asked].unsqueeze(1)))
            said[asked.cpu().numpy()] = np.hstack(
                [answers[head][:, orders[head]].double().cpu().numpy() for head in heads]
            )
        area = masks.double().mean(dim=(1, 2)).cpu().numpy()
        rows = slice(start, start + len(some))
        for i, kind in enumerate(KINDS):
            half = slice(i * len(some), (i + 1) * len(some))
            found[f"{kind}_share"][rows] = area[half]
            for column, values in zip(columns, said[half].T):
                found[kind + column][rows] = values
        start += len(some)
    truth = dataset.samples.iloc[things["row"]].reset_index(drop=True)[["id", *heads]]
    numbers = processes.gathered(pd.DataFrame(found))
    return pd.concat([truth, things[["task", "label"]], numbers], axis=1)


def lean_all(
    networks: Sequence[tuple[Run, Network]],
    names: Sequence[str],
    dataset: Dataset,
    regions: pd.DataFrame,
    *,
    leaning: bool | None = None,
    **how: Any,
) -> dict[str, pd.DataFrame]:
    """Return what `lean` finds for each run of an audit.

    Parameters
    ----------
    networks, names : runs with their networks, and what they are called; none with tables
    dataset : the audited images
    regions : boxes of objects
    leaning : whether to; None: where there are regions and all runs predict one attribute of the
        dataset. Without regions only the person and the context are hidden.
    how : further options of `lean`

    Returns
    -------
    tables by the name of the model; none where nothing is to be hidden
    """
    if leaning is None:
        shared = [a for a in dataset.attributes if all(a in run.attributes for run, _ in networks)]
        leaning = bool(networks) and bool(shared) and len(regions) > 0
    if not leaning:
        return {}
    return {
        name: lean(run, network, dataset, regions, name=name, **how)
        for name, (run, network) in zip(names, networks)
    }


def _things(
    dataset: Dataset, has_mask: np.ndarray, regions: pd.DataFrame, heads: list[str]
) -> pd.DataFrame:
    """List what is hidden: `row` of the image, `task`, `label`, and `boxes` (n, 4) of objects."""
    objects: dict[str, list[tuple[str, str, np.ndarray]]] = {}
    for key, some in regions.groupby(["id", "task", "label"], sort=False):
        identity, task, label = map(str, key)
        objects.setdefault(identity, []).append((task, label, some[list(SIDES)].to_numpy(float)))
    known = np.any([dataset.codes(head) >= 0 for head in heads], axis=0)
    rows: list[tuple[Any, ...]] = []
    for row in np.flatnonzero(known):
        identity = dataset.samples["id"][row]
        parts = [NOTHING, PERSON, CONTEXT] if has_mask[row] else [NOTHING]
        rows += [(row, "", part, None) for part in parts]
        rows += [(row, *thing) for thing in objects.get(identity, ())]
    return pd.DataFrame(rows, columns=["row", "task", "label", "boxes"]).astype({"row": int})


def _named(dataset: Dataset, some: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    ids = dataset.samples["id"].iloc[some["row"]]
    return zip(ids, some["task"], some["label"])


def _areas(batch: Batch, some: pd.DataFrame, size: int) -> tuple[Tensor, Tensor]:
    """Return what is hidden, and what a control may hide instead, (n, size, size) bool each."""
    person = batch.masks[:, 0] > 0
    wide = widened(batch.masks)[:, 0] > 0
    hidden, free = torch.zeros_like(person), ~person
    for i, (label, boxes) in enumerate(zip(some["label"], some["boxes"])):
        if boxes is not None:
            hidden[i] = torch.from_numpy(box_mask(boxes, size)).to(person.device) & ~person[i]
        elif label == PERSON:
            hidden[i] = wide[i]
        elif label == CONTEXT:
            hidden[i], free[i] = ~wide[i], False
    return hidden, free & ~hidden
