"""What a model says of images that were made of others: asked about the whole image only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rich.progress import track

from fairvision.auditing.collect import class_order
from fairvision.auditing.columns import score_columns
from fairvision.auditing.tables import Samples
from fairvision.core import processes
from fairvision.datasets import Dataset, batches, open_pixels
from fairvision.models import Model, geometry_of


def with_counterfactuals(
    models: Sequence[Model], samples: Sequence[Samples], made: Dataset, **how: Any
) -> list[Samples]:
    """Return samples with those of the counterfactuals of their images, if there are any.

    Parameters
    ----------
    models, samples : of the same models
    made : the counterfactuals
    how : options of `ask`
    """
    if not len(made):
        return list(samples)
    return [
        replace(of_model, counterfactuals=ask(model, made, **how))
        for model, of_model in zip(models, samples)
    ]


def ask(
    model: Model,
    dataset: Dataset,
    *,
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    quiet: bool = True,
) -> Samples:
    """Ask a model about whole images, of which each process takes its share.

    Parameters
    ----------
    model : its groups and labels are those of `dataset` (see `collect.check_agrees`)
    dataset : the images
    batch_size, workers, cache, quiet : how it runs

    Returns
    -------
    samples that hold `score/…` only
    """
    with processes.first_ahead():
        pixels = open_pixels(dataset, geometry_of(model), workers=workers, quiet=quiet, cache=cache)
    rows = processes.rows_of_process(len(dataset), batch_size)
    order = {
        head: class_order(model, dataset, head) for head in model.schema if head in dataset.schema
    }
    parts: dict[str, list[npt.NDArray[np.float64]]] = defaultdict(list)
    for batch in track(
        batches(
            *(dataset, pixels, batch_size),
            device=model.device,
            order=np.arange(len(dataset))[rows],
        ),
        description=f"asks {model.name} about counterfactuals",
        total=-(-(rows.stop - rows.start) // batch_size),
        disable=quiet,
        transient=True,
    ):
        with torch.inference_mode():
            scores = model.predict(batch.images)
        for head, places in order.items():
            values = scores[head][:, places].double().cpu().numpy()
            for column, of_label in zip(
                score_columns("score", head, dataset.schema.labels(head)), values.T
            ):
                parts[column].append(of_label)
        pixels.release()
    of_process = {column: np.concatenate(values) for column, values in parts.items()}
    return Samples(model.name, dataset, processes.gathered(pd.DataFrame(of_process)))
