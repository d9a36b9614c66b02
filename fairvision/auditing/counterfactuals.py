"""What a model says of images that were made of others: asked about the whole image only."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rich.progress import track

from fairvision.auditing.collect import class_order
from fairvision.auditing.columns import score_columns
from fairvision.auditing.steps import Step, together
from fairvision.auditing.tables import Samples
from fairvision.core import processes
from fairvision.datasets import Dataset, batches, open_pixels
from fairvision.models import Model, geometry_of


def ask(
    model: Model,
    dataset: Dataset,
    *,
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    quiet: bool = True,
) -> Samples:
    """Ask a model about whole images, of which each process takes its share, see `asking`."""
    return together(
        asking(model, dataset, batch_size=batch_size, workers=workers, cache=cache, quiet=quiet)
    )


def asking(
    model: Model,
    dataset: Dataset,
    *,
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    quiet: bool = True,
) -> Step[Samples]:
    """Return the step that asks a model about whole images.

    Parameters
    ----------
    model : its groups and labels are those of `dataset` (see `collect.check_agrees`)
    dataset : the images
    batch_size, workers, cache, quiet : how it runs

    Returns
    -------
    a step to samples that hold `score/…` only
    """
    with processes.first_ahead():
        pixels = open_pixels(dataset, geometry_of(model), workers=workers, quiet=quiet, cache=cache)
    order = {
        head: class_order(model, dataset, head) for head in model.schema if head in dataset.schema
    }

    def measure(rows: slice) -> pd.DataFrame:
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
        return pd.DataFrame({column: np.concatenate(values) for column, values in parts.items()})

    def conclude(table: pd.DataFrame) -> Samples:
        return Samples(model.name, dataset, table)

    return Step(f"{model.name}/counterfactuals", len(dataset), batch_size, measure, conclude)
