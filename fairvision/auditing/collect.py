"""From a run and a dataset to a samples table: what the model says, and on what evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from rich.progress import track
from torch import Tensor

from fairvision import metrics
from fairvision.attribution import attribute as attribute_maps
from fairvision.attribution.completeness import Sums, adding_up
from fairvision.attribution.together import answers_and_gradcam
from fairvision.auditing.schema import score_columns
from fairvision.auditing.tables import CHANCE, MEASURES, Samples, evidence_column, labels_of
from fairvision.core import processes
from fairvision.datasets import Batch, Dataset, batches, hide, open_pixels
from fairvision.datasets.hiding import widened
from fairvision.errors import InputError
from fairvision.models import Network
from fairvision.runs import Run, thresholds


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
    cache: str = "auto",
    quiet: bool = True,
) -> Samples:
    """Run a model over every image of a dataset, of which each process takes its share.

    Each image is shown whole; with the person hidden; and with only the person. The evidence is
    attributed for the score of the image's *true* group, in the whole image.

    Parameters
    ----------
    run : a finished run whose groups and labels are those of `dataset` (see `check_agrees`)
    network : its network, on `device`
    dataset : the images, n of them
    name : what the model is called
    attribution : one of `fairvision.attribution.METHODS`
    device, batch_size, workers, cache, quiet : where and how it runs

    Returns
    -------
    the samples table of docs/design.md. Scores of tasks are post-processed where the run has learnt
    how (see `fairvision.runs.thresholds`). `hidden/…` and `person/…` are NaN without a mask,
    `evidence/…` also where the group is unknown or the map has no positive evidence.
    """
    with processes.first_ahead():
        pixels = open_pixels(dataset, run.size, workers=workers, quiet=quiet, cache=cache)
    own = processes.rows_of_process(len(dataset), batch_size)
    heads = [head for head in run.heads if head in {**dataset.attributes, **dataset.tasks}]
    order = {
        head: [run.heads[head].index(label) for label in labels_of(dataset, head)] for head in heads
    }
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    sums = Sums()
    for batch in track(
        batches(dataset, pixels, batch_size, device=device, order=np.arange(len(dataset))[own]),
        description=f"audits {name}",
        total=-(-(own.stop - own.start) // batch_size),
        disable=quiet,
        transient=True,
    ):
        targets = {
            head: torch.where(batch.has_mask, true_class(batch.attributes[head], order[head]), -1)
            for head in heads
            if head in dataset.attributes
        }
        with adding_up(sums):
            said, maps = _show(network, batch, targets, attribution)
        people = batch.masks[:, 0] > 0
        level = _numpy(metrics.chance_level(people))
        parts[CHANCE].append(np.where(_numpy(batch.has_mask), level, np.nan))
        for head in heads:
            columns = labels_of(dataset, head)
            for kind, answers in said.items():
                if kind == "score" or head in dataset.attributes:
                    values = _numpy(answers[head][:, order[head]])
                    for i, column in enumerate(score_columns(kind, head, columns)):
                        parts[column].append(values[:, i])
        for head, found in maps.items():
            for measure, values in _measured(found, people).items():
                parts[evidence_column(attribution, measure, head, dataset)].append(values)
        pixels.let_go()
    sums.tell()
    own_scores = {column: np.concatenate(values) for column, values in parts.items()}
    scores = processes.gathered(pd.DataFrame(own_scores))
    if (rule := thresholds.read(run)) is not None:
        scores = rule.applied(scores, dataset, run.config["seed"])
    return Samples(name, dataset, scores)


def true_class(codes: Tensor, order: Sequence[int]) -> Tensor:
    """Return positions in a run's head for group codes of the dataset; -1 stays -1.

    `order` holds, for each group of the dataset, its position in the head.

    >>> true_class(torch.tensor([0, 1, 2, -1]), [2, 0, 1])
    tensor([ 2,  0,  1, -1])
    """
    return torch.tensor([*order, -1], device=codes.device)[codes]


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")


def _show(
    network: Network, batch: Batch, targets: dict[str, Tensor], method: str
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """Return probabilities on the whole, without and with only the person, and the evidence.

    The network runs three times; Grad-CAM comes from the first of these runs.
    """
    if method == "gradcam":
        some = any(bool((target >= 0).any()) for target in targets.values())
        logits, maps = answers_and_gradcam(network, batch.images, targets if some else {})
        blank = torch.full_like(batch.masks[:, 0], torch.nan)
        maps = {head: maps.get(head, blank) for head in targets}
    else:
        maps = {
            head: attribute_maps(network, batch.images, target, method, head=head)
            for head, target in targets.items()
        }
        with torch.inference_mode():
            logits = network(batch.images)
    with torch.inference_mode():
        said = {"score": network.as_probabilities(logits)}
        masked = batch.has_mask
        images, person = batch.images[masked], widened(batch.masks[masked])
        for kind, hidden in (("hidden", person), ("person", 1 - person)):
            said[kind] = {
                head: torch.full_like(whole, torch.nan) for head, whole in said["score"].items()
            }
            if len(images):
                for head, values in network.probabilities(hide(images, hidden)).items():
                    said[kind][head][masked] = values
    return said, maps


def _measured(maps: Tensor, masks: Tensor) -> dict[str, np.ndarray]:
    """Return each measure of evidence, (n,), NaN where a map is; computed where the maps are."""
    return {measure: _numpy(getattr(metrics, measure)(maps, masks)) for measure in MEASURES}


def _numpy(values: Tensor) -> np.ndarray:
    values = values.cpu()
    return (values.double() if values.is_floating_point() else values).numpy()
