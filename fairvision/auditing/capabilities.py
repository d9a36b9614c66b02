"""What cannot be asked of a model, and why: a line each, for readers of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from fairvision.attribution import WITHOUT_GRADIENTS
from fairvision.auditing.tables import MEASURES, Samples
from fairvision.models import Model
from fairvision.results.words import listed


def unmeasured(
    models: Sequence[Model],
    methods: Sequence[str | None],
    samples: Sequence[Samples],
    regions: pd.DataFrame,
    *,
    sanity: bool | None = None,
) -> Iterator[str]:
    """Yield what was not asked of each model, as it is made or as the images are.

    Parameters
    ----------
    models, methods, samples : of each model: itself, its attribution or None, what it answered
    regions : boxes of objects
    sanity : whether sanity checks were asked for; None: where they cost little
    """
    for model, method, of_model in zip(models, methods, samples):
        truth = of_model.truth
        names_groups = any(head in model.schema for head in truth.attributes)
        if method is None:
            yield (
                f"{model.name}: where its evidence lies, and whether that can be trusted: no "
                "evidence was looked for (attribution none)"
            )
        elif model.module is None:
            yield (
                f"{model.name}: sanity checks of its evidence, which shuffle weights: it can be "
                "asked, but not looked into (no gradients)"
            )
        elif method in WITHOUT_GRADIENTS and sanity is None:
            yield (
                f"{model.name}: sanity checks of its evidence, since {method} asks it very often "
                "for each map (--sanity makes them)"
            )
        if names_groups:
            continue
        if truth.attributes:
            yield (
                f"{model.name} names no group of {listed(list(truth.attributes))}: what holds in "
                "other surroundings, what it leans on, and sanity checks are about naming a group"
            )
        for task in (task for task in truth.tasks if task in model.schema):
            yield from _of_task(model.name, method, of_model, task, regions)


def _of_task(
    name: str, method: str | None, samples: Samples, task: str, regions: pd.DataFrame
) -> Iterator[str]:
    """Yield what was not measured of a task of a model that names no group."""
    if not samples.truth.has_masks:
        yield f"{name}, {task}: what seeing the person does to it (no picture has a person mask)"
    elif samples.probabilities("hidden", task) is None:
        yield f"{name}, {task}: what seeing the person does to it (no person can be hidden)"
    if method is None:
        return
    if not (regions["task"] == task).any():
        yield (
            f"{name}, {task}: whether the evidence lies on its objects (the data do not say where "
            "these are: regions.parquet)"
        )
    elif samples.evidence(MEASURES[0], task) is None:
        yield f"{name}, {task}: whether the evidence lies on its objects (no map has any there)"
