"""Where a network looks for what it says of a task: on the objects of the true label?

An attribute is to be told by the person; a task by its object, which the regions of a dataset
bound. What is made of the values is in `task_evidence_figures.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rich.progress import track

from fairvision import metrics
from fairvision.attribution import attribute as attribute_maps
from fairvision.attribution.completeness import Sums, adding_up
from fairvision.attribution.maps import module_of
from fairvision.auditing.collect import class_order
from fairvision.auditing.steps import Step, together
from fairvision.auditing.tables import CHANCE, MEASURES, Samples, evidence_column
from fairvision.core import processes
from fairvision.datasets import Dataset, Pixels, batches, open_pixels
from fairvision.datasets.geometry import seen_regions
from fairvision.datasets.regions import SIDES, box_mask
from fairvision.models import Model, geometry_of

_CHANCE = "chance"

Columns = dict[str, npt.NDArray[np.float64]]
"""Columns of the samples table by their names, (n,) each."""


class _Thing(NamedTuple):
    """A true label of an image, its position in the labels, and the boxes (n, 4) of its objects."""

    row: int
    label: int
    boxes: npt.NDArray[np.float64]


def with_task_evidence(
    models: Sequence[Model],
    samples: Sequence[Samples],
    regions: pd.DataFrame,
    *,
    methods: Sequence[str | None],
    looked_at: Sequence[npt.NDArray[np.bool_] | None] | None = None,
    **how: Any,
) -> list[Samples]:
    """Return samples with how much evidence for the true labels of tasks lies on their objects.

    Parameters
    ----------
    models, samples : of the same models
    regions, methods, looked_at, how : as for `looking_at_tasks`, of each model

    Returns
    -------
    samples with the columns of `looking_at_tasks`
    """
    chosen = looked_at or [None] * len(models)
    completed = []
    for model, of_model, method, rows in zip(models, samples, methods, chosen, strict=True):
        steps = looking_at_tasks(
            model, of_model.truth, regions, attribution=method, looked_at=rows, **how
        )
        completed.append(with_columns(of_model, map(together, steps)))
    return completed


def with_columns(samples: Samples, columns: Iterable[Columns]) -> Samples:
    """Return samples with the columns that steps of `looking_at_tasks` lead to."""
    every = {name: values for of_step in columns for name, values in of_step.items()}
    return replace(samples, scores=samples.scores.assign(**every))


def looking_at_tasks(
    model: Model,
    dataset: Dataset,
    regions: pd.DataFrame,
    *,
    attribution: str | None,
    looked_at: npt.NDArray[np.bool_] | None = None,
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    quiet: bool = True,
) -> list[Step[Columns]]:
    """Return a step for each task that measures how much of its evidence lies on its objects.

    Parameters
    ----------
    model : what is asked
    dataset : the images, n of them
    regions : boxes of objects, as `fairvision.datasets.read_regions` gives them; those of other
        images, and of labels that are not true of the image, are ignored
    attribution : of the model, one of `fairvision.attribution.METHODS`, or None
    looked_at : the images (n,) whose evidence is looked for; None for all
    batch_size, workers, cache, quiet : how it runs. An image costs a map for each of its true
        labels that has a region.

    Returns
    -------
    steps to the columns `evidence/<method>/<measure>/<task>` and `evidence/chance/<task>`, the
    share of the image that the boxes cover, for each task of which some true label has a region.
    Where many labels may hold, each is the mean over an image's true labels that have regions. NaN
    where none has, where the boxes cover all, and where the map has no positive evidence.
    """
    if attribution is None:
        return []
    steps: list[Step[Columns]] = []
    seen = seen_regions(regions, dataset, geometry_of(model))
    for task in (task for task in dataset.tasks if task in model.schema.tasks):
        things = [
            thing
            for thing in _things(dataset, task, seen)
            if looked_at is None or looked_at[thing.row]
        ]
        if not things:
            continue
        with processes.first_ahead():
            pixels = open_pixels(
                dataset, geometry_of(model), workers=workers, quiet=quiet, cache=cache
            )
        steps.append(
            _looking(
                *(model, dataset, pixels, task, things, attribution, batch_size),
                number=len(steps),
                quiet=quiet,
            )
        )
    return steps


def _things(dataset: Dataset, task: str, regions: pd.DataFrame) -> Iterator[_Thing]:
    """Yield the true labels of images that have regions, image by image."""
    labels, targets = dataset.schema.labels(task), dataset.targets(task)
    is_true = targets == 1 if targets.ndim == 2 else targets[:, None] == np.arange(len(labels))
    place = {identity: row for row, identity in enumerate(dataset.samples["id"])}
    of_task = regions[(regions["task"] == task) & regions["id"].isin(place.keys())]
    things = []
    for (identity, label), boxes in of_task.groupby(["id", "label"], sort=False):
        row, code = place[identity], labels.index(label)
        if is_true[row, code]:
            things.append(_Thing(row, code, boxes[list(SIDES)].to_numpy(float)))
    yield from sorted(things, key=lambda thing: thing[:2])


def _looking(
    model: Model,
    dataset: Dataset,
    pixels: Pixels,
    task: str,
    things: Sequence[_Thing],
    attribution: str,
    batch_size: int,
    *,
    number: int,
    quiet: bool,
) -> Step[Columns]:
    """Return the step that measures the evidence on things of a task, the number-th of a model."""
    module, order = module_of(model, attribution), class_order(model, dataset, task)

    def measure(rows: slice) -> pd.DataFrame:
        mine = things[rows]
        parts: dict[str, list[Any]] = {name: [] for name in (*MEASURES, _CHANCE)}
        start, sums = 0, Sums()
        for batch in track(
            batches(
                *(dataset, pixels, batch_size),
                device=model.device,
                order=np.array([thing.row for thing in mine], np.int64),
            ),
            description=f"looks where {model.name} finds {task}",
            total=-(-len(mine) // batch_size),
            disable=quiet,
            transient=True,
        ):
            of_batch = mine[start : start + len(batch.rows)]
            start += len(of_batch)
            target = torch.tensor([order[thing.label] for thing in of_batch], device=model.device)
            objects = np.stack([box_mask(thing.boxes, model.size) for thing in of_batch])
            masks = torch.from_numpy(objects).to(model.device)
            with adding_up(sums):
                maps = attribute_maps(module, batch.images, target, attribution, head=task)
            for name in MEASURES:
                parts[name].append(getattr(metrics, name)(maps, masks).double().cpu().numpy())
            parts[_CHANCE].append(metrics.chance_level(masks).double().cpu().numpy())
            pixels.release()
        sums.tell()
        values = {name: np.concatenate(part or [np.empty(0)]) for name, part in parts.items()}
        values[_CHANCE][np.isnan(values[MEASURES[0]])] = np.nan  # chance of what is measured
        return pd.DataFrame(values)

    def conclude(table: pd.DataFrame) -> Columns:
        whole = table.assign(row=[thing.row for thing in things])
        means = whole.groupby("row").mean().reindex(range(len(dataset)))  # NaN takes no part
        names = {name: evidence_column(attribution, name, task, dataset) for name in MEASURES}
        names[_CHANCE] = f"{CHANCE}/{task}"
        return {column: means[name].to_numpy(np.float64) for name, column in names.items()}

    return Step(f"{model.name}/task-{number}", len(things), batch_size, measure, conclude)
