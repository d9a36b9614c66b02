"""From a run and a dataset to a samples table: what the model says, and on what evidence."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd
import torch
from rich.progress import track
from torch import Tensor

from fairvision import metrics
from fairvision.attribution import attribute as attribute_maps
from fairvision.auditing.schema import score_columns
from fairvision.auditing.tables import CHANCE, MEASURES, Samples, evidence_column, labels_of
from fairvision.datasets import Batch, Dataset, batches, hide_person, only_person, open_pixels
from fairvision.errors import InputError
from fairvision.models import Network
from fairvision.runs import Run


def check_agrees(run: Run, dataset: Dataset) -> None:
    """Raise `InputError` where a run's groups or labels are not those of the dataset.

    Their order may differ. Attributes and tasks that only one of the two has are no error.
    """
    for head, own in run.heads.items():
        if head not in dataset.attributes and head not in dataset.tasks:
            continue
        if (head in run.attributes) != (head in dataset.attributes):
            raise InputError(
                f"{head!r} is an attribute in only one of run {run.folder} and dataset "
                f"{dataset.root}"
            )
        there = labels_of(dataset, head)
        if set(own) != set(there):
            raise InputError(
                f"run {run.folder} knows {head} as {_some(own)}, but dataset {dataset.root} has "
                f"{_some(there)}: audit it on the data it was trained for"
            )
        if head in run.tasks and run.tasks[head].many != dataset.tasks[head].many:
            raise InputError(
                f"several labels of {head!r} may hold at once in only one of run {run.folder} and "
                f"dataset {dataset.root}"
            )


def collect(
    run: Run,
    network: Network,
    dataset: Dataset,
    *,
    name: str,
    attribution: str = "gradcam",
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    workers: int | None = None,
    quiet: bool = True,
) -> Samples:
    """Run a model over every picture of a dataset.

    Each picture is shown whole; with the person hidden; and with only the person. The evidence is
    attributed for the score of the picture's *true* group, in the whole picture.

    Parameters
    ----------
    run : a finished run whose groups and labels are those of `dataset` (see `check_agrees`)
    network : its network, on `device`
    dataset : the pictures, n of them
    name : what the model is called
    attribution : one of `fairvision.attribution.METHODS`
    device, batch_size, workers, quiet : where and how it runs

    Returns
    -------
    the samples table of docs/design.md. `hidden/…` and `person/…` are NaN without a mask,
    `evidence/…` also where the group is unknown or the map has no positive evidence.
    """
    pixels = open_pixels(dataset, run.size, workers=workers, quiet=quiet)
    heads = [head for head in run.heads if head in {**dataset.attributes, **dataset.tasks}]
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    steps = -(-len(dataset) // batch_size)
    for batch in track(
        batches(dataset, pixels, batch_size, device=device),
        description=f"audits {name}",
        total=steps,
        disable=quiet,
        transient=True,
    ):
        parts[CHANCE].append(
            np.where(batch.has_mask.cpu(), metrics.chance_level(_numpy(batch.masks[:, 0])), np.nan)
        )
        said = _say(network, batch)
        for head in heads:
            columns = labels_of(dataset, head)
            order = [run.heads[head].index(label) for label in columns]
            for kind, answers in said.items():
                if kind == "score" or head in dataset.attributes:
                    values = _numpy(answers[head][:, order]).astype(np.float64)
                    for i, column in enumerate(score_columns(kind, head, columns)):
                        parts[column].append(values[:, i])
            if head in dataset.attributes:
                for measure, found in _evidence(
                    network, batch, head, torch.tensor(order, device=device), attribution
                ).items():
                    parts[evidence_column(attribution, measure, head, dataset)].append(found)
    scores = pd.DataFrame({column: np.concatenate(values) for column, values in parts.items()})
    return Samples(name, dataset, scores)


def true_class(codes: Tensor, order: Tensor) -> Tensor:
    """Return positions in a run's head for group codes of the dataset; -1 stays -1.

    `order` holds, for each group of the dataset, its position in the head.
    """
    return torch.where(codes < 0, codes, order[codes.clamp(min=0)])


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")


def _say(network: Network, batch: Batch) -> dict[str, dict[str, Tensor]]:
    """Return probabilities on the whole pictures, and where there is a mask without and with it."""
    with torch.inference_mode():
        said = {"score": network.probabilities(batch.images)}
        masked = batch.has_mask
        images, masks = batch.images[masked], batch.masks[masked]
        for kind, shown in (("hidden", hide_person), ("person", only_person)):
            said[kind] = {
                head: torch.full_like(whole, torch.nan) for head, whole in said["score"].items()
            }
            if len(images):
                for head, values in network.probabilities(shown(images, masks)).items():
                    said[kind][head][masked] = values
    return said


def _evidence(
    network: Network, batch: Batch, head: str, order: Tensor, method: str
) -> dict[str, np.ndarray]:
    found = {measure: np.full(len(batch.rows), np.nan) for measure in MEASURES}
    usable = batch.has_mask & (batch.attributes[head] >= 0)
    if not usable.any():
        return found
    target = true_class(batch.attributes[head][usable], order)
    maps = _numpy(attribute_maps(network, batch.images[usable], target, method, head=head))
    masks = _numpy(batch.masks[usable, 0]) > 0
    rows = _numpy(usable)
    found["pointing_game"][rows] = metrics.pointing_game(maps, masks)
    found["relevance_mass"][rows] = metrics.relevance_mass(maps, masks)
    return found


def _numpy(values: Tensor) -> np.ndarray:
    return (
        values.detach().cpu().float().numpy()
        if values.is_floating_point()
        else values.cpu().numpy()
    )
