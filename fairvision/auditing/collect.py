"""From a model and a dataset to a samples table: what is predicted, and on what evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rich.progress import track
from torch import Tensor, nn

from fairvision import metrics
from fairvision.attribution import DEFAULT
from fairvision.attribution import attribute as attribute_maps
from fairvision.attribution.completeness import Sums, adding_up
from fairvision.attribution.maps import module_of
from fairvision.attribution.one_pass import IN_ONE_PASS, logits_and_maps
from fairvision.auditing.columns import score_columns
from fairvision.auditing.miniatures import as_column, of_column, rows_shown
from fairvision.auditing.probabilities import ROUNDING, TOLERANCE
from fairvision.auditing.steps import Step, together
from fairvision.auditing.tables import CHANCE, MEASURES, Samples, evidence_column
from fairvision.core import processes
from fairvision.datasets import Batch, Dataset, batches, hide, open_pixels
from fairvision.datasets.hiding import widened
from fairvision.errors import InputError
from fairvision.models import Model, geometry_of, probabilities

_SMALL = "small map/"
"""Before the attribute, in the columns of small maps, which are in no table of an audit."""


def check_agrees(model: Model, dataset: Dataset) -> None:
    """Raise `InputError` where a model's groups or labels are not those of the dataset.

    Their order may differ. Attributes and tasks that only one of the two has are no error.
    """
    of_model, of_data = model.schema, dataset.schema
    for head in of_model:
        if head not in of_data:
            continue
        if (head in of_model.attributes) != (head in of_data.attributes):
            raise InputError(
                f"{head!r} is an attribute in only one of {model} and dataset {dataset.root}"
            )
        if set(of_model.labels(head)) != set(of_data.labels(head)):
            names, others = _first_of(of_model.labels(head)), _first_of(of_data.labels(head))
            raise InputError(
                f"{model} knows {head} as {names}, but dataset {dataset.root} has {others}: audit "
                "it on the data it was trained for"
            )
        if of_model.is_many(head) != of_data.is_many(head):
            raise InputError(
                f"several labels of {head!r} may hold at once in only one of {model} and dataset "
                f"{dataset.root}"
            )


def class_order(model: Model, dataset: Dataset, head: str) -> list[int]:
    """Return for each group or label of a dataset its position in the model's head."""
    labels = model.schema.labels(head)
    return [labels.index(label) for label in dataset.schema.labels(head)]


def collect(
    model: Model,
    dataset: Dataset,
    *,
    attribution: str | None = DEFAULT,
    looked_at: npt.NDArray[np.bool_] | None = None,
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    quiet: bool = True,
) -> Samples:
    """Run a model over every image of a dataset, of which each process takes its share.

    See `collecting`.
    """
    return together(
        collecting(
            model,
            dataset,
            attribution=attribution,
            looked_at=looked_at,
            batch_size=batch_size,
            workers=workers,
            cache=cache,
            quiet=quiet,
        )
    )


