"""Telling images of a task: right and wrong, with the evidence on its objects or elsewhere.

They stand in the report of models that share no attribute, so that nothing is to be shown of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from fairvision import metrics
from fairvision.auditing.gallery import (
    SIDE,
    groups_of,
    labels_of,
    maps_of,
    small_image,
    why_no_maps,
)
from fairvision.auditing.inputs import predicted
from fairvision.auditing.miniatures import rows_shown
from fairvision.auditing.tables import MEASURES, Samples
from fairvision.auditing.telling import in_turn
from fairvision.datasets import Dataset
from fairvision.datasets.geometry import place, seen_regions
from fairvision.datasets.images import image_size
from fairvision.datasets.regions import SIDES, box_mask
from fairvision.results.gallery import TASK_KINDS, GalleryImage, ModelAnswer

if TYPE_CHECKING:
    from fairvision.models import Model

Codes = npt.NDArray[np.int64]
WRONG, NAMES, MISSES, ELSEWHERE, ON_OBJECTS, RIGHT = range(len(TASK_KINDS))


ONLY_TELLING = "drawn for the most telling pictures only"


class Shown(NamedTuple):
    """An image to show: under which of `TASK_KINDS`, its row, and the label it is about."""

    kind: str
    row: int
    label: str


def choose(models: Sequence[Samples], task: str, *, per_kind: int | None = 4) -> Iterator[Shown]:
    """Choose images to show, by what the first model did with them.

    Of each kind those come first on which other models did something else, then those on which the
    models' probabilities of the label differ most, then those of which the first model is surest;
    the groups of the first attribute take turns. It is no random sample.

    Parameters
    ----------
    models : samples of the same images, of which all predict the task
    task : which one. Where many labels may hold, an image is shown for one label of each kind.
    per_kind : largest number of images of each kind; None: all
    """
    truth = models[0].truth
    rows, labels = _asked(models, task)
    kinds = np.array([_kinds(model, task, rows, labels) for model in models])
    probabilities = np.array([_probabilities(model, task)[rows, labels] for model in models])
    differs = (kinds != kinds[0]).any(axis=0)
    spread, sure = np.ptp(probabilities, axis=0), np.abs(probabilities[0] - 0.5)
    order = np.lexsort((np.arange(len(rows)), -sure, -spread, ~differs))
    attribute = next(iter(truth.attributes), None)
    groups = truth.codes(attribute)[rows] if attribute else np.zeros(len(rows), np.int64)
    names = truth.schema.labels(task)
    for code, kind in enumerate(TASK_KINDS):
        of_kind = order[kinds[0][order] == code]
        _, first = np.unique(rows[of_kind], return_index=True)  # an image once, for one label
        for i in in_turn(of_kind[np.sort(first)], groups)[:per_kind]:
            yield Shown(kind, int(rows[i]), names[labels[i]])


def others(models: Sequence[Samples], task: str, shown: Sequence[Shown]) -> Iterator[Shown]:
    """Yield the images that a page shows besides those that were chosen, each for one label.

    An image of whose labels none is known, or named falsely, is not among them.
    """
    allowed = {*rows_shown(len(models[0].truth)).tolist()}
    allowed -= {of_image.row for of_image in shown}
    for of_image in choose(models, task, per_kind=None):
        if of_image.row in allowed:
            allowed.discard(of_image.row)
            yield of_image


def draw(
    samples: Sequence[Samples],
    models: Sequence[Model],
    task: str,
    chosen: Sequence[Shown],
    regions: pd.DataFrame,
    *,
    methods: Sequence[str | None],
    side: int = SIDE,
    without_maps: str = "",
) -> list[GalleryImage]:
    """Return the images that were chosen, with the maps for their labels computed again.

    Parameters
    ----------
    samples, models : of each model, in the same order
    task : that they are about
    chosen : what `choose` yielded
    regions : boxes of objects, as `fairvision.datasets.read_regions` gives them
    methods : the attribution of each model; None: its maps are blank
    side : largest width and height of the images in pixels
    without_maps : draw no maps, for this reason
    """
    if not chosen:
        return []

    from fairvision.models import geometry_of

    truth = samples[0].truth
    rows, labels = [shown.row for shown in chosen], [shown.label for shown in chosen]
    maps = [
        maps_of(model, truth, task, labels, rows, None if without_maps else method)
        for model, method in zip(models, methods)
    ]
    reasons = [without_maps or reason for reason in why_no_maps(models, methods)]
    seen = [seen_regions(regions, truth, geometry_of(model)) for model in models]
    names = truth.schema.labels(task)
    rows_of, codes = np.array(rows), np.array([names.index(label) for label in labels])
    images = []
    for i, shown in enumerate(chosen):
        image, _ = small_image(truth, shown.row, side)
        identity = truth.samples["id"][shown.row]
        upright = image_size(truth.root / truth.samples["image"][shown.row])
        width, height = image.shape[1], image.shape[0]
        answers = []
        for of_model, model, evidence, boxes, reason in zip(samples, models, maps, seen, reasons):
            objects = box_mask(_boxes(boxes, identity, task, shown.label), model.size)
            drawn = place(evidence[i], geometry_of(model).window(upright), (width, height))
            answer = _answer(of_model, task, shown, drawn, evidence[i], objects)
            code = int(_kinds(of_model, task, rows_of[i : i + 1], codes[i : i + 1])[0])
            answer = replace(answer, reason=TASK_KINDS[code] if code >= 0 else "")
            if reason:
                answer = replace(answer, map=np.zeros_like(drawn), why_no_map=reason)
            answers.append(answer)
        mask = _outline(_boxes(regions, identity, task, shown.label), (width, height))
        images.append(
            GalleryImage(
                kind=shown.kind,
                id=identity,
                attribute=task,
                truth=_named(shown.label, holds=_holds(truth, task, shown)),
                labels=labels_of(truth, shown.row, besides=task),
                image=image,
                mask=mask,
                models=tuple(answers),
                chance=None if mask is None else float(mask.mean()),
                of_task=True,
                groups=groups_of(truth, shown.row),
            )
        )
    return images


def _asked(models: Sequence[Samples], task: str) -> tuple[Codes, Codes]:
    """Return rows and label codes that may be shown: true labels, and those named falsely.

    The latter only where many labels may hold, by the first model.
    """
    targets = models[0].truth.targets(task)
    if targets.ndim == 1:
        rows = np.flatnonzero(targets >= 0)
        return rows, targets[rows].astype(np.int64)
    named = predicted(models[0], task)
    falsely = (targets == 0) & (named == 1) if named is not None else np.zeros_like(targets, bool)
    rows, labels = np.nonzero((targets == 1) | falsely)
    return rows, labels


def _kinds(model: Samples, task: str, rows: Codes, labels: Codes) -> Codes:
    """Return the position in `TASK_KINDS` of each image and label, -1 where it is of none."""
    named = predicted(model, task)
    if named is None:
        return np.full(len(rows), -1)
    targets = model.truth.targets(task)
    if targets.ndim == 2:
        is_true, says = targets[rows, labels] == 1, named[rows, labels]
        return np.select(
            [says < 0, is_true & (says == 1), is_true, says == 1], [-1, RIGHT, MISSES, NAMES], -1
        )
    hits = model.evidence(MEASURES[0], task)
    inside = np.full(len(rows), np.nan) if hits is None else hits[rows]
    right = named[rows] == labels
    return np.select(
        [named[rows] < 0, ~right, inside > 0.5, inside <= 0.5],
        [-1, WRONG, ON_OBJECTS, ELSEWHERE],
        RIGHT,
    )


def _probabilities(model: Samples, task: str) -> npt.NDArray[np.float64]:
    """Return the probability of each label, (n, labels); 0 where it is undefined."""
    scores = model.probabilities("score", task)
    if scores is None:
        return np.zeros((len(model.truth), len(model.truth.schema.labels(task))))
    return np.nan_to_num(scores)


def _boxes(regions: pd.DataFrame, identity: str, task: str, label: str) -> npt.NDArray[np.float64]:
    """Return the boxes (n, 4) of the objects of a label in an image."""
    of_label = (regions["id"] == identity) & (regions["task"] == task) & (regions["label"] == label)
    return regions.loc[of_label, list(SIDES)].to_numpy(float)


def _outline(boxes: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
    """Return the pixels of boxes in an image of (width, height); None where there are none."""
    if not len(boxes):
        return None
    return np.asarray(Image.fromarray(box_mask(boxes, max(size))).resize(size))


def _holds(truth: Dataset, task: str, shown: Shown) -> bool:
    """Return whether the label that an image is shown for is one of its own."""
    value = truth.samples[task][shown.row]
    return shown.label == value if isinstance(value, str) else shown.label in value


def _named(label: str, *, holds: bool) -> str:
    """Return a label, or that it does not hold."""
    return label if holds else f"no {label}"


def _answer(
    samples: Samples,
    task: str,
    shown: Shown,
    drawn: npt.NDArray[np.float32],
    evidence: npt.NDArray[np.float32],
    objects: npt.NDArray[np.bool_],
) -> ModelAnswer:
    """Return what a model said of an image's label, with its map held against the objects."""
    labels = samples.truth.schema.labels(task)
    scores, code = samples.probabilities("score", task), labels.index(shown.label)
    answer = probability = None
    if scores is not None and not np.isnan(scores[shown.row]).any():
        of_image = scores[shown.row]
        if samples.truth.schema.is_many(task):
            holds = bool(of_image[code] > 0.5)
            answer = _named(shown.label, holds=holds)
            probability = float(of_image[code] if holds else 1 - of_image[code])
        else:
            answer, probability = labels[int(of_image.argmax())], float(of_image.max())
    inside, mass = (
        float(getattr(metrics, measure)(evidence[None], objects[None])[0]) for measure in MEASURES
    )
    return ModelAnswer(
        name=samples.model,
        answer=answer,
        probability=probability,
        map=drawn,
        inside=None if np.isnan(inside) else inside > 0.5,
        mass=None if np.isnan(mass) else mass,
    )
