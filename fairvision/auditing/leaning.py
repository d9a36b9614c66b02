"""What a model predicts with one thing of the image hidden, and with an equal area elsewhere.

Needs no gradients. What is made of the probabilities is in `leaning_figures.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rich.progress import track
from torch import Tensor

from fairvision.auditing.collect import class_order
from fairvision.auditing.columns import score_columns
from fairvision.auditing.leaning_figures import CONTEXT, KINDS, NOTHING, PERSON
from fairvision.auditing.steps import Step, together
from fairvision.core.checksums import draw
from fairvision.datasets import Batch, Dataset, batches, hide, open_pixels
from fairvision.datasets.geometry import seen_regions
from fairvision.datasets.hiding import elsewhere, widened
from fairvision.datasets.regions import SIDES, box_mask
from fairvision.errors import InputError
from fairvision.models import Model, geometry_of


def lean(model: Model, dataset: Dataset, regions: pd.DataFrame, **how: Any) -> pd.DataFrame:
    """Hide parts of images and ask the model again, see `leaning_of`.

    Several processes share the images, and each gets the whole table.
    """
    return together(leaning_of(model, dataset, regions, **how))


def leaning_of(
    model: Model,
    dataset: Dataset,
    regions: pd.DataFrame,
    *,
    seed: int = 0,
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    quiet: bool = True,
) -> Step[pd.DataFrame]:
    """Return the step that hides person, context and each class of objects, and asks again.

    What is hidden is filled as `fairvision.datasets.hide` does. Objects are hidden by the boxes of
    all objects of their class at once; the person stays visible where a box overlaps it. As a
    control, an equal area at a random place is hidden instead (`fairvision.datasets.hiding.
    elsewhere`), off the thing itself and, for objects, off the person.

    Parameters
    ----------
    model : predicts an attribute of `dataset`
    dataset : the images; those without any known group are left out
    regions : boxes of objects, as `fairvision.datasets.read_regions` gives them; those of other
        images are ignored
    seed : of the controls, which depend on nothing else but the image and the thing
    batch_size, workers, cache, quiet : how it runs. An image costs 4
        forwards (whole, person, context, the person's control) and 2 for each class of objects
        that it shows; no more than `batch_size` images are in the network at a time.

    Returns
    -------
    a step to a table with a row per image and thing: `id`; the true group of each attribute;
    `task` and `label`, of an object class, or "" and `person` or `context`, or both "" where
    nothing is hidden;
    `hidden_share` and `control_share` of the image's area; and per attribute and group
    `hidden/<attribute>/<group>` and `control/…`, the probabilities. NaN where nothing of an object
    is visible, and for controls where less than half of the area finds a place elsewhere. The
    context has none: all that is elsewhere is the person.

    Raises
    ------
    InputError
        If the model predicts no attribute of the dataset.
    """
    heads = [head for head in dataset.attributes if head in model.schema.attributes]
    if not heads:
        raise InputError(f"{model} predicts no attribute of dataset {dataset.root}")
    pixels = open_pixels(dataset, geometry_of(model), workers=workers, quiet=quiet, cache=cache)
    regions = seen_regions(regions, dataset, geometry_of(model))
    things = _things(dataset, pixels.has_mask, regions, heads)
    orders = {head: class_order(model, dataset, head) for head in heads}
    columns = [c for head in heads for c in score_columns("", head, dataset.attributes[head])]
    step = max(1, batch_size // 2)

    def measure(rows: slice) -> pd.DataFrame:
        of_process = things.iloc[rows]
        n = len(of_process)
        table = {f"{kind}_share": np.zeros(n) for kind in KINDS}
        table |= {kind + column: np.full(n, np.nan) for kind in KINDS for column in columns}
        start = 0
        for batch in track(
            batches(
                *(dataset, pixels, step),
                device=model.device,
                order=of_process["row"].to_numpy(copy=True),
            ),
            description=f"hides parts from {model.name}",
            total=-(-n // step),
            disable=quiet,
            transient=True,
        ):
            of_batch = of_process.iloc[start : start + len(batch.rows)]
            keys = _keys_of_things(dataset, of_batch)
            draws = torch.tensor([draw(seed, *thing) for thing in keys])
            hidden, free = _areas(batch, of_batch, model.size)
            masks = torch.cat([hidden, elsewhere(hidden, free, draws)])
            asked = masks.any(dim=(1, 2))
            asked[: len(of_batch)] |= torch.tensor(
                [label == NOTHING for label in of_batch["label"]], device=model.device
            )
            predicted = np.full((len(masks), len(columns)), np.nan)
            if asked.any():
                images = torch.cat([batch.images] * 2)[asked]
                scores = model.predict(hide(images, masks[asked].unsqueeze(1)))
                predicted[asked.cpu().numpy()] = np.hstack(
                    [scores[head][:, orders[head]].double().cpu().numpy() for head in heads]
                )
            area = masks.double().mean(dim=(1, 2)).cpu().numpy()
            places = slice(start, start + len(of_batch))
            for i, kind in enumerate(KINDS):
                half = slice(i * len(of_batch), (i + 1) * len(of_batch))
                table[f"{kind}_share"][places] = area[half]
                for column, values in zip(columns, predicted[half].T):
                    table[kind + column][places] = values
            start += len(of_batch)
        return pd.DataFrame(table)

    def conclude(numbers: pd.DataFrame) -> pd.DataFrame:
        truth = dataset.samples.iloc[things["row"]].reset_index(drop=True)[["id", *heads]]
        return pd.concat([truth, things[["task", "label"]], numbers], axis=1)

    return Step(f"{model.name}/leaning", len(things), step, measure, conclude)


def leaning_of_all(
    models: Sequence[Model],
    dataset: Dataset,
    regions: pd.DataFrame,
    *,
    leaning: bool | None = None,
    **how: Any,
) -> dict[str, Step[pd.DataFrame]]:
    """Return the step `leaning_of` for each model of an audit.

    Parameters
    ----------
    models : none with tables
    dataset : the audited images
    regions : boxes of objects
    leaning : whether to; None: where there are regions and all models predict one attribute of the
        dataset. Without regions only the person and the context are hidden.
    how : further options of `leaning_of`

    Returns
    -------
    steps by the name of the model; none where nothing is to be hidden
    """
    if leaning is None:
        attributes = [set(model.schema.attributes) for model in models]
        shared = set(dataset.attributes).intersection(*attributes)
        leaning = bool(models) and bool(shared) and len(regions) > 0
    if not leaning:
        return {}
    return {model.name: leaning_of(model, dataset, regions, **how) for model in models}


def _things(
    dataset: Dataset, has_mask: npt.NDArray[np.bool_], regions: pd.DataFrame, heads: list[str]
) -> pd.DataFrame:
    """List what is hidden: `row` of the image, `task`, `label`, and `boxes` (n, 4) of objects."""
    objects: dict[str, list[tuple[str, str, npt.NDArray[np.floating]]]] = {}
    for key, of_class in regions.groupby(["id", "task", "label"], sort=False):
        identity, task, label = map(str, key)
        boxes = of_class[list(SIDES)].to_numpy(float)
        objects.setdefault(identity, []).append((task, label, boxes))
    has_group = np.any([dataset.codes(head) >= 0 for head in heads], axis=0)
    rows: list[tuple[Any, ...]] = []
    for row in np.flatnonzero(has_group):
        identity = dataset.samples["id"][row]
        parts = [NOTHING, PERSON, CONTEXT] if has_mask[row] else [NOTHING]
        rows += [(row, "", part, None) for part in parts]
        rows += [(row, *thing) for thing in objects.get(identity, ())]
    return pd.DataFrame(rows, columns=["row", "task", "label", "boxes"]).astype({"row": int})


def _keys_of_things(dataset: Dataset, things: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Return what the random place of each control is drawn by: image, task and label."""
    ids = dataset.samples["id"].iloc[things["row"]]
    return zip(ids, things["task"], things["label"])


def _areas(batch: Batch, things: pd.DataFrame, size: int) -> tuple[Tensor, Tensor]:
    """Return what is hidden, and what a control may hide instead, (n, size, size) bool each."""
    person = batch.masks[:, 0] > 0
    wide = widened(batch.masks)[:, 0] > 0
    hidden, free = torch.zeros_like(person), ~person
    for i, (label, boxes) in enumerate(zip(things["label"], things["boxes"])):
        if boxes is not None:
            hidden[i] = torch.from_numpy(box_mask(boxes, size)).to(person.device) & ~person[i]
        elif label == PERSON:
            hidden[i] = wide[i]
        elif label == CONTEXT:
            hidden[i], free[i] = ~wide[i], False
    return hidden, free & ~hidden