def collecting(
    model: Model,
    dataset: Dataset,
    *,
    attribution: str | None = DEFAULT,
    looked_at: npt.NDArray[np.bool_] | None = None,
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    quiet: bool = True,
) -> Step[Samples]:
    """Return the step that runs a model over every image of a dataset.

    Each image is shown whole; with the person hidden; and with only the person. The evidence is
    attributed for the score of the image's *true* group, in the whole image.

    Parameters
    ----------
    model : its groups and labels are those of `dataset` (see `check_agrees`)
    dataset : the images, n of them
    attribution : one of `fairvision.attribution.METHODS`; None leaves the evidence out
    looked_at : (n,) the images whose evidence is looked for; by default all
    batch_size, workers, cache, quiet : how it runs

    Returns
    -------
    a step to the samples table of docs/design.md, with scores as the model gives them. `hidden/…`
    and `person/…` are NaN without a mask, `evidence/…` also where the group is unknown, nobody
    looks for it, or the map has no positive evidence.

    Raises
    ------
    InputError
        If the attribution needs gradients, which the model does not have.
    """
    module = None if attribution is None else module_of(model, attribution)
    with processes.first_ahead():
        pixels = open_pixels(dataset, geometry_of(model), workers=workers, quiet=quiet, cache=cache)
    heads = [head for head in model.schema if head in dataset.schema]
    order = {head: class_order(model, dataset, head) for head in heads}
    explained = [head for head in heads if head in dataset.attributes and module is not None]
    shown_on_page = rows_shown(len(dataset))

    def measure(rows: slice) -> pd.DataFrame:
        parts: dict[str, list[npt.NDArray[Any]]] = defaultdict(list)
        sums = Sums()
        for batch in track(
            batches(
                *(dataset, pixels, batch_size),
                device=model.device,
                order=np.arange(len(dataset))[rows],
            ),
            description=f"audits {model.name}",
            total=-(-(rows.stop - rows.start) // batch_size),
            disable=quiet,
            transient=True,
        ):
            looked = batch.has_mask
            if looked_at is not None:
                looked = looked & torch.from_numpy(looked_at[batch.rows]).to(looked.device)
            targets = {
                head: torch.where(looked, true_class(batch.attributes[head], order[head]), -1)
                for head in heads
                if head in dataset.attributes
            }
            with adding_up(sums):
                shown, maps = _predict_and_explain(model, module, batch, targets, attribution)
            people = batch.masks[:, 0] > 0
            level = _numpy(metrics.chance_level(people))
            parts[CHANCE].append(np.where(_numpy(batch.has_mask), level, np.nan))
            for head in heads:
                labels = dataset.schema.labels(head)
                for kind, scores in shown.items():
                    values = _numpy(scores[head][:, order[head]])
                    for i, column in enumerate(score_columns(kind, head, labels)):
                        parts[column].append(values[:, i])
            kept = np.isin(batch.rows, shown_on_page)
            for head, of_head in maps.items():
                for name, values in _measure_evidence(of_head, people).items():
                    column = evidence_column(str(attribution), name, head, dataset)
                    parts[column].append(values)
                parts[_SMALL + head].append(as_column(of_head, kept))
            pixels.release()
        sums.tell()
        return pd.DataFrame({column: np.concatenate(values) for column, values in parts.items()})

    def conclude(table: pd.DataFrame) -> Samples:
        small = [column for column in table if str(column).startswith(_SMALL)]
        maps = {head: of_column(table.get(_SMALL + head, ())) for head in explained}
        return Samples(model.name, dataset, table.drop(columns=small), maps=maps)

    return Step(f"{model.name}/whole", len(dataset), batch_size, measure, conclude)


def true_class(codes: Tensor, order: Sequence[int]) -> Tensor:
    """Return positions in a model's head for group codes of the dataset; -1 stays -1.

    `order` holds, for each group of the dataset, its position in the head.

    >>> true_class(torch.tensor([0, 1, 2, -1]), [2, 0, 1])
    tensor([ 2,  0,  1, -1])
    """
    return torch.tensor([*order, -1], device=codes.device)[codes]


def _first_of(names: tuple[str, ...]) -> str:
    """Return the first six names separated by commas, and "…" if there are more."""
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")


def _predict_and_explain(
    model: Model,
    module: nn.Module | None,
    batch: Batch,
    targets: dict[str, Tensor],
    method: str | None,
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """Return probabilities on the whole, without and with only the person, and the evidence.

    The model is asked three times; evidence from layers comes from the first of these runs.
    """
    maps: dict[str, Tensor] = {}
    if module is None or method is None:
        whole = dict(model.predict(batch.images))
    elif method in IN_ONE_PASS:
        labelled = any(bool((target >= 0).any()) for target in targets.values())
        logits, maps = logits_and_maps(module, batch.images, targets if labelled else {}, method)
        with torch.inference_mode():
            whole = probabilities(logits, model.schema)
        blank = torch.full_like(batch.masks[:, 0], torch.nan)
        maps = {head: maps.get(head, blank) for head in targets}
    else:
        maps = {
            head: attribute_maps(module, batch.images, target, method, head=head)
            for head, target in targets.items()
        }
        whole = dict(model.predict(batch.images))
    _check_scores(model, whole, len(batch.images))
    shown = {"score": whole}
    with torch.inference_mode():
        masked = batch.has_mask
        images, person = batch.images[masked], widened(batch.masks[masked])
        for kind, hidden in (("hidden", person), ("person", 1 - person)):
            shown[kind] = {k: torch.full_like(scores, torch.nan) for k, scores in whole.items()}
            if len(images):
                for head, values in model.predict(hide(images, hidden)).items():
                    shown[kind][head][masked] = values
    return shown, maps


def _check_scores(model: Model, scores: Mapping[str, Tensor], images: int) -> None:
    """Raise `InputError` unless scores (images, labels) of every head are probabilities."""
    for head in model.schema:
        labels = len(model.schema.labels(head))
        if head not in scores:
            raise InputError(f"{model} predicts nothing for {head!r}, which its schema names")
        values = scores[head]
        if tuple(values.shape) != (images, labels):
            raise InputError(
                f"{model} predicts an array of shape {tuple(values.shape)} for {head!r}: "
                f"({images}, {labels}) is expected, a row per image and a column per label"
            )
        if bool(((values < -ROUNDING) | (values > 1 + ROUNDING)).any()):
            raise InputError(
                f"{model} predicts {head!r} by numbers outside of 0 to 1: probabilities"
            )
        blank = values.isnan()
        if bool((blank.any(dim=1) & ~blank.all(dim=1)).any()):
            raise InputError(
                f"{model} predicts {head!r} by NaN for some labels of an image only: give all of "
                "its labels NaN where there is no answer"
            )
        off = (values.sum(dim=1) - 1).abs().max() if len(values) else torch.zeros(())
        if not model.schema.is_many(head) and bool(off > TOLERANCE):
            raise InputError(f"{model}: the probabilities of {head!r} do not sum to 1")


def _measure_evidence(maps: Tensor, masks: Tensor) -> dict[str, npt.NDArray[np.floating]]:
    """Return each measure of evidence, (n,), NaN where a map is; computed where the maps are."""
    return {measure: _numpy(getattr(metrics, measure)(maps, masks)) for measure in MEASURES}


def _numpy(values: Tensor) -> npt.NDArray[np.floating]:
    """Return a tensor as an array on the CPU; floating point becomes float64."""
    values = values.cpu()
    return (values.double() if values.is_floating_point() else values).numpy()
